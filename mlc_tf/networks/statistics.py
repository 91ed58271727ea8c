"""What a network is told of the inputs that it will be trained on."""

from typing import Any

import numpy as np

from mlc_tf.errors import InputError


def channels(noisy: np.ndarray, clean: np.ndarray) -> dict[str, Any]:
    """Returns mean and variance of the noisy set per channel, the last axis."""
    del clean  # few among many
    axes = tuple(range(noisy.ndim - 1))
    mean = np.mean(noisy, axis=axes, dtype=np.float64)
    variance = np.var(noisy, axis=axes, dtype=np.float64)
    # A constant channel carries nothing; it becomes 0, not 0 / 0.
    variance = np.where(variance > 0, variance, 1.0)
    return {"mean": mean.tolist(), "variance": variance.tolist()}


def tables(noisy: np.ndarray, clean: np.ndarray) -> dict[str, Any]:
    """Returns how many values each integer feature has; none of vectors."""
    if np.issubdtype(noisy.dtype, np.floating):
        return {}
    if noisy.ndim != 3:
        raise InputError(
            "The network word_window should get windows of words. Received: "
            f"inputs of shape {noisy.shape[1:]}."
        )
    largest = np.maximum(noisy.max(axis=(0, 1)), clean.max(axis=(0, 1)))
    return {"table_sizes": (largest + 1).tolist()}
