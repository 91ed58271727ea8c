"""Pre-activation wide residual networks, WRN-d-k; the paper uses WRN-40-2."""

import keras

from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count
from mlc_tf.errors import is_integer
from mlc_tf.networks import initialization
from mlc_tf.networks import normalization

_WIDTHS = (16, 32, 64)


def wide_resnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 40,
    width: int = 2,
    mean: list[float] | None = None,
    variance: list[float] | None = None,
    weight_decay: float = 0.0,
    initializer: str = "he_normal",
) -> keras.Model:
    """Returns WRN-depth-width for images.

    Args:
        input_shape: `(height, width, channels)`, at least 8 by 8.
        num_classes: Number of classes, the width of the output.
        depth: Number of layers, `6 n + 4` with n blocks in each of the three
            stages. Defaults to 40.
        width: The stages have `16 width`, `32 width` and `64 width` filters.
            Defaults to 2.
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
        InputError: if `depth` is not `6 n + 4` with an integer n >= 1, or if
            `width` is not an integer >= 1.

    References:
        Zagoruyko and Komodakis, 2016, arXiv:1605.07146.
    """
    if not is_integer(depth) or (depth - 4) % 6 or depth < 10:
        raise bad_argument("depth", "6 n + 4 for an integer n >= 1", depth)
    blocks = (depth - 4) // 6
    check_count("width", width)
    initial = initialization.get(initializer)
    penalty = normalization.decay(weight_decay)

    def convolve(
        x: keras.KerasTensor, filters: int, size: int, strides: int
    ) -> keras.KerasTensor:
        return keras.layers.Conv2D(
            filters,
            size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer=initial.hidden,
            kernel_regularizer=penalty,
        )(x)

    def activate(x: keras.KerasTensor) -> keras.KerasTensor:
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        return keras.layers.ReLU()(x)

    def block(
        x: keras.KerasTensor, filters: int, strides: int
    ) -> keras.KerasTensor:
        activated = activate(x)
        # If the shape changes, the shortcut is a projection of the activated
        # input.
        if x.shape[-1] != filters or strides != 1:
            x = convolve(activated, filters, 1, strides)
        y = convolve(activated, filters, 3, strides)
        y = convolve(activate(y), filters, 3, 1)
        return keras.layers.Add()([x, y])

    inputs = keras.Input(input_shape)
    x = normalization.normalize(inputs, mean, variance)
    x = convolve(x, _WIDTHS[0], 3, 1)
    for stage, filters in enumerate(_WIDTHS):
        for index in range(blocks):
            strides = 2 if stage > 0 and index == 0 else 1
            x = block(x, filters * width, strides)
    x = keras.layers.GlobalAveragePooling2D()(activate(x))
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=initial.last,
        kernel_regularizer=penalty,
        name="logits",
    )(x)
    return keras.Model(inputs, logits, name=f"wrn_{depth}_{width}")
