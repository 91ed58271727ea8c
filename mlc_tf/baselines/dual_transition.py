"""Dual T: the estimate of T as a product of two matrices."""

import numpy as np


def dual_transition(
    intermediate: np.ndarray, probs: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Returns T from a network trained on noisy labels, by way of its classes.

    The class that the network predicts is taken as an intermediate class:

        T = (clean to intermediate) @ (intermediate to noisy)

    The first factor is read off at anchor points. The second is counted: row l
    has the shares of the noisy labels among the examples for which the network
    predicts class l. Counts have a smaller error than single predictions, if
    the network predicts the clean class better than the noisy label.

    Args:
        intermediate: p(predicted class | clean class), `(classes, classes)`,
            rows are clean classes and sum to 1, as
            `forward_correction.anchor_point_transition` returns it.
        probs: The softmax of the network for the training inputs,
            `(examples, classes)`.
        labels: The noisy class ids of these examples, `(examples,)`.

    Returns:
        T, `(classes, classes)` float64. Rows are clean classes and sum to 1.
        A class that the network never predicts counts as free of noise.

    References:
        Yao et al., 2020, "Dual T: Reducing estimation error for transition
        matrix in label-noise learning".
    """
    size = probs.shape[1]
    counts = np.zeros((size, size))
    np.add.at(counts, (np.argmax(probs, axis=1), np.asarray(labels)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals, counts / np.maximum(totals, 1), np.eye(size))
    return np.asarray(intermediate, np.float64) @ shares
