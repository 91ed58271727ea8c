"""The paper's "Baseline (FC)": a learned noise layer above the network."""

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
# The diagonal of T before training, in the space "probabilities".
_DIAGONAL = 0.9


class NoiseLayer(PairModel):
    """Alternates a clean step without the layer and a noisy step with it.

    Let z be the logits, f their softmax, and A the weights of the layer,
    `(classes, classes)`.

        clean step:  theta minimises the mean of -log f[clean label]
        noisy step:  theta and A minimise the mean of -log q[noisy label]

        space "logits":         q = softmax(z A)
        space "probabilities":  q = f T, T = softmax(A), row by row

    In the space "logits" A starts from the identity. In the space
    "probabilities" T starts with 0.9 on the diagonal and equal entries
    elsewhere. The optimizer takes two steps per element; A moves by plain
    gradient descent. `predict` does not use the layer.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        space: What the layer multiplies, "probabilities" or "logits". The
            paper does not specify it. Defaults to "probabilities".
        noise_learning_rate: The rate for A, a float >= 0. Defaults to 1.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for an unknown space, or if the rate is not a finite float
            >= 0.

    References:
        The paper, section 4.3 and Fig. 5; Sukhbaatar et al., 2015; Jindal et
        al., 2016 (logits); Goldberger and Ben-Reuven, 2017 (probabilities).
    """

    needs_clean = True

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
        """T, `(classes, classes)`; None in the space "logits".

        Rows are clean classes and sum to 1.
        """
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
        transition = tf.nn.softmax(kernel)
        return losses.corrected_cross_entropy(logits, labels, transition)
