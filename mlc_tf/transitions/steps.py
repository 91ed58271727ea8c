"""How T moves: pure functions from a T and a gradient to the next T.

T is `(classes, classes)`, `T[i, j] = p(noisy = j | clean = i)`.
"""

import tensorflow as tf

from mlc_tf.transitions.matrix import SUM_AXIS
from mlc_tf.transitions.matrix import normalize


def projected_step(
    transition: tf.Tensor, step: tf.Tensor, normalization: str = "rows"
) -> tf.Tensor:
    """Returns T after one step of projected gradient descent (Eq. 7, 9, 10).

    A row (or column) that the step would empty keeps its value: Eq. 10's delta
    would leave it zero, and a class that can carry no label, or a label that
    no class explains, has an infinite loss.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes.
        step: The gradient of the meta loss with respect to T, times the
            paper's beta; same shape.
        normalization: `"rows"` (a transition matrix) or `"columns"` (the
            paper's Eq. 10). Defaults to `"rows"`.

    Returns:
        The new T, same shape and dtype.
    """
    raw = tf.nn.relu(transition - step)  # Eq. 7, 9
    sums = tf.reduce_sum(raw, SUM_AXIS[normalization], keepdims=True)
    # Not `sums > 0`: a NaN has to show.
    return tf.where(
        tf.equal(sums, 0), transition, normalize(raw, normalization)
    )


def exponentiated_step(
    transition: tf.Tensor, step: tf.Tensor, normalization: str = "rows"
) -> tf.Tensor:
    """Returns T after one step of exponentiated gradient descent.

    Each entry is multiplied by `exp(-step)`, and Eq. 10 follows: T as a softmax
    whose logits take the step, and mirror descent on the simplex. The entries
    that are about zero stay there unless step after step agrees on another
    value, where `projected_step` adds up what the batches disagree on. One that
    is zero stays so.

    Args:
        transition: As in `projected_step`.
        step: As there.
        normalization: As there.

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
    """Returns T after a step of expectation-maximisation on given labels.

    Of a batch whose mean loss is `-log (f @ T)[label]`, the share that the
    network f and T together hold for class i with label j is

        E[i, j] = mean of [label = j] f[i] T[i, j] / (f @ T)[j]
                = -T[i, j] * dloss/dT[i, j]

    Row i of T moves towards row i of E, divided by its sum s[i], by the share
    `min(1, rate * s[i])` of the way: a frequent class faster. The loss on the
    batch does not rise.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes and sum
            to 1.
        gradient: The gradient of the mean loss with respect to T; same shape.
        rate: At least 0; the smaller, the more batches a row is the mean of.

    Returns:
        The new T, same shape and dtype; an entry that is zero stays so.

    References:
        Dempster, Laird, Rubin, 1977; for T, Bekker and Goldberger, "Training
        deep neural-networks based on unreliable labels", 2016.
    """
    expected = -transition * gradient
    share = tf.reduce_sum(expected, axis=1, keepdims=True)
    moved = tf.minimum(rate * share, 1)
    return transition + moved * (normalize(expected) - transition)


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
