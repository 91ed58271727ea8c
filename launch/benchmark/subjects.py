"""The networks that benchmarks train, and random batches for them."""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mlc_tf import networks


@dataclass(frozen=True)
class Subject:
    """A network, and the shape of its batches.

    Attributes:
        build: A function from the number of classes to the network.
        input_shape: The shape of one example.
        num_classes: The number of classes in the usual datasets.
        batch_size: The size of the noisy batch and of the clean batch.
        vocabulary: The number of words; 0 for images.
    """

    build: Callable[[int], keras.Model]
    input_shape: tuple[int, ...]
    num_classes: int = 10
    batch_size: int = 64
    vocabulary: int = 0

    def pair(self, num_classes: int, seed: int = 0) -> Any:
        """Returns random pairs, which train as fast as real data."""
        rng = np.random.default_rng(seed)
        halves = []
        for _ in range(2):
            shape = (self.batch_size, *self.input_shape)
            x = (
                rng.integers(0, self.vocabulary, shape)
                if self.vocabulary
                else rng.random(shape, np.float32)
            )
            labels = rng.integers(0, num_classes, self.batch_size)
            halves.append((x, labels))
        return tuple(halves)


def _wide_resnet(depth: int, width: int) -> Subject:
    shape = (32, 32, 3)
    return Subject(
        lambda classes: networks.wide_resnet(
            shape, classes, depth=depth, width=width
        ),
        shape,
    )


# Random weights are as fast as pretrained weights, and need no download.
def _resnet50(batch_size: int) -> Subject:
    shape = (224, 224, 3)
    return Subject(
        lambda classes: networks.resnet50(shape, classes, weights=""),
        shape,
        num_classes=14,
        batch_size=batch_size,
    )


def _transformer(num_classes: int, length: int, vocabulary: int) -> keras.Model:
    """Returns a text classifier: four blocks of width 128 with four heads."""
    width = 128
    words = keras.Input((length,), dtype="int32")
    positions = keras.ops.cumsum(keras.ops.ones_like(words), axis=1) - 1
    x = keras.layers.Embedding(vocabulary, width)(words)
    x = x + keras.layers.Embedding(length, width)(positions)
    for _ in range(4):
        y = keras.layers.LayerNormalization()(x)
        x = x + keras.layers.MultiHeadAttention(4, width // 4)(y, y)
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.Dense(4 * width, activation="gelu")(y)
        x = x + keras.layers.Dense(width)(y)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(words, keras.layers.Dense(num_classes)(x))


SUBJECTS: Mapping[str, Subject] = {
    "lenet": Subject(
        lambda classes: networks.lenet((28, 28, 1), classes), (28, 28, 1)
    ),
    "wide_resnet_40_2": _wide_resnet(40, 2),
    "wide_resnet_28_10": _wide_resnet(28, 10),
    "wide_resnet_16_1": _wide_resnet(16, 1),
    "transformer": Subject(
        lambda classes: _transformer(classes, 64, 8000),
        (64,),
        vocabulary=8000,
    ),
    "resnet50": _resnet50(batch_size=8),
    "resnet50_batch_64": _resnet50(batch_size=64),
}
