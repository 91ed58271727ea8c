"""Plain training: the loss treats every label as correct."""

import tensorflow as tf

from mlc_tf import losses
from mlc_tf.models.pair_model import PairModel


class CrossEntropy(PairModel):
    """Trains on the mean of `-log f[noisy label]` (Eq. 1).

    The clean half of each element is not used. The baseline "cross_entropy"
    merges the clean set into the noisy set beforehand; the control
    "ce_control" does not use the clean set at all.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        name: Name of the model. Defaults to a unique one.
    """

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return losses.cross_entropy(logits, labels)
