"""VolMinNet: T is learned with the network, without trusted labels."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.errors import check_rate
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel

# The start of W: each other class then weighs sigmoid(-2) = 0.12 beside 1 for
# the own class.
_START = -2.0


class VolumeMinimization(PairModel):
    """Trains the network and T on the corrected loss plus T's volume.

        T = rows of (1 on the diagonal, sigmoid(W) elsewhere), each divided by
            its sum
        loss = mean of -log (f @ T)[noisy label] + volume_weight * log |det T|

    Of all T that explain the noisy labels, the true T has the least volume if
    the true probabilities of the examples are spread widely enough
    ("sufficiently scattered"). No trusted label is needed: the clean half of
    each element is not read. The optimizer moves the network. W, `(classes,
    classes)`, moves by plain gradient descent.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        volume_weight: The weight of log |det T|, >= 0. Defaults to 1e-4.
        transition_learning_rate: The rate of W, a float >= 0. Defaults to 1.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if a weight or rate is not a finite float >= 0.

    References:
        Li et al., 2021, "Provably end-to-end label-noise learning without
        anchor points", Eq. 4; its released code has this form of T.
    """

    def __init__(
        self,
        base: keras.Model,
        *,
        volume_weight: float = 1e-4,
        transition_learning_rate: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        self.volume_weight = check_rate("volume_weight", volume_weight)
        self.transition_learning_rate = check_rate(
            "transition_learning_rate", transition_learning_rate
        )
        self.forward_pass = AllWeights(base)
        shape = (self.num_classes, self.num_classes)
        self.kernel = self.add_state("confusions", np.full(shape, _START))

    @property
    def transition_matrix(self) -> np.ndarray:
        """T, `(classes, classes)`; rows are clean classes and sum to 1."""
        return np.asarray(transition_of(tf.convert_to_tensor(self.kernel)))

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), _ = data
        forward = self.forward_pass.forward(x)
        kernel = tf.cast(self.kernel, forward.logits.dtype)
        with forward.tape:
            forward.tape.watch(kernel)
            transition = transition_of(kernel)
            loss = tf.reduce_mean(
                losses.corrected_cross_entropy(
                    forward.logits, noisy_labels, transition
                )
            )
            loss += self.volume_weight * log_volume(transition)
        (gradient,) = distribution.global_mean(
            [forward.tape.gradient(loss, kernel)]
        )
        self.kernel.assign(kernel - self.transition_learning_rate * gradient)
        return self.actual_train(forward, loss, noisy_labels)


def transition_of(kernel: tf.Tensor) -> tf.Tensor:
    """Returns the T of W, `(classes, classes)`; its rows sum to 1."""
    ones = tf.ones(tf.shape(kernel)[:1], kernel.dtype)
    odds = tf.linalg.set_diag(tf.sigmoid(kernel), ones)
    return odds / tf.reduce_sum(odds, axis=1, keepdims=True)


def log_volume(transition: tf.Tensor) -> tf.Tensor:
    """Returns log |det T|, a scalar, in a form that XLA can compile."""
    square = tf.matmul(transition, transition, transpose_b=True)
    return tf.linalg.logdet(square) / 2.0
