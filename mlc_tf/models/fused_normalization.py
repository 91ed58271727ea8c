"""Batch normalisation by TensorFlow's fused kernels, which Keras does not use.

Keras composes batch normalisation of elementary operations, each of which reads
and writes the whole activation. The fused kernels compute the same numbers and
gradients in fewer passes.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from mlc_tf.models import base_check

_LEAST_EPSILON = 1e-5  # of the kernels for GPUs


@contextmanager
def used_by(base: keras.Model) -> Iterator[None]:
    """Lets the batch normalisation of a network use the fused kernels.

    The network stays as it is: only calls inside of the context differ. Layers
    that the kernels do not fit (another axis than the last, synchronised
    statistics, renormalisation, subclasses) are called as always.

    Args:
        base: The network.
    """
    layers = [layer for layer in base_check.all_layers(base) if _fits(layer)]
    for layer in layers:
        # Not by `setattr`, which would make it a part of the layer's state.
        vars(layer)["call"] = functools.partial(_call, layer)
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("call", None)


def _fits(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.axis in (-1, 3)
        and layer.epsilon >= _LEAST_EPSILON
        and not layer.synchronized
        and not layer.renorm
    )


def _call(
    layer: keras.layers.BatchNormalization,
    inputs: Any,
    training: bool | None = None,
    mask: Any = None,
) -> tf.Tensor:
    """Computes what `keras.layers.BatchNormalization.call` does."""
    inputs = tf.convert_to_tensor(inputs)
    wide = inputs.dtype.size > tf.float32.size
    if mask is not None or inputs.shape.rank != 4 or wide:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    x = tf.cast(inputs, tf.float32)  # as in Keras: float16 would overflow
    channels = x.shape[-1]
    training = bool(training) and layer.trainable
    moving_mean = keras.ops.cast(layer.moving_mean, x.dtype)
    moving_variance = keras.ops.cast(layer.moving_variance, x.dtype)
    result = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=keras.ops.cast(layer.gamma, x.dtype)
        if layer.scale
        else tf.ones([channels]),
        offset=keras.ops.cast(layer.beta, x.dtype)
        if layer.center
        else tf.zeros([channels]),
        mean=tf.zeros([0]) if training else moving_mean,
        variance=tf.zeros([0]) if training else moving_variance,
        epsilon=layer.epsilon,
        is_training=training,
    )
    if training:
        count = tf.cast(tf.size(x) / channels, x.dtype)
        # The kernel's is the estimate for a population, Keras' that of a batch.
        variance = result.batch_variance * (count - 1.0) / count
        momentum = layer.momentum
        layer.moving_mean.assign(
            moving_mean * momentum + result.batch_mean * (1.0 - momentum)
        )
        layer.moving_variance.assign(
            moving_variance * momentum + variance * (1.0 - momentum)
        )
    return tf.cast(result.y, layer.compute_dtype)
