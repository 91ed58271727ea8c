"""Generalised cross-entropy, between cross-entropy and absolute error."""

import keras
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.errors import check_fraction
from mlc_tf.models.pair_model import PairModel


class GeneralizedCrossEntropy(PairModel):
    """Trains on the mean of `(1 - f[label]^q) / q`.

    As q approaches 0 the loss approaches cross-entropy. With q = 1 the loss is
    the absolute error, which symmetric noise does not bias, but which trains
    slowly. The clean half of each element is not used. (Keras' own loss takes
    probabilities and has no gradient where a probability underflows.)

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        q: The exponent, in (0, 1]. Defaults to 0.7.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for a q outside (0, 1].

    References:
        Zhang and Sabuncu, 2018, Eq. 6.
    """

    takes_weights = True

    def __init__(
        self, base: keras.Model, *, q: float = 0.7, name: str | None = None
    ) -> None:
        super().__init__(base, name=name)
        self.q = check_fraction("q", q, "(0, 1]")

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        # f^q - 1, without cancellation where f is near 1.
        power_minus_one = tf.math.expm1(self.q * tf.nn.log_softmax(logits))
        targets = losses.as_probabilities(labels, logits)
        return -tf.reduce_sum(targets * power_minus_one, axis=-1) / self.q
