"""Masking without an adversary: T is learned where the prior allows it."""

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
    """Learns the network and a masked T jointly on the noisy labels.

        T = softmax(L + log M), row by row; M of zeros and ones
        theta and L minimise the mean of -log (f @ T)[noisy label]

    L starts from the log of an estimate of T and moves by plain gradient
    descent. This method is our replacement for the adversarial game of
    `masking.Masking`: an entry that M forbids is exactly 0. The clean half of
    each element is not used.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: The estimate of T, `(classes, classes)`, rows are clean
            classes and sum to 1.
        structure: M, `(classes, classes)` of 0 and 1, with a diagonal of ones.
            Rows are clean classes; 1 marks an entry that T may have.
        noise_learning_rate: The rate for L, a float >= 0. Defaults to 1.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if `transition` or `structure` is not such a matrix, or the
            rate is not a finite float >= 0.

    References:
        Adapted from Han et al., 2018, arXiv:1805.08193.
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
        estimate = transitions.validate(transition, self.num_classes)
        self.structure = transitions.check_structure(
            structure, self.num_classes
        )
        self.noise_learning_rate = check_rate(
            "noise_learning_rate", noise_learning_rate
        )
        self.forward_pass = AllWeights(base)
        self.transition_logits = self.add_state(
            "transition_logits", np.log(np.maximum(estimate, 1e-4))
        )

    @property
    def transition_matrix(self) -> np.ndarray:
        """T, `(classes, classes)`, rows are clean classes and sum to 1."""
        return np.asarray(
            self._transition(tf.convert_to_tensor(self.transition_logits))
        )

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), _ = data
        forward = self.forward_pass.forward(x)
        transition_logits = tf.cast(
            self.transition_logits, forward.logits.dtype
        )
        with forward.tape:
            forward.tape.watch(transition_logits)
            loss = tf.reduce_mean(
                losses.corrected_cross_entropy(
                    forward.logits,
                    noisy_labels,
                    self._transition(transition_logits),
                )
            )
        (gradient,) = distribution.global_mean(
            [forward.tape.gradient(loss, transition_logits)]
        )
        self.transition_logits.assign(
            transition_logits - self.noise_learning_rate * gradient
        )
        return self.actual_train(forward, loss, noisy_labels)

    def _transition(self, transition_logits: tf.Tensor) -> tf.Tensor:
        """Returns T for logits L, `(classes, classes)`."""
        allowed = tf.constant(self.structure == 1)
        log_zero = tf.constant(_LOG_ZERO, transition_logits.dtype)
        return tf.nn.softmax(tf.where(allowed, transition_logits, log_zero))
