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
    assert digits.x_train.shape == (1297, 8, 8, 1)
    assert digits.x_test.shape == (500, 8, 8, 1)
    assert digits.class_names == tuple("0123456789")
    assert digits.num_classes == 10
    source = sklearn.datasets.load_digits()
    label_of = {
        image.astype(np.float32).tobytes(): label
        for image, label in zip(source.images, source.target)
    }
    x = np.concatenate([digits.x_train, digits.x_test])
    labels = np.concatenate([digits.y_train, digits.y_test])
    assert contents(x) == set(label_of)
    assert [label_of[row.tobytes()] for row in x] == labels.tolist()


def test_digits_are_split_by_class_without_overlap(digits):
    train, test = np.bincount(digits.y_train), np.bincount(digits.y_test)
    assert np.abs(test - 500 / 1797 * (train + test)).max() < 1
    assert not contents(digits.x_train) & contents(digits.x_test)


def test_digits_are_always_the_same(digits):
    np.random.seed(123)
    again = datasets.load("digits", data_dir="/not/used")
    np.testing.assert_array_equal(again.x_train, digits.x_train)
    np.testing.assert_array_equal(again.y_test, digits.y_test)


@pytest.mark.parametrize(
    "name, nearest",
    [
        ("mnits", "mnist"),
        ("digit", "digits"),
        ("npz:", "npz:PATH"),
        ("flder:images", "folder:PATH"),
    ],
)
def test_unknown_dataset(name, nearest):
    with pytest.raises(
        InputError,
        match=r"digits, mnist, cifar10, npz:PATH, folder:PATH\. .*"
        f"{name!r}. Did you mean '{nearest}'",
    ):
        datasets.load(name)
