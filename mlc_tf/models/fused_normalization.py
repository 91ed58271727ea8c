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
    scale = (
        keras.ops.cast(layer.gamma, x.dtype)
        if layer.scale
        else tf.ones([channels])
    )
    offset = (
        keras.ops.cast(layer.beta, x.dtype)
        if layer.center
        else tf.zeros([channels])
    )
    moving_mean = keras.ops.cast(layer.moving_mean, x.dtype)
    moving_variance = keras.ops.cast(layer.moving_variance, x.dtype)
    if training and layer.trainable:
        y, mean, variance = _by_the_batch(layer.epsilon)(x, scale, offset)
        momentum = layer.momentum
        layer.moving_mean.assign(
            moving_mean * momentum + mean * (1.0 - momentum)
        )
        layer.moving_variance.assign(
            moving_variance * momentum + variance * (1.0 - momentum)
        )
    else:
        y = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=moving_mean,
            variance=moving_variance,
            epsilon=layer.epsilon,
            is_training=False,
        ).y
    return tf.cast(y, layer.compute_dtype)


def _by_the_batch(epsilon: float) -> Any:
    """Returns normalisation by the statistics of the batch.

    It maps x `(batch, height, width, channels)`, scale and offset `(channels,)`
    to the normalised x, and the batch's mean and variance, which have no
    gradient. Its gradient is a fused kernel, as in TensorFlow. The gradient of
    that gradient is one too: TensorFlow composes it of elementary operations,
    in more time and memory. Third derivatives are not supported.
    """

    @tf.custom_gradient
    def normalize(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> Any:
        result = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=epsilon,
        )
        count = tf.cast(tf.size(x) / x.shape[-1], x.dtype)
        # The kernel estimates the variance of a population; Keras takes the
        # variance of the batch.
        variance = result.batch_variance * (count - 1.0) / count

        def kernel(gradient: tf.Tensor, x: tf.Tensor, scale: tf.Tensor) -> Any:
            return tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=gradient,
                x=x,
                scale=scale,
                reserve_space_1=result.reserve_space_1,
                reserve_space_2=result.reserve_space_2,
                reserve_space_3=result.reserve_space_3,
                epsilon=epsilon,
            )[:3]

        @tf.custom_gradient
        def pull_back(
            gradient: tf.Tensor, x: tf.Tensor, scale: tf.Tensor
        ) -> Any:
            def second(
                of_x: tf.Tensor, of_scale: tf.Tensor, of_offset: Any
            ) -> Any:
                # `kernel` is linear in its first argument, and the matrix that
                # maps it to the gradient of x is symmetric.
                along_x, _, _ = kernel(of_x, x, scale)
                standardized = (x - result.batch_mean) * tf.math.rsqrt(
                    variance + epsilon
                )
                # A graph drops these two where they are not used.
                with tf.GradientTape() as tape:
                    tape.watch([x, scale])
                    composed = _composed(gradient, x, scale, epsilon)
                return (
                    along_x + standardized * of_scale + of_offset,
                    *tape.gradient(
                        composed, [x, scale], output_gradients=[of_x, of_scale]
                    ),
                )

            return kernel(gradient, x, scale), second

        def first(gradient: tf.Tensor, *_: Any) -> Any:
            return pull_back(gradient, x, scale)

        return (result.y, result.batch_mean, variance), first

    return normalize


def _composed(
    gradient: tf.Tensor, x: tf.Tensor, scale: tf.Tensor, epsilon: float
) -> list[tf.Tensor]:
    """Returns the gradients of x and scale, by elementary operations."""
    axes = [0, 1, 2]
    offset = x - tf.reduce_mean(x, axes)
    variance = tf.reduce_mean(offset**2, axes)
    rate = tf.math.rsqrt(variance + epsilon)
    products = gradient * offset
    of_x = (
        scale
        * rate
        * (
            gradient
            - tf.reduce_mean(gradient, axes)
            - offset * rate**2 * tf.reduce_mean(products, axes)
        )
    )
    return [of_x, rate * tf.reduce_sum(products, axes)]
