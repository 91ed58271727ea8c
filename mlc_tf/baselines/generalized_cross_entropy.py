"""Generalised cross-entropy: between cross-entropy and the absolute error."""

import keras
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.errors import bad_argument
from mlc_tf.models.pair_model import PairModel


class GeneralizedCrossEntropy(PairModel):
    """Trains on the mean of `(1 - f[label]^q) / q`.

    For q to 0 this is cross-entropy; q = 1 is the absolute error, which noise
    that is the same for all classes does not bias, but which trains slowly.
    The clean half of each element is not used. (Keras' own loss takes
    probabilities, and has no gradient where one of them underflows.)

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        q: In (0, 1]. Defaults to 0.7.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for another q.

    References:
        Zhang and Sabuncu, 2018, Eq. 6.
    """

    def __init__(
        self, base: keras.Model, *, q: float = 0.7, name: str | None = None
    ) -> None:
        super().__init__(base, name=name)
        if not 0 < q <= 1:
            raise bad_argument("q", "in (0, 1]", q)
        self.q = float(q)

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        less = tf.math.expm1(self.q * tf.nn.log_softmax(logits))  # f^q - 1
        targets = losses.as_probabilities(labels, logits)
        return -tf.reduce_sum(targets * less, axis=-1) / self.q
