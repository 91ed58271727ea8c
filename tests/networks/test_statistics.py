import numpy as np
import pytest

from mlc_tf import networks
from mlc_tf.errors import InputError
from mlc_tf.networks import statistics


def test_mean_and_variance_of_each_channel_of_the_noisy_set():
    noisy = np.zeros((2, 1, 2, 3), np.uint8)
    noisy[..., 0] = [[[0, 255]], [[255, 0]]]
    noisy[..., 1] = [[[1, 2]], [[3, 6]]]
    noisy[..., 2] = 9  # constant, which is not divided by 0
    found = statistics.channels(noisy, np.full((1, 1, 2, 3), 77))
    assert found == {
        "mean": [127.5, 3.0, 9.0],
        "variance": [127.5**2, 3.5, 1.0],
    }


def test_many_numbers_are_added_without_loss():
    # One after another, 0.1 in single precision is off by 0.3 %.
    x = np.full((300_000, 2), 0.1, np.float32)
    found = statistics.channels(x, x[:1])
    np.testing.assert_allclose(found["mean"], np.float32(0.1), rtol=1e-9)


def test_tables_hold_the_largest_number_of_either_set():
    noisy = np.array([[[0, 3], [1, 0]], [[2, 0], [0, 1]]], np.int32)
    clean = np.array([[[0, 5], [1, 0]]], np.int32)
    assert statistics.tables(noisy, clean) == {"table_sizes": [3, 6]}
    assert statistics.tables(clean, noisy) == {"table_sizes": [3, 6]}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_need_no_tables(dtype):
    x = np.ones((2, 3, 50), dtype)
    assert statistics.tables(x, x) == {}


@pytest.mark.parametrize("shape", [(4,), (28, 28, 1)])
def test_inputs_that_are_no_windows(shape):
    x = np.zeros((2, *shape), np.uint8)
    with pytest.raises(InputError, match="word_window should get windows of"):
        statistics.tables(x, x)


def test_which_network_is_told_what():
    measures = {name: n.measure for name, n in networks.NETWORKS.items()}
    assert measures == {
        "mlp": statistics.channels,
        "lenet": statistics.channels,
        "wide_resnet": statistics.channels,
        "resnet50": None,
        "word_window": statistics.tables,
    }
    assert [name for name, n in networks.NETWORKS.items() if n.pretrained] == [
        "resnet50"
    ]
