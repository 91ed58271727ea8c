"""The noise transition matrix T: orientation, normalisation, checks, distance.

Every module uses `T[i, j] = p(noisy = j | clean = i)`. Row i is the clean class
and column j is the noisy class, so the corrected prediction for a batch of
softmax probabilities `probs (batch, classes)` is `probs @ T`. The rows of a
true T sum to 1.

The paper defines T in the same way (section 3.1), but writes Eq. 2-10 for the
transpose of T. Eq. 10 then divides by the sums over the *clean* classes, which
are our columns. This module has both normalisations. Scaling a column of T
changes no gradient of the weights, so a column-normalised T is equivalent to
the row-stochastic matrix that `regauge` computes from it.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name

# The axis over which a normalised T sums to 1.
_SUM_AXIS = {"rows": 1, "columns": 0}
_ROW_SUM_TOLERANCE = 1e-5


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


def normalize(transition: tf.Tensor, normalization: str = "rows") -> tf.Tensor:
    """Divides each row, or each column, of T by its sum (Eq. 10).

    A row (or column) of zeros stays zero, by the delta of Eq. 10.

    Args:
        transition: A non-negative matrix, `(classes, classes)`, rows are clean
            classes.
        normalization: "rows" or "columns" (the paper's Eq. 10). Defaults to
            "rows".

    Returns:
        The normalised matrix, same shape and dtype.
    """
    axis = sum_axis(normalization)
    sums = tf.reduce_sum(transition, axis, keepdims=True)
    return transition / tf.where(tf.equal(sums, 0), tf.ones_like(sums), sums)


def sum_axis(normalization: str) -> int:
    """Returns the axis along which a normalised T sums to 1.

    Raises:
        InputError: for a normalisation other than "rows" and "columns".
    """
    if normalization not in _SUM_AXIS:
        raise unknown_name("normalization", normalization, _SUM_AXIS)
    return _SUM_AXIS[normalization]


def regauge(transition: np.ndarray) -> np.ndarray:
    """Rescales the columns of T so that its rows sum to 1.

    If `T = S @ diag(1 / d)` for a row-stochastic S, then `S = T @ diag(d)`
    with `T @ d = 1`. A learned T may have no such d, or only a d with negative
    entries. The function uses the least-squares d; the result is then not a
    transition matrix, and `distance` shows the difference.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes; the scale
            of each column is arbitrary.

    Returns:
        `(classes, classes)` float64, rows are clean classes.
    """
    transition = np.asarray(transition, np.float64)
    ones = np.ones(len(transition))
    scales = np.linalg.lstsq(transition, ones, rcond=None)[0]
    return transition * scales


def to_rows(transition: np.ndarray, normalization: str) -> np.ndarray:
    """Returns T with rows that sum to 1, for both normalisations.

    A row without mass, of a class that carries no label, becomes the row of the
    identity.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes.
        normalization: The normalisation of `transition`: "rows", which returns
            it unchanged, or "columns".

    Returns:
        `(classes, classes)`, rows are clean classes.
    """
    if sum_axis(normalization) == 1:
        return transition
    nonnegative = np.maximum(regauge(transition), 0)
    sums = nonnegative.sum(axis=1, keepdims=True)
    rows = nonnegative / np.where(sums, sums, 1)
    return np.where(sums, rows, np.eye(len(rows)))


def distance(
    learned: np.ndarray, true: np.ndarray, normalization: str = "rows"
) -> float:
    """Returns the mean over rows of the L1 distance between two matrices.

    The distance is 0 for equal matrices and 2 for matrices whose rows share no
    mass. The identity has the distance `2 * ratio` from noise that flips the
    share `ratio` of each class to other classes.

    Args:
        learned: T, `(classes, classes)`, rows are clean classes.
        true: The true T, `(classes, classes)`; rows are clean classes and sum
            to 1.
        normalization: The normalisation of `learned`, "rows" or "columns"; a
            column-normalised T is first passed to `regauge`. Defaults to
            "rows".

    Returns:
        A non-negative float.

    Raises:
        InputError: if the shapes differ.

    Example:

    >>> distance([[1, 0], [0, 1]], [[0.6, 0.4], [0.4, 0.6]])
    0.8
    """
    if sum_axis(normalization) == 0:
        learned = regauge(learned)
    learned, true = np.asarray(learned), np.asarray(true)
    if learned.shape != true.shape or learned.ndim != 2:
        raise bad_argument(
            "true",
            "a matrix of the shape of `learned`",
            f"{true.shape}, and `learned` of {learned.shape}",
        )
    return float(np.abs(learned - true).sum(axis=1).mean())


def validate(
    transition: Any,
    num_classes: int | None = None,
    name: str = "transition",
) -> np.ndarray:
    """Returns T as a new float64 array, after checking it.

    Args:
        transition: T, `(classes, classes)`; rows are clean classes and sum
            to 1.
        num_classes: The expected number of classes. Defaults to the size of
            `transition`.
        name: The name of the argument, for the error message. Defaults to
            "transition".

    Returns:
        `(classes, classes)` float64.

    Raises:
        InputError: for a wrong shape, non-finite or negative entries, or rows
            that do not sum to 1.
    """
    try:
        numbers = np.asarray(transition)
    except (TypeError, ValueError):  # rows of several lengths
        numbers = np.array(None)
    if numbers.dtype.kind not in "biuf":
        raise bad_argument(name, "a square matrix of numbers", transition)
    matrix = numbers.astype(np.float64)
    size = (
        num_classes if num_classes is not None else len(np.atleast_1d(matrix))
    )
    if matrix.shape != (size, size):
        raise bad_argument(
            name, f"a matrix of shape ({size}, {size})", matrix.shape
        )
    if not np.all(np.isfinite(matrix)):
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise bad_argument(
            f"{name}[{row}, {column}]", "finite", matrix[row, column]
        )
    if np.any(matrix < 0):
        row, column = np.argwhere(matrix < 0)[0]
        raise bad_argument(
            f"{name}[{row}, {column}]", "non-negative", matrix[row, column]
        )
    sums = matrix.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > _ROW_SUM_TOLERANCE)
    if len(wrong):
        raise bad_argument(
            f"{name}[{wrong[0]}]",
            "a row that sums to 1 (rows are clean classes)",
            f"a row that sums to {sums[wrong[0]]:.6g}",
        )
    return matrix


def check_structure(structure: Any, num_classes: int) -> np.ndarray:
    """Returns the entries of T that a prior allows, after checking them.

    Args:
        structure: `(classes, classes)`, 1 where the prior allows noise and 0
            elsewhere; rows are clean classes.
        num_classes: The expected number of classes.

    Returns:
        `(classes, classes)` float32.

    Raises:
        InputError: unless `structure` is a matrix of 0 and 1 with a diagonal
            of ones.
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
