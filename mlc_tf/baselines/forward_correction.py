"""Loss correction with a T that is known beforehand."""

from typing import Any

import keras
import tensorflow as tf

from mlc_tf import losses
from mlc_tf import transition as transition_matrix
from mlc_tf.pair_model import PairModel


class ForwardCorrection(PairModel):
    """Trains on the mean of `-log (f @ T)[noisy label]` with T fixed (Eq. 2).

    With the true T this is the ceiling of what a learned T can reach. The
    clean half of each element is not used.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: T, `(classes, classes)`, rows are clean classes and sum
            to 1.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if `transition` is no such matrix.

    References:
        Patrini et al., 2017.
    """

    def __init__(
        self, base: keras.Model, *, transition: Any, name: str | None = None
    ) -> None:
        super().__init__(base, name=name)
        self.transition_matrix = transition_matrix.validate(
            transition, self.num_classes
        )

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        transition = tf.constant(self.transition_matrix, logits.dtype)
        return losses.corrected_cross_entropy(logits, labels, transition)
