"""Turns a binary network with one logit into a classifier of two classes."""

import keras

from mlc_tf.errors import InputError
from mlc_tf.models import base_check


def two_logits(base: keras.Model) -> keras.Model:
    """Returns a network with the logits (0, z) from a network with a logit z.

    The softmax of the two logits is (1 - sigmoid(z), sigmoid(z)), so that class
    1 is the class of a positive logit. The networks share their weights: after
    training, `base` can be used as before. The result is a model of Keras
    alone.

    `meta_gradient="head"` needs a linear Dense layer at the end. Use "exact",
    or end the network in `Dense(2)`.

    Args:
        base: A functional or Sequential network with outputs `(batch, 1)`, one
            logit: without a sigmoid.

    Raises:
        InputError: if `base` is another network.

    Example:

    >>> base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> two_logits(base).output_shape
    (None, 2)
    """
    outputs = getattr(base, "outputs", None)
    if (
        not isinstance(base, keras.Model)
        or not outputs
        or [tuple(each.shape)[1:] for each in outputs] != [(1,)]
    ):
        shapes = [tuple(each.shape) for each in outputs or ()]
        raise InputError(
            "`base` should be a functional or Sequential model with one output "
            f"of shape (batch, 1). Received: a {type(base).__name__} with "
            f"outputs {shapes or 'that are not known'}."
        )
    base_check.check_last_activation(base)
    logit = outputs[0]
    logits = keras.layers.Concatenate(name="two_logits")(
        [keras.ops.zeros_like(logit), logit]
    )
    return keras.Model(base_check.input_structure(base), logits)
