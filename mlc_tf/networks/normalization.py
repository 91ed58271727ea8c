"""What every network begins with, and how its weights decay."""

import keras

from mlc_tf.errors import InputError


def normalize(
    inputs: keras.KerasTensor,
    mean: list[float] | None,
    variance: list[float] | None,
) -> keras.KerasTensor:
    """Returns standardised inputs, per channel (the last axis).

    It lies inside the network, so a served model takes raw inputs.
    """
    if (mean is None) != (variance is None):
        raise InputError(
            "`mean` and `variance` should both be given, or neither. Received: "
            f"`mean` = {mean}, `variance` = {variance}."
        )
    if mean is None:
        return inputs
    return keras.layers.Normalization(mean=mean, variance=variance)(inputs)


def decay(weight_decay: float) -> keras.regularizers.Regularizer | None:
    """Returns the penalty whose gradient is `weight_decay * w`.

    Coupled to the gradient, and so to momentum, as in the paper's PyTorch;
    the `weight_decay` of Keras optimizers is decoupled from both.
    """
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None
