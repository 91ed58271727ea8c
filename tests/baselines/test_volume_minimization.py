import functools

import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines.volume_minimization import VolumeMinimization
from mlc_tf.baselines.volume_minimization import log_volume
from mlc_tf.baselines.volume_minimization import transition_of
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64

pytestmark = pytest.mark.usefixtures("float64")


def reference_transition(kernel):
    odds = 1 / (1 + np.exp(-kernel))
    np.fill_diagonal(odds, 1.0)
    return odds / odds.sum(axis=1, keepdims=True)


def reference_loss(volume_weight, x, labels, weights):
    logits = one_step.two_layer_logits(weights, x)
    transition = reference_transition(weights[-1].copy())
    return numpy_reference.corrected_loss(
        logits, labels, transition
    ) + volume_weight * np.log(np.linalg.det(transition))


def test_worked_numbers():
    kernel = np.array([[7.0, 0.0], [-np.log(3.0), 7.0]])  # sigmoids 1/2, 1/4
    found = transition_of(tf.constant(kernel))
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3], [1 / 5, 4 / 5]])
    # The determinant is 8/15 - 1/15 = 7/15.
    np.testing.assert_allclose(log_volume(found), np.log(7 / 15))
    swapped = tf.reverse(found, axis=[0])  # the determinant is -7/15
    np.testing.assert_allclose(log_volume(swapped), np.log(7 / 15))


def test_the_start_is_near_the_identity(rng):
    learned = VolumeMinimization(one_step.two_layers(rng)).transition_matrix
    other = 1 / (1 + np.exp(2.0))
    np.testing.assert_allclose(
        learned[0], np.array([1, other, other]) / (1 + 2 * other)
    )
    np.testing.assert_allclose(learned, learned.T)


def test_two_steps_equal_numpy(rng):
    base = one_step.two_layers(rng)
    model = VolumeMinimization(
        base, volume_weight=0.3, transition_learning_rate=2.0
    )
    weights, kernel = base.get_weights(), model.kernel.numpy()
    elements = [(one_step.half(rng), one_step.half(rng, 2)) for _ in range(2)]
    for noisy, _ in elements:
        *slopes, kernel_slope = numpy_reference.gradient(
            functools.partial(reference_loss, 0.3, *noisy), [*weights, kernel]
        )
        weights = [w - 0.5 * slope for w, slope in zip(weights, slopes)]
        kernel = kernel - 2.0 * kernel_slope
    one_step.fit(model, *elements, rate=0.5)
    np.testing.assert_allclose(model.kernel, kernel, **FLOAT64)
    for expected, weight in zip(weights, base.get_weights()):
        np.testing.assert_allclose(weight, expected, **FLOAT64)


def test_the_volume_alone_draws_t_together(rng):
    """At rate 0 of the network a large weight makes the rows more alike."""
    model = VolumeMinimization(
        one_step.two_layers(rng),
        volume_weight=10.0,
        transition_learning_rate=0.1,
    )
    before = np.linalg.det(model.transition_matrix)
    one_step.fit(model, (one_step.half(rng), one_step.half(rng)), rate=0.0)
    assert 0 < np.linalg.det(model.transition_matrix) < before


def test_the_clean_half_is_not_read(rng):
    noisy, learned = one_step.half(rng), []
    for _ in range(2):  # two clean sets
        base = one_step.two_layers(np.random.default_rng(1))
        model = VolumeMinimization(base)
        one_step.fit(model, (noisy, one_step.half(rng)))
        learned.append([model.transition_matrix, *base.get_weights()])
    for one, other in zip(*learned, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["volume_weight", "transition_learning_rate"])
def test_bad_arguments(name, rng):
    with pytest.raises(InputError, match=f"`{name}` should be a finite float"):
        VolumeMinimization(one_step.two_layers(rng), **{name: -1.0})
