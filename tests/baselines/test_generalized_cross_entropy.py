import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines.generalized_cross_entropy import GeneralizedCrossEntropy
from mlc_tf.errors import InputError
from tests.baselines import one_step
from tests.conftest import FLOAT64
from tests.numpy_reference import softmax


def make(q=0.7, classes=3):
    base = one_step.linear(np.zeros((one_step.WIDTH, classes)))
    return GeneralizedCrossEntropy(base, q=q)


@pytest.mark.parametrize(
    "q, loss", [(0.7, 0.549182), (1.0, 0.5), (1e-6, 0.693147)]
)
def test_the_loss_of_an_even_chance(q, loss):
    losses = make(q, 2).example_loss(tf.zeros([1, 2]), tf.constant([1]))
    np.testing.assert_allclose(losses, [loss], atol=1e-6)


def test_the_gradient_is_that_of_cross_entropy_times_a_power(rng, float64):
    kernel = rng.normal(size=(one_step.WIDTH, 3))
    base = one_step.linear(kernel)
    x, labels = one_step.half(rng)
    probs = softmax(x @ kernel)
    given = probs[np.arange(len(x)), labels][:, np.newaxis]
    errors = given**0.4 * (probs - np.eye(3)[labels]) / len(x)
    one_step.fit(
        GeneralizedCrossEntropy(base, q=0.4), ((x, labels), (x, labels))
    )
    np.testing.assert_allclose(
        base.get_weights()[0], kernel - x.T @ errors, **FLOAT64
    )


def test_a_probability_that_underflows_has_a_gradient_of_zero():
    logits = tf.constant([[150.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = make().example_loss(logits, tf.constant([1]))
    np.testing.assert_allclose(loss, [1 / 0.7], rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(loss, logits), [[0, 0, 0]])


def test_soft_labels_mean_what_they_say():
    logits = tf.constant([[1.0, 0.0, -1.0]])
    one, other, soft = (
        make().example_loss(logits, tf.constant(labels)).numpy()
        for labels in ([0], [2], [[0.25, 0.0, 0.75]])
    )
    np.testing.assert_allclose(soft, 0.25 * one + 0.75 * other, rtol=1e-6)


@pytest.mark.parametrize("q", [0.0, 1.1, -0.5, np.nan, "0.7", None])
def test_a_bad_q_is_refused(q):
    with pytest.raises(InputError, match=r"`q` should be in \(0, 1\]"):
        make(q)
