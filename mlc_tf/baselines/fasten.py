"""FasTEN: a second head estimates T in each step, in one backward pass."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.errors import check_fraction
from mlc_tf.errors import check_rate
from mlc_tf.models.forward_pass import LastLayer
from mlc_tf.models.pair_model import PairModel


class Fasten(PairModel):
    """Trains a clean head and a noisy head on shared features.

    f is the softmax of the base (the clean head), and g is the softmax of a
    second Dense layer on the same features (the noisy head). T[i, :] is the
    mean of g over the clean examples of class i in the batch, held constant.
    The loss over n noisy and m clean examples is

        loss = 1/(n + m) [ sum over noisy examples of -log (f @ T)[label]
                           + sum over clean examples of -log f[label] ]
               + noisy_weight * 1/n sum over noisy examples of -log g[label]

    Where the largest entry of f is at least `threshold`, its class replaces the
    noisy label in later steps. T starts from the identity. A class that is
    missing from the clean batch keeps its former row. (The published code draws
    batches with equally many examples of each class.) The noisy half of each
    element is `(x, label, index)` (`mlc_tf.data.pair(..., with_index=True)`).

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`,
            Sequential or functional, that ends in a trainable linear Dense
            layer.
        labels: The given class ids of all noisy examples, `(examples,)`.
        noisy_weight: The weight of the noisy head's loss, a float >= 0.
            Defaults to 0.5.
        threshold: The probability from which on a label is replaced, in
            (0, 1]. Defaults to 0.8.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if the base does not end in such a layer, a label is not a
            class id, or a number is outside its range.

    References:
        Kye et al., 2022, arXiv:2204.02533, and its code.
    """

    needs_clean = True
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
        self.threshold = check_fraction("threshold", threshold, "(0, 1]")
        given = checks.check_given(labels, self.num_classes)
        self.num_examples = len(given)
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
        size = tf.shape(noisy_labels)[0]
        both = tf.nest.map_structure(_joined, x, x_clean)
        forward = self.forward_pass.forward(both)
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
        """Returns T from the clean batch of all replicas, and stores it."""
        probs = tf.stop_gradient(tf.nn.softmax(noisy_logits))
        classes = losses.as_probabilities(clean_labels, probs)
        sums, counts = distribution.global_mean(
            [
                tf.matmul(classes, probs, transpose_a=True),
                tf.reduce_sum(classes, axis=0)[:, tf.newaxis],
            ]
        )
        former = tf.cast(self.transition, probs.dtype)
        transition = tf.where(
            counts > 0, tf.math.divide_no_nan(sums, counts), former
        )
        self.transition.assign(transition)
        return transition

    def _correct(
        self, indices: tf.Tensor, labels: tf.Tensor, logits: tf.Tensor
    ) -> None:
        """Replaces the labels of the batch that f is sure of."""
        probs = tf.nn.softmax(logits)
        predicted = tf.argmax(probs, axis=-1, output_type=labels.dtype)
        is_sure = tf.reduce_max(probs, axis=-1) >= self.threshold
        self.set_rows(
            self.corrected, indices, tf.where(is_sure, predicted, labels)
        )


def _joined(values: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Returns two batches as one, also if their dtypes or last axes differ.

    Args:
        values: `(batch, ...)`.
        others: `(others, ...)`; an axis of size 1 may be missing in either.
    """
    dtype = np.result_type(
        values.dtype.as_numpy_dtype, others.dtype.as_numpy_dtype
    )
    if others.shape.rank != values.shape.rank:
        others = tf.reshape(others, [-1, *values.shape[1:]])
    return tf.concat([tf.cast(values, dtype), tf.cast(others, dtype)], 0)
