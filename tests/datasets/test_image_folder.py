import os
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from mlc_tf import datasets
from mlc_tf.data import identity
from mlc_tf.data import images
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
    listed, walked = os.listdir, os.walk

    def walk(*args, **kwargs):
        for parent, folders, files in walked(*args, **kwargs):
            yield parent, folders, sorted(files, reverse=True)

    # An order that some file system may have.
    monkeypatch.setattr("os.walk", walk)
    monkeypatch.setattr(
        "os.listdir", lambda path: sorted(listed(path), reverse=True)
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


def test_files_that_are_no_images_are_left_out(root):
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
        (["train", "test"], "train"),
    ],
)
def test_missing_split(missing, told, root):
    for name in missing:
        (root / name).rename(root / f"my_{name}")
    with pytest.raises(
        InputError,
        match=f"folder train and.*{escaped(root)}', without {told}\\. Did you "
        f"mean 'my_{told}'",
    ):
        load(root)


def test_without_a_test_folder_there_is_no_test_set(root):
    shutil.rmtree(root / "test")
    splits = load(root)
    assert splits.test is None
    assert len(splits.train)


def test_listed_splits_under_another_name_are_refused(root, table):
    table.write_text(table.read_text().replace(",split,", ",splits,"))
    with pytest.raises(InputError, match="Received: a column 'splits' in its"):
        load_listed(root)


def test_a_clean_folder_is_no_misspelt_test_folder(root, rng):
    shutil.rmtree(root / "test")
    (root / "test.zip").write_bytes(b"")
    (root / "rest").mkdir()
    for name in ("zebra", "ant"):
        write(root / f"trust/{name}/t.png", rng)
    splits = datasets.load(f"folder:{root}", clean="split:trust")
    assert splits.test is None and len(splits.clean) == 2


def test_without_listed_splits_all_images_are_training_images(root, table):
    rows = [line.split(",")[:2] for line in table.read_text().splitlines()]
    table.write_text("".join(",".join(row) + "\n" for row in rows))
    splits = load_listed(root)
    assert splits.test is None and splits.clean is None
    assert len(splits.train) == len(rows) - 1


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
        (",test,", ",tset,", "split train and.*Received: none of test"),
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


# What is taken, converted and left out.


def copy_of(root, name, rng):
    """Writes an image of any suffix, in the size of the others."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8)).save(file)
    return file


@pytest.mark.parametrize("suffix", [".webp", ".tif", ".jfif", ".BMP", ".ppm"])
def test_whatever_pillow_decodes_is_read(suffix, root, rng):
    copy_of(root, f"train/ant/b{suffix}", rng)
    splits = load(root)
    assert len(splits.train) == 5 and splits.notes == ()


def test_images_in_sub_folders_belong_to_the_class(root, rng):
    copy_of(root, "train/zebra/sub/deep/b.png", rng)
    copy_of(root, "train/ant/x.png/b.png", rng)  # a folder with this name
    splits = load(root)
    np.testing.assert_array_equal(splits.train.labels, [0, 0, 1, 1, 1, 1])
    assert splits.train.names[1] == str(root / "train/ant/x.png/b.png")
    assert splits.notes == (
        "2 images in sub-folders of a class folder belong to that class, such "
        "as train/ant/x.png/b.png.",
    )


@pytest.mark.parametrize(
    "names, told",
    [
        (
            ["train/ant/a.heic", "train/ant/notes.txt", "test/ant/README"],
            r"3 files of another kind \(.*\.heic, .*\.txt.*such as test/ant/R",
        ),
        (["train/a.png", "b.png"], "2 images beside the class folders .*b.png"),
        (
            ["train/ant/.a.png", "train/.cache/a.png", "train/ant/__M/._a.png"],
            r"3 hidden images \(such as",
        ),
        (
            ["valid/ant/a.png", "valid/b.png"],
            r"2 images in folders that are not splits \(such as valid/b.png\)",
        ),
    ],
)
def test_what_is_left_out_is_counted(names, told, root, rng):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    splits = load(root)
    assert len(splits.train) == 4 and len(splits.test) == 2
    (note,) = splits.notes
    assert re.match(f"Left out of {escaped(root)}: {told}", note), note


def test_a_pipe_and_a_linked_folder_are_left_out(root):
    os.mkfifo(root / "train/ant/pipe.png")
    (root / "train/ant/circle").symlink_to(root / "train")
    (note,) = load(root).notes
    assert "1 that are not regular files (such as train/ant/pipe.png)" in note
    assert "1 linked folders inside a class folder (such as train/ant/c" in note


def test_links_into_a_store_are_followed(root, tmp_path_factory, rng):
    store = tmp_path_factory.mktemp("store")
    copy_of(store, "bee/a.png", rng)
    copy_of(store, "b.png", rng)
    (root / "train/bee").symlink_to(store / "bee")
    (root / "train/ant/b.png").symlink_to(store / "b.png")
    splits = load(root)
    assert splits.class_names == ("ant", "bee", "zebra")
    np.testing.assert_array_equal(splits.train.labels, [0, 0, 1, 2, 2, 2])


def test_broken_links_are_refused_with_their_number(root):
    (root / "train/ant/x.png").symlink_to("/nowhere/a.png")
    (root / "train/zebra/y.png").symlink_to("y.png")  # to itself
    with pytest.raises(
        InputError,
        match="2 broken links, such as train/ant/x.png, .* to /nowhere/a.png",
    ):
        load(root)


@pytest.mark.parametrize("name", ["clean", "train/bee"])
def test_a_broken_link_to_a_split_or_a_class_is_refused(name, root):
    (root / name).symlink_to("/nowhere")
    with pytest.raises(InputError, match=f"1 broken links, such as {name}, a"):
        load(root)


def test_a_folder_that_cannot_be_listed_is_named(root, monkeypatch):
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("zebra"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(
        InputError, match=r"test/zebra, which is not \(Permission denied\)"
    ):
        load(root)


def test_conversions_are_counted(root, rng):
    levels = rng.integers(0, 2**16, (4, 6), np.uint16)
    Image.fromarray(levels).save(root / "train/ant/a.png")
    for name in ("a.PNG", "b.png"):
        clear = rng.integers(0, 256, (4, 6, 4), np.uint8)
        Image.fromarray(clear).save(root / "train/zebra" / name, "png")
    splits = load(root)
    assert splits.notes == (
        "Of 6 images, 1 have 16 bits (8 are kept), 2 have transparency (laid "
        "over white).",
    )
    np.testing.assert_array_equal(
        splits.train.x[0, ..., 0], np.round(levels / 257)
    )


def test_a_photograph_that_is_turned_has_the_size_of_its_pixels(root, rng):
    image = Image.fromarray(rng.integers(0, 256, (6, 4, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(root / "train/ant/a.png", exif=exif)
    splits = load(root)
    assert splits.train.x.shape == (4, 4, 6, 3)
    assert splits.notes == (
        "Of 6 images, 1 are turned (as their EXIF data says).",
    )


def test_rows_of_other_splits_are_counted(root, table):
    assert load_listed(root).notes == (
        f"Left out of {table}: rows of other splits, 2 of 'valid'.",
    )
    assert load_listed(root, clean="split:valid").notes == ()


# Names.


def test_a_name_that_is_not_utf_8_is_refused(root, rng):
    file = copy_of(root, "train/ant/b.png", rng)
    file.rename(os.fsdecode(os.fsencode(file.parent) + b"/caf\xe9.png"))
    with pytest.raises(
        InputError, match=r"1 that are not, such as train/ant/caf\\udce9.png;"
    ) as caught:
        load(root)
    str(caught.value).encode()


def test_a_folder_whose_name_is_not_utf_8_is_refused(root, tmp_path):
    with pytest.raises(InputError, match=r"such as .*/\\udcff; rename"):
        load(tmp_path / "\udcff")


@pytest.mark.parametrize(
    "old, new, nearest",
    [("train", "Train", "Train"), ("test", "TEST", "TEST")],
)
def test_a_split_in_another_case_is_suggested(old, new, nearest, root):
    (root / old).rename(root / new)
    with pytest.raises(
        InputError, match=f"without {old}. Did you mean '{nearest}'"
    ):
        load(root)


def test_a_class_in_another_case_is_suggested(root):
    (root / "test/ant").rename(root / "test/ANT")
    with pytest.raises(
        InputError, match="Received: 'ANT', .*a.png. Did you mean 'ant'"
    ):
        load(root)


def test_a_listed_split_in_another_case_is_suggested(root, table):
    table.write_text(LABELS.replace(",train,", ",Train,"))
    with pytest.raises(InputError, match="none of train. Did you mean 'Train'"):
        load_listed(root)


@pytest.mark.parametrize("name", ["//etc/passwd", "/etc/passwd", "../a.png"])
def test_a_listed_path_out_of_the_folder_is_refused(name, root, table):
    table.write_text(LABELS.replace("train/zebra/a.PNG", name))
    with pytest.raises(
        InputError,
        match=f"'{name}' in line 3, which lies outside of {escaped(root)}",
    ):
        load_listed(root)


def test_a_list_in_another_encoding(root):
    path = root / "clean.txt"
    path.write_text("train/ant/a.png\n", "utf-16")
    with pytest.raises(InputError, match="clean.txt .*UTF-8. Received: UTF-16"):
        datasets.load(f"folder:{root}", clean=f"list:{path}")


def test_a_list_that_begins_with_a_mark(root):
    path = root / "clean.txt"
    path.write_text("train/ant/a.png\ntrain/zebra/b.png\n", "utf-8-sig")
    splits = datasets.load(f"folder:{root}", clean=f"list:{path}")
    assert len(splits.clean) == 2


# The same image twice.


def test_overlapping_splits_are_counted_with_ten_examples(root, rng):
    for number in range(12):
        file = copy_of(root, f"train/ant/{number:02}.png", rng)
        (root / f"test/ant/{number:02}.png").write_bytes(file.read_bytes())
    with pytest.raises(
        InputError, match="12 images of test that are in train"
    ) as caught:
        load(root)
    assert str(caught.value).count(f"{root}/train/ant/") == 10


# How often files are read.


@pytest.mark.parametrize("cache", ["none", "memory", "disk:{}"])
def test_each_file_is_read_once_before_it_is_decoded(
    cache, root, tmp_path, monkeypatch, rng
):
    for name in ("ant", "zebra"):
        copy_of(root, f"clean/{name}/a.png", rng)
    read = []

    def counted(path):
        read.append(path)
        return inspect(path)

    inspect = images.inspect
    monkeypatch.setattr(images, "inspect", counted)
    monkeypatch.setattr(images, "file_digest", None)
    splits = datasets.load(
        f"folder:{root}", cache=cache.format(tmp_path / "cache")
    )
    assert len(read) == len(set(read)) == 8
    # Nor do these read a file: the digests are handed on.
    monkeypatch.setattr(Path, "read_bytes", None)
    part = splits.train.relabel(splits.train.labels).take(np.arange(3))
    assert part.digests == splits.train.digests[:3]
    assert identity.digest(part)["inputs"] is not None


def test_the_digest_of_a_folder_does_not_depend_on_the_cache(root, tmp_path):
    caches = ("none", "memory", f"disk:{tmp_path / 'cache'}")
    loaded = [datasets.load(f"folder:{root}", cache=cache) for cache in caches]
    digests = [identity.digest(splits.train) for splits in loaded]
    assert digests[0] == digests[1] == digests[2]
    write(root / "train/ant/a.png", np.random.default_rng(9))
    assert identity.digest(load(root).train) != digests[0]


def test_blanks_around_listed_labels_make_no_class(root, table):
    table.write_text(LABELS.replace("b.png,zebra,", "b.png,zebra ,"))
    splits = load_listed(root)
    assert splits.class_names == ("ant", "zebra")
    assert "Blanks around 1 labels were left out." in splits.notes


def test_cells_that_nobody_reads_may_be_empty(root, table):
    text = LABELS.replace(",false", ",").replace("\n", ",\n")
    table.write_text(text.replace("good,", "good,remark", 1))
    splits = load_listed(root, clean="column:good")
    assert len(splits.clean) == 2 and len(splits.train) == 1
