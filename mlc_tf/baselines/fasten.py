"""FasTEN: T estimated in each step by a second head, in one backward pass."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_rate
from mlc_tf.models.forward_pass import LastLayer
from mlc_tf.models.pair_model import PairModel


class Fasten(PairModel):
    """Trains two heads on shared features: one clean, one noisy.

    With f the softmax of the base (the clean head) and g that of a second
    Dense layer on the same features (the noisy head), T[i, :] is the mean of g
    over the clean examples of class i in the batch, held constant, and

        loss = mean over noisy and clean examples of
                   -log (f @ T)[label] and -log f[label], respectively
               + noisy_weight * mean over the noisy ones of -log g[label]

    A noisy label of which f is surer than `threshold` (of whichever class) is
    replaced by that class in the visits to come. A class that is not in the
    clean batch keeps the row that it had (the published code draws batches
    with the same number of each class); rows start from the identity. The
    noisy half of each element is `(x, label, index)`
    (`mlc_tf.data.pair(..., with_index=True)`).

    Args:
        base: A built `keras.Model`, Sequential or functional, that ends in a
            linear Dense layer.
        labels: The given class ids of all noisy examples, `(examples,)`.
        noisy_weight: Of the noisy head's loss. Defaults to 0.5.
        threshold: Of the correction of labels, in (0, 1]. Defaults to 0.8.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for another base, labels, weight or threshold.

    References:
        Kye et al., 2022, arXiv:2204.02533, and its code.
    """

    uses_index = True

    def __init__(
        self,
        base: keras.Model,
        *,
        labels: Any,
        noisy_weight: float = 0.5,
        threshold: float = 0.8,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        self.noisy_weight = check_rate("noisy_weight", noisy_weight)
        if not 0 < threshold <= 1:
            raise bad_argument("threshold", "in (0, 1]", threshold)
        self.threshold = float(threshold)
        given = checks.check_given(labels, self.num_classes)
        try:
            self.forward_pass = LastLayer(base)
        except InputError as error:
            raise InputError(
                "`base` should be a Sequential or functional model that ends "
                "in a trainable linear Dense layer. Received: `base` = a "
                f"{type(base).__name__} that does not."
            ) from error
        self.noisy_head = keras.layers.Dense(
            self.num_classes, name="noisy_head", dtype="float32"
        )
        self.noisy_head.build(self.forward_pass.features_shape)
        self.transition = self.add_state("transition", np.eye(self.num_classes))
        self.corrected = self.add_state("corrected_labels", given, "int32")

    @property
    def transition_matrix(self) -> np.ndarray:
        """T, `(classes, classes)`, rows are clean classes and sum to 1."""
        return np.asarray(self.transition.value)

    @property
    def optimized_variables(self) -> list[keras.Variable]:
        return [
            *self.base.trainable_variables,
            *self.noisy_head.trainable_variables,
        ]

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, indices), (x_clean, clean_labels) = data
        size = tf.shape(x)[0]
        forward = self.forward_pass.forward(tf.concat([x, x_clean], 0))
        labels = tf.gather(tf.convert_to_tensor(self.corrected), indices)
        with forward.tape:
            logits, clean_logits = forward.logits[:size], forward.logits[size:]
            noisy_logits = tf.cast(
                self.noisy_head(forward.features), logits.dtype
            )
            transition = self._estimate(noisy_logits[size:], clean_labels)
            corrected = losses.corrected_cross_entropy(
                logits, labels, tf.cast(transition, logits.dtype)
            )
            plain = losses.cross_entropy(clean_logits, clean_labels)
            noisy = losses.cross_entropy(noisy_logits[:size], labels)
            loss = tf.reduce_mean(tf.concat([corrected, plain], 0))
            loss += self.noisy_weight * tf.reduce_mean(noisy)
        self._correct(indices, labels, logits)
        self.optimizer_step(forward, loss)
        return self.training_metrics(loss, logits, noisy_labels)

    def _estimate(
        self, noisy_logits: tf.Tensor, clean_labels: tf.Tensor
    ) -> tf.Tensor:
        """Returns T of this batch, over all replicas, and keeps it."""
        probs = tf.stop_gradient(tf.nn.softmax(noisy_logits))
        classes = losses.as_probabilities(clean_labels, probs)
        sums, counts = distribution.global_mean(
            [
                tf.matmul(classes, probs, transpose_a=True),
                tf.reduce_sum(classes, axis=0)[:, tf.newaxis],
            ]
        )
        kept = tf.cast(self.transition, probs.dtype)
        transition = tf.where(
            counts > 0, tf.math.divide_no_nan(sums, counts), kept
        )
        self.transition.assign(transition)
        return transition

    def _correct(
        self, indices: tf.Tensor, labels: tf.Tensor, logits: tf.Tensor
    ) -> None:
        probs = tf.nn.softmax(logits)
        surest = tf.argmax(probs, axis=-1, output_type=labels.dtype)
        sure = tf.reduce_max(probs, axis=-1) >= self.threshold
        # Of the global batch, since each replica keeps all labels. Not by
        # adding: an example can be twice in a batch where two passes meet.
        self.corrected.assign(
            tf.tensor_scatter_nd_update(
                tf.convert_to_tensor(self.corrected),
                distribution.all_rows(indices)[:, tf.newaxis],
                distribution.all_rows(tf.where(sure, surest, labels)),
            )
        )
