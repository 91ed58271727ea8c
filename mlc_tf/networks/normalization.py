"""Input standardisation and weight decay, which all networks share."""

import keras

from mlc_tf.errors import InputError
from mlc_tf.errors import check_rate


def normalize(
    inputs: keras.KerasTensor,
    mean: list[float] | None,
    variance: list[float] | None,
) -> keras.KerasTensor:
    """Returns the inputs standardised per channel (the last axis).

    The layer is part of the network, so a served model takes raw inputs.

    Args:
        inputs: `(batch, ..., channels)`, the network's inputs.
        mean: Mean of each channel, or None for no standardisation.
        variance: Variance of each channel, or None for no standardisation.

    Raises:
        InputError: if only one of `mean` and `variance` is given.
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
    """Returns the L2 penalty whose gradient is `weight_decay * w`.

    The penalty is part of the gradient, and thus of the momentum, as in the
    PyTorch code of the paper. The option `weight_decay` of Keras optimizers
    changes neither the gradient nor the momentum.

    Args:
        weight_decay: A float >= 0; 0 returns None.

    Raises:
        InputError: for another value.
    """
    rate = check_rate("weight_decay", weight_decay)
    return keras.regularizers.L2(rate / 2) if rate else None
