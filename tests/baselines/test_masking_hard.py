import functools

import numpy as np
import pytest

from mlc_tf.baselines.masking_hard import MaskingHard
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64

pytestmark = pytest.mark.usefixtures("float64")
ESTIMATE = np.array([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.2, 0.1, 0.7]])
STRUCTURE = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]])


def make(rng, **arguments):
    good = {"transition": ESTIMATE, "structure": STRUCTURE}
    return MaskingHard(one_step.two_layers(rng), **{**good, **arguments})


def noisy_loss(x, labels, weights):
    powers = np.exp(weights[-1]) * STRUCTURE
    return numpy_reference.corrected_loss(
        one_step.two_layer_logits(weights, x),
        labels,
        powers / powers.sum(axis=1, keepdims=True),
    )


def test_learning_starts_from_what_the_structure_leaves_of_the_estimate(rng):
    expected = [[7 / 9, 2 / 9, 0], [0, 0.6, 0.4], [0.2, 0.1, 0.7]]
    np.testing.assert_allclose(make(rng).transition_matrix, expected, **FLOAT64)


def test_what_is_allowed_and_was_estimated_as_0_can_grow(rng):
    model = make(rng, structure=np.ones((3, 3)))
    start = model.transition_matrix[1, 0]
    np.testing.assert_allclose(start, 1e-4, rtol=1e-3)


def test_what_is_masked_stays_exactly_0(rng):
    model = make(rng, noise_learning_rate=5.0)
    elements = [(one_step.half(rng), one_step.half(rng)) for _ in range(3)]
    start = model.transition_matrix
    one_step.fit(model, *elements, rate=0.1)
    learned = model.transition_matrix
    assert np.all(learned[STRUCTURE == 0] == 0)
    assert np.all(np.abs(learned - start)[STRUCTURE == 1] > 1e-3)
    np.testing.assert_allclose(learned.sum(axis=1), 1, **FLOAT64)


def test_two_steps_equal_numpy(rng):
    model = make(rng, noise_learning_rate=2.0)
    weights, kernel = model.base.get_weights(), model.transition_logits.numpy()
    elements = [(one_step.half(rng), one_step.half(rng)) for _ in range(2)]
    for noisy, _ in elements:
        *slopes, last = numpy_reference.gradient(
            functools.partial(noisy_loss, *noisy), [*weights, kernel]
        )
        weights = [w - 0.5 * slope for w, slope in zip(weights, slopes)]
        kernel = kernel - 2.0 * last
    one_step.fit(model, *elements, rate=0.5)
    np.testing.assert_allclose(
        model.transition_logits.numpy(), kernel, **FLOAT64
    )
    for expected, weight in zip(weights, model.base.get_weights()):
        np.testing.assert_allclose(weight, expected, **FLOAT64)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"structure": np.eye(2)}, r"shape \(3, 3\) with a diagonal of ones"),
        ({"structure": STRUCTURE / 2}, "`structure` should be a matrix of 0"),
        ({"structure": 1 - np.eye(3)}, "with a diagonal of ones. Received"),
        ({"transition": np.ones((3, 3))}, "should be a row that sums to 1"),
        ({"noise_learning_rate": -1.0}, "`noise_learning_rate` should be a fi"),
    ],
)
def test_bad_arguments(arguments, message, rng):
    with pytest.raises(InputError, match=message):
        make(rng, **arguments)
