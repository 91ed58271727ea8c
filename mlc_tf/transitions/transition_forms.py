"""What a learned T is made of: all its entries, or a low rank beside identity.

Both forms say the same four things: what they start from, the corrected loss of
a batch (Eq. 2, 3), the step of projected gradient descent (Eq. 7, 9, 10), and
the matrix. T is `(classes, classes)`, `T[i, j] = p(noisy = j | clean = i)`.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

Tensors = Sequence[tf.Tensor]


class DenseTransition:
    """T by its entries.

    Args:
        normalization: "rows", or "columns" (the paper's Eq. 10).
        kind: Of its steps, of `transition.STEPS`.
    """

    def __init__(self, normalization: str, kind: str) -> None:
        self.normalization = normalization
        self._step = transitions.STEPS[kind]

    def start(self, transition: np.ndarray) -> Mapping[str, np.ndarray]:
        """Returns what is learned, by name, for a T whose rows sum to 1."""
        start = transitions.normalize(transition, self.normalization)
        return {"transition": np.asarray(start)}

    def loss(
        self, logits: tf.Tensor, labels: tf.Tensor, parameters: Tensors
    ) -> tf.Tensor:
        """Returns `losses.corrected_cross_entropy`, `(batch,)`."""
        return losses.corrected_cross_entropy(logits, labels, parameters[0])

    def update(self, parameters: Tensors, steps: Tensors) -> Tensors:
        """Returns what is learned after a step."""
        return [self._step(parameters[0], steps[0], self.normalization)]

    def matrix(self, parameters: Sequence[np.ndarray]) -> np.ndarray:
        """Returns T, `(classes, classes)`."""
        return np.asarray(parameters[0])


class LowRankTransition:
    """T as the identity and a product of few columns and rows (ours).

        T = diag(1 / rho) (I + U V),  rho = 1 + U (V 1)

    with U `(classes, rank)` and V `(rank, classes)` not negative. Each row of V
    sums to 1: it is a distribution over noisy labels, and U[i, k] the odds with
    which class i is labelled by it. The time of a step grows with
    `batch * classes * rank`, its memory with `classes * (batch + rank)`. U = 0
    is T = I.

    Args:
        num_classes: Number of classes.
        rank: How many such distributions, in [1, num_classes].

    Raises:
        InputError: for another rank.
    """

    def __init__(self, num_classes: int, rank: Any) -> None:
        integer = isinstance(rank, int) and not isinstance(rank, bool)
        if not integer or not 1 <= rank <= num_classes:
            raise bad_argument(
                "rank", f"an integer in [1, {num_classes}]", rank
            )
        self._shape = (rank, num_classes)

    def start(self) -> Mapping[str, np.ndarray]:
        """Returns U = 0; and V at random, since equal rows would stay equal."""
        mass = np.random.default_rng(0).exponential(size=self._shape)
        return {
            "odds": np.zeros(self._shape[::-1]),
            "directions": mass / mass.sum(axis=1, keepdims=True),
        }

    def loss(
        self, logits: tf.Tensor, labels: tf.Tensor, parameters: Tensors
    ) -> tf.Tensor:
        """Returns `-log (f @ T)[label]`, `(batch,)`, of class ids.

        Raises:
            InputError: for labels that are probabilities: these need all of T.
        """
        if labels.shape.rank != 1:
            raise InputError(
                "Noisy labels should be class ids where `rank` is given. "
                f"Received: labels of shape {tuple(labels.shape)}."
            )
        odds, directions = parameters
        ids = tf.cast(labels, tf.int64)
        chosen = tf.gather(tf.transpose(directions), ids)  # V[:, label]
        columns = tf.one_hot(ids, logits.shape[-1], dtype=logits.dtype)
        columns += tf.matmul(chosen, odds, transpose_b=True)
        columns /= _row_sums(odds, directions)
        return losses.mixture_cross_entropy(logits, columns)

    def update(self, parameters: Tensors, steps: Tensors) -> Tensors:
        """Returns U and V after a step; rows of V again sum to 1.

        A row that the step would empty keeps its value.
        """
        odds, directions = (
            tf.nn.relu(old - step) for old, step in zip(parameters, steps)
        )
        sums = tf.reduce_sum(directions, axis=1)
        empty = tf.equal(sums, 0)
        return [
            odds * tf.where(empty, tf.ones_like(sums), sums),
            tf.where(
                empty[:, tf.newaxis],
                parameters[1],
                transitions.normalize(directions),
            ),
        ]

    def matrix(self, parameters: Sequence[np.ndarray]) -> np.ndarray:
        """Returns T, `(classes, classes)`: of many classes, a large array."""
        odds, directions = parameters
        matrix = np.asarray(odds) @ np.asarray(directions)
        matrix[np.diag_indices(len(matrix))] += 1
        return matrix / matrix.sum(axis=1, keepdims=True)


def _row_sums(odds: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """Returns rho, the sums of the rows of I + U V, `(classes,)`."""
    sums = tf.reduce_sum(directions, axis=1)
    return 1 + tf.linalg.matvec(odds, sums)
