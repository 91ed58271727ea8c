"""Masking without its game: T is learned where a prior allows an entry."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import check_rate
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel

_LOG_ZERO = -1e9


class MaskingHard(PairModel):
    """Learns T with the network on the noisy labels, masked by a structure.

        T = softmax over rows of (L + log M),   M of zeros and ones
        theta and L by the mean of -log (f @ T)[noisy label]

    L starts from the log of an estimate and moves by plain descent. Ours, in
    the place of the adversarial game of `masking.Masking`: what M forbids is
    exactly 0. The clean half of each element is not used.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: Where L starts, `(classes, classes)`, rows are clean
            classes and sum to 1.
        structure: M, `(classes, classes)` of 0 and 1, with a diagonal of ones.
        noise_learning_rate: The rate for L. Defaults to 1.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for another T, structure or rate.

    References:
        After Han et al., 2018, arXiv:1805.08193.
    """

    def __init__(
        self,
        base: keras.Model,
        *,
        transition: Any,
        structure: Any,
        noise_learning_rate: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        start = transitions.validate(transition, self.num_classes)
        self.structure = transitions.check_structure(
            structure, self.num_classes
        )
        self.noise_learning_rate = check_rate(
            "noise_learning_rate", noise_learning_rate
        )
        self.forward_pass = AllWeights(base)
        self.kernel = self.add_state(
            "transition_logits", np.log(np.maximum(start, 1e-4))
        )

    @property
    def transition_matrix(self) -> np.ndarray:
        """T, `(classes, classes)`, rows are clean classes and sum to 1."""
        return np.asarray(self._channel(tf.convert_to_tensor(self.kernel)))

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), _ = data
        forward = self.forward_pass.forward(x)
        kernel = tf.cast(self.kernel, forward.logits.dtype)
        with forward.tape:
            forward.tape.watch(kernel)
            loss = tf.reduce_mean(
                losses.corrected_cross_entropy(
                    forward.logits, noisy_labels, self._channel(kernel)
                )
            )
        (gradient,) = distribution.global_mean(
            [forward.tape.gradient(loss, kernel)]
        )
        self.kernel.assign(kernel - self.noise_learning_rate * gradient)
        return self.actual_train(forward, loss, noisy_labels)

    def _channel(self, kernel: tf.Tensor) -> tf.Tensor:
        allowed = tf.constant(self.structure == 1)
        lowest = tf.constant(_LOG_ZERO, kernel.dtype)
        return tf.nn.softmax(tf.where(allowed, kernel, lowest))
