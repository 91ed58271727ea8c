"""ResNet-50, pretrained on ImageNet: the paper's network for Clothing1M."""

from pathlib import Path

import keras

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.networks import initialization
from mlc_tf.networks import normalization

# Mean of blue, green and red: the weights of `keras.applications` expect this
# order.
_IMAGENET_MEAN = (103.939, 116.779, 123.68)


def resnet50(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    weights: str = "imagenet",
    weight_decay: float = 0.0,
    initializer: str = "he_normal",
) -> keras.Model:
    """Returns ResNet-50 with a new last layer, for RGB images.

    Args:
        input_shape: `(height, width, 3)`, at least 32 by 32, values 0 to 255.
        num_classes: Number of classes, the width of the output.
        weights: "imagenet" (downloaded by Keras), a file of weights of
            `keras.applications.ResNet50(include_top=False)`, or "" for random
            weights. Defaults to "imagenet".
        weight_decay: The loss contains `weight_decay / 2` times the squared
            norm of all kernels. Defaults to 0.
        initializer: The initial weights of the last layer, a name of
            `initialization.INITIALIZERS`. Defaults to "he_normal".

    Returns:
        A functional `keras.Model` from inputs to logits `(batch, num_classes)`.

    Raises:
        InputError: if the images have another shape, or the weights cannot be
            loaded.

    References:
        He et al., 2016; `keras.applications.resnet50`.
    """
    if (
        len(input_shape) != 3
        or input_shape[2] != 3
        or min(input_shape[:2]) < 32
    ):
        raise bad_argument(
            "input_shape", "(height, width, 3), at least 32 by 32", input_shape
        )
    body = _body(input_shape, weights)
    initial = initialization.get(initializer)
    penalty = normalization.decay(weight_decay)
    for layer in body.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel_regularizer = penalty  # kept by a saved model
            layer.kernel.regularizer = penalty  # applied in the loss
    inputs = keras.Input(input_shape)
    x = keras.ops.flip(inputs, axis=-1)  # to blue, green, red
    x = normalization.normalize(x, list(_IMAGENET_MEAN), [1.0, 1.0, 1.0])
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=initial.last,
        kernel_regularizer=penalty,
        name="logits",
    )(body(x))
    return keras.Model(inputs, logits, name="resnet50_classifier")


def _body(input_shape: tuple[int, ...], weights: str) -> keras.Model:
    if weights not in ("", "imagenet") and not Path(weights).is_file():
        raise bad_argument(
            "network.weights", "'imagenet', '' or a file", weights
        )
    try:
        body = keras.applications.ResNet50(
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            input_shape=input_shape,
            pooling="avg",
        )
        if weights not in ("", "imagenet"):
            body.load_weights(weights)
    except Exception as error:  # any error of Keras' downloader or HDF5
        raise InputError(
            "`network.weights` should be weights of "
            "keras.applications.ResNet50(include_top=False). Received: "
            f"{weights!r}, which cannot be loaded "
            f"({' '.join(str(error).split())[:120]})."
        ) from error
    return body
