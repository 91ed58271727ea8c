import re
import zipfile

import numpy as np
import pytest

from mlc_tf import datasets
from mlc_tf.errors import InputError


def inputs(first, count):
    return first + np.arange(2.0 * count).reshape(count, 2)


def arrays(**changes):
    """Three classes and a clean set; a change to None leaves an array out."""
    content = {
        "x_train": inputs(0, 12),
        "y_train": np.arange(12) % 3,
        "x_test": inputs(100, 6),
        "y_test": np.arange(6) % 3,
        "x_clean": inputs(200, 3),
        "y_clean": np.arange(3),
        "class_names": np.array(["ant", "bee", "cat"]),
        **changes,
    }
    return {name: a for name, a in content.items() if a is not None}


@pytest.fixture
def load(tmp_path):
    def write_and_load(**changes):
        np.savez(tmp_path / "mine.npz", **arrays(**changes))
        return datasets.load(f"npz:{tmp_path / 'mine.npz'}")

    return write_and_load


def with_value(array, value, *index):
    array = array.copy()
    array[index] = value
    return array


def test_round_trip(load):
    splits = load()
    expected = arrays()
    assert splits.class_names == tuple(expected.pop("class_names").tolist())
    for name, array in expected.items():
        kind, which = name.split("_")
        part = getattr(splits, which)
        got = part.x if kind == "x" else part.labels
        np.testing.assert_array_equal(got, array)
        assert got.dtype == array.dtype


def test_what_may_be_left_out(load):
    splits = load(x_clean=None, y_clean=None, class_names=None)
    assert splits.clean is None
    assert splits.class_names == ("0", "1", "2")


def test_a_clean_set_may_be_drawn_from_it(load):
    splits = load(x_clean=None, y_clean=None).draw_clean(2, seed=0)
    assert splits.clean.x.shape == (6, 2) and splits.train.x.shape == (6, 2)


def test_no_such_file(tmp_path):
    path = str(tmp_path / "mine.npz")
    with pytest.raises(
        InputError, match=rf"`npz:PATH` should be a file.*{re.escape(path)}"
    ):
        datasets.load(f"npz:{path}")
    with pytest.raises(InputError, match="should be a file"):
        datasets.load(f"npz:{tmp_path}")


def archive(path):
    np.savez(path, **arrays())
    return path.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        lambda path: b"",
        lambda path: b"x_train,y_train\n1,2\n",
        lambda path: archive(path)[:700],
        lambda path: archive(path).replace(b"NUMPY", b"NIMPY"),
    ],
    ids=["empty", "text", "cut_off", "damaged"],
)
def test_no_npz(content, tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(content(path))
    with pytest.raises(
        InputError, match=f"npz file of numeric.*{re.escape(str(path))}"
    ):
        datasets.load(f"npz:{path}")


@pytest.mark.parametrize(
    "missing",
    [["x_train"], ["y_test"], ["x_test"], ["x_clean"], ["y_clean"]],
)
def test_missing_arrays(missing, load):
    with pytest.raises(
        InputError, match=rf"mine\.npz' without {', '.join(missing)}\.$"
    ):
        load(**dict.fromkeys(missing))


def test_a_file_of_training_examples_only(load):
    without = dict.fromkeys(["x_test", "y_test", "x_clean", "y_clean"])
    splits = load(**without)
    assert splits.test is None and splits.clean is None
    assert len(splits.train) == 12


def test_arrays_that_are_not_used_are_named(load):
    splits = load(
        weights=np.ones(12), x_mean=np.ones(2), x_clean=None, y_clean=None
    )
    assert any("not used: weights, x_mean." in note for note in splits.notes)
    without = dict.fromkeys(["x_test", "y_test"])
    with pytest.raises(
        InputError, match="test set as x_test and.* an array X_t"
    ):
        load(X_test=inputs(0, 2), Y_test=np.zeros(2, int), **without)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


@pytest.mark.parametrize("name", ["x_train", "class_names", "anything"])
def test_objects_are_never_unpickled(name, load, tmp_path):
    sprung = tmp_path / "sprung"
    with pytest.raises(InputError, match="npz file of numeric arrays"):
        load(**{name: np.array([Trap(sprung)], object)})
    assert not sprung.exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x_train": np.zeros((0, 2))}, "train set should not be empty"),
        ({"y_train": np.arange(5)}, r"train set .* 12 examples, .* \(5,\)"),
        ({"y_test": np.zeros(6)}, "test set .* integer class ids .* float64"),
        ({"y_train": np.eye(12)}, r"train set .* class ids .* \(12, 12\)"),
        (
            {"x_test": with_value(inputs(100, 6), np.nan, 4, 1)},
            "test set .* NaN or infinity in example 4",
        ),
        (
            {"x_train": with_value(inputs(0, 12), np.inf, 0, 0)},
            "train set .* NaN or infinity in example 0",
        ),
        (
            {"y_train": with_value(np.arange(12) % 3, 3, 8)},
            r"train set .* in \[0, 3\)\. Received: label 3 at example 8",
        ),
        (
            {"y_test": [0, 1, 2, 0, 1, 5], "class_names": None},
            r"test set .* in \[0, 3\)\. Received: label 5 at example 5",
        ),
        (
            {"y_clean": np.array([0, 1, -1])},
            "clean set .* label -1 at example 2",
        ),
        (
            {"y_clean": np.array([0, 2, 2])},
            r"clean set should hold every class\. .* class 1 \(bee\)",
        ),
        (
            {"y_clean": np.array([0, 1, 1])},
            r"clean set should hold every class\. .* class 2 \(cat\)",
        ),
        (
            {"x_clean": with_value(inputs(200, 3), [104, 105], 1)},
            "clean set should not overlap the test set.* clean example 1 and "
            "test example 2",
        ),
        (
            {"x_clean": with_value(inputs(200, 3), [18, 19], 2)},
            "clean set should not overlap the train set.* clean example 2 and "
            "train example 9",
        ),
        (
            {"x_test": np.zeros((6, 3))},
            r"test set .* inputs of shape \(2,\), like the train set.* \(3,\)",
        ),
        (
            {"x_clean": np.zeros((3, 2, 1))},
            r"clean set .* inputs of shape \(2,\), like the train.* \(2, 1\)",
        ),
    ],
)
def test_bad_arrays(changes, message, load):
    with pytest.raises(InputError, match=f"^The {message}"):
        load(**changes)


def flipped(path):
    """A compressed archive with a few wrong bytes in its first member."""
    np.savez_compressed(path, **arrays(x_train=np.random.rand(500, 2)))
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    return bytes(content)


def single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    return path.read_bytes()


def of_another_time(path):
    """An archive whose directory names an unknown compression."""
    content = bytearray(archive(path))
    content[content.index(b"PK\x01\x02") + 10] = 99
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        single_array,
        flipped,
        of_another_time,
    ],
)
def test_a_single_array_or_wrong_bytes(content, tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(content(path))
    with pytest.raises(InputError, match="npz file of numeric arrays"):
        datasets.load(f"npz:{path}")


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"x_train": inputs(0, 12) / 23, "x_test": np.full((6, 2), 255)},
            r"test set .* units of the train set.*float64 in \[0, 1\] in "
            r"train, int64 in \[255, 255\] in test",
        ),
        ({"x_test": inputs(0, 6) * 1j}, "test set .* complex128; x.real"),
        ({"x_train": inputs(0, 12) * 1e38}, "train set .* range of float32"),
        ({"x_train": np.arange(12.0)}, r"train set .*\(12,\); x\[:, None\]"),
        ({"x_train": np.zeros((12, 0))}, r"train set .* one value .*\(12, 0\)"),
        ({"x_test": inputs(0, 6).astype(str)}, "test set .* numbers.*<U32"),
        (
            {"y_train": np.array(list("abc") * 4)},
            "train set .* such as 'a'; class_names, labels = np.unique",
        ),
        (
            {
                "y_train": np.array([0, 1, 2**32 - 1] * 4, np.uint32),
                "class_names": None,
            },
            "train set .* label 4294967295 at example 2, with 3 different",
        ),
    ],
)
def test_units_and_kinds(changes, message, load):
    with pytest.raises(InputError, match=f"^The {message}"):
        load(**changes)


def test_labels_of_any_integers_in_a_column(load):
    splits = load(y_train=(np.arange(12) % 3)[:, None].astype(np.uint8))
    np.testing.assert_array_equal(splits.train.labels, np.arange(12) % 3)


@pytest.mark.parametrize("names", [["ant", "bee", "ant"], [b"ant", b"ant"]])
def test_class_names_are_different(names, load):
    with pytest.raises(InputError, match="`class_names` .*'ant' 2 times in"):
        load(class_names=np.array(names))


def test_class_names_of_bytes_are_texts(load):
    splits = load(class_names=np.array([b"ant", b"bee", "K\xf6nig".encode()]))
    assert splits.class_names == ("ant", "bee", "K\xf6nig")
    with pytest.raises(InputError, match="`class_names` .* UTF-8"):
        load(class_names=np.array([b"ant", b"bee", b"\xff"]))


def test_a_header_that_claims_petabytes(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays(x_train=None))
    claim = {"descr": "<f8", "fortran_order": False, "shape": (2**50, 2)}
    with (
        zipfile.ZipFile(path, "a") as archive,
        archive.open("x_train.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, claim)
    with pytest.raises(InputError, match="npz file of numeric arrays"):
        datasets.load(f"npz:{path}")


def test_one_class_name_without_a_list(load):
    with pytest.raises(InputError, match="class_names"):
        load(class_names=np.array("ant"))
