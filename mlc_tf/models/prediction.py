"""The logits of a network for many batches: of one device, and as they come."""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf.data import checks


def forward_pass(network: keras.Model) -> Callable[[Any], tf.Tensor]:
    """Returns the network as a graph function, from inputs to logits.

    Unlike `predict`, it asks nothing of other replicas or workers, and needs no
    `compile`.
    """
    return tf.function(
        lambda x: network(x, training=False), reduce_retracing=True
    )


def logits(
    forward: Callable[[Any], tf.Tensor], batches: tf.data.Dataset
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields logits and labels of each batch, `(batch, C)` and `(batch,)`.

    Args:
        forward: As `forward_pass` returns it.
        batches: Of (inputs, labels).

    Raises:
        InputError: if an input cannot be read.
    """
    with checks.plain_errors():
        for x, labels in batches:
            yield forward(x).numpy(), labels.numpy()
