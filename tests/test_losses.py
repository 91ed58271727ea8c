import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.errors import InputError
from tests.conftest import FLOAT64

# METHODS of Patrini et al.: f = (.5, .5), noisy label 1, so s = .5 (.3 + .9).
TRUE = tf.constant([[0.7, 0.3], [0.1, 0.9]], tf.float64)


def value_and_gradient(loss, logits, *arguments):
    logits = tf.constant(logits, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(logits, *arguments)
    return value.numpy(), tape.gradient(value, logits).numpy()


def test_cross_entropy_by_hand():
    value, gradient = value_and_gradient(
        losses.cross_entropy, [[0.0, 0.0]], tf.constant([1])
    )
    np.testing.assert_allclose(value, [np.log(2)])
    np.testing.assert_allclose(gradient, [[0.5, -0.5]])


def test_corrected_cross_entropy_by_hand():
    value, gradient = value_and_gradient(
        losses.corrected_cross_entropy, [[0.0, 0.0]], tf.constant([1]), TRUE
    )
    np.testing.assert_allclose(value, [0.510826], atol=1e-6)
    # f - p with the posterior p = (.15, .45) / .6.
    np.testing.assert_allclose(gradient, [[0.25, -0.25]])


def test_agrees_with_keras(rng):
    logits, labels = rng.normal(size=(8, 5)), rng.integers(0, 5, 8)
    expected = keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    ours = losses.cross_entropy(tf.constant(logits), tf.constant(labels))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_identity_gives_plain_cross_entropy_for_any_logits():
    # The others are 60 and 200 nats sure of another class than their label.
    logits = [[1.0, -2.0, 0.5], [60.0, 0.0, 0.0], [0.0, 200.0, 0.0]]
    labels = tf.constant([1, 2, 0])
    plain = value_and_gradient(losses.cross_entropy, logits, labels)
    corrected = value_and_gradient(
        losses.corrected_cross_entropy,
        logits,
        labels,
        tf.eye(3, dtype=tf.float64),
    )
    for ours, expected in zip(corrected, plain):
        np.testing.assert_allclose(ours, expected, **FLOAT64)


@pytest.mark.parametrize(
    "loss",
    [losses.corrected_cross_entropy, losses.logits_corrected_cross_entropy],
)
def test_one_hot_labels_equal_ids(loss, rng):
    logits, ids = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    matrix = tf.constant(rng.dirichlet(np.ones(4), 4))
    by_id = value_and_gradient(loss, logits, tf.constant(ids), matrix)
    by_row = value_and_gradient(
        loss, logits, tf.constant(np.eye(4)[ids]), matrix
    )
    for one, other in zip(by_id, by_row):
        np.testing.assert_allclose(one, other, **FLOAT64)


def test_soft_labels_mean_what_they_say(rng):
    logits = tf.constant(rng.normal(size=(1, 2)))
    soft = tf.constant([[0.25, 0.75]], tf.float64)
    each = [
        losses.corrected_cross_entropy(logits, tf.constant([label]), TRUE)
        for label in (0, 1)
    ]
    np.testing.assert_allclose(
        losses.corrected_cross_entropy(logits, soft, TRUE),
        0.25 * each[0] + 0.75 * each[1],
    )


def test_scaling_a_column_changes_no_gradient(rng):
    logits, labels = rng.normal(size=(5, 2)), tf.constant([0, 1, 1, 0, 1])
    scaled = TRUE * tf.constant([0.2, 0.6], tf.float64)
    _, gradient = value_and_gradient(
        losses.corrected_cross_entropy, logits, labels, TRUE
    )
    value, other = value_and_gradient(
        losses.corrected_cross_entropy, logits, labels, scaled
    )
    np.testing.assert_allclose(other, gradient, **FLOAT64)


def test_equal_rows_give_no_gradient(rng):
    _, gradient = value_and_gradient(
        losses.corrected_cross_entropy,
        rng.normal(size=(5, 3)),
        tf.constant([0, 1, 2, 0, 1]),
        tf.fill([3, 3], tf.constant(1 / 3, tf.float64)),
    )
    np.testing.assert_allclose(gradient, 0, atol=1e-15)


def test_impossible_label_is_finite_and_pulls_nowhere():
    column_of_zeros = tf.constant([[1.0, 0.0], [1.0, 0.0]], tf.float64)
    value, gradient = value_and_gradient(
        losses.corrected_cross_entropy,
        [[3.0, -1.0]],
        tf.constant([1]),
        column_of_zeros,
    )
    assert np.isfinite(value).all() and value[0] > 50
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_below_the_floor_the_loss_says_nothing_of_the_transition():
    matrix = tf.eye(2)
    logits = tf.constant([[20.0, 0.0], [1.0, 0.0]])  # f[1] = 2e-9 and 0.27
    with tf.GradientTape() as tape:
        tape.watch(matrix)
        value = losses.corrected_cross_entropy(
            logits, tf.constant([1, 1]), matrix
        )
    jacobian = tape.jacobian(value, matrix).numpy()
    np.testing.assert_array_equal(jacobian[0], 0)
    # d(-log s) / dT[0, 1] = -f_0 / f_1 = -e.
    np.testing.assert_allclose(jacobian[1, 0, 1], -np.e, rtol=1e-5)


def test_logits_correction_by_hand():
    # z @ T = (1, 2) for z = (1, 2), T = I: cross-entropy of the logits.
    value, _ = value_and_gradient(
        losses.logits_corrected_cross_entropy,
        [[1.0, 2.0]],
        tf.constant([0]),
        tf.constant([[0.0, 1.0], [1.0, 0.0]], tf.float64),
    )
    # Rows swapped: logits (2, 1), so -log softmax is log(1 + 1/e).
    np.testing.assert_allclose(value, [np.log(1 + np.exp(-1))])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32"])
def test_any_integers_are_ids(dtype):
    logits = tf.constant([[0.0, 0.0]], tf.float64)
    labels = tf.constant([1], dtype)
    np.testing.assert_allclose(
        losses.corrected_cross_entropy(logits, labels, TRUE),
        [0.510826],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        losses.cross_entropy(logits, labels), [np.log(2)]
    )


def test_a_nan_in_the_transition_shows_in_the_loss():
    matrix = tf.fill([2, 2], tf.constant(np.nan, tf.float64))
    loss = losses.corrected_cross_entropy(
        tf.zeros([1, 2], tf.float64), tf.constant([0]), matrix
    )
    assert np.isnan(loss).all()


def test_a_class_weight_counts_the_examples_of_a_class(rng):
    logits = tf.constant(rng.normal(size=(4, 3)))
    labels = tf.constant([0, 2, 1, 2])
    each = losses.cross_entropy(logits, labels).numpy()
    weighted = losses.mean_cross_entropy(logits, labels, [0.5, 0.0, 3.0])
    expected = (0.5 * each[0] + 3 * each[1] + 3 * each[3]) / 4
    np.testing.assert_allclose(weighted, expected, **FLOAT64)
    soft = tf.constant([[0.5, 0.5, 0.0]] * 4, tf.float64)
    np.testing.assert_allclose(
        losses.mean_cross_entropy(logits, soft, [1.0, 3.0, 9.0]),
        2 * losses.mean_cross_entropy(logits, soft),
        **FLOAT64,
    )


# A column of ids would be broadcast to a matrix of losses.
@pytest.mark.parametrize("shape", [(4, 1), (1, 3)])
def test_labels_are_not_broadcast(shape):
    for loss in (
        losses.cross_entropy,
        losses.mean_absolute_error,
        lambda *pair: losses.corrected_cross_entropy(*pair, tf.eye(3)),
    ):
        with pytest.raises(InputError, match=r"`labels`.* classes.* \("):
            loss(tf.zeros((4, 3)), tf.ones(shape))


def test_labels_may_have_a_width_that_is_not_known_yet():
    loss = tf.function(
        losses.cross_entropy,
        input_signature=[tf.TensorSpec((4, 3)), tf.TensorSpec((None, None))],
    )
    np.testing.assert_allclose(
        loss(tf.zeros((4, 3)), tf.eye(4, 3)), [*[np.log(3)] * 3, 0], rtol=1e-6
    )
