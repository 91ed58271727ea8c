"""Measures the training inputs for the options of a network."""

from typing import Any

import numpy as np

from mlc_tf.errors import InputError


def channels(
    noisy: np.ndarray, clean: np.ndarray | None = None
) -> dict[str, Any]:
    """Returns mean and variance of each channel (the last axis).

    Args:
        noisy: `(examples, ..., channels)`, inputs of the noisy set.
        clean: Inputs of the clean set. They are not used: they are few compared
            with the noisy inputs. Defaults to None.

    Returns:
        `{"mean": [...], "variance": [...]}`, one float per channel.
    """
    del clean
    axes = tuple(range(noisy.ndim - 1))
    mean = np.mean(noisy, axis=axes, dtype=np.float64)
    variance = np.var(noisy, axis=axes, dtype=np.float64)
    # A constant channel has no information: it becomes 0 instead of 0 / 0.
    variance = np.where(variance > 0, variance, 1.0)
    return {"mean": mean.tolist(), "variance": variance.tolist()}


def tables(
    noisy: np.ndarray, clean: np.ndarray | None = None
) -> dict[str, Any]:
    """Returns the number of values of each integer feature of a word.

    Args:
        noisy: `(examples, words, features)` integers, inputs of the noisy set;
            or float vectors.
        clean: Inputs of the clean set, in the same form. Defaults to None,
            there is none.

    Returns:
        `{"table_sizes": [...]}`, one integer per feature; `{}` for vectors.

    Raises:
        InputError: if the integer inputs are not windows of words.
    """
    if np.issubdtype(noisy.dtype, np.floating):
        return {}
    if noisy.ndim != 3:
        raise InputError(
            "The network word_window should get windows of words. Received: "
            f"inputs of shape {noisy.shape[1:]}."
        )
    largest = noisy.max(axis=(0, 1))
    if clean is not None:
        largest = np.maximum(largest, clean.max(axis=(0, 1)))
    return {"table_sizes": (largest + 1).tolist()}
