import numpy as np
import pytest
import sklearn.datasets

from mlc_tf import datasets
from mlc_tf.errors import InputError


def contents(x):
    return {row.tobytes() for row in x}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def test_digits_are_all_of_scikit_learns(digits):
    assert digits.train.x.shape == (1297, 8, 8, 1)
    assert digits.test.x.shape == (500, 8, 8, 1)
    assert digits.class_names == tuple("0123456789")
    assert digits.num_classes == 10
    source = sklearn.datasets.load_digits()
    label_of = {
        image.astype(np.float32).tobytes(): label
        for image, label in zip(source.images, source.target)
    }
    x = np.concatenate([digits.train.x, digits.test.x])
    labels = np.concatenate([digits.train.labels, digits.test.labels])
    assert contents(x) == set(label_of)
    assert [label_of[row.tobytes()] for row in x] == labels.tolist()


def test_digits_are_split_by_class_without_overlap(digits):
    train, test = (
        np.bincount(digits.train.labels),
        np.bincount(digits.test.labels),
    )
    assert np.abs(test - 500 / 1797 * (train + test)).max() < 1
    assert not contents(digits.train.x) & contents(digits.test.x)


def test_digits_are_always_the_same(digits):
    np.random.seed(123)
    again = datasets.load("digits")
    np.testing.assert_array_equal(again.train.x, digits.train.x)
    np.testing.assert_array_equal(again.test.labels, digits.test.labels)


@pytest.mark.parametrize(
    "name, nearest",
    [
        ("mnits", "mnist"),
        ("digit", "digits"),
        ("npz:", "npz:PATH"),
        ("flder:images", "folder:images"),
        ("data.csv", "csv:data.csv"),
        ("my/Data.NPZ", "npz:my/Data.NPZ"),
        ("Digits", "digits"),
    ],
)
def test_unknown_dataset(name, nearest):
    with pytest.raises(
        InputError,
        match=r"digits, mnist, .*twitter, tfds:NAME, npz:PATH, .*csv:PATH\. .*"
        f"{name!r}. Did you mean '{nearest}'",
    ):
        datasets.load(name)


@pytest.mark.parametrize("name", [None, 3])
def test_a_name_is_a_text(name):
    with pytest.raises(InputError, match="`name` should be a text"):
        datasets.load(name)
