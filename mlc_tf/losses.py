"""Pure losses: `(batch, classes)` logits in, `(batch,)` or their mean out.

Labels are integer class ids, `(batch,)`, or rows of probabilities,
`(batch, classes)`, which mean what they say. T is `(classes, classes)`,
`T[i, j] = p(noisy = j | clean = i)`.
"""

from typing import Any

import tensorflow as tf

# Below this probability of the noisy label the loss says nothing of T any
# more: its derivative with respect to T grows like 1 / p(noisy label).
PROBABILITY_FLOOR = 1e-6
# What stands for log 0: beyond any difference of logits; and, in a column of
# zeros, about the log of the smallest float32.
_LOG_ZERO, _LOG_TINY = -1e30, -87.0


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns `-log f[label]` (Eq. 1, 5, 6), f the softmax of the logits.

    Written as a sum over classes, since the second derivative of TensorFlow's
    fused sparse loss is not defined for every device.

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
        class_weight: `(classes,)`, what an example of each class counts.
            Defaults to 1.

    Returns:
        A scalar, in nats.
    """
    loss = cross_entropy(logits, labels)
    if class_weight is not None:
        weights = tf.cast(class_weight, logits.dtype)
        loss *= tf.linalg.matvec(as_probabilities(labels, logits), weights)
    return tf.reduce_mean(loss)


def corrected_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, transition: tf.Tensor
) -> tf.Tensor:
    """Returns `-log (f @ T)[label]` (Eq. 2, 3), f the softmax of the logits.

    Exact in the logits everywhere: its gradient is `f - p`, with p the
    posterior over the clean classes, and T = I gives plain cross-entropy. Where
    `(f @ T)[label]` falls below `PROBABILITY_FLOOR` the derivative with respect
    to T is 0.

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.
        transition: T, `(classes, classes)`, rows are clean classes.

    Returns:
        `(batch,)`, in nats, with the dtype of the logits.

    References:
        Patrini et al., 2017: "forward" correction.
    """
    if labels.shape.rank == 1:
        ids = tf.cast(labels, tf.int64)
        columns = tf.gather(tf.transpose(transition), ids)  # T[:, label]
        return mixture_cross_entropy(logits, columns)
    every_label = mixture_cross_entropy(
        logits[:, tf.newaxis, :], tf.transpose(transition)
    )
    return tf.reduce_sum(tf.cast(labels, logits.dtype) * every_label, axis=-1)


def mixture_cross_entropy(logits: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Returns `-log sum_k f[k] columns[k]`, f the softmax of the logits.

    This is `corrected_cross_entropy`, given what of T it needs.

    Args:
        logits: `(..., classes)`.
        columns: `T[:, label]` of each example, broadcast to the same shape.

    Returns:
        `(...)`, in nats, with the dtype of the logits.
    """
    log_probs = tf.nn.log_softmax(logits)
    mixture = tf.reduce_sum(tf.exp(log_probs) * columns, axis=-1)
    floor = tf.constant(PROBABILITY_FLOOR, mixture.dtype)
    # Under the floor: exact in the logits by log-sum-exp, constant in T. An
    # impossible label (a column of zeros) pulls the logits nowhere: all its
    # entries count as equal.
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
    # Not `>= floor`: a NaN in T has to show in the loss.
    return -tf.where(mixture < floor, below, above)


def logits_corrected_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, transition: tf.Tensor
) -> tf.Tensor:
    """Returns the cross-entropy of `logits @ T`: the authors' released form.

    T here mixes log-probabilities: it is a product of experts, not a
    transition matrix (the released code: `main.py`, lines 170-174, 197-200).

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.
        transition: T, `(classes, classes)`.

    Returns:
        `(batch,)`, in nats, with the dtype of the logits.
    """
    return cross_entropy(logits @ transition, labels)


def as_probabilities(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns labels as `(batch, classes)` rows of the logits' dtype."""
    if labels.shape.rank == 1:
        ids = tf.cast(labels, tf.int64)
        return tf.one_hot(ids, logits.shape[-1], dtype=logits.dtype)
    return tf.cast(labels, logits.dtype)
