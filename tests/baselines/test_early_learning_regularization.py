import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines.early_learning_regularization import (
    EarlyLearningRegularization,
)
from mlc_tf.baselines.early_learning_regularization import disagreement
from mlc_tf.baselines.early_learning_regularization import move_targets
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64
from tests.numpy_reference import softmax

pytestmark = pytest.mark.usefixtures("float64")
STRENGTH, MOMENTUM = 2.0, 0.6


def make(rng, **arguments):
    good = {"num_examples": 8, "strength": STRENGTH, "momentum": MOMENTUM}
    return EarlyLearningRegularization(
        one_step.two_layers(rng), **{**good, **arguments}
    )


def element(rng, *indices):
    x, labels = one_step.half(rng, len(indices))
    return (x, labels, np.array(indices)), (x, labels)


def total(weights, targets, x, labels):
    probs = softmax(one_step.two_layer_logits(weights, x))
    given = probs[np.arange(len(labels)), labels]
    agreement = np.sum(probs * targets, axis=1)
    return np.mean(-np.log(given) + STRENGTH * np.log(1 - agreement))


def test_worked_numbers():
    logits = tf.math.log([[0.5, 0.3, 0.2]])  # the softmax
    targets = tf.constant([[0.0, 1.0, 0.0]])
    moved = move_targets(targets, logits, 0.7)
    np.testing.assert_allclose(moved, [[0.15, 0.79, 0.06]], rtol=1e-6)
    # 0.5 * 0.15 + 0.3 * 0.79 + 0.2 * 0.06 = 0.324
    np.testing.assert_allclose(
        disagreement(logits, moved), [np.log(1 - 0.324)], rtol=1e-6
    )


def test_probabilities_are_clipped_and_targets_sum_to_one():
    logits = tf.constant([[1000.0, 0.0, 0.0]], tf.float64)
    moved = move_targets(tf.zeros([1, 3], tf.float64), logits, 0.0)
    clipped = np.array([[1 - 1e-4, 1e-4, 1e-4]])
    np.testing.assert_allclose(moved, clipped / clipped.sum(), rtol=1e-12)
    sure = tf.constant([[1.0, 0.0, 0.0]], tf.float64)
    np.testing.assert_allclose(
        disagreement(logits, sure), [np.log(1e-4)], rtol=1e-9
    )


def test_an_index_beyond_the_examples_is_refused(rng):
    model = make(rng)
    noisy, clean = element(rng, 3, 8)
    with pytest.raises(InputError, match=r"in \[0, 8\).* made for.*index 8"):
        one_step.fit(model, (noisy, clean))


def test_three_steps_equal_numpy(rng):
    model = make(rng)
    weights, targets = model.base.get_weights(), np.zeros((8, 3))
    # Example 5 is visited again.
    elements = [
        element(rng, 5, 1, 3),
        element(rng, 2, 5, 7),
        element(rng, 5, 0, 6),
    ]
    for (x, labels, indices), _ in elements:
        probs = softmax(one_step.two_layer_logits(weights, x))
        moved = MOMENTUM * targets[indices] + (1 - MOMENTUM) * probs
        targets[indices] = moved
        slopes = numpy_reference.gradient(
            lambda w, t=moved, x=x, y=labels: total(w, t, x, y), weights
        )
        weights = [w - 0.5 * slope for w, slope in zip(weights, slopes)]
    one_step.fit(model, *elements, rate=0.5)
    np.testing.assert_allclose(model.targets, targets, **FLOAT64)
    np.testing.assert_array_equal(model.targets[4], 0)  # never visited
    for expected, weight in zip(weights, model.base.get_weights()):
        np.testing.assert_allclose(weight, expected, **FLOAT64)


def test_the_term_opposes_a_label_that_contradicts_the_target():
    """The network is sure of class 0, and so is the target. The label is 1."""
    logits = tf.Variable([[4.0, 0.0]])
    targets = tf.constant([[0.98, 0.02]])
    with tf.GradientTape(persistent=True) as tape:
        plain = keras.ops.sum(-tf.nn.log_softmax(logits)[:, 1])
        term = 3.0 * keras.ops.sum(disagreement(logits, targets))
    pull = np.asarray(tape.gradient(plain, logits))[0, 0]
    push = np.asarray(tape.gradient(term, logits))[0, 0]
    assert pull > 0.9 and push < -0.9


def test_strength_zero_is_plain_training(rng):
    (x, labels, indices), clean = element(rng, 3, 1, 2)
    model = make(np.random.default_rng(1), strength=0.0)
    weights = model.base.get_weights()
    slopes = one_step.slopes(weights, x, labels)
    one_step.fit(model, ((x, labels, indices), clean))
    for old, slope, new in zip(weights, slopes, model.base.get_weights()):
        np.testing.assert_allclose(new, old - slope, **FLOAT64)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_examples": 0}, "`num_examples` should be an integer >= 1"),
        ({"num_examples": True}, "`num_examples` should be an integer >= 1"),
        ({"num_examples": 2.5}, "`num_examples` should be an integer >= 1"),
        ({"strength": -1.0}, "`strength` should be a finite float >= 0"),
        ({"momentum": "0.7"}, r"`momentum` should be in \[0, 1\)"),
        ({"momentum": 1.0}, r"`momentum` should be in \[0, 1\)"),
    ],
)
def test_bad_arguments(arguments, message, rng):
    with pytest.raises(InputError, match=message):
        make(rng, **arguments)
