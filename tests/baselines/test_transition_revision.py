import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines.transition_revision import TransitionRevision
from mlc_tf.baselines.transition_revision import importance_weights
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64

pytestmark = pytest.mark.usefixtures("float64")

T = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])


def weights_of(logits, labels, transition):
    f = numpy_reference.softmax(logits)
    rows = np.arange(len(labels))
    return f[rows, labels] / (f @ transition)[rows, labels]


def test_worked_numbers():
    logits = np.log([[0.6, 0.4], [0.2, 0.8]])
    transition = np.array([[0.9, 0.1], [0.3, 0.7]])
    # f @ T: 0.6 * 0.9 + 0.4 * 0.3 = 0.66; 0.2 * 0.1 + 0.8 * 0.7 = 0.58
    np.testing.assert_allclose(
        importance_weights(
            tf.constant(logits), tf.constant([0, 1]), tf.constant(transition)
        ),
        [0.6 / 0.66, 0.8 / 0.58],
    )


def test_weighted_labels_are_worth_the_clean_labels():
    """Over the noisy labels of an input, weights times losses are its clean
    risk, if f and T are right."""
    logits = np.log([[0.6, 0.3, 0.1]])
    f, noisy = np.exp(logits[0]), np.exp(logits[0]) @ T
    loss = np.array([1.3, 0.4, 2.0])
    weights = importance_weights(
        tf.constant(np.repeat(logits, 3, axis=0)),
        tf.constant([0, 1, 2]),
        tf.constant(T),
    ).numpy()
    np.testing.assert_allclose(np.sum(noisy * weights * loss), np.sum(f * loss))


def test_one_class_for_all_inputs_has_no_loss():
    base = one_step.linear([[100.0, 0.0, 0.0]])
    model = TransitionRevision(base, transition=T)
    half = np.ones((3, 1)), np.array([0, 1, 2])
    logs = one_step.fit(model, (half, half))
    np.testing.assert_allclose(logs["loss"], 0, atol=1e-12)
    np.testing.assert_allclose(base.get_weights()[0], [[100, 0, 0]], atol=1e-12)


def test_two_steps_equal_numpy(rng):
    base = one_step.two_layers(rng)
    model = TransitionRevision(base, transition=T, revision_rate=0.4)
    weights, transition = base.get_weights(), T.copy()
    elements = [(one_step.half(rng), one_step.half(rng, 2)) for _ in range(2)]
    for (x, labels), _ in elements:

        def risk(parameters, constant, x=x, labels=labels):
            logits = one_step.two_layer_logits(parameters[:2], x)
            plain = one_step.losses(logits, labels)
            return np.mean(constant * plain)

        def by_transition(parameters, plain, x=x, labels=labels, now=weights):
            logits = one_step.two_layer_logits(now, x)
            return np.mean(weights_of(logits, labels, parameters[0]) * plain)

        logits = one_step.two_layer_logits(weights, x)
        constant = weights_of(logits, labels, transition)
        slopes = numpy_reference.gradient(
            lambda w, c=constant, f=risk: f(w, c), weights
        )
        plain = one_step.losses(logits, labels)
        (slope,) = numpy_reference.gradient(
            lambda t, p=plain, f=by_transition: f(t, p), [transition]
        )
        weights = [w - 0.5 * slope for w, slope in zip(weights, slopes)]
        transition = np.maximum(transition - 0.4 * slope, 0)
        transition /= transition.sum(axis=1, keepdims=True)
    one_step.fit(model, *elements, rate=0.5)
    np.testing.assert_allclose(model.transition_matrix, transition, **FLOAT64)
    for expected, weight in zip(weights, base.get_weights()):
        np.testing.assert_allclose(weight, expected, **FLOAT64)


def test_at_rate_0_t_stays(rng):
    model = TransitionRevision(one_step.two_layers(rng), transition=T)
    one_step.fit(model, (one_step.half(rng), one_step.half(rng)))
    np.testing.assert_array_equal(model.transition_matrix, T)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"transition": np.eye(2)}, "`transition` should"),
        ({"transition": T, "revision_rate": -1.0}, "`revision_rate` should be"),
    ],
)
def test_bad_arguments(arguments, message, rng):
    with pytest.raises(InputError, match=message):
        TransitionRevision(one_step.two_layers(rng), **arguments)
