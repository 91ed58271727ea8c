import numpy as np
import pytest
import tensorflow_datasets as tfds

from mlc_tf import datasets
from mlc_tf.data.examples import Stream
from mlc_tf.errors import InputError

TRAIN, TEST = 20, 6
CLASSES = {"cifar10_n": 10, "cifar100_n": 100}
# Columns of the authors' table of CIFAR-10N, after the true labels' column.
SETS = ("aggregate", "worst", "random1", "random2", "random3")


def true_labels(name):
    """Ten of the classes, of the images 0, 1, ...; the test set is behind."""
    return np.arange(TRAIN + TEST) % 10 * (CLASSES[name] // 10)


def human_labels(name):
    """Each set is wrong on images of its own, each time in its own way."""
    sets = SETS if name == "cifar10_n" else ("noisy",)
    labels = {}
    for number, chosen in enumerate(sets, start=1):
        labels[chosen] = true_labels(name)[:TRAIN]
        wrong = np.arange(number, TRAIN, 3)
        labels[chosen][wrong] = (labels[chosen][wrong] + number) % CLASSES[name]
    return labels


def write_images(path, name, indices):
    """Images whose pixels show their number, in the form of the download."""
    records = []
    for index in indices:
        coarse = [] if name == "cifar10_n" else [0]
        label = int(true_labels(name)[index])
        records.append(bytes([*coarse, label, *[index] * 3072]))
    path.write_bytes(b"".join(records))


def write_download(folder, name):
    """What TFDS downloads and unpacks: binaries, and names of the classes."""
    number = CLASSES[name]
    folder /= {10: "cifar-10-batches-bin", 100: "cifar-100-binary"}[number]
    folder.mkdir(parents=True)
    classes = "".join(f"class {label}\n" for label in range(number))
    if name == "cifar10_n":
        for batch in range(5):
            indices = range(4 * batch, 4 * batch + 4)
            write_images(folder / f"data_batch_{batch + 1}.bin", name, indices)
        (folder / "batches.meta.txt").write_text(classes)
    else:
        write_images(folder / "train.bin", name, range(TRAIN))
        coarse = "".join(f"group {label}\n" for label in range(20))
        (folder / "fine_label_names.txt").write_text(classes)
        (folder / "coarse_label_names.txt").write_text(coarse)
    test = "test_batch.bin" if name == "cifar10_n" else "test.bin"
    write_images(folder / test, name, range(TRAIN, TRAIN + TEST))


def write_manual(folder, name, human):
    """The authors' files: labels in an order of their own, and that order."""
    number = CLASSES[name]
    order = np.random.default_rng(1).permutation(TRAIN)
    columns = [true_labels(name)[:TRAIN], *human.values()]
    table = np.stack(columns, axis=1)[order]
    header = ",".join(["clean_label", *human])
    annotations = folder / f"CIFAR-{number}_human_annotations.csv"
    np.savetxt(annotations, table, "%d", ",", header=header)
    np.save(folder / f"image_order_c{number}.npy", order)
    workers = np.ones((TRAIN, 7))
    np.savetxt(folder / f"side_info_cifar{number}N.csv", workers, "%d", ",")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Has the builder of TFDS make a small dataset of the authors' files."""

    def load(name, human=None, **options):
        if not (tmp_path / name).exists():
            (tmp_path / "manual").mkdir()
            write_download(tmp_path / "download", name)
            write_manual(tmp_path / "manual", name, human or human_labels(name))
        monkeypatch.setattr(
            tfds.download.DownloadManager,
            "download_and_extract",
            lambda self, url: tmp_path / "download",
        )
        return datasets.load(
            name,
            data_dir=str(tmp_path),
            manual_dir=str(tmp_path / "manual"),
            download=True,
            **options,
        )

    return load


def numbers(part):
    return part.sample(TRAIN)[:, 0, 0, 0].astype(int)


@pytest.mark.parametrize("name", CLASSES)
def test_human_labels_keep_to_their_images(name, load):
    splits = load(name)
    order = numbers(splits.train)
    assert sorted(order) == list(range(TRAIN)) != order.tolist()
    np.testing.assert_array_equal(splits.train.labels, true_labels(name)[order])
    expected = human_labels(name)
    assert set(splits.human_labels) == set(expected)
    for chosen, labels in expected.items():
        np.testing.assert_array_equal(
            splits.human_labels[chosen], labels[order]
        )
    np.testing.assert_array_equal(
        splits.test.labels, true_labels(name)[numbers(splits.test)]
    )
    assert len(splits.test) == TEST and splits.clean is None
    assert splits.class_names[:2] == ("class 0", "class 1")
    assert splits.num_classes == CLASSES[name]


def test_clean_and_held_out_examples_leave_with_their_human_labels(load):
    splits = load("cifar10_n")
    for part in (splits.draw_clean(1, seed=0), splits.hold_out(0.25, seed=0)):
        left = numbers(part.train)
        assert len(left) < TRAIN
        for chosen, labels in human_labels("cifar10_n").items():
            np.testing.assert_array_equal(
                part.human_labels[chosen], labels[left]
            )
    clean = splits.draw_clean(1, seed=0).clean
    np.testing.assert_array_equal(
        clean.labels, true_labels("cifar10_n")[numbers(clean)]
    )


def test_the_order_is_the_same_without_a_cache(load):
    kept, read = load("cifar10_n"), load("cifar10_n", cache="none")
    assert isinstance(read.train, Stream)
    np.testing.assert_array_equal(numbers(read.train), numbers(kept.train))
    for chosen in SETS:
        np.testing.assert_array_equal(
            read.human_labels[chosen], kept.human_labels[chosen]
        )


@pytest.mark.parametrize("chosen", ["aggregate", "random3"])
def test_labels_in_another_order_are_refused(chosen, load):
    human = human_labels("cifar10_n")
    human[chosen] = np.roll(human[chosen], -1)
    with pytest.raises(
        InputError,
        match=f"human:{chosen} of cifar10_n should agree .* "
        r"100\.0% that disagree, .* order of PyTorch",
    ):
        load("cifar10_n", human)


# 40.21 % are wrong in "worst"; of other images' labels 90 % would be.
@pytest.mark.parametrize("wrong, refused", [(12, False), (13, True)])
def test_more_than_60_percent_wrong_is_refused(wrong, refused, load):
    human = {"noisy": true_labels("cifar100_n")[:TRAIN]}
    human["noisy"][:wrong] += 1
    if refused:
        with pytest.raises(InputError, match="cifar100_n should .* 65.0% that"):
            load("cifar100_n", human)
    else:
        splits = load("cifar100_n", human)
        changed = splits.human_labels["noisy"] != splits.train.labels
        assert changed.sum() == wrong


def test_the_authors_files_are_asked_for(load, tmp_path):
    (tmp_path / "cifar10_n").mkdir()  # so that none are written
    with pytest.raises(InputError, match="'cifar10_n' should be in the TFDS"):
        load("cifar10_n")


def test_nothing_is_downloaded_without_asking(tmp_path):
    with pytest.raises(InputError, match="--config.dataset.download=True"):
        datasets.load("cifar10_n", data_dir=str(tmp_path))


@pytest.mark.parametrize("name", ["clean", "image_size", "train_split"])
def test_options_without_use(name, load):
    value = (8, 8) if name == "image_size" else "split:train"
    with pytest.raises(
        InputError, match=f"`dataset.{name}` should .* the dataset cifar10_n"
    ):
        load("cifar10_n", **{name: value})
