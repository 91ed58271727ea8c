"""Plain training: the loss takes every label for true."""

import tensorflow as tf

from mlc_tf import losses
from mlc_tf.models.pair_model import PairModel


class CrossEntropy(PairModel):
    """Trains on the mean of `-log f[noisy label]` (Eq. 1).

    The clean half of each element is not used. The baseline trains on the union
    of both sets (`mlc_tf.data.examples.join`); the control of Meta Loss
    Correction trains without the clean set.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        name: Name of the model. Defaults to a unique one.
    """

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return losses.cross_entropy(logits, labels)
