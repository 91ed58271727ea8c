import os
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mlc_tf import datasets
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


def test_a_tfds_dataset_becomes_arrays(tmp_path):
    splits = datasets.load("tfds:own_tiny_images", data_dir=str(tmp_path))
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
    def offline(self):
        raise ConnectionError("no route\nto the host")

    monkeypatch.setattr(OwnTinyImages, "download_and_prepare", offline)
    with pytest.raises(
        InputError,
        match=f"'own_tiny_images' .* folder {re.escape(str(tmp_path))}, "
        r"or be downloadable\. Received: ConnectionError: no route$",
    ):
        datasets.load("tfds:own_tiny_images", data_dir=str(tmp_path))


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match="'mnist' should be in the TFDS folder"
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
    # As LeCun's page tells them for the training set.
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
