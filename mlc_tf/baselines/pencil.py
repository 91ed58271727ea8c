"""PENCIL: learns a distribution over labels for each example."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.data import checks
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_rate
from mlc_tf.errors import is_integer
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel

# The initial logit of the given label; the other logits start at 0.
_CONFIDENCE = 10.0
# The batch size for which the label rate was published.
_BATCH_SIZE = 128


class Pencil(PairModel):
    """Trains the network and a label distribution d of each example together.

    Each example has label logits y with d = softmax(y), and a given label t
    with one-hot vector e_t. The network's softmax is f, the number of classes
    is C, and the means are over a batch of n:

        L_c = mean of KL(f || d)   makes network and labels compatible
        L_o = mean of -log d[t]    keeps d near the given labels
        L_e = mean entropy of f    avoids flat predictions
        total = L_c / C + alpha L_o + beta L_e / C

    Stage 1 trains by plain cross-entropy. In stage 2 the optimizer minimises
    `total` over theta, and y takes a plain gradient step with rate lambda on

        d total / dy = (d - f) / (n C) + alpha (d - e_t) / n

    scaled by n / 128, so that lambda does not depend on the batch size. In
    stage 3 the labels are fixed and the loss is L_c / C. The noisy half of
    each element is `(x, label, index)`
    (`mlc_tf.data.pair(..., with_index=True)`); the clean half is not used.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        labels: The given class ids of all examples, `(examples,)`.
        stage_steps: The numbers of steps `(a, b)` after which stages 1 and 2
            end, counted from the start of training, 0 <= a <= b.
        alpha: The weight of L_o, a float >= 0. Defaults to 0.1.
        beta: The weight of L_e, a float >= 0. Defaults to 0.4.
        label_learning_rate: lambda, a float >= 0. Defaults to 600.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if a label is not a class id, the stages are not in order,
            or a number is not a finite float >= 0.

    References:
        Yi and Wu, 2019, Eq. 2-8. alpha and beta are named as in their paper;
        their code swaps the names.
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
        self.num_examples = len(given)
        if (
            not isinstance(stage_steps, (tuple, list, np.ndarray))
            or len(stage_steps) != 2
            or not all(map(is_integer, stage_steps))
            or not 0 <= stage_steps[0] <= stage_steps[1]
        ):
            raise bad_argument(
                "stage_steps", "integers (a, b) with 0 <= a <= b", stage_steps
            )
        self.stage_steps = tuple(int(steps) for steps in stage_steps)
        self.alpha = check_rate("alpha", alpha)
        self.beta = check_rate("beta", beta)
        self.label_learning_rate = check_rate(
            "label_learning_rate", label_learning_rate
        )
        self.forward_pass = AllWeights(base)
        self.step = self.add_step_counter()
        self.label_logits = self.add_state(
            "label_logits",
            _CONFIDENCE * np.eye(self.num_classes, dtype=np.float32)[given],
        )

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, labels, indices), _ = data
        forward = self.forward_pass.forward(x)
        step = tf.convert_to_tensor(self.step)
        self.step.assign_add(1)
        first, second = self.stage_steps
        # Counted from 0, unlike in the class docstring.
        stage = tf.cast(step >= first, tf.int32) + tf.cast(
            step >= second, tf.int32
        )
        all_logits = tf.convert_to_tensor(self.label_logits)
        label_logits = tf.cast(
            tf.gather(all_logits, indices), forward.logits.dtype
        )
        with forward.tape:
            loss = tf.reduce_mean(
                self._example_loss(forward.logits, label_logits, labels, stage)
            )
        decrease = label_step(
            forward.logits,
            label_logits,
            labels,
            self.alpha,
            self.label_learning_rate,
        )
        self._move_labels(indices, tf.where(stage == 1, decrease, 0.0))
        return self.actual_train(forward, loss, labels)

    def _example_loss(
        self,
        logits: tf.Tensor,
        label_logits: tf.Tensor,
        labels: tf.Tensor,
        stage: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the loss of the network in stage 0, 1 or 2, `(batch,)`.

        L_o is left out, because its gradient for the network is 0.
        """
        probs = tf.nn.softmax(logits)
        log_probs = tf.nn.log_softmax(logits)
        log_targets = tf.nn.log_softmax(label_logits)
        compatibility = tf.reduce_sum(probs * (log_probs - log_targets), -1)
        entropy = -tf.reduce_sum(probs * log_probs, -1)
        beta = tf.where(stage == 1, tf.cast(self.beta, logits.dtype), 0.0)
        later = (compatibility + beta * entropy) / self.num_classes
        return tf.where(stage == 0, losses.cross_entropy(logits, labels), later)

    def _move_labels(self, indices: tf.Tensor, decrease: tf.Tensor) -> None:
        # Every replica stores all labels, so the global batch is moved.
        self.label_logits.assign(
            tf.tensor_scatter_nd_sub(
                tf.convert_to_tensor(self.label_logits),
                distribution.all_rows(indices)[:, tf.newaxis],
                tf.cast(
                    distribution.all_rows(decrease), self.label_logits.dtype
                ),
            )
        )


def label_step(
    logits: tf.Tensor,
    label_logits: tf.Tensor,
    labels: tf.Tensor,
    alpha: float,
    rate: float,
) -> tf.Tensor:
    """Returns the step to subtract from the label logits in stage 2.

    Args:
        logits: The network's logits, `(batch, classes)`.
        label_logits: y, `(batch, classes)`.
        labels: Given labels, `(batch,)` ids or `(batch, classes)`
            probabilities.
        alpha: The weight of L_o.
        rate: lambda.

    Returns:
        `(batch, classes)`, without a gradient.
    """
    probs = tf.nn.softmax(logits)
    targets = tf.nn.softmax(label_logits)
    given = losses.as_probabilities(labels, logits)
    gradient = (targets - probs) / logits.shape[-1]
    gradient += alpha * (targets - given)
    return tf.stop_gradient(rate / _BATCH_SIZE * gradient)
