"""Baseline (FC): a layer of noise above the network, learned with it."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.errors import check_rate
from mlc_tf.errors import unknown_name
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel

SPACES = ("probabilities", "logits")
# Of a row of the channel, before training.
_DIAGONAL = 0.9


class NoiseLayer(PairModel):
    """Alternates a clean step without the layer and a noisy step with it.

    With z the logits, f their softmax and A the layer's weights, C by C,

        clean step:   theta by -log f[clean label]
        noisy step:   theta and A by -log q[noisy label]
        q = softmax(z A), A from the identity           space "logits"
        q = f softmax_rows(A), A from 0.9 on the        space "probabilities"
            diagonal after the softmax

    The optimizer takes two steps for each element. A is moved by plain
    gradient descent. `predict` leaves the layer out.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        space: What the layer acts on, "probabilities" or "logits"; the paper
            does not say which. Defaults to "probabilities".
        noise_learning_rate: The rate for A. Defaults to 1.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for another space, or a rate that is no finite float >= 0.

    References:
        The paper, section 4.3 and Fig. 5; Sukhbaatar et al., 2015; Jindal et
        al., 2016 (logits); Goldberger and Ben-Reuven, 2017 (probabilities).
    """

    def __init__(
        self,
        base: keras.Model,
        *,
        space: str = "probabilities",
        noise_learning_rate: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        if space not in SPACES:
            raise unknown_name("space", space, SPACES)
        self.space = space
        self.noise_learning_rate = check_rate(
            "noise_learning_rate", noise_learning_rate
        )
        self.forward_pass = AllWeights(base)
        scale = 1.0
        if space == "probabilities":
            odds = _DIAGONAL / (1 - _DIAGONAL) * (self.num_classes - 1)
            scale = math.log(odds)
        self.kernel = self.add_state(
            "noise_layer", scale * np.eye(self.num_classes)
        )

    @property
    def transition_matrix(self) -> np.ndarray | None:
        """The channel, rows are clean classes; None in the space "logits"."""
        if self.space == "logits":
            return None
        return np.asarray(tf.nn.softmax(tf.convert_to_tensor(self.kernel)))

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), (x_clean, clean_labels) = data
        clean = self.forward_pass.forward(x_clean)
        with clean.tape:
            loss = tf.reduce_mean(
                losses.cross_entropy(clean.logits, clean_labels)
            )
        self.optimizer_step(clean, loss)
        noisy = self.forward_pass.forward(x)
        kernel = tf.cast(self.kernel, noisy.logits.dtype)
        with noisy.tape:
            noisy.tape.watch(kernel)
            loss = tf.reduce_mean(
                self._noisy_loss(noisy.logits, noisy_labels, kernel)
            )
        (gradient,) = distribution.global_mean(
            [noisy.tape.gradient(loss, kernel)]
        )
        self.kernel.assign(kernel - self.noise_learning_rate * gradient)
        return self.actual_train(noisy, loss, noisy_labels)

    def _noisy_loss(
        self, logits: tf.Tensor, labels: tf.Tensor, kernel: tf.Tensor
    ) -> tf.Tensor:
        if self.space == "logits":
            return losses.cross_entropy(logits @ kernel, labels)
        channel = tf.nn.softmax(kernel)
        return losses.corrected_cross_entropy(logits, labels, channel)
