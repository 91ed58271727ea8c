"""Computes the logits of a network batch by batch, on one device."""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.models import base_check
from mlc_tf.models import fused_normalization
from mlc_tf.models.constructor_arguments import ConstructorArguments


def forward_pass(network: keras.Model) -> Callable[[Any], tf.Tensor]:
    """Returns the network's inference pass as a graph function.

    Unlike `predict`, the function does not involve other replicas or workers,
    and needs no `compile`.

    Args:
        network: A built network.

    Returns:
        A function from inputs `(batch, ...)` to logits `(batch, classes)`.
    """

    def forward(x: Any) -> tf.Tensor:
        # Once per form of inputs, when the function is traced.
        wraps = isinstance(network, ConstructorArguments)
        base = network.base if wraps else network
        base_check.check_inputs(base, "given", x)
        with fused_normalization.used_by(base):
            return network(x, training=False)

    return tf.function(forward, reduce_retracing=True, autograph=False)


def logits(
    forward: Callable[[Any], tf.Tensor], batches: tf.data.Dataset
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the logits `(batch, classes)` and labels of each batch.

    Args:
        forward: A function from inputs to logits, as `forward_pass` returns.
        batches: A dataset of batches (inputs, labels).

    Raises:
        InputError: if an input cannot be read.
    """
    with checks.plain_errors():
        for x, labels in batches:
            yield forward(x).numpy(), labels.numpy()


def check_finite(logits: np.ndarray, first: int) -> None:
    """Raises an `InputError` unless the logits of a batch are finite.

    Args:
        logits: `(batch, classes)`.
        first: The number of the first example of the batch.
    """
    wrong = ~np.isfinite(logits).all(axis=1)
    if wrong.any():
        raise InputError(
            "The model should return finite logits. Received: NaN or infinity "
            f"at example {first + int(np.argmax(wrong))}; look at this input, "
            "and at the weights of the network."
        )
