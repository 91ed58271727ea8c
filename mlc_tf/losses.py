"""Losses as pure functions: from `(batch, classes)` logits to one loss each.

Labels are integer class ids, `(batch,)`, or rows of probabilities,
`(batch, classes)`. T is `(classes, classes)`,
`T[i, j] = p(noisy = j | clean = i)`.
"""

from typing import Any

import tensorflow as tf

from mlc_tf.errors import bad_argument

# Where the probability of the noisy label is lower, the derivative of the loss
# with respect to T is 0. Without this floor the derivative would grow like
# 1 / p(noisy label).
PROBABILITY_FLOOR = 1e-6
# Two replacements for log 0. The first exceeds any difference of logits; the
# second, for columns of zeros, is about the log of the smallest float32.
_LOG_ZERO, _LOG_TINY = -1e30, -87.0


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns `-log f[label]` (Eq. 1, 5, 6), where f = softmax(logits).

    The loss is written as a sum over classes, because TensorFlow's fused sparse
    loss has no second derivative on some devices.

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.

    Returns:
        `(batch,)`, in nats, with the dtype of the logits.
    """
    targets = as_probabilities(labels, logits)
    return -tf.reduce_sum(targets * tf.nn.log_softmax(logits), axis=-1)


def mean_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, class_weight: Any = None
) -> tf.Tensor:
    """Returns the mean cross-entropy of a batch (Eq. 6).

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.
        class_weight: `(classes,)`, the factor of the loss of an example of each
            class. Defaults to None, 1 for every class.

    Returns:
        A scalar, in nats.
    """
    loss = cross_entropy(logits, labels)
    if class_weight is not None:
        weights = tf.cast(class_weight, logits.dtype)
        loss *= tf.linalg.matvec(as_probabilities(labels, logits), weights)
    return tf.reduce_mean(loss)


def weighted_mean(example_losses: tf.Tensor, weights: Any = None) -> tf.Tensor:
    """Returns the mean of the losses, each times its weight, a scalar.

    The sum is divided by the number of examples, as Keras' losses do.

    Args:
        example_losses: `(batch,)`.
        weights: `(batch,)`. Defaults to None, 1 for every example.
    """
    if weights is not None:
        example_losses *= tf.cast(weights, example_losses.dtype)
    return tf.reduce_mean(example_losses)


def mean_absolute_error(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns `sum_k |label_k - f_k|`, where f = softmax(logits).

    For a class id that is `2 (1 - f[label])`, at most 2.

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.

    Returns:
        `(batch,)`, with the dtype of the logits.

    References:
        Ghosh et al., 2017: the loss is robust to noise that is spread evenly.
    """
    targets = as_probabilities(labels, logits)
    return tf.reduce_sum(tf.abs(targets - tf.nn.softmax(logits)), axis=-1)


def corrected_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, transition: tf.Tensor
) -> tf.Tensor:
    """Returns `-log (f @ T)[label]` (Eq. 2, 3), where f = softmax(logits).

    The gradient with respect to the logits is exact everywhere: it is `f - p`,
    where p is the posterior over the clean classes. T = I gives plain
    cross-entropy. Where `(f @ T)[label]` is below `PROBABILITY_FLOOR`, the
    derivative with respect to T is 0.

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.
        transition: T, `(classes, classes)`, rows are clean classes.

    Returns:
        `(batch,)`, in nats, with the dtype of the logits.

    References:
        Patrini et al., 2017: the "forward" correction.
    """
    if labels.shape.rank == 1:
        ids = tf.cast(labels, tf.int64)
        columns = tf.gather(tf.transpose(transition), ids)  # T[:, label]
        return mixture_cross_entropy(logits, columns)
    _check_shapes(labels, logits)
    every_label = mixture_cross_entropy(
        logits[:, tf.newaxis, :], tf.transpose(transition)
    )
    return tf.reduce_sum(tf.cast(labels, logits.dtype) * every_label, axis=-1)


def mixture_cross_entropy(logits: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Returns `-log sum_k f[k] columns[k]`, where f = softmax(logits).

    `corrected_cross_entropy` calls this function with the columns of T that
    belong to the labels.

    Args:
        logits: `(..., classes)`.
        columns: `T[:, label]` of each example, `(..., classes)` or a shape that
            broadcasts to it.

    Returns:
        `(...)`, in nats, with the dtype of the logits.
    """
    log_probs = tf.nn.log_softmax(logits)
    mixture = tf.reduce_sum(tf.exp(log_probs) * columns, axis=-1)
    floor = tf.constant(PROBABILITY_FLOOR, mixture.dtype)
    # Below the floor the loss is exact in the logits (by log-sum-exp) and
    # constant in T. The entries of a column of zeros, an impossible label, are
    # treated as equal, so that its gradient with respect to the logits is 0.
    constant = tf.stop_gradient(columns)
    possible = tf.reduce_any(constant > 0, axis=-1, keepdims=True)
    log_zero = tf.where(possible, _LOG_ZERO, _LOG_TINY)
    log_columns = tf.where(
        constant > 0,
        tf.math.log(tf.where(constant > 0, constant, tf.ones_like(constant))),
        tf.cast(log_zero, constant.dtype),
    )
    below = tf.reduce_logsumexp(log_probs + log_columns, axis=-1)
    above = tf.math.log(tf.maximum(mixture, floor))
    # Not `>= floor`: with it, a NaN in T would not appear in the loss.
    return -tf.where(mixture < floor, below, above)


def logits_corrected_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, transition: tf.Tensor
) -> tf.Tensor:
    """Returns the cross-entropy of `logits @ T`, as in the authors' code.

    This T mixes log-probabilities: the model is a product of experts, and T is
    not a transition matrix (released code: `main.py`, lines 170-174, 197-200).

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.
        transition: T, `(classes, classes)`; row i holds the weights of logit i.

    Returns:
        `(batch,)`, in nats, with the dtype of the logits.
    """
    return cross_entropy(logits @ transition, labels)


def as_probabilities(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns labels as probabilities, shape and dtype of the logits.

    Args:
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.
        logits: `(batch, classes)`; their values are not used.
    """
    _check_shapes(labels, logits)
    if labels.shape.rank == 1:
        ids = tf.cast(labels, tf.int64)
        return tf.one_hot(ids, logits.shape[-1], dtype=logits.dtype)
    return tf.cast(labels, logits.dtype)


def _check_shapes(labels: tf.Tensor, logits: tf.Tensor) -> None:
    """Raises an `InputError` for labels that would be broadcast."""
    if labels.shape.rank == 1 or labels.shape.is_compatible_with(logits.shape):
        return
    raise bad_argument(
        "labels",
        "of shape (batch,), or (batch, classes) as the logits",
        tuple(labels.shape),
    )
