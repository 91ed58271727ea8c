"""A multilayer perceptron, for digits and other small inputs."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mlc_tf.errors import bad_argument
from mlc_tf.errors import is_integer
from mlc_tf.networks import initialization
from mlc_tf.networks import normalization


def mlp(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    hidden_units: tuple[int, ...] = (128,),
    mean: list[float] | None = None,
    variance: list[float] | None = None,
    weight_decay: float = 0.0,
    initializer: str = "he_normal",
) -> keras.Model:
    """Returns a multilayer perceptron with ReLU hidden layers.

    Args:
        input_shape: Shape of one example; it is flattened.
        num_classes: Number of classes, the width of the output.
        hidden_units: Width of each hidden layer. Defaults to `(128,)`.
        mean: Mean of each channel (the last axis), which is subtracted from the
            inputs. Defaults to None: the inputs are not standardised.
        variance: Variance of each channel; its square root divides the inputs.
            Given together with `mean`. Defaults to None.
        weight_decay: The loss contains `weight_decay / 2` times the squared
            norm of all kernels. Defaults to 0.
        initializer: The initial weights, a name of
            `initialization.INITIALIZERS`. Defaults to "he_normal".

    Returns:
        A functional `keras.Model` from inputs to logits `(batch, num_classes)`.

    Raises:
        InputError: if a hidden layer has no unit.
    """
    check_hidden_units(hidden_units)
    initial = initialization.get(initializer)
    inputs = keras.Input(input_shape)
    x = normalization.normalize(inputs, mean, variance)
    x = keras.layers.Flatten()(x)
    for units in hidden_units:
        x = keras.layers.Dense(
            units,
            activation="relu",
            kernel_initializer=initial.hidden,
            kernel_regularizer=normalization.decay(weight_decay),
        )(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=initial.last,
        kernel_regularizer=normalization.decay(weight_decay),
        name="logits",
    )(x)
    return keras.Model(inputs, logits, name="mlp")


def check_hidden_units(hidden_units: Any) -> None:
    """Raises an `InputError` unless each hidden layer has a unit or more.

    Args:
        hidden_units: Width of each hidden layer.
    """
    if not isinstance(hidden_units, (Sequence, np.ndarray)) or not all(
        is_integer(units) and units >= 1 for units in hidden_units
    ):
        raise bad_argument(
            "hidden_units", "integers >= 1, one per layer", hidden_units
        )
