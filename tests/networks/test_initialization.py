import keras
import numpy as np
import pytest

from mlc_tf import networks
from mlc_tf.errors import InputError
from mlc_tf.networks import initialization

SHAPES = {
    "lenet": (28, 28, 1),
    "mlp": (8, 8, 1),
    "wide_resnet": (16, 16, 3),
    "word_window": (3, 50),
}
SMALL = {"wide_resnet": {"depth": 10, "width": 1}}


def kernels(name, **options):
    keras.utils.set_random_seed(1)
    network = networks.get(name).build(
        SHAPES[name], 10, **SMALL.get(name, {}), **options
    )
    return [
        np.asarray(weight.value)
        for weight in network.trainable_variables
        if weight.name == "kernel"
    ]


@pytest.mark.parametrize("name", SHAPES)
def test_uniform_kernels_fill_the_range_of_their_fan_in(name):
    found = kernels(name, initializer="uniform")
    for kernel in found:
        limit = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
        assert np.abs(kernel).max() <= limit
        if kernel.size > 500:
            assert np.abs(kernel).max() > 0.97 * limit
            np.testing.assert_allclose(
                kernel.std(), limit / np.sqrt(3), rtol=0.1
            )
    assert len({kernel.ravel()[0] for kernel in found}) == len(found)


@pytest.mark.parametrize(
    "name", [name for name in SHAPES if name != "word_window"]
)
def test_the_default_is_he_normal_with_glorot_for_the_logits(name):
    *hidden, last = kernels(name)
    for kernel in hidden:
        if kernel.size > 1000:
            expected = np.sqrt(2 / np.prod(kernel.shape[:-1]))
            np.testing.assert_allclose(kernel.std(), expected, rtol=0.1)
    limit = np.sqrt(6 / sum(last.shape))
    assert 0.9 * limit < np.abs(last).max() <= limit
    for one, other in zip(
        kernels(name), kernels(name, initializer="he_normal")
    ):
        np.testing.assert_array_equal(one, other)


def test_lecun_normal_is_for_all_layers():
    for kernel in kernels("word_window", initializer="lecun_normal"):
        np.testing.assert_allclose(
            kernel.std(), np.sqrt(1 / len(kernel)), rtol=0.1
        )


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="Did you mean 'he_normal'"):
        initialization.get("he_norml")
