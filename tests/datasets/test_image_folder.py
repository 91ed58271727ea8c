import re
from pathlib import Path

import keras
import numpy as np
import pytest

from mlc_tf import datasets
from mlc_tf.errors import InputError


@pytest.fixture
def root(tmp_path, rng):
    """Two classes of 4 by 6 images: four to train, two to test."""
    for name in (
        "train/zebra/b.png",
        "train/zebra/a.PNG",
        "train/zebra/c.png",
        "train/ant/a.png",
        "test/zebra/a.png",
        "test/ant/a.png",
    ):
        write(tmp_path / name, rng)
    return tmp_path


def write(file, rng, shape=(4, 6, 3)):
    file.parent.mkdir(parents=True, exist_ok=True)
    image = rng.integers(0, 256, shape, np.uint8)
    keras.utils.save_img(file, image, scale=False)
    return image


def escaped(path):
    return re.escape(str(path))


def load(root):
    return datasets.load(f"folder:{root}")


def test_pixels_and_classes(root, rng, monkeypatch):
    listed = Path.iterdir
    monkeypatch.setattr(  # an order that some file system may have
        Path, "iterdir", lambda self: iter(sorted(listed(self), reverse=True))
    )
    image = write(root / "train/zebra/b.png", rng)
    first = write(root / "train/zebra/a.PNG", rng)
    test = write(root / "test/ant/a.png", rng)
    splits = load(root)
    assert splits.class_names == ("ant", "zebra")
    assert splits.train.x.shape == (4, 4, 6, 3)
    assert splits.train.x.dtype == np.uint8
    np.testing.assert_array_equal(splits.train.labels, [0, 1, 1, 1])
    np.testing.assert_array_equal(splits.test.labels, [0, 1])
    np.testing.assert_array_equal(splits.train.x[1], first)
    np.testing.assert_array_equal(splits.train.x[2], image)
    np.testing.assert_array_equal(splits.test.x[0], test)
    assert splits.clean is None


def test_grey_images_become_rgb(root, rng):
    grey = write(root / "train/ant/a.png", rng, (4, 6, 1))
    np.testing.assert_array_equal(
        load(root).x_train[0], np.repeat(grey, 3, axis=2)
    )


def test_a_clean_folder_is_the_clean_set(root, rng):
    images = [
        write(root / f"clean/{name}/a.png", rng) for name in ("zebra", "ant")
    ]
    splits = load(root)
    np.testing.assert_array_equal(splits.clean.x, images[::-1])
    np.testing.assert_array_equal(splits.clean.labels, [0, 1])


def test_other_files_are_passed_over(root):
    (root / "train/labels.csv").touch()
    (root / "train/ant/notes.txt").touch()
    assert len(load(root).x_train) == 4


def test_a_class_without_test_images_keeps_its_number(root):
    (root / "test/ant/a.png").unlink()
    (root / "test/ant").rmdir()
    np.testing.assert_array_equal(load(root).y_test, [1])


@pytest.mark.parametrize(
    "missing, told",
    [
        (["train"], "train"),
        (["test"], "test"),
        (["train", "test"], "train and test"),
    ],
)
def test_missing_split(missing, told, root):
    for name in missing:
        (root / name).rename(root / f"my_{name}")
    with pytest.raises(
        InputError,
        match=f"folders train and test.*{escaped(root)}', without {told}\\.",
    ):
        load(root)


def test_split_without_classes(root):
    (root / "clean").mkdir()
    with pytest.raises(
        InputError,
        match=f"{escaped(root / 'clean')} should hold one folder per class",
    ):
        load(root)


def test_empty_class_folder(root):
    (root / "train/bee").mkdir()
    (root / "train/bee/notes.txt").touch()
    with pytest.raises(
        InputError,
        match=rf"should hold images \(\.png.*{escaped(root / 'train/bee')}\.",
    ):
        load(root)


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"not an image", lambda content: content[:50]],
    ids=["text", "cut_off"],
)
def test_unreadable_image(damage, root):
    file = root / "test/zebra/a.png"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(
        InputError, match=f"readable. Received: {escaped(file)}"
    ):
        load(root)


@pytest.mark.parametrize(
    "name", ["train/zebra/c.png", "test/ant/a.png", "clean/zebra/a.png"]
)
def test_image_of_another_size(name, root, rng):
    write(root / name, rng, (6, 4, 3))
    with pytest.raises(
        InputError,
        match=f"one size, 4 by 6. Received: 6 by 4 in {escaped(root / name)}",
    ):
        load(root)


@pytest.mark.parametrize("split", ["test", "clean"])
def test_class_that_train_lacks(split, root, rng):
    write(root / split / "bee/a.png", rng)
    with pytest.raises(
        InputError,
        match=f"{escaped(root / split)} should be those of train.* 'bee'",
    ):
        load(root)


def test_clean_image_that_is_in_training_too(root, rng):
    for name in ("ant", "zebra"):
        write(root / f"clean/{name}/a.png", rng)
    copy = (root / "train/zebra/b.png").read_bytes()
    (root / "clean/zebra/a.png").write_bytes(copy)
    with pytest.raises(
        InputError,
        match="overlap the train set.* clean example 1 and train .* 2",
    ):
        load(root)
