"""The paper's network for Twitter: an MLP on a window of words."""

import keras
import numpy as np

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.networks import initialization
from mlc_tf.networks import normalization
from mlc_tf.networks.mlp import check_hidden_units

DIMENSIONS = 50


def word_window(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    hidden_units: tuple[int, ...] = (256, 256),
    table_sizes: list[int] | None = None,
    weight_decay: float = 0.0,
    initializer: str = "lecun_normal",
) -> keras.Model:
    """Returns a multilayer perceptron on the word vectors of a window.

    The inputs are pretrained vectors, or integer features of each word (its
    number, its prefix, its suffixes, ...). In the second case, the vector of a
    word is the sum of the embeddings of its features, which are trained and
    have 50 dimensions.

    Args:
        input_shape: `(words, dimensions)` for vectors, or `(words, features)`
            for integers.
        num_classes: Number of classes, the width of the output.
        hidden_units: Width of each hidden layer. Defaults to `(256, 256)`.
        table_sizes: Number of values of each integer feature; a larger value
            counts as 0, the unknown value. Defaults to None: the inputs are
            vectors.
        weight_decay: The loss contains `weight_decay / 2` times the squared
            norm of all kernels, without the embeddings. Defaults to 0.
        initializer: The initial weights, a name of
            `initialization.INITIALIZERS`. Defaults to "lecun_normal".

    Returns:
        A functional `keras.Model` from inputs to logits `(batch, num_classes)`.

    Raises:
        InputError: if `input_shape` has another rank, a hidden layer has no
            unit, or `table_sizes` does not have one entry per feature.

    References:
        Hendrycks et al., 2018: the Twitter folder of their code. Bojanowski et
        al., 2017: word vectors as sums of the vectors of word parts.
    """
    if len(input_shape) != 2:
        raise bad_argument(
            "input_shape",
            "(words, dimensions) or (words, features)",
            input_shape,
        )
    check_hidden_units(hidden_units)
    initial = initialization.get(initializer)
    penalty = normalization.decay(weight_decay)
    if table_sizes is None:
        inputs = x = keras.Input(input_shape)
    else:
        if len(table_sizes) != input_shape[1]:
            raise InputError(
                "`table_sizes` should have one size per feature, "
                f"{input_shape[1]}. Received: {len(table_sizes)}."
            )
        inputs = keras.Input(input_shape, dtype="int32")
        # A larger value would be a row of the next feature's table.
        x = keras.ops.where(inputs < np.array(table_sizes), inputs, 0)
        # The order of the operands matters: Keras would turn `add(x, ...)` into
        # BiasAdd, which LiteRT does not support for integers.
        x = keras.ops.add(_first_rows(table_sizes), x)
        x = keras.layers.Embedding(sum(table_sizes), DIMENSIONS)(x)
        x = keras.ops.sum(x, axis=2)
    x = keras.layers.Flatten()(x)
    for units in hidden_units:
        x = keras.layers.Dense(
            units,
            activation="relu",
            kernel_initializer=initial.hidden,
            kernel_regularizer=penalty,
        )(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=initial.last,
        kernel_regularizer=penalty,
        name="logits",
    )(x)
    return keras.Model(inputs, logits, name="word_window")


def _first_rows(table_sizes: list[int]) -> np.ndarray:
    """Returns the first row of each feature in the table, `(features,)`."""
    return np.cumsum([0, *table_sizes[:-1]]).astype(np.int32)
