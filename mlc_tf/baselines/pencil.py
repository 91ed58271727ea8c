"""PENCIL: the labels are learned along with the network."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.data import checks
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_rate
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel

# The logit of the given label to begin with; the others are 0.
_CONFIDENCE = 10.0
# The batch size for which the published rate of the labels holds.
_BATCH_SIZE = 128


class Pencil(PairModel):
    """Trains on a distribution d over labels for each example, learned too.

    With y the label logits of an example, d = softmax(y), t its given label, f
    the network's softmax and C classes, over a batch of n,

        L_c = mean of KL(f || d)      compatibility of network and labels
        L_o = mean of -log d[t]       with the given labels
        L_e = mean entropy of f       against flat predictions
        total = L_c / C + alpha L_o + beta L_e / C

    Stage 1 is plain cross-entropy. In stage 2 total moves theta by the
    optimizer, and y by plain descent with the rate lambda, in closed form

        d total / dy = (d - f) / (n C) + alpha (d - e_t) / n

    scaled by n / 128, so that lambda does not depend on the batch size. In
    stage 3 the labels are fixed and the loss is L_c / C. The noisy half of
    each element is `(x, label, index)` (`mlc_tf.data.pair(...,
    with_index=True)`); the clean half is not used.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        labels: The given class ids of all examples, `(examples,)`.
        stage_steps: After how many steps stages 1 and 2 end.
        alpha: Weight of L_o. Defaults to 0.1.
        beta: Weight of L_e. Defaults to 0.4.
        label_learning_rate: lambda. Defaults to 600.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for other labels, stages or rates.

    References:
        Yi and Wu, 2019, Eq. 2-8 (alpha and beta as the paper has them; its
        code has them swapped).
    """

    uses_index = True

    def __init__(
        self,
        base: keras.Model,
        *,
        labels: Any,
        stage_steps: tuple[int, int],
        alpha: float = 0.1,
        beta: float = 0.4,
        label_learning_rate: float = 600.0,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        given = checks.check_given(labels, self.num_classes)
        if len(stage_steps) != 2 or not 0 <= stage_steps[0] <= stage_steps[1]:
            raise bad_argument(
                "stage_steps", "(a, b) with 0 <= a <= b", stage_steps
            )
        self.stage_steps = tuple(int(steps) for steps in stage_steps)
        self.alpha = check_rate("alpha", alpha)
        self.beta = check_rate("beta", beta)
        self.label_learning_rate = check_rate(
            "label_learning_rate", label_learning_rate
        )
        self.forward_pass = AllWeights(base)
        self.label_logits = self.add_state(
            "label_logits",
            _CONFIDENCE * np.eye(self.num_classes, dtype=np.float32)[given],
        )

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, labels, indices), _ = data
        forward = self.forward_pass.forward(x)
        step = tf.cast(self.optimizer.iterations, tf.int64)
        first, second = self.stage_steps
        stage = tf.cast(step >= first, tf.int32) + tf.cast(
            step >= second, tf.int32
        )
        kernel = tf.convert_to_tensor(self.label_logits)
        label_logits = tf.cast(tf.gather(kernel, indices), forward.logits.dtype)
        with forward.tape:
            loss = tf.reduce_mean(
                self._example_loss(forward.logits, label_logits, labels, stage)
            )
        step_of_labels = label_step(
            forward.logits,
            label_logits,
            labels,
            self.alpha,
            self.label_learning_rate,
        )
        moved = tf.where(stage == 1, step_of_labels, 0.0)
        self._move_labels(indices, moved)
        return self.actual_train(forward, loss, labels)

    def _example_loss(
        self,
        logits: tf.Tensor,
        label_logits: tf.Tensor,
        labels: tf.Tensor,
        stage: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the loss of the stage 0, 1 or 2, without L_o, `(batch,)`.

        L_o has no gradient for the network.
        """
        probs = tf.nn.softmax(logits)
        log_probs = tf.nn.log_softmax(logits)
        log_targets = tf.nn.log_softmax(label_logits)
        compatibility = tf.reduce_sum(probs * (log_probs - log_targets), -1)
        entropy = -tf.reduce_sum(probs * log_probs, -1)
        beta = tf.where(stage == 1, tf.cast(self.beta, logits.dtype), 0.0)
        later = (compatibility + beta * entropy) / self.num_classes
        return tf.where(stage == 0, losses.cross_entropy(logits, labels), later)

    def _move_labels(self, indices: tf.Tensor, steps: tf.Tensor) -> None:
        # Of the global batch, since each replica keeps all labels.
        self.label_logits.assign(
            tf.tensor_scatter_nd_sub(
                tf.convert_to_tensor(self.label_logits),
                distribution.all_rows(indices)[:, tf.newaxis],
                tf.cast(distribution.all_rows(steps), self.label_logits.dtype),
            )
        )


def label_step(
    logits: tf.Tensor,
    label_logits: tf.Tensor,
    labels: tf.Tensor,
    alpha: float,
    rate: float,
) -> tf.Tensor:
    """Returns what is taken off the label logits, `(batch, classes)`."""
    probs = tf.nn.softmax(logits)
    targets = tf.nn.softmax(label_logits)
    given = losses.as_probabilities(labels, logits)
    gradient = (targets - probs) / logits.shape[-1]
    gradient += alpha * (targets - given)
    return tf.stop_gradient(rate / _BATCH_SIZE * gradient)
