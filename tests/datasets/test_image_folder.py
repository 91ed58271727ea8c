import re
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from mlc_tf import datasets
from mlc_tf.data.examples import DiskArrays
from mlc_tf.data.examples import ImageFiles
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
        load(root).train.x[0], np.repeat(grey, 3, axis=2)
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
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (root / "train" / name).mkdir()
    assert len(load(root).train.x) == 4


def test_a_class_without_test_images_keeps_its_number(root):
    (root / "test/ant/a.png").unlink()
    (root / "test/ant").rmdir()
    np.testing.assert_array_equal(load(root).test.labels, [1])


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
        match=rf"should hold images \(\.png.*{escaped(root / 'train/bee')}, "
        r"but files of another kind: 1 of \.txt\.",
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
@pytest.mark.parametrize("height, width", [(6, 4), (4, 7), (5, 6)])
def test_image_of_another_size(height, width, name, root, rng):
    write(root / name, rng, (height, width, 3))
    with pytest.raises(
        InputError,
        match=r"one size, 4 by 6, or `dataset\.image_size` .*: "
        rf"{height} by {width} in {escaped(root / name)}\.$",
    ):
        load(root)


@pytest.mark.parametrize("split", ["test", "clean"])
def test_class_that_train_lacks(split, root, rng):
    write(root / split / "bee/a.png", rng)
    with pytest.raises(
        InputError,
        match=f"split {split} should have only the classes of train, ant, "
        rf"zebra. Received: 'bee', the label of {split}/bee/a\.png\.$",
    ):
        load(root)


def test_clean_image_that_is_in_training_too(root, rng):
    for name in ("ant", "zebra"):
        write(root / f"clean/{name}/a.png", rng)
    copy = (root / "train/zebra/b.png").read_bytes()
    (root / "clean/zebra/a.png").write_bytes(copy)
    with pytest.raises(
        InputError,
        match="clean set should not overlap the train set. .*same image as "
        f"{escaped(root)}/train/zebra/b.png and "
        f"{escaped(root)}/clean/zebra/a.png",
    ):
        load(root)


LABELS = """\
file,label,split,good
train/ant/a.png,ant,train,true
train/zebra/a.PNG,zebra,train,true
train/zebra/b.png,zebra,train,false
train/zebra/c.png,ant,valid,true
test/zebra/a.png,zebra,test,true
test/ant/a.png,zebra,valid,false
"""


@pytest.fixture
def table(root):
    """The same images, with labels and splits of their own."""
    path = root / "labels.csv"
    path.write_text(LABELS)
    return path


def load_listed(root, **options):
    return datasets.load(
        f"folder:{root}", labels=str(root / "labels.csv"), **options
    )


def pixels(root, *names):
    return [keras.utils.img_to_array(Image.open(root / n)) for n in names]


def test_labels_and_splits_from_a_table(root, table):
    splits = load_listed(root)
    files = ("train/ant/a.png", "train/zebra/a.PNG", "train/zebra/b.png")
    np.testing.assert_array_equal(splits.train.x, pixels(root, *files))
    np.testing.assert_array_equal(splits.train.labels, [0, 1, 1])
    np.testing.assert_array_equal(
        splits.test.x, pixels(root, "test/zebra/a.png")
    )
    assert splits.class_names == ("ant", "zebra") and splits.clean is None


def test_a_clean_split_of_a_table(root, table):
    splits = load_listed(root, clean="split:valid")
    files = ("train/zebra/c.png", "test/ant/a.png")
    np.testing.assert_array_equal(splits.clean.x, pixels(root, *files))
    np.testing.assert_array_equal(splits.clean.labels, [0, 1])
    assert len(splits.train) == 3


def test_a_clean_column_of_a_table(root, table):
    splits = load_listed(root, clean="column:good")
    files = ("train/ant/a.png", "train/zebra/a.PNG")
    np.testing.assert_array_equal(splits.clean.x, pixels(root, *files))
    np.testing.assert_array_equal(
        splits.train.x, pixels(root, "train/zebra/b.png")
    )


@pytest.mark.parametrize("listed", [False, True])
def test_a_list_of_clean_files(listed, root, table):
    table.write_text(LABELS.replace("train/ant/a", "./train//ant/a"))
    names = ["train/zebra/a.PNG", "train/ant/a.png"]
    (root / "clean.txt").write_text(f"./{names[0]}\n\n {names[1]} \n")
    options = {"clean": f"list:{root / 'clean.txt'}"}
    splits = (
        load_listed(root, **options)
        if listed
        else datasets.load(f"folder:{root}", **options)
    )
    np.testing.assert_array_equal(splits.clean.x, pixels(root, *names[::-1]))
    np.testing.assert_array_equal(splits.clean.labels, [0, 1])
    assert len(splits.train) == (1 if listed else 2)


@pytest.mark.parametrize(
    "content, told",
    [
        ("", "name images. Received: none"),
        ("\ntest/ant/a.png\n", "training images, .*'test/ant/a.png' in line 2"),
        ("a.png\n", "training images, .*'a.png' in line 1"),
        (
            "train/ant/a.png\n./train/ant/a.png\n",
            "each file once. Received: 'train/ant/a.png' in lines 1 and 2",
        ),
    ],
)
def test_bad_list(content, told, root):
    (root / "clean.txt").write_text(content)
    with pytest.raises(
        InputError, match=f"{escaped(root / 'clean.txt')} should .*{told}"
    ):
        datasets.load(f"folder:{root}", clean=f"list:{root / 'clean.txt'}")


def test_a_list_that_is_no_file(root):
    with pytest.raises(InputError, match="`dataset.clean` should be a file"):
        datasets.load(f"folder:{root}", clean=f"list:{root}")


def test_no_such_clean_folder(root):
    with pytest.raises(
        InputError,
        match=f"name a folder in {escaped(root)}. Received: 'split:valid'",
    ):
        datasets.load(f"folder:{root}", clean="split:valid")


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_clean_set_is_no_other_set(split, cache, root):
    with pytest.raises(InputError, match=f"overlap the {split} set"):
        datasets.load(f"folder:{root}", clean=f"split:{split}", cache=cache)


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("label,", "class,", "missing: label"),
        (
            "a.PNG",
            "d.png",
            "'train/zebra/d.png' in line 3, which does not exist",
        ),
        ("zebra/a.PNG", "zebra", "'train/zebra' in line 3"),
        (
            "train/zebra/b.png",
            "train/zebra/./a.PNG",
            "each file once. Received: 'train/zebra/a.PNG' again in line 4",
        ),
        (
            "test/zebra/a.png",
            "test/../train/ant/a.png",
            "each file once. Received: 'train/ant/a.png' again in line 6",
        ),
        (",test,", ",tset,", "splits train and test. Received: none of test"),
        (",train,", ",trian,", "Received: none of train"),
    ],
)
def test_bad_labels_file(old, new, told, root, table):
    table.write_text(LABELS.replace(old, new))
    with pytest.raises(InputError, match=f"{escaped(table)} should .*{told}"):
        load_listed(root)


def test_a_labels_file_names_no_image_outside_of_the_folder(root, table, rng):
    outside = write(root.parent / "outside.png", rng)
    for name in ("../outside.png", str(root.parent / "outside.png")):
        table.write_text(LABELS.replace("train/zebra/a.PNG", name))
        with pytest.raises(InputError, match="outside.png' in line 3"):
            load_listed(root)
    (root / "link.png").symlink_to(root.parent / "outside.png")
    table.write_text(LABELS.replace("train/zebra/a.PNG", "link.png"))
    np.testing.assert_array_equal(load_listed(root).train.x[1], outside)


def test_a_listed_class_that_train_lacks(root, table):
    table.write_text(LABELS.replace("zebra,test", "bee,test"))
    with pytest.raises(
        InputError,
        match="split test .* classes of train, ant, zebra. Received: 'bee', "
        "the label of test/zebra/a.png, line 6 of the labels",
    ):
        load_listed(root)


def test_a_file_that_lies_in_two_splits(root):
    copy = (root / "train/ant/a.png").read_bytes()
    (root / "test/zebra/copy.png").write_bytes(copy)
    with pytest.raises(
        InputError,
        match="The test set should not overlap the train set. .*same image as "
        f"{escaped(root)}/train/ant/a.png and "
        f"{escaped(root)}/test/zebra/copy.png",
    ):
        load(root)


def test_one_image_twice_in_a_split_is_no_mistake(root):
    copy = (root / "train/ant/a.png").read_bytes()
    (root / "train/zebra/copy.png").write_bytes(copy)
    assert len(load(root).train) == 5


def test_images_are_resized_where_that_is_asked_for(root, rng):
    grey = np.full((9, 5, 3), 77, np.uint8)
    keras.utils.save_img(root / "train/ant/a.png", grey, scale=False)
    splits = datasets.load(f"folder:{root}", image_size=(2, 3))
    assert splits.train.x.shape == (4, 2, 3, 3)
    np.testing.assert_array_equal(splits.train.x[0], np.full((2, 3, 3), 77))


def test_images_may_be_read_in_each_epoch(root):
    kept = load(root)
    read = datasets.load(f"folder:{root}", cache="none")
    assert isinstance(read.train, ImageFiles)
    np.testing.assert_array_equal(read.train.sample(9), kept.train.x)
    np.testing.assert_array_equal(read.train.labels, kept.train.labels)
    write(root / "train/ant/a.png", np.random.default_rng(1))
    assert (read.train.sample(9)[0] != kept.train.x[0]).any()


def test_images_are_decoded_once_into_a_file(root, tmp_path, monkeypatch):
    options = {"cache": f"disk:{tmp_path / 'cache'}"}
    kept = load(root)
    datasets.load(f"folder:{root}", **options)
    with monkeypatch.context() as patch:
        patch.setattr(ImageFiles, "_read", None)
        splits = datasets.load(f"folder:{root}", **options)
    assert isinstance(splits.train, DiskArrays)
    np.testing.assert_array_equal(splits.train.sample(9), kept.train.x)
    np.testing.assert_array_equal(splits.test.sample(9), kept.test.x)
    # Another image, or another size, is another file.
    image = write(root / "train/ant/a.png", np.random.default_rng(1))
    splits = datasets.load(f"folder:{root}", **options)
    np.testing.assert_array_equal(splits.train.sample(9)[0], image)
    splits = datasets.load(f"folder:{root}", image_size=(2, 2), **options)
    assert splits.train.sample(9).shape == (4, 2, 2, 3)


@pytest.mark.parametrize("cache", ["memory", "none", "disk:{}"])
def test_a_truncated_image_is_named_in_each_form(cache, root, tmp_path, rng):
    file = root / "train/zebra/b.png"
    write(file, rng, (40, 60, 3))
    file.write_bytes(file.read_bytes()[:-3000])  # its header is whole
    with pytest.raises(
        InputError, match=f"readable. Received: {escaped(file)}"
    ):
        datasets.load(
            f"folder:{root}",
            image_size=(4, 6),
            cache=cache.format(tmp_path / "cache"),
        ).train.sample(9)


def test_an_image_of_absurd_size_is_refused(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # of 24, twice too many
    with pytest.raises(InputError, match="at most 10 pixels.*: .*png, which"):
        load(root)


@pytest.mark.parametrize("cache", ["memory", "none", "disk:{}"])
def test_a_clean_set_that_lacks_a_class(cache, root, tmp_path, rng):
    write(root / "clean/ant/a.png", rng)
    with pytest.raises(InputError, match=r"no example of class 1 \(zebra\)"):
        datasets.load(f"folder:{root}", cache=cache.format(tmp_path / "cache"))


@pytest.mark.parametrize(
    "options, told",
    [
        ({"clean": "column:good"}, "split:... or list:..."),
        ({"input_key": "x"}, "`dataset.input_key` should be left out"),
    ],
)
def test_options_without_use(options, told, root):
    with pytest.raises(InputError, match=f"{told} for the dataset folder:PATH"):
        datasets.load(f"folder:{root}", **options)
