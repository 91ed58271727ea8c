"""The step of T by expectation-maximisation, within a training step."""

from collections.abc import Callable

import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import transitions


def step(
    transition: tf.Tensor,
    noisy_loss: Callable[[tf.Tensor], tf.Tensor],
    rate: float,
) -> tf.Tensor:
    """Returns T after a step towards what explains the noisy labels.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes and sum
            to 1.
        noisy_loss: Maps T to the mean corrected loss of this replica's noisy
            examples, a scalar.
        rate: As in `transitions.expectation_step`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(transition)
        loss = noisy_loss(transition)
    (gradient,) = distribution.global_mean([tape.gradient(loss, transition)])
    return transitions.expectation_step(transition, gradient, rate)
