"""LeNet-5 with ReLU and max pooling: the paper's "network like LeNet"."""

import keras

from mlc_tf.errors import bad_argument
from mlc_tf.networks import initialization
from mlc_tf.networks import normalization


def lenet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    mean: list[float] | None = None,
    variance: list[float] | None = None,
    weight_decay: float = 0.0,
    initializer: str = "he_normal",
) -> keras.Model:
    """Returns LeNet-5 for images.

    The network has two 5x5 convolutions of 6 and 16 filters, each followed by
    max pooling, and hidden dense layers of 120 and 84 units. The first
    convolution is padded, so that 28x28 images fit.

    Args:
        input_shape: `(height, width, channels)`, at least 12 by 12.
        num_classes: Number of classes, the width of the output.
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
        InputError: if the images are smaller than 12 by 12.

    References:
        LeCun et al., 1998; the paper, section 4.1.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < 12:
        raise bad_argument(
            "input_shape",
            "(height, width, channels), at least 12 by 12",
            input_shape,
        )
    initial = initialization.get(initializer)
    options = {
        "kernel_initializer": initial.hidden,
        "kernel_regularizer": normalization.decay(weight_decay),
    }
    inputs = keras.Input(input_shape)
    x = normalization.normalize(inputs, mean, variance)
    x = keras.layers.Conv2D(6, 5, padding="same", activation="relu", **options)(
        x
    )
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(16, 5, activation="relu", **options)(x)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(120, activation="relu", **options)(x)
    x = keras.layers.Dense(84, activation="relu", **options)(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=initial.last,
        kernel_regularizer=normalization.decay(weight_decay),
        name="logits",
    )(x)
    return keras.Model(inputs, logits, name="lenet")
