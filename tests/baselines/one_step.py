"""Networks whose logits NumPy knows too, and how a test takes their steps."""

import keras
import numpy as np

from tests import numpy_reference
from tests.models.small_models import dataset
from tests.numpy_reference import softmax

CLASSES, WIDTH, BATCH = 3, 4, 6


def linear(kernel):
    """A network with the logits `x @ kernel`."""
    kernel = np.asarray(kernel, np.float64)
    base = keras.Sequential(
        [
            keras.Input((len(kernel),), dtype="float64"),
            keras.layers.Dense(kernel.shape[1], use_bias=False),
        ]
    )
    base.set_weights([kernel])
    return base


def two_layers(rng):
    """A network with the logits `tanh(x @ first) @ second`."""
    base = keras.Sequential(
        [
            keras.Input((WIDTH,), dtype="float64"),
            keras.layers.Dense(5, activation="tanh", use_bias=False),
            keras.layers.Dense(CLASSES, use_bias=False),
        ]
    )
    base.set_weights([rng.normal(size=(WIDTH, 5)), rng.normal(size=(5, 3))])
    return base


def two_layer_logits(weights, x):
    return np.tanh(x @ weights[0]) @ weights[1]


def half(rng, size=BATCH):
    return rng.normal(size=(size, WIDTH)), rng.integers(0, CLASSES, size)


def fit(model, *elements, rate=1.0, **options):
    """Takes a step of plain descent on each element; returns the logs."""
    model.compile(keras.optimizers.SGD(rate, **options))
    history = model.fit(dataset(*elements), verbose=0).history
    return {name: values[0] for name, values in history.items()}


def slopes(weights, x, labels):
    """The gradients of the mean cross-entropy of the two layers."""
    return numpy_reference.gradient(
        lambda w: np.mean(losses(two_layer_logits(w, x), labels)), weights
    )


def losses(logits, labels):
    """The cross-entropy of each example."""
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])
