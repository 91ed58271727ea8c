"""All there is to know of the noise transition matrix T.

One convention, everywhere: `T[i, j] = p(noisy = j | clean = i)`. Row i is the
clean class, column j the noisy one, so the corrected prediction of a batch of
softmax probabilities `probs (batch, classes)` is `probs @ T`. A true T has
rows that sum to 1.

The paper defines T so (section 3.1), but writes Eq. 2-10 for the transpose of
it, and Eq. 10 then divides by the sums over the *clean* classes: our columns.
Both normalisations are here. Scaling a column of T changes no gradient of the
weights, so a column-normalised T says the same as the row-stochastic matrix
that `regauge` makes of it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name

# The axis over which a normalised T sums to 1.
_SUM_AXIS = {"rows": 1, "columns": 0}
_ROW_SUM_TOLERANCE = 1e-5


def smoothed_identity(num_classes: int, smoothing: float) -> np.ndarray:
    """Returns the T of labels of which a share is drawn anew, uniformly.

    Args:
        num_classes: Number of classes.
        smoothing: That share, in [0, 1].

    Returns:
        `(num_classes, num_classes)` float64.
    """
    return (1 - smoothing) * np.eye(num_classes) + smoothing / num_classes


def correct(probs: Any, transition: Any) -> Any:
    """Returns the noisy-label probabilities `probs @ T` (Eq. 2).

    Args:
        probs: Softmax probabilities over the clean classes,
            `(batch, classes)`.
        transition: T, `(classes, classes)`, rows are clean classes.

    Returns:
        `(batch, classes)`, probabilities over the noisy classes.
    """
    return probs @ transition


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
    sums = tf.reduce_sum(raw, _SUM_AXIS[normalization], keepdims=True)
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


# The ways in which T follows the meta-gradient.
STEPS = {"projected": projected_step, "exponentiated": exponentiated_step}


def shortened(steps: Sequence[tf.Tensor], max_step: float) -> list[tf.Tensor]:
    """Returns a step, shortened if it is longer than `max_step`.

    Args:
        steps: Its parts.
        max_step: The longest, in the Frobenius norm of all parts; infinity
            shortens none.
    """
    if math.isinf(max_step):
        return list(steps)
    return tf.clip_by_global_norm(steps, max_step)[0]


def normalize(transition: tf.Tensor, normalization: str = "rows") -> tf.Tensor:
    """Divides each row, or each column, of T by its sum (Eq. 10).

    A row (or column) of zeros stays zero: the paper's delta.

    Args:
        transition: A non-negative matrix, `(classes, classes)`.
        normalization: `"rows"` or `"columns"`. Defaults to `"rows"`.

    Returns:
        The normalised matrix, same shape and dtype.
    """
    axis = _SUM_AXIS[normalization]
    sums = tf.reduce_sum(transition, axis, keepdims=True)
    return transition / tf.where(tf.equal(sums, 0), tf.ones_like(sums), sums)


def regauge(transition: np.ndarray) -> np.ndarray:
    """Returns the matrix with rows that sum to 1 behind a column-scaled T.

    If `T = S @ diag(1 / d)` for a row-stochastic S, then `S = T @ diag(d)`
    with `T @ d = 1`. A T that was learned rather than made so may have no such
    d, or one with negative entries; the least-squares d is taken, and the
    result is then no transition matrix, which `distance` shows.

    Args:
        transition: `(classes, classes)`, known up to the scale of its columns.

    Returns:
        `(classes, classes)` float64, rows are clean classes.
    """
    transition = np.asarray(transition, np.float64)
    ones = np.ones(len(transition))
    scales = np.linalg.lstsq(transition, ones, rcond=None)[0]
    return transition * scales


def of_rows(transition: np.ndarray, normalization: str) -> np.ndarray:
    """Returns T with rows that sum to 1, whatever it is normalised by.

    Args:
        transition: `(classes, classes)`, rows are clean classes.
        normalization: `"rows"`, which changes nothing, or `"columns"`.
    """
    if normalization == "rows":
        return transition
    nonnegative = np.maximum(regauge(transition), 0)
    return nonnegative / nonnegative.sum(axis=1, keepdims=True)


def distance(
    learned: np.ndarray, true: np.ndarray, normalization: str = "rows"
) -> float:
    """Returns the mean over rows of the L1 distance between two matrices.

    0 for equal matrices, 2 for rows that share no mass; the identity is
    `2 * ratio` away from a flip to other classes.

    Args:
        learned: T, `(classes, classes)`, rows are clean classes.
        true: The true T, same shape, rows sum to 1.
        normalization: What `learned` is normalised by; with `"columns"` it is
            regauged first. Defaults to `"rows"`.

    Returns:
        A non-negative float.
    """
    if normalization == "columns":
        learned = regauge(learned)
    return float(np.abs(np.asarray(learned) - true).sum(axis=1).mean())


def check_normalization(normalization: Any) -> str:
    """Returns `normalization` if it is "rows" or "columns", else raises."""
    if normalization not in _SUM_AXIS:
        raise unknown_name("normalization", normalization, _SUM_AXIS)
    return normalization


def validate(transition: Any, num_classes: int | None = None) -> np.ndarray:
    """Returns T as a float64 array, after checking that it is one.

    Args:
        transition: A matrix, rows are clean classes, rows sum to 1.
        num_classes: The expected size. Defaults to that of `transition`.

    Returns:
        `(classes, classes)` float64.

    Raises:
        InputError: for a wrong shape, non-finite or negative entries, or rows
            that do not sum to 1.
    """
    try:
        matrix = np.asarray(transition, np.float64)
    except (TypeError, ValueError):
        raise bad_argument(
            "transition", "a square matrix of numbers", transition
        ) from None
    size = (
        num_classes if num_classes is not None else len(np.atleast_1d(matrix))
    )
    if matrix.shape != (size, size):
        raise bad_argument(
            "transition", f"of shape ({size}, {size})", matrix.shape
        )
    if not np.all(np.isfinite(matrix)):
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise bad_argument(
            f"transition[{row}, {column}]", "finite", matrix[row, column]
        )
    if np.any(matrix < 0):
        row, column = np.argwhere(matrix < 0)[0]
        raise bad_argument(
            f"transition[{row}, {column}]", "non-negative", matrix[row, column]
        )
    sums = matrix.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > _ROW_SUM_TOLERANCE)
    if len(wrong):
        raise bad_argument(
            f"transition[{wrong[0]}]",
            "a row that sums to 1 (rows are clean classes)",
            f"a row that sums to {sums[wrong[0]]:.6g}",
        )
    return matrix


def check_structure(structure: Any, num_classes: int) -> np.ndarray:
    """Returns which entries of T a prior allows, after checking it.

    Args:
        structure: A matrix of 0 and 1, rows are clean classes.
        num_classes: Its size.

    Returns:
        `(classes, classes)` float32.

    Raises:
        InputError: if it is no matrix of 0 and 1 with a diagonal of ones.
    """
    matrix = np.asarray(structure)
    expected = (
        f"a matrix of 0 and 1 of shape ({num_classes}, {num_classes}) with a "
        "diagonal of ones"
    )
    if matrix.shape != (num_classes, num_classes):
        raise bad_argument("structure", expected, matrix.shape)
    if not np.isin(matrix, (0, 1)).all() or not np.diag(matrix).all():
        raise bad_argument("structure", expected, matrix)
    return matrix.astype(np.float32)
