import keras
import numpy as np
import pytest

from mlc_tf.baselines.authors_step import AuthorsStep
from mlc_tf.errors import InputError
from tests.models.small_models import dataset


def linear_model(**arguments):
    base = keras.Sequential(
        [
            keras.Input((1,), dtype="float64"),
            keras.layers.Dense(
                3,
                use_bias=False,
                kernel_initializer="zeros",
                dtype="float64",
            ),
        ]
    )
    model = AuthorsStep(base, virtual_learning_rate=1.0, **arguments)
    model.compile(keras.optimizers.SGD(1.0))
    return model


def element(copies=1):
    """x = 1 with noisy label 0, and the clean x = 1 with label 1."""
    one = np.ones((copies, 1))
    return (one, np.zeros(copies, int)), (np.ones((1, 1)), np.ones(1, int))


# T after one step of beta 0.11 from the identity, clamped and its columns
# normalised; entry (2, 0) would be -0.01554.
EXPECTED = [
    [0.94309, 0.02112, 0.02053],
    [0.05691, 0.97110, 0.0],
    [0.0, 0.00777, 0.97947],
]


def test_worked_example():
    model = linear_model()
    model.fit(dataset(element()), verbose=0)
    np.testing.assert_allclose(model.last_transition, EXPECTED, atol=1e-5)
    # At W = 0 the gradient is T (q - e_0) with q uniform.
    gradient = np.array(EXPECTED) @ (np.full(3, 1 / 3) - [1, 0, 0])
    np.testing.assert_allclose(
        model.base.get_weights()[0][0], -gradient, atol=1e-5
    )


def test_every_step_starts_from_the_identity():
    # With a zero rate for the weights two steps see the same weights.
    one, two = linear_model(), linear_model()
    for model in (one, two):
        model.compile(keras.optimizers.SGD(0.0))
    one.fit(dataset(element()), verbose=0)
    two.fit(dataset(element(), element()), verbose=0)
    np.testing.assert_array_equal(one.last_transition, two.last_transition)


def test_the_loss_is_a_sum():
    single, double = linear_model(), linear_model()
    one = single.fit(dataset(element()), verbose=0).history["loss"]
    # Two copies are one example with a rate twice as high.
    two = double.fit(dataset(element(2)), verbose=0).history["loss"]
    assert two[0] > 1.9 * one[0]
    rate_two = linear_model()
    rate_two.virtual_learning_rate = 2.0
    rate_two.compile(keras.optimizers.SGD(2.0))
    rate_two.fit(dataset(element()), verbose=0)
    np.testing.assert_allclose(
        double.last_transition, rate_two.last_transition, rtol=1e-6
    )
    np.testing.assert_allclose(
        double.base.get_weights(), rate_two.base.get_weights(), rtol=1e-6
    )


@pytest.mark.parametrize(
    "name", ["virtual_learning_rate", "transition_learning_rate"]
)
def test_bad_rates(name):
    arguments = {name: -1.0}
    with pytest.raises(InputError, match=f"`{name}` should be a finite"):
        AuthorsStep(linear_model().base, **arguments)
