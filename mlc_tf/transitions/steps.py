"""Update steps of T: pure functions from T and a gradient to the next T.

T is `(classes, classes)`, `T[i, j] = p(noisy = j | clean = i)`.
"""

import tensorflow as tf

from mlc_tf.transitions.matrix import normalize
from mlc_tf.transitions.matrix import sum_axis


def projected_step(
    transition: tf.Tensor, step: tf.Tensor, normalization: str = "rows"
) -> tf.Tensor:
    """Returns T after one step of projected gradient descent (Eq. 7, 9, 10).

    If a step would make a whole row (or column) zero, the row keeps its value.
    The delta of Eq. 10 would leave it zero; then a class without any label, or
    a label without any class, would have an infinite loss.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes.
        step: `(classes, classes)`, the gradient of the meta loss with respect
            to T, times the paper's beta.
        normalization: "rows" (a transition matrix) or "columns" (the paper's
            Eq. 10). Defaults to "rows".

    Returns:
        The new T, same shape and dtype.
    """
    raw = tf.nn.relu(transition - step)  # Eq. 7, 9
    sums = tf.reduce_sum(raw, sum_axis(normalization), keepdims=True)
    # Not `sums > 0`: with it, a NaN would be hidden.
    return tf.where(
        tf.equal(sums, 0), transition, normalize(raw, normalization)
    )


def exponentiated_step(
    transition: tf.Tensor, step: tf.Tensor, normalization: str = "rows"
) -> tf.Tensor:
    """Returns T after one step of exponentiated gradient descent.

    Each entry is multiplied by `exp(-step)`, and T is normalised (Eq. 10). This
    is mirror descent on the simplex: T is a softmax, and the step is subtracted
    from its logits. An entry near zero leaves zero only if many steps agree on
    its direction; with `projected_step` the disagreement between batches adds
    up. An entry that is zero stays zero.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes.
        step: `(classes, classes)`, the gradient of the meta loss with respect
            to T, times the learning rate of T.
        normalization: "rows" (a transition matrix) or "columns" (the paper's
            Eq. 10). Defaults to "rows".

    Returns:
        The new T, same shape and dtype.

    References:
        Kivinen and Warmuth, "Exponentiated gradient versus gradient descent
        for linear predictors", 1997.
    """
    return normalize(transition * tf.exp(-step), normalization)


def expectation_step(
    transition: tf.Tensor, gradient: tf.Tensor, rate: float
) -> tf.Tensor:
    """Returns T after a step of expectation-maximisation on noisy labels.

    The mean loss of the batch is `-log (f @ T)[label]`. The network f and T
    together estimate the share of the batch with clean class i and label j:

        E[i, j] = mean of [label = j] f[i] T[i, j] / (f @ T)[j]
                = -T[i, j] * dloss/dT[i, j]

    Let s[i] be the sum of row i of E. Row i of T moves towards `E[i] / s[i]` by
    the fraction `min(1, rate * s[i])` of the distance, so the row of a frequent
    class moves faster. The loss on the batch does not increase.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes and sum
            to 1.
        gradient: `(classes, classes)`, the gradient of the mean loss with
            respect to T.
        rate: A float >= 0. With a lower rate, T averages over more batches.

    Returns:
        The new T, same shape and dtype. An entry that is zero stays zero.

    References:
        Dempster, Laird, Rubin, 1977; for T, Bekker and Goldberger, "Training
        deep neural-networks based on unreliable labels", 2016.
    """
    expected = -transition * gradient
    class_shares = tf.reduce_sum(expected, axis=1, keepdims=True)
    fraction = tf.minimum(rate * class_shares, 1)
    return transition + fraction * (normalize(expected) - transition)


def shortened(step: tf.Tensor, max_step: float | None) -> tf.Tensor:
    """Returns a step of T, shortened if it is longer than `max_step`.

    Args:
        step: The change of T, `(classes, classes)`.
        max_step: The greatest length, in the Frobenius norm; None for no
            limit.
    """
    if max_step is None:
        return step
    return tf.clip_by_global_norm([step], max_step)[0][0]
