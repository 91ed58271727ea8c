"""Plain training: the loss treats every label as correct."""

import tensorflow as tf

from mlc_tf import losses
from mlc_tf.models.pair_model import PairModel


class CrossEntropy(PairModel):
    """Trains on the mean of `-log f[noisy label]` (Eq. 1).

    The baseline "cross_entropy" merges the clean set into the noisy set
    beforehand, and does not use the clean half of each element. The control
    "ce_control" uses it as `mlc` does in the same config, by `clean_weight`.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        clean_weight: As in `PairModel`. Defaults to 0.
        clean_class_weight: As in `PairModel`. Defaults to None.
        name: Name of the model. Defaults to a unique one.
    """

    takes_weights = True

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return losses.cross_entropy(logits, labels)
