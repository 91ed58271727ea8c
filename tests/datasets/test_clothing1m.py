import functools
import os
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mlc_tf import datasets
from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import DiskArrays
from mlc_tf.data.examples import Stream
from mlc_tf.errors import InputError

LISTS = {
    "noisy_train": 26,
    "clean_train": 15,
    "clean_val": 14,
    "clean_test": 16,
}
FIRST = {"noisy_train": 0, "clean_train": 27, "clean_val": 44, "clean_test": 60}
HEIGHT, WIDTH = 128, 512


def keys_of(name):
    return [f"images/{i % 10}/{name},{i}.jpg" for i in range(LISTS[name])]


def write_image(path, number):
    """Red grows downward, green to the right, 40 to 200; blue shows which."""
    pixels = np.empty((HEIGHT, WIDTH, 3))
    pixels[..., 0] = np.linspace(40, 200, HEIGHT)[:, np.newaxis]
    pixels[..., 1] = np.linspace(40, 200, WIDTH)
    pixels[..., 2] = 3 * number
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels.round().astype(np.uint8))
    image.save(path, quality=100, subsampling=0)


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """The folder that the authors hand out; labels are numbers modulo 14."""
    root = tmp_path_factory.mktemp("official")
    labels = {"noisy": "", "clean": ""}
    for name in LISTS:
        (root / f"{name}_key_list.txt").write_text(
            "".join(f"{key}\n" for key in keys_of(name))
        )
        for index, key in enumerate(keys_of(name)):
            write_image(root / key, FIRST[name] + index)
            labels[name.split("_")[0]] += f"{key} {index % 14}\n"
    for kind, lines in labels.items():
        (root / f"{kind}_label_kv.txt").write_text(lines)
    return root


@pytest.fixture(scope="module")
def whole(official, tmp_path_factory):
    """Returns a loader of it, which is prepared once."""
    return functools.partial(
        datasets.load,
        "clothing1m",
        data_dir=str(tmp_path_factory.mktemp("data")),
        manual_dir=str(official),
    )


@pytest.fixture
def root(official, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(official, tmp_path / "official")


@pytest.fixture
def load(root, tmp_path):
    return functools.partial(
        datasets.load,
        "clothing1m",
        data_dir=str(tmp_path / "data"),
        manual_dir=str(root),
        image_size=(32, 32),
    )


def numbers(part):
    """The numbers of the images, whose blue is off by a JPEG's rounding."""
    blue = [
        x[..., 2].astype(float).mean(axis=(1, 2))
        for x, _ in part.batches(10).as_numpy_iterator()
    ]
    return (np.concatenate(blue) / 3).round().astype(int)


def assert_kept(official, x, rows, columns):
    """Checks where an image's pixels lay, in shares of its height and width."""
    number = (x[..., 2].mean() / 3).round().astype(int) - FIRST["clean_test"]
    file = official / keys_of("clean_test")[number]
    image = tf.io.decode_jpeg(file.read_bytes()).numpy()
    for channel, places, length in ((0, rows, HEIGHT), (1, columns, WIDTH)):
        side = image[..., channel].mean(axis=1 - channel)
        expected = np.interp(places * length - 0.5, np.arange(length), side)
        off = x[..., channel].mean(axis=1 - channel) - expected
        # One pixel of 256 is 0.63 of a value.
        assert np.abs(off).max() < 1 and np.abs(off.mean()) < 0.2


def test_each_split_has_the_images_of_its_list(whole):
    splits = whole(image_size=(16, 16))
    for part, name in (
        (splits.train, "noisy_train"),
        (splits.clean, "clean_val"),
        (splits.test, "clean_test"),
    ):
        found = numbers(part) - FIRST[name]
        assert sorted(found) == list(range(LISTS[name]))
        np.testing.assert_array_equal(part.labels, found % 14)
    assert splits.notes == ()


def test_the_classes_are_in_the_authors_order(whole):
    assert whole(cache="none").class_names == tuple(
        "T-Shirt Shirt Knitwear Chiffon Sweater Hoodie Windbreaker Jacket "
        "Downcoat Suit Shawl Dress Vest Underwear".split()
    )


def test_the_clean_training_images_may_be_the_clean_set(whole):
    splits = whole(clean="split:train", image_size=(16, 16))
    assert sorted(numbers(splits.clean)) == list(range(27, 42))


def test_256_pixels_are_cropped_to_224(whole, official):
    x = whole(cache="none").test.sample(1)[0]
    assert x.shape == (224, 224, 3) and x.dtype == np.uint8
    kept = (np.arange(16, 240) + 0.5) / 256
    assert_kept(official, x, kept, kept)


def test_another_size_is_cropped_alike(whole, official):
    x = whole(cache="none", image_size=(112, 56)).test.sample(1)[0]
    assert x.shape == (112, 56, 3)
    rows, columns = np.arange(8, 120) + 0.5, np.arange(4, 60) + 0.5
    assert_kept(official, x, rows / 128, columns / 64)


def test_without_a_cache_images_are_decoded_when_they_are_read(
    whole, monkeypatch
):
    kept, read = (
        whole(image_size=(16, 16)),
        whole(image_size=(16, 16), cache="none"),
    )
    assert type(kept.train) is Arrays and type(read.train) is Stream
    assert read.train.dataset.element_spec[0] == tf.TensorSpec([], tf.string)
    np.testing.assert_array_equal(read.train.sample(99), kept.train.x)
    np.testing.assert_array_equal(read.train.labels, kept.train.labels)


def test_a_cache_on_disk_is_no_other_loaders(whole, tmp_path):
    options = {"image_size": (64, 64), "cache": f"disk:{tmp_path}"}
    cropped = whole(**options)
    assert type(cropped.train) is DiskArrays
    plain = datasets.load(
        "tfds:clothing1m",
        data_dir=whole.keywords["data_dir"],
        train_split="test",
        **options,
    )
    # The same images, one of them without its borders.
    assert cropped.test.sample(1)[..., 0].min() > 45
    assert plain.test.sample(1)[..., 0].min() < 42


def damage(root):
    keys = keys_of("noisy_train")
    (root / keys[3]).unlink()
    content = (root / keys[5]).read_bytes()
    (root / keys[5]).write_bytes(content[: len(content) // 2])
    (root / keys[8]).write_text("<html>404 Not Found</html>")
    (root / keys_of("clean_test")[2]).write_bytes(b"")
    return [keys[3], keys[5], keys[8]]


def test_images_that_do_not_decode_are_counted_and_named(load, root):
    left_out = damage(root)
    for _ in range(2):  # prepared, and then found prepared
        splits = load()
        assert splits.notes == (
            "3 images of noisy_train are missing or unreadable and were left "
            f"out: {', '.join(left_out)}.",
            "1 images of test are missing or unreadable and were left out: "
            "images/2/clean_test,2.jpg.",
        )
        kept = set(range(26)) - {3, 5, 8}
        assert sorted(numbers(splits.train)) == sorted(kept)
        np.testing.assert_array_equal(
            splits.train.labels, numbers(splits.train) % 14
        )
        assert len(splits.test) == 15 and len(splits.clean) == 14


def test_at_most_ten_are_named_and_images_may_be_a_link(load, root):
    keys = keys_of("noisy_train")
    for key in keys[:11]:
        (root / key).unlink()
    (root / "images").rename(root.parent / "large_disk")
    (root / "images").symlink_to(root.parent / "large_disk")
    assert load().notes == (
        "11 images of noisy_train are missing or unreadable and were left out: "
        f"{', '.join(keys[:10])} and others.",
    )


@pytest.mark.parametrize(
    "missing",
    [
        ["images"],
        ["clean_val_key_list.txt"],
        ["clean_label_kv.txt", "noisy_label_kv.txt"],
    ],
)
def test_a_folder_of_another_layout(missing, load, root):
    for name in missing:
        (root / name).rename(root / f"my_{name}")
    with pytest.raises(
        InputError,
        match=r"^`dataset.manual_dir` should hold Clothing1M .*: "
        r"clean_label_kv\.txt, clean_test_key_list\.txt, .*images, "
        r"noisy_label_kv\.txt, .*"
        rf"'{re.escape(str(root))}', without {', '.join(missing)}\.$",
    ):
        load()


def append(root, name, line):
    with (root / name).open("a") as file:
        file.write(f"{line}\n")


NOISY, VALIDATION = keys_of("noisy_train")[4], keys_of("clean_val")[6]


@pytest.mark.parametrize(
    "name, line, told",
    [
        (
            "noisy_train_key_list.txt",
            NOISY,
            f"name each image once. Received: '{NOISY}' in lines 5 and 27",
        ),
        (
            "clean_test_key_list.txt",
            VALIDATION,
            f"should not share an image. Received: '{VALIDATION}' in line 7 of "
            "clean_val_key_list.txt and line 17 of clean_test_key_list.txt",
        ),
        (
            "clean_train_key_list.txt",
            "images/new.jpg",
            "clean_label_kv.txt should give the label of each image of "
            "clean_train_key_list.txt. Received: no label for "
            "'images/new.jpg', which is in line 16",
        ),
    ],
)
def test_bad_list(name, line, told, load, root):
    append(root, name, line)
    with pytest.raises(InputError, match=told):
        load()


@pytest.mark.parametrize(
    "line",
    [
        "images/new.jpg",
        "images/new.jpg 14",
        "images/new.jpg -1",
        "images/new.jpg 1.5",
        "images/new.jpg\t3",
        "3",
    ],
)
def test_bad_label_line(line, load, root):
    append(root, "noisy_label_kv.txt", line)
    with pytest.raises(
        InputError,
        match=r"noisy_label_kv.txt should have lines of an image and a label "
        rf"in \[0, 14\). Received: {re.escape(repr(line))} in line 27",
    ):
        load()


def test_an_empty_list(load, root):
    (root / "clean_val_key_list.txt").write_text("\n\n")
    with pytest.raises(
        InputError, match="clean_val_key_list.txt should name images. .*: none"
    ):
        load()


@pytest.mark.parametrize("key", ["../secret.jpg", "/etc/secret.jpg"])
def test_an_image_outside_of_the_folder(key, load, root):
    write_image(root.parent / "secret.jpg", 9)
    append(root, "noisy_train_key_list.txt", key)
    append(root, "noisy_label_kv.txt", f"{key} 3")
    with pytest.raises(
        InputError, match=f"^The lists .* in its folder. Received: '{key}'"
    ):
        load()


def test_blank_lines_and_labels_of_other_images_are_passed_over(load, root):
    append(root, "clean_val_key_list.txt", "\n")
    append(root, "clean_label_kv.txt", "\nimages/of no list.jpg 3")
    splits = load()
    assert len(splits.clean) == 14 and splits.notes == ()


def test_a_failed_preparation_leaves_nothing_that_looks_whole(load, root):
    append(root, "clean_test_key_list.txt", "images/new.jpg")
    for _ in range(2):
        with pytest.raises(InputError, match="no label for 'images/new.jpg'"):
            load()
    append(root, "clean_label_kv.txt", "images/new.jpg 3")
    assert load().notes[0].endswith("images/new.jpg.")


@pytest.mark.parametrize(
    "options, told",
    [
        ({"label_key": "label"}, "`dataset.label_key` should be left out"),
        ({"clean": "list:files.txt"}, "`dataset.clean` should be split:..."),
    ],
)
def test_options_without_use(options, told, load):
    with pytest.raises(InputError, match=f"{told} for the dataset clothing1m"):
        load(**options)


@pytest.mark.parametrize(
    "name", ["clean_val_key_list.txt", "noisy_label_kv.txt"]
)
def test_a_list_that_cannot_be_read_is_named(name, load, root):
    text = (root / name).read_text()
    (root / name).write_text(text, "utf-16")
    with pytest.raises(
        InputError, match=f"^.*/{name} .*UTF-8. Received: UTF-16"
    ):
        load()
    (root / name).unlink()
    (root / name).mkdir()
    with pytest.raises(InputError, match=f"^.*/{name} .* Received: a folder"):
        load()


def test_a_label_that_only_looks_like_a_digit(load, root):
    append(root, "noisy_label_kv.txt", "images/new.jpg ²")
    with pytest.raises(InputError, match="label in .*: 'images/new.jpg ²' in"):
        load()


def test_a_pipe_among_the_images_is_skipped(load, root):
    (root / NOISY).unlink()
    os.mkfifo(root / NOISY)
    (note,) = load().notes
    assert note.startswith("1 images of noisy_train are missing or unreadable")


def test_a_prepared_folder_without_its_metadata(load, tmp_path):
    load()
    (file,) = (tmp_path / "data").rglob("metadata.json")
    file.unlink()
    with pytest.raises(InputError, match="whole .* no metadata.json"):
        load()
