"""Confusion Matrix: Gold Loss Correction with counts in place of means."""

import numpy as np

_SMOOTHING = 0.01


def confusion_transition(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns T as how often each class of the clean set is taken for which.

    Row i is `0.99 counts[i] / sum + 0.01 / C`, counts of the likeliest class.

    Args:
        probs: f, `(examples, classes)`, of the clean set, from a network
            trained on the noisy set.
        labels: Its class ids, `(examples,)`.

    Returns:
        `(classes, classes)` float64, rows are clean classes and sum to 1; a
        class without examples has a uniform row (the published code gives it
        the row 0.01 / C, which does not sum to 1).

    References:
        Hendrycks et al., 2018, the baseline "Confusion Matrix".
    """
    size = probs.shape[1]
    counts = np.zeros((size, size))
    np.add.at(counts, (labels, np.argmax(probs, axis=1)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), 1 / size)
    return (1 - _SMOOTHING) * shares + _SMOOTHING / size
