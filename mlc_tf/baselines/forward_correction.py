"""Loss correction with a T that is known beforehand, or read off a network."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import bad_argument
from mlc_tf.models.pair_model import PairModel


class ForwardCorrection(PairModel):
    """Trains on the mean of `-log (f @ T)[noisy label]` with T fixed (Eq. 2).

    With the true T this is the ceiling of what a learned T can reach; Forward
    (Patrini et al.) takes that of `anchor_point_transition`. The clean half of
    each element is not used.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: T, `(classes, classes)`, rows are clean classes and sum
            to 1.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if `transition` is no such matrix.

    References:
        Patrini et al., 2017.
    """

    def __init__(
        self, base: keras.Model, *, transition: Any, name: str | None = None
    ) -> None:
        super().__init__(base, name=name)
        self.transition_matrix = transitions.validate(
            transition, self.num_classes
        )

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        transition = tf.constant(self.transition_matrix, logits.dtype)
        return losses.corrected_cross_entropy(logits, labels, transition)


def anchor_point_transition(
    probs: np.ndarray, percentile: float | None = 97
) -> np.ndarray:
    """Returns T as a network that was trained on noisy labels shows it.

    Row i is f at the anchor point of class i: the input that the network takes
    for i most surely, once those at or above the percentile are left out as
    outliers. (Both published codes write into f as they leave them out, so
    that later rows are read off a damaged f; this one does not.)

    Args:
        probs: f, `(examples, classes)`, of the training inputs.
        percentile: Of column i of f, in [0, 100]; None takes the plain
            maximum, as is done for CIFAR-100. Defaults to 97.

    Returns:
        `(classes, classes)` float64, rows are clean classes and sum to 1.

    Raises:
        InputError: for another percentile.

    References:
        Patrini et al., 2017, section 4.1; `NoiseEstimator` of its code.
    """
    if percentile is not None and not 0 <= percentile <= 100:
        raise bad_argument("percentile", "in [0, 100] or None", percentile)
    probs = np.asarray(probs, np.float64)
    rows = []
    for column in probs.T:
        sureness = column.copy()
        if percentile is not None:
            threshold = np.percentile(column, percentile, method="higher")
            below = column < threshold
            # A saturated softmax may leave none below.
            if below.any():
                sureness[~below] = -1
        rows.append(probs[np.argmax(sureness)])
    transition = np.stack(rows)
    return transition / transition.sum(axis=1, keepdims=True)
