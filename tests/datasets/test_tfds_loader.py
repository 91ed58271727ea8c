import functools
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from mlc_tf import datasets
from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import DiskArrays
from mlc_tf.data.examples import Stream
from mlc_tf.datasets import Options
from mlc_tf.datasets import tfds_loader
from mlc_tf.errors import InputError

SIZES = {"train": 12, "test": 5}
FIRST = {"train": 0, "test": 100}


class OwnTinyImages(tfds.core.GeneratorBasedBuilder):
    """A registered TFDS dataset that needs no download."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(4, 4, 1)),
                    "label": tfds.features.ClassLabel(names=["b", "a", "c"]),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in SIZES}

    def _generate_examples(self, split):
        for index in range(FIRST[split], FIRST[split] + SIZES[split]):
            image = np.full((4, 4, 1), index, np.uint8)
            yield index, {"image": image, "label": index % 3}


def load_tiny(folder, **options):
    return datasets.load(
        "tfds:own_tiny_images", data_dir=str(folder), download=True, **options
    )


def test_two_runs_may_prepare_a_dataset_at_the_same_time(tmp_path, monkeypatch):
    """The other run starts and ends while this one generates examples."""
    others = []

    def generate(builder, split):
        if not others:
            others.append(None)
            others[0] = load_tiny(tmp_path)
        return original(builder, split)

    original = OwnTinyImages._generate_examples
    monkeypatch.setattr(OwnTinyImages, "_generate_examples", generate)
    splits = load_tiny(tmp_path)
    np.testing.assert_array_equal(splits.train.x, others[0].train.x)
    (folder,) = (tmp_path / "own_tiny_images").iterdir()
    assert folder.name == "1.0.0"  # nothing incomplete is left


@pytest.mark.parametrize("asked", [1, 2])
def test_a_dataset_that_appears_meanwhile_is_read(asked, tmp_path, monkeypatch):
    """Another run ends between two looks at the folder."""
    looks = []
    is_prepared = OwnTinyImages.is_prepared

    def look(builder):
        looks.append(builder)
        if len(looks) == asked:
            answer = is_prepared(builder)
            load_tiny(tmp_path)
            return answer
        return is_prepared(builder)

    monkeypatch.setattr(OwnTinyImages, "is_prepared", look)
    splits = load_tiny(tmp_path)
    assert len(splits.train) == SIZES["train"]


def test_a_tfds_dataset_becomes_arrays(tmp_path):
    splits = load_tiny(tmp_path)
    assert (tmp_path / "own_tiny_images").is_dir()
    assert splits.class_names == ("b", "a", "c")
    for x, labels, split in (
        (splits.train.x, splits.train.labels, "train"),
        (splits.test.x, splits.test.labels, "test"),
    ):
        assert x.shape == (SIZES[split], 4, 4, 1) and x.dtype == np.uint8
        assert labels.dtype == np.int64
        ids = x[:, 0, 0, 0]
        assert sorted(ids - FIRST[split]) == list(range(SIZES[split]))
        np.testing.assert_array_equal(labels, ids % 3)


def test_a_dataset_that_cannot_be_downloaded(tmp_path, monkeypatch):
    # By itself TFDS tries for three minutes.
    def offline(self, **kwargs):
        raise ConnectionError("no route\nto the host")

    monkeypatch.setattr(OwnTinyImages, "download_and_prepare", offline)
    with pytest.raises(
        InputError,
        match=f"'own_tiny_images' .* folder {re.escape(str(tmp_path))}, "
        r"or be downloadable\. Received: ConnectionError: no route$",
    ):
        load_tiny(tmp_path)


class OwnWideRows(tfds.core.GeneratorBasedBuilder):
    """Several features, none of which is named for supervised learning."""

    VERSION = tfds.core.Version("1.0.0")
    SIZES = {"train": 20, "validation": 6, "test": 5, "none": 0}
    factor = 1  # of the numbers

    def _info(self):
        features = tfds.features
        return self.dataset_info_from_configs(
            features=features.FeaturesDict(
                {
                    "image": features.Image(shape=(None, None, 3)),
                    "numbers": features.Tensor(shape=(2,), dtype=np.float32),
                    "several": features.Tensor(shape=(None,), dtype=np.int64),
                    "text": features.Text(),
                    "count": np.int64,
                    "grade": features.ClassLabel(names=["low", "mid", "top"]),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {
            split: self._generate_examples(split)
            for split, size in self.SIZES.items()
            if size
        }

    def _generate_examples(self, split):
        for index in range(self.SIZES[split]):
            shape = (4 + index, 9 - index % 3, 3)
            yield (
                f"{split}{index}",
                {
                    "image": np.full(shape, 10 * index, np.uint8),
                    "numbers": [self.factor * index, len(split)],
                    "several": range(index),
                    "text": "abc"[: index % 3],
                    "count": index,
                    "grade": index % 3,
                },
            )


NUMBERS = {"input_key": "numbers", "label_key": "grade"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("wide"))


@pytest.fixture
def wide(folder):
    """Returns a loader of `OwnWideRows`, which is prepared once."""
    return functools.partial(
        datasets.load,
        "tfds:own_wide_rows",
        data_dir=folder,
        download=True,
    )


def ids(x):
    return sorted(x[:, 0].astype(int).tolist())


def test_the_features_are_chosen_by_name(wide):
    splits = wide(**NUMBERS)
    assert ids(splits.train.x) == list(range(20))
    assert ids(splits.test.x) == list(range(5))
    np.testing.assert_array_equal(splits.train.x[:, 1], [len("train")] * 20)
    np.testing.assert_array_equal(
        splits.train.labels, splits.train.x[:, 0].astype(int) % 3
    )
    assert splits.class_names == ("low", "mid", "top")
    assert splits.clean is None


def test_a_named_feature_goes_before_the_one_that_tfds_names(tmp_path):
    splits = load_tiny(tmp_path, input_key="label")
    np.testing.assert_array_equal(splits.train.x, splits.train.labels)


def test_splits_and_slices_of_them(wide):
    splits = wide(
        train_split="train[:50%]",
        test_split="train[15:]+test",
        clean="split:validation",
        **NUMBERS,
    )
    whole = wide(**NUMBERS)
    np.testing.assert_array_equal(splits.train.x, whole.train.x[:10])
    np.testing.assert_array_equal(
        splits.test.x, [*whole.train.x[15:], *whole.test.x]
    )
    np.testing.assert_array_equal(splits.clean.x[:, 1], [10] * 6)
    np.testing.assert_array_equal(
        splits.clean.labels, splits.clean.x[:, 0].astype(int) % 3
    )


def test_no_test_split(wide, tmp_path, monkeypatch):
    assert wide(test_split="", **NUMBERS).test is None
    with pytest.raises(InputError, match="`dataset.train_split` should be a"):
        wide(train_split="", **NUMBERS)
    # A dataset whose only split is "train" needs no word about it.
    monkeypatch.delitem(SIZES, "test")
    splits = load_tiny(tmp_path)
    assert splits.test is None and len(splits.train) == SIZES["train"]


def test_the_clean_split_is_no_part_of_another(wide):
    with pytest.raises(InputError, match="clean set .* overlap the train set"):
        wide(clean="split:train[:50%]", **NUMBERS)


@pytest.mark.parametrize(
    "options, told",
    [
        ({}, "`dataset.input_key` should be one of .*image.* = ''"),
        ({"input_key": "numbers"}, "`dataset.label_key` should be one of"),
        ({"label_key": "grade"}, "`dataset.input_key` should be one of"),
        (
            NUMBERS | {"label_key": "grad"},
            "`dataset.label_key` .*= 'grad'. Did you mean 'grade'",
        ),
        (
            NUMBERS | {"label_key": "count"},
            "`dataset.label_key` should be a class label.*'count', a Tensor",
        ),
        (
            NUMBERS | {"input_key": "text"},
            "`dataset.input_key` should be images, or numbers of one shape. "
            "Received: 'text', a Text",
        ),
        (NUMBERS | {"input_key": "several"}, r"'several', .*\(None,\)"),
        (NUMBERS | {"input_key": "image"}, "`dataset.image_size` should be"),
        (
            NUMBERS | {"train_split": "trian"},
            "`dataset.train_split`.*: train, .*'trian'. Did you mean 'train'",
        ),
        (NUMBERS | {"test_split": "test[:5x]"}, r"Received: 'test\[:5x\]'"),
        (NUMBERS | {"train_split": "train[:0]"}, "hold examples. .*: none"),
        (NUMBERS | {"train_split": "train[9:4]"}, "hold examples. .*: none"),
        (
            NUMBERS | {"clean": "split:valid"},
            "`dataset.clean` .* 'valid'. Did you mean 'validation'",
        ),
        (NUMBERS | {"clean": "list:files"}, "split:... for the dataset tfds:"),
        (NUMBERS | {"embeddings": "words"}, "left out for the dataset tfds:"),
    ],
)
def test_what_a_dataset_cannot_give(options, told, wide):
    with pytest.raises(InputError, match=told):
        wide(cache="none", **options)


def test_images_of_several_sizes_are_resized(wide):
    splits = wide(input_key="image", label_key="grade", image_size=(3, 5))
    assert splits.train.x.shape == (20, 3, 5, 3)
    assert splits.train.x.dtype == np.uint8
    colours = splits.train.x[:, 0, 0, 0]
    assert sorted(colours) == list(range(0, 200, 10))
    same = np.broadcast_to(colours[:, None, None, None], (20, 3, 5, 3))
    np.testing.assert_array_equal(splits.train.x, same)


def test_resizing_rounds_to_the_nearest():
    image = tf.constant([[[0], [3]]], tf.uint8)
    half = tfds_loader.resized(image, (1, 1))
    assert half.dtype == tf.uint8
    assert half.numpy().tolist() == [[[2]]]
    assert tfds_loader.resized(image, ()) is image


def test_an_image_is_averaged_where_it_shrinks():
    # Every fourth line is white; without antialiasing every second seems so.
    image = np.zeros((64, 64, 3), np.uint8)
    image[::4] = 200
    small = tfds_loader.resized(tf.constant(image), (4, 4)).numpy()
    assert np.abs(small.astype(int) - 50).max() < 15


@pytest.mark.parametrize(
    "cache, kind", [("none", Stream), ("memory", Arrays), ("disk:", DiskArrays)]
)
def test_the_order_is_the_same_in_each_cache(cache, kind, wide, tmp_path):
    if cache == "disk:":
        cache += str(tmp_path)
    kept, splits = wide(**NUMBERS), wide(cache=cache, **NUMBERS)
    assert type(splits.train) is kind
    x = [batch for batch, _ in splits.train.batches(7).as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(x), kept.train.x)
    np.testing.assert_array_equal(splits.train.labels, kept.train.labels)


def test_a_cache_on_disk_is_of_one_prepared_dataset(tmp_path, monkeypatch):
    options = NUMBERS | {"cache": f"disk:{tmp_path / 'cache'}"}
    for factor, folder in ((1, "a"), (2, "b"), (3, "a")):
        monkeypatch.setattr(OwnWideRows, "factor", factor)
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
        splits = datasets.load(
            "tfds:own_wide_rows",
            data_dir=str(tmp_path / folder),
            download=True,
            **options,
        )
        assert ids(splits.test.sample(9)) == [0, *factor * np.arange(1, 5)]


def test_a_cache_on_disk_is_of_one_split_feature_and_size(wide, tmp_path):
    cache = {"cache": f"disk:{tmp_path}", "label_key": "grade"}
    shapes = [
        wide(input_key=key, image_size=size, **cache).train.sample(20).shape
        for key, size in (
            ("numbers", ()),
            ("image", (2, 3)),
            ("image", (3, 2)),
        )
    ]
    assert shapes == [(20, 2), (20, 2, 3, 3), (20, 3, 2, 3)]
    splits = wide(train_split="train[10:15]", **NUMBERS | cache)
    again = wide(train_split="train[15:]", **NUMBERS | cache)
    assert not set(ids(splits.train.sample(5))) & set(
        ids(again.train.sample(5))
    )


def test_a_column_has_the_order_of_the_inputs(wide, folder):
    builder = tfds_loader.prepared("own_wide_rows", Options(data_dir=folder))
    (column,) = tfds_loader.columns(builder, "train", ("count",))
    np.testing.assert_array_equal(column, wide(**NUMBERS).train.x[:, 0])
    assert column.tolist() != sorted(column)


def test_an_interrupted_preparation_is_begun_again(tmp_path, monkeypatch):
    whole = OwnTinyImages._generate_examples

    def halfway(self, split):
        for index, row in whole(self, split):
            if split == "test" and index == FIRST["test"] + 3:
                raise RuntimeError("the power is out")
            yield index, row

    folder = tmp_path / "own_tiny_images"
    with monkeypatch.context() as patch:
        patch.setattr(OwnTinyImages, "_generate_examples", halfway)
        with pytest.raises(InputError, match="RuntimeError: the power is out"):
            load_tiny(tmp_path)
    assert not (folder / "1.0.0").exists()
    splits = load_tiny(tmp_path)
    assert len(splits.train) == SIZES["train"]
    assert len(splits.test) == SIZES["test"]


def test_a_prepared_dataset_is_not_prepared_again(wide, monkeypatch, capsys):
    wide(**NUMBERS)
    capsys.readouterr()
    monkeypatch.setattr(OwnWideRows, "_generate_examples", None)
    assert len(wide(**NUMBERS).train) == 20
    assert "Preparing" not in capsys.readouterr().out


def test_it_is_told_what_is_prepared_and_where(tmp_path, capsys):
    load_tiny(tmp_path)
    told = capsys.readouterr().out.splitlines()[0]
    assert told.startswith(f"Preparing own_tiny_images in {tmp_path}/own")


class OwnManualNumbers(OwnTinyImages):
    """A dataset that a user must fetch."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = "Ask for numbers.txt."

    def _split_generators(self, dl_manager):
        path = dl_manager.manual_dir / "numbers.txt"
        self.numbers = [int(text) for text in path.read_text().split()]
        return super()._split_generators(dl_manager)

    def _generate_examples(self, split):
        for index, number in enumerate(self.numbers):
            image = np.full((4, 4, 1), number, np.uint8)
            yield index, {"image": image, "label": index % 3}


def test_files_that_a_user_fetched(tmp_path):
    options = {
        "data_dir": str(tmp_path / "tfds"),
        "manual_dir": str(tmp_path),
        "download": True,
    }
    with pytest.raises(
        InputError, match="'own_manual_numbers' .*Received: FileNotFoundError"
    ):
        datasets.load("tfds:own_manual_numbers", **options)
    (tmp_path / "numbers.txt").write_text("7 11 13")
    splits = datasets.load("tfds:own_manual_numbers", **options)
    assert sorted(splits.test.x[:, 0, 0, 0]) == [7, 11, 13]


def test_a_folder_of_fetched_files_that_is_missing(tmp_path):
    with pytest.raises(
        InputError, match="'own_manual_numbers' .*AssertionError: Manual .*nowh"
    ):
        datasets.load(
            "tfds:own_manual_numbers",
            data_dir=str(tmp_path),
            manual_dir=str(tmp_path / "nowhere"),
            download=True,
        )


def test_an_error_without_words(tmp_path, monkeypatch):
    def silent(self, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(OwnTinyImages, "download_and_prepare", silent)
    with pytest.raises(InputError, match="RuntimeError: no reason given$"):
        load_tiny(tmp_path)


def test_an_unknown_tfds_dataset(tmp_path):
    with pytest.raises(
        InputError,
        match="`dataset.name` .* prepared in the folder .*'fashion_mnits'. Did "
        "you mean 'fashion_mnist'",
    ):
        datasets.load("tfds:fashion_mnits", data_dir=str(tmp_path / "tfds"))
    assert not list(tmp_path.iterdir())


def test_nothing_is_downloaded_without_asking(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", None)
    with pytest.raises(
        InputError,
        match=rf"'mnist' should be prepared in {re.escape(str(tmp_path))}/tfds"
        r"/mnist/.*\(downloads: 12 MB\): --config.dataset.download=True",
    ):
        datasets.load("mnist", data_dir=str(tmp_path / "tfds"))
    assert not list(tmp_path.iterdir())


SHARD = "own_tiny_images-train.tfrecord-00000-of-00001"


@pytest.mark.parametrize("cache", ["memory", "none", "disk:{}"])
@pytest.mark.parametrize(
    "name, damage, told",
    [
        (SHARD, lambda path: path.unlink(), "0-of-00001, which is missing"),
        (
            SHARD,
            lambda path: path.write_bytes(b""),
            "00001, with 0 of 12 records",
        ),
        (
            SHARD,
            lambda path: path.write_bytes(path.read_bytes()[:-9]),
            "00001, whose record 11 is damaged",
        ),
        (
            SHARD,
            lambda path: path.write_bytes(
                path.read_bytes().replace(b"I", b"J")
            ),
            "00001, whose record 0 is damaged",
        ),
        (
            "dataset_info.json",
            lambda path: path.unlink(),
            "a folder without dataset_info.json; remove it",
        ),
        (
            "dataset_info.json",
            lambda path: path.write_text("{"),
            "with its dataset_info.json .*ParseError",
        ),
        (
            "dataset_info.json",
            lambda path: path.write_text("[]"),
            "with its dataset_info.json .*AssertionError",
        ),
    ],
)
def test_a_prepared_folder_that_is_not_whole(
    name, damage, told, cache, tmp_path, made_once
):
    whole = made_once("tiny", load_tiny)
    shutil.copytree(whole, tmp_path / "tfds")
    damage(tmp_path / "tfds/own_tiny_images/1.0.0" / name)
    with pytest.raises(
        InputError, match=f"{re.escape(str(tmp_path / 'tfds'))}.*{told}"
    ):
        load_tiny(tmp_path / "tfds", cache=cache.format(tmp_path / "cache"))


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match="`dataset.data_dir` should be a folder.*/file'"
    ):
        datasets.load("mnist", data_dir=str(tmp_path / "file"))


def load_prepared(name):
    folder = os.environ.get("TFDS_DATA_DIR")
    if folder is None or not (Path(folder) / name).is_dir():
        pytest.skip(f"TFDS_DATA_DIR holds no prepared {name}")
    return datasets.load(name)


def test_mnist():
    splits = load_prepared("mnist")
    assert splits.train.x.shape == (60_000, 28, 28, 1)
    assert splits.test.x.shape == (10_000, 28, 28, 1)
    assert splits.class_names == tuple("0123456789")
    # As LeCun's page gives them for the training set.
    np.testing.assert_array_equal(
        np.bincount(splits.train.labels),
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    )
    # The mean and deviation by which everyone standardises it.
    np.testing.assert_allclose(splits.train.x.mean() / 255, 0.1307, atol=1e-4)


def test_cifar10():
    splits = load_prepared("cifar10")
    assert splits.train.x.shape == (50_000, 32, 32, 3)
    assert splits.test.x.shape == (10_000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(splits.train.labels), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(splits.test.labels), [1000] * 10)
    assert splits.class_names[:3] == ("airplane", "automobile", "bird")
    # The usual means; a copy that went through JPEG is off by 0.005.
    np.testing.assert_allclose(
        splits.train.x.mean(axis=(0, 1, 2)) / 255,
        [0.4914, 0.4822, 0.4465],
        atol=0.01,
    )
