import functools

import numpy as np
import pytest

from mlc_tf.baselines.noise_layer import SPACES
from mlc_tf.baselines.noise_layer import NoiseLayer
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT32
from tests.conftest import FLOAT64
from tests.numpy_reference import softmax

pytestmark = pytest.mark.usefixtures("float64")
each_space = pytest.mark.parametrize("space", SPACES)


def noisy_loss(space, x, labels, weights):
    logits, kernel = one_step.two_layer_logits(weights, x), weights[-1]
    if space == "logits":
        return np.mean(one_step.losses(logits @ kernel, labels))
    return numpy_reference.corrected_loss(logits, labels, softmax(kernel))


@each_space
def test_two_steps_equal_numpy(space, rng):
    base = one_step.two_layers(rng)
    model = NoiseLayer(base, space=space, noise_learning_rate=2.0)
    weights, kernel = base.get_weights(), model.kernel.numpy()
    elements = [(one_step.half(rng), one_step.half(rng, 2)) for _ in range(2)]
    for noisy, clean in elements:
        slopes = one_step.slopes(weights, *clean)
        weights = [w - 0.5 * slope for w, slope in zip(weights, slopes)]
        *slopes, kernel_slope = numpy_reference.gradient(
            functools.partial(noisy_loss, space, *noisy), [*weights, kernel]
        )
        weights = [w - 0.5 * slope for w, slope in zip(weights, slopes)]
        kernel = kernel - 2.0 * kernel_slope
    one_step.fit(model, *elements, rate=0.5)
    np.testing.assert_allclose(model.kernel, kernel, **FLOAT64)
    for expected, weight in zip(weights, base.get_weights()):
        np.testing.assert_allclose(weight, expected, **FLOAT64)
    assert int(model.optimizer.iterations) == 2 * len(elements)


def test_the_gradient_of_the_layer_is_logits_times_error(rng):
    base = one_step.two_layers(rng)
    model = NoiseLayer(base, space="logits", noise_learning_rate=1.0)
    x, labels = one_step.half(rng)
    logits = one_step.two_layer_logits(base.get_weights(), x)
    errors = softmax(logits) - np.eye(3)[labels]
    one_step.fit(model, ((x, labels), one_step.half(rng)), rate=0.0)
    expected = np.eye(3) - logits.T @ errors / len(x)
    np.testing.assert_allclose(model.kernel, expected, **FLOAT64)


@each_space
def test_the_clean_step_leaves_the_layer_alone(space, rng):
    noisy = one_step.half(rng)
    kernels = []
    for _ in range(2):  # two clean sets
        model = NoiseLayer(
            one_step.two_layers(np.random.default_rng(1)), space=space
        )
        one_step.fit(model, (noisy, one_step.half(rng)), rate=0.0)
        kernels.append(model.kernel.numpy())
    np.testing.assert_array_equal(*kernels)


def test_the_channel_is_a_transition_matrix_with_nine_tenths_in_place(rng):
    model = NoiseLayer(one_step.two_layers(rng))
    expected = np.full((3, 3), 0.05) + 0.85 * np.eye(3)
    np.testing.assert_allclose(model.transition_matrix, expected, **FLOAT64)
    one_step.fit(model, (one_step.half(rng), one_step.half(rng)))
    learned = model.transition_matrix
    np.testing.assert_allclose(learned.sum(axis=1), 1, **FLOAT64)
    assert not np.allclose(learned, expected)


def test_a_layer_on_logits_is_no_transition_matrix(rng):
    model = NoiseLayer(one_step.two_layers(rng), space="logits")
    assert model.transition_matrix is None
    np.testing.assert_array_equal(model.kernel, np.eye(3))


def test_predictions_leave_the_layer_out(rng):
    base = one_step.two_layers(rng)
    model = NoiseLayer(base, space="logits")
    model.kernel.assign(np.eye(3)[::-1])
    x, _ = one_step.half(rng)
    np.testing.assert_allclose(
        model.predict(x, verbose=0),
        one_step.two_layer_logits(base.get_weights(), x),
        **FLOAT32,  # as `predict` takes x
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"space": "logit"}, "`space` should be one of .* mean 'logits'"),
        ({"noise_learning_rate": -1.0}, "`noise_learning_rate` should be a fi"),
    ],
)
def test_bad_arguments(arguments, message, rng):
    with pytest.raises(InputError, match=message):
        NoiseLayer(one_step.two_layers(rng), **arguments)
