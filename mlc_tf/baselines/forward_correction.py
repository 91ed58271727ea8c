"""Forward correction: a T known or estimated before training."""

import numpy as np

from mlc_tf.errors import bad_argument
from mlc_tf.models.corrected_model import CorrectedModel


class ForwardCorrection(CorrectedModel):
    """Trains on the mean of `-log (f @ T)[noisy label]` (Eq. 2).

    The baseline "forward" (Patrini et al.) uses the T of
    `anchor_point_transition`, and does not use the clean half of each element.
    The published method keeps T fixed and has no clean term; `expectation_rate`
    and `clean_weight` are ours, the same as in `MetaLossCorrection`.

    Args:
        base: As in `CorrectedModel`.
        transition: As in `CorrectedModel`.
        expectation_rate: As in `CorrectedModel`. Defaults to 0, T stays fixed.
        clean_weight: As in `PairModel`. Defaults to 0.
        clean_class_weight: As in `PairModel`. Defaults to None.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: as `CorrectedModel`.

    References:
        Patrini et al., 2017, forward correction.
    """


def anchor_point_transition(
    probs: np.ndarray, percentile: float | None = 97
) -> np.ndarray:
    """Returns T from the predictions of a network trained on noisy labels.

    Row i of T is the prediction for the anchor point of class i. The anchor
    point is the input with the highest probability of class i, among the inputs
    whose probability lies below the percentile; the inputs at or above the
    percentile count as outliers. (Both published codes overwrite `probs` where
    they remove outliers, so that later rows use damaged predictions. This
    function does not.)

    Args:
        probs: The softmax of the network for the training inputs,
            `(examples, classes)`.
        percentile: The percentile of each column of `probs`, in [0, 100].
            None takes the plain maximum, as for CIFAR-100. Defaults to 97.

    Returns:
        T, `(classes, classes)` float64. Rows are clean classes and sum to 1.

    Raises:
        InputError: for a percentile outside [0, 100].

    References:
        Patrini et al., 2017, section 4.1; `NoiseEstimator` of its code.
    """
    if percentile is not None and not 0 <= percentile <= 100:
        raise bad_argument("percentile", "in [0, 100] or None", percentile)
    probs = np.asarray(probs, np.float64)
    rows = []
    for column in probs.T:
        candidates = column.copy()
        if percentile is not None:
            threshold = np.percentile(column, percentile, method="higher")
            below = column < threshold
            # With a saturated softmax no input may be below the percentile.
            if below.any():
                candidates[~below] = -1
        rows.append(probs[np.argmax(candidates)])
    transition = np.stack(rows)
    return transition / transition.sum(axis=1, keepdims=True)
