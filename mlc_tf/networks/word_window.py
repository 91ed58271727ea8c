"""The paper's network for Twitter: a window of words, two hidden layers."""

import keras
import numpy as np

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.networks import normalization

DIMENSIONS = 50


def word_window(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    hidden_units: tuple[int, ...] = (256, 256),
    table_sizes: list[int] | None = None,
    weight_decay: float = 0.0,
) -> keras.Model:
    """Returns a perceptron over the vectors of the words in a window.

    The vector of a word is given (pretrained), or it is the sum of trained
    embeddings of its features (its number, its prefix, its suffixes, ...), 50
    numbers wide.

    Args:
        input_shape: `(words, dimensions)` vectors, or `(words, features)`
            integers.
        num_classes: Width of the output.
        hidden_units: Width of each hidden layer. Defaults to two of 256.
        table_sizes: How many values each feature has, for integer inputs;
            larger ones count as 0, the unknown. Defaults to none: the inputs
            are vectors.
        weight_decay: Factor of half the squared norm of the kernels in the
            loss; embeddings are left out. Defaults to 0.

    Returns:
        A functional `keras.Model`.

    Raises:
        InputError: if there are not as many tables as features.

    References:
        Hendrycks et al., 2018, its Twitter folder; Bojanowski et al., 2017,
        for words as sums of what they consist of.
    """
    if len(input_shape) != 2:
        raise bad_argument(
            "input_shape",
            "(words, dimensions) or (words, features)",
            input_shape,
        )
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
        # Else they would be rows of the next table.
        x = keras.ops.where(inputs < np.array(table_sizes), inputs, 0)
        # In this order: Keras would turn the other into BiasAdd, which LiteRT
        # lacks for integers.
        x = keras.ops.add(_first_rows(table_sizes), x)
        x = keras.layers.Embedding(sum(table_sizes), DIMENSIONS)(x)
        x = keras.ops.sum(x, axis=2)
    x = keras.layers.Flatten()(x)
    for units in hidden_units:
        x = keras.layers.Dense(
            units,
            activation="relu",
            kernel_initializer="lecun_normal",
            kernel_regularizer=penalty,
        )(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer="lecun_normal",
        kernel_regularizer=penalty,
        name="logits",
    )(x)
    return keras.Model(inputs, logits, name="word_window")


def _first_rows(table_sizes: list[int]) -> np.ndarray:
    """Returns where the rows of each feature begin, `(features,)`."""
    return np.cumsum([0, *table_sizes[:-1]]).astype(np.int32)
