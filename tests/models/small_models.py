"""Small networks with their NumPy twins, and datasets of few elements."""

import keras
import numpy as np
import tensorflow as tf

from tests.conftest import FLOAT32
from tests.conftest import FLOAT64

CLASSES = 3
BATCH, CLEAN_BATCH = 7, 5
BN_MOMENTUM, BN_EPSILON = 0.9, 1e-3
TOLERANCE = {"float64": FLOAT64, "float32": FLOAT32}


def dense_base(dtype="float32"):
    return keras.Sequential(
        [
            keras.Input((4,), dtype=dtype),
            keras.layers.Dense(5, activation="tanh", dtype=dtype),
            keras.layers.Dense(CLASSES, dtype=dtype),
        ]
    )


def dense_logits(weights, x):
    kernel, bias, head, head_bias = weights
    return np.tanh(x @ kernel + bias) @ head + head_bias


def convolutional_base(dtype="float32"):
    return keras.Sequential(
        [
            keras.Input((3, 3, 2), dtype=dtype),
            keras.layers.Conv2D(2, 2, dtype=dtype),
            keras.layers.BatchNormalization(
                momentum=BN_MOMENTUM, epsilon=BN_EPSILON, dtype=dtype
            ),
            keras.layers.Activation("tanh", dtype=dtype),
            keras.layers.Flatten(dtype=dtype),
            keras.layers.Dense(CLASSES, dtype=dtype),
        ]
    )


def convolve(x, kernel, bias):
    patches = np.stack(
        [
            x[:, row : row + 2, column : column + 2].reshape(len(x), -1)
            for row in range(2)
            for column in range(2)
        ],
        axis=1,
    )
    y = patches @ kernel.reshape(-1, kernel.shape[-1]) + bias
    return y.reshape(len(x), 2, 2, -1)


def convolutional_logits(weights, x):
    kernel, bias, gamma, beta, head, head_bias = weights
    y = convolve(x, kernel, bias)
    mean = y.mean(axis=(0, 1, 2))
    variance = ((y - mean) ** 2).mean(axis=(0, 1, 2))
    y = gamma * (y - mean) / np.sqrt(variance + BN_EPSILON) + beta
    return np.tanh(y).reshape(len(x), -1) @ head + head_bias


def random_pair(rng, base, dtype="float32"):
    def half(size):
        x = rng.normal(size=(size, *base.input_shape[1:])).astype(dtype)
        return x, rng.integers(0, CLASSES, size)

    return half(BATCH), half(CLEAN_BATCH)


def dataset(*elements):
    def generate():
        yield from elements

    spec = tf.nest.map_structure(
        lambda array: tf.TensorSpec(array.shape, array.dtype), elements[0]
    )
    return tf.data.Dataset.from_generator(
        generate, output_signature=spec
    ).apply(tf.data.experimental.assert_cardinality(len(elements)))


def compiled(model, rate=0.1, momentum=0.0, **kwargs):
    optimizer = keras.optimizers.SGD(rate, momentum=momentum)
    model.compile(optimizer, **kwargs)
    return model
