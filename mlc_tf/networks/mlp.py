"""A multilayer perceptron, for digits and other small inputs."""

import keras

from mlc_tf.networks import normalization


def mlp(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    hidden_units: tuple[int, ...] = (128,),
    mean: list[float] | None = None,
    variance: list[float] | None = None,
    weight_decay: float = 0.0,
) -> keras.Model:
    """Returns a perceptron with ReLU hidden layers, inputs to logits.

    Args:
        input_shape: Shape of one example.
        num_classes: Width of the output.
        hidden_units: Width of each hidden layer. Defaults to one of 128.
        mean: Subtracted from the inputs, per channel. Defaults to none.
        variance: Divides the inputs by its root. Defaults to none.
        weight_decay: Factor of half the squared norm of the kernels in the
            loss. Defaults to 0.

    Returns:
        A functional `keras.Model`.
    """
    inputs = keras.Input(input_shape)
    x = normalization.normalize(inputs, mean, variance)
    x = keras.layers.Flatten()(x)
    for units in hidden_units:
        x = keras.layers.Dense(
            units,
            activation="relu",
            kernel_initializer="he_normal",
            kernel_regularizer=normalization.decay(weight_decay),
        )(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_regularizer=normalization.decay(weight_decay),
        name="logits",
    )(x)
    return keras.Model(inputs, logits, name="mlp")
