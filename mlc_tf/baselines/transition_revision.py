"""T-Revision: importance weights from a T that is revised while training."""

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


class TransitionRevision(PairModel):
    """Trains on cross-entropy with importance weights, and revises T.

    With f the softmax of the base and g the noisy label of an example,

        weight = f[g] / (f @ T)[g]
        loss   = mean of weight * -log f[g]

    is the clean risk if f and T are right. The optimizer moves the network with
    the weights held constant. T starts from `transition` and moves down the
    gradient of the loss through the weights, at `revision_rate`. Its rows are
    then normalised (ours): otherwise the loss would fall as all of T grows.

    Start from a network that is trained on the noisy labels, at a low rate.
    Where f[label] is near 0 so is the weight: a network that predicts one class
    for all inputs has a loss of 0, and stays.

    The published method trains with a fixed T first, revises T afterwards by
    Adam, and keeps the best epoch on noisy held-out labels. The baseline
    "t_revision" does both at once, and keeps the last epoch of both phases.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: The first T, `(classes, classes)`, rows are clean classes
            and sum to 1, as `forward_correction.anchor_point_transition`
            returns it.
        revision_rate: The rate of T, a float >= 0. Defaults to 0: T stays
            fixed, as in the second stage of the published method.
        name: Name of the model. Defaults to a unique name.

    Raises:
        InputError: if `transition` is not such a matrix, or the rate is not a
            finite float >= 0.

    References:
        Xia et al., 2019, "Are anchor points really indispensable in label-noise
        learning?" (T-Revision).
    """

    def __init__(
        self,
        base: keras.Model,
        *,
        transition: Any,
        revision_rate: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        self.revision_rate = check_rate("revision_rate", revision_rate)
        self.forward_pass = AllWeights(base)
        self.transition_variable = self.add_state(
            "transition", transitions.validate(transition, self.num_classes)
        )

    @property
    def transition_matrix(self) -> np.ndarray:
        """T, `(classes, classes)`; rows are clean classes and sum to 1."""
        return np.asarray(self.transition_variable.value)

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), _ = data
        forward = self.forward_pass.forward(x)
        logits = forward.logits
        transition = tf.cast(
            tf.convert_to_tensor(self.transition_variable), logits.dtype
        )
        with forward.tape:
            plain = losses.cross_entropy(logits, noisy_labels)
            weights = tf.stop_gradient(
                importance_weights(logits, noisy_labels, transition)
            )
            loss = tf.reduce_mean(weights * plain)
        if self.revision_rate:
            with tf.GradientTape() as tape:
                tape.watch(transition)
                weights = importance_weights(logits, noisy_labels, transition)
                weighted = tf.reduce_mean(weights * plain)
            (gradient,) = distribution.global_mean(
                [tape.gradient(weighted, transition)]
            )
            moved = transition - self.revision_rate * gradient
            self.transition_variable.assign(
                transitions.normalize(tf.nn.relu(moved), "rows")
            )
        return self.actual_train(forward, loss, noisy_labels)


def importance_weights(
    logits: tf.Tensor, labels: tf.Tensor, transition: tf.Tensor
) -> tf.Tensor:
    """Returns `f[label] / (f @ T)[label]`, `(batch,)`, f = softmax(logits).

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.
        transition: T, `(classes, classes)`, rows are clean classes.
    """
    corrected = losses.corrected_cross_entropy(logits, labels, transition)
    return tf.exp(corrected - losses.cross_entropy(logits, labels))
