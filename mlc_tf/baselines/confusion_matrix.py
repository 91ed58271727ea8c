"""Confusion Matrix: the T of Gold Loss Correction, from counts, not means."""

import numpy as np

_SMOOTHING = 0.01


def confusion_transition(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns T as the smoothed confusion matrix on the clean set.

    With `counts[i, j]` the number of clean examples of class i for which the
    network predicts class j, and C classes, row i of T is

        0.99 counts[i] / sum(counts[i]) + 0.01 / C

    Args:
        probs: The softmax of a network trained on the noisy set, for the
            examples of the clean set, `(examples, classes)`.
        labels: The class ids of the clean set, `(examples,)`.

    Returns:
        T, `(classes, classes)` float64. Rows are clean classes and sum to 1. A
        class without examples has a uniform row. (In the published code every
        entry of this row is 0.01 / C, so the row does not sum to 1.)

    References:
        Hendrycks et al., 2018, baseline "Confusion Matrix".
    """
    size = probs.shape[1]
    counts = np.zeros((size, size))
    np.add.at(counts, (labels, np.argmax(probs, axis=1)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), 1 / size)
    return (1 - _SMOOTHING) * shares + _SMOOTHING / size
