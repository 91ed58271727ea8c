"""The networks of `keras.applications`, by their names."""

from collections.abc import Iterator
from pathlib import Path

import keras

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.networks import initialization
from mlc_tf.networks import normalization

_SMALLEST = 32


def names() -> list[str]:
    """Returns the names of the networks, such as "EfficientNetB0"."""
    return [
        name
        for name in dir(keras.applications)
        if name[0].isupper() and callable(getattr(keras.applications, name))
    ]


def check(name: str) -> None:
    """Raises an `InputError` for an unknown network; it names the nearest.

    Args:
        name: One of `names()`.
    """
    if name not in names():
        raise unknown_name("network.name", name, names())


def application(
    name: str,
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    weights: str = "imagenet",
    weight_decay: float = 0.0,
    initializer: str = "he_normal",
) -> keras.Model:
    """Returns a network of `keras.applications` with a new last layer.

    The network contains the preprocessing that its published weights expect.

    Args:
        name: The name of the network, such as "EfficientNetB0".
        input_shape: `(height, width, 3)`, at least 32 by 32, values 0 to 255.
        num_classes: Number of classes, the width of the output.
        weights: "imagenet" (downloaded by Keras), a file of weights of the
            network with `include_top=False`, or "" for random weights. Defaults
            to "imagenet".
        weight_decay: The loss contains `weight_decay / 2` times the squared
            norm of all kernels. The kernels of depthwise convolutions do not
            decay. Defaults to 0.
        initializer: The initial weights of the last layer, a name of
            `initialization.INITIALIZERS`. Defaults to "he_normal".

    Returns:
        A functional `keras.Model` from inputs to logits `(batch, num_classes)`.

    Raises:
        InputError: if the images have another shape, or the weights cannot be
            loaded.
    """
    check(name)
    if (
        len(input_shape) != 3
        or input_shape[2] != 3
        or min(input_shape[:2]) < _SMALLEST
    ):
        raise bad_argument(
            "input_shape", "(height, width, 3), at least 32 by 32", input_shape
        )
    body = _body(name, input_shape, weights)
    initial = initialization.get(initializer)
    penalty = normalization.decay(weight_decay)
    for layer in _layers(body):
        kernel = _decaying_kernel(layer)
        if kernel is not None:
            variable, regularizer = kernel
            setattr(layer, regularizer, penalty)  # kept by a saved model
            getattr(layer, variable).regularizer = penalty  # in the loss
    inputs = keras.Input(input_shape)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=initial.last,
        kernel_regularizer=penalty,
        name="logits",
    )(body(_preprocess(name, inputs)))
    return keras.Model(inputs, logits, name=f"{body.name}_classifier")


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model, also the layers of models within it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _decaying_kernel(layer: keras.layers.Layer) -> tuple[str, str] | None:
    """Returns the names of a kernel and of its regularizer, or None."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        return "pointwise_kernel", "pointwise_regularizer"
    # The kernels of depthwise convolutions do not decay, as in published
    # trainings. In some networks these are convolutions with groups.
    if isinstance(layer, keras.layers.Dense) or (
        isinstance(layer, keras.layers.Conv2D) and layer.groups == 1
    ):
        return "kernel", "kernel_regularizer"
    return None


def _preprocess(name: str, inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Returns images as the published weights expect them."""
    module = getattr(keras.applications, name).__module__.rpartition(".")[2]
    return getattr(keras.applications, module).preprocess_input(
        keras.ops.cast(inputs, "float32")
    )


def _body(name: str, input_shape: tuple[int, ...], weights: str) -> keras.Model:
    if weights not in ("", "imagenet") and not Path(weights).is_file():
        raise bad_argument(
            "network.weights", "'imagenet', '' or a file", weights
        )
    try:
        body = getattr(keras.applications, name)(
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            input_shape=input_shape,
            pooling="avg",
        )
        if weights not in ("", "imagenet"):
            body.load_weights(weights)
    except Exception as error:  # any error of Keras' downloader or HDF5
        if "nput size" in str(error):  # some networks need more than 32 pixels
            raise bad_argument(
                "input_shape",
                f"large enough for {name} "
                f"({' '.join(str(error).split())[:80]})",
                input_shape,
            ) from error
        raise InputError(
            "`network.weights` should be weights of "
            f"keras.applications.{name}(include_top=False). Received: "
            f"{weights!r}, which cannot be loaded "
            f"({' '.join(str(error).split())[:120]})."
        ) from error
    return body
