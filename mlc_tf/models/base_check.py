"""Checks that a network is one that can be trained: it emits logits, from
inputs that are known, and its weights can move.
"""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

# The activations of a last layer whose outputs are logits.
_LOGITS = (keras.activations.linear, keras.activations.log_softmax)
# Layers that hand on the values of their input.
_SAME_VALUES = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
)
# The scales of the random inputs at which outputs are looked at.
_SCALES = (1.0, 1000.0)
_ROWS = 8
# An axis of unknown size gets this size.
_SIZE = 16


def check(base: Any) -> int:
    """Returns the number of classes of a network to train.

    Args:
        base: As in `check_logits`.

    Raises:
        InputError: as `check_logits`, or if `base` cannot be trained.
    """
    _check_built(base)
    check_weights(base)
    return check_logits(base)


def check_logits(base: Any) -> int:
    """Returns the number of classes of a network that emits logits.

    If the last operation is not a linear Dense layer, the network is called on
    a few random inputs.

    Args:
        base: A built network from inputs to logits `(batch, classes)`.

    Raises:
        InputError: if `base` is not a Keras model, is not built, or has outputs
            other than logits `(batch, classes)` with classes >= 2.
    """
    _check_built(base)
    if len(getattr(base, "outputs", None) or [None]) != 1:
        raise bad_argument("base", "a model with one output", base.outputs)
    last = check_last_activation(base)
    outputs = None
    if not isinstance(last, keras.layers.Dense):
        outputs = _outputs(base)
    shape = _output_shape(base, outputs)
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        one = len(shape) == 2 and shape[-1] == 1
        hint = "; mlc_tf.models.two_logits makes two logits of one"
        raise InputError(
            "`base` should be a model with outputs (batch, classes), classes "
            f">= 2{hint if one else ''}. Received: `base` = {shape}."
        )
    if outputs is not None:
        _check_outputs(np.asarray(outputs, np.float64))
    return int(shape[-1])


def _check_built(base: Any) -> None:
    if not isinstance(base, keras.Model):
        raise bad_argument("base", "a keras.Model", type(base).__name__)
    if not base.built:
        raise InputError(
            "`base` should be built. Received: `base` = a "
            f"{type(base).__name__} without weights; call it on a batch, or "
            "add a `keras.Input`."
        )


def check_last_activation(base: keras.Model) -> keras.layers.Layer | None:
    """Returns the last layer of a network, if that can be seen.

    Args:
        base: A built network.

    Raises:
        InputError: if the last layer has an activation, as a softmax.
    """
    last = _last_layer(base)
    if last is not None:
        _check_activation(last)
    return last


def check_weights(base: keras.Model) -> None:
    """Raises an `InputError` unless the weights of a network can be trained.

    Weights may be frozen or quantized after a network was wrapped.

    Args:
        base: A built network.
    """
    if not base.trainable_variables:
        raise InputError(
            "`base` should have trainable weights. Received: `base` = a "
            f"{type(base).__name__} without any, or with all weights frozen; "
            "set `trainable` before training."
        )
    for layer in all_layers(base):
        policy = layer.dtype_policy
        if isinstance(policy, keras.dtype_policies.QuantizedDTypePolicy):
            raise InputError(
                "`base` should be trained before it is quantized. Received: "
                f"the layer {layer.name!r} with the dtype {policy.name!r}."
            )
    for variable in base.trainable_variables:
        if variable.dtype == "float16":
            raise InputError(
                "`base` should keep its weights in float32: with the policy "
                "'mixed_float16' it computes in float16. Received: the weight "
                f"{variable.path!r} in float16."
            )


def check_inputs(base: keras.Model, which: str, x: Any) -> None:
    """Checks a batch of inputs against what a network takes.

    Args:
        base: A built network.
        which: Name of the set, for messages: "noisy".
        x: A batch of inputs, or its specs: an array, or arrays in a dict, tuple
            or list.

    Raises:
        InputError: names the keys, the shapes or the kinds that differ.
    """
    expected = input_structure(base)
    if expected is None:
        return
    if isinstance(x, dict) and not isinstance(expected, dict):
        # Keras finds the inputs of a model by their names.
        tensors = keras.tree.flatten(expected)
        expected = {tensor.name: tensor for tensor in tensors}
    if isinstance(expected, dict):
        keys = sorted(x) if isinstance(x, dict) else None
        if keys != sorted(expected):
            raise InputError(
                f"The {which} inputs should be a dict with the keys that the "
                f"base takes, {', '.join(sorted(expected))}. Received: "
                f"{', '.join(keys) if keys else type(x).__name__}."
            )
        pairs = [(f"{which} {key}", x[key], expected[key]) for key in expected]
    elif isinstance(expected, (list, tuple)):
        given = x if isinstance(x, (list, tuple)) else [x]
        if len(given) != len(expected):
            raise InputError(
                f"The {which} inputs should be {len(expected)} arrays, as the "
                f"base takes. Received: {len(given)}."
            )
        pairs = [
            (f"{which} {tensor.name}", each, tensor)
            for each, tensor in zip(given, expected)
        ]
    else:
        if isinstance(x, (list, tuple)) and x and hasattr(x[0], "shape"):
            raise InputError(
                f"The {which} inputs should be one array, as the base takes. "
                f"Received: {len(x)} arrays."
            )
        pairs = [(which, x, expected)]
    for name, given, tensor in pairs:
        _check_input(name, given, tensor)


def input_structure(base: keras.Model) -> Any:
    """Returns the symbolic inputs of a network, nested as it takes them.

    None for a subclassed network, whose inputs are not known.
    """
    if not getattr(base, "inputs", None):
        return None
    if isinstance(base, keras.Sequential):
        # A Sequential model that was never called has `inputs`, but no `input`.
        return base.inputs[0]
    structure = base.input
    single = keras.tree.flatten(structure)
    return (
        single[0]
        if isinstance(structure, list) and not single[1:]
        else structure
    )


def all_layers(base: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a network, and of networks nested in it."""
    found = []
    for layer in base.layers:
        found += (
            all_layers(layer) if isinstance(layer, keras.Model) else [layer]
        )
    return found


def layers_with_operation(base: keras.Model, operation: str) -> list[str]:
    """Returns the names of the layers that use an operation of TensorFlow.

    Args:
        base: A functional or Sequential network.
        operation: The type of the operation, such as "ResizeBicubic".
    """
    found = []
    for layer in all_layers(base):
        try:
            specs = keras.tree.map_structure(
                lambda tensor: tf.TensorSpec(
                    [2, *(size or _SIZE for size in tensor.shape[1:])],
                    tensor.dtype,
                ),
                layer.input,
            )
            graph = (
                tf.function(lambda *x, call=layer: call(*x), autograph=False)
                .get_concrete_function(specs)
                .graph
            )
        except Exception:  # noqa: S112, a layer that cannot be traced alone
            continue
        if any(op.type == operation for op in graph.get_operations()):
            found.append(layer.name)
    return found


def _check_input(which: str, given: Any, tensor: Any) -> None:
    shape = getattr(given, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return
    size, expected = tuple(shape)[1:], tuple(tensor.shape)[1:]
    # Keras adds or leaves out a last axis of size 1.
    candidates = [size, (*size, 1), size[:-1] if size[-1:] == (1,) else size]
    if not any(_fits(each, expected) for each in candidates):
        raise InputError(
            f"The {which} inputs should have the shape that the base takes, "
            f"{expected}. Received: {size}."
        )
    try:
        dtype = tf.as_dtype(given.dtype)
    except (AttributeError, TypeError):  # pandas has dtypes of its own
        return
    is_text = dtype == tf.string
    if is_text != (tensor.dtype == "string"):
        raise InputError(
            f"The {which} inputs should be of the dtype that the base takes, "
            f"{tensor.dtype}. Received: {dtype.name}."
        )


def _fits(size: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    return len(size) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(size, expected)
    )


def _last_layer(base: Any) -> keras.layers.Layer | None:
    """Returns the layer whose values are the outputs, if it can be found."""
    while isinstance(base, keras.Model):
        outputs = getattr(base, "outputs", None)
        if not outputs:
            return None
        found = _layer_of(base, outputs[0])
        if found is None:
            return None
        base = found
    return base


def _layer_of(base: keras.Model, output: Any) -> Any:
    """Returns the layer that computes an output, before any identity layers."""
    by_output: list[tuple[Any, Any]] = []
    for layer in base.layers:
        try:
            by_output.append((layer.output, layer))
        except (AttributeError, ValueError):  # used twice, or never
            continue
    while True:
        layer = next((by for made, by in by_output if made is output), None)
        linear = isinstance(layer, keras.layers.Activation) and (
            layer.activation is keras.activations.linear
        )
        if layer is None or not (linear or isinstance(layer, _SAME_VALUES)):
            return layer
        output = layer.input


def _check_activation(last: keras.layers.Layer) -> None:
    if isinstance(last, keras.layers.Softmax):
        name = "softmax"
    elif isinstance(last, keras.layers.ReLU):
        name = "relu"
    else:
        activation = getattr(last, "activation", None)
        if not callable(activation) or activation in _LOGITS:
            return
        name = getattr(activation, "__name__", type(activation).__name__)
    raise _no_logits(f"the last layer, {last.name!r}, is a {name}")


def _no_logits(reason: str) -> InputError:
    return InputError(
        "`base` should end in logits, without a softmax or another activation. "
        f"Received: `base` = a model whose outputs are not logits: {reason}."
    )


def _outputs(base: keras.Model) -> Any:
    """Returns the outputs on random inputs; None if they cannot be computed."""
    structure = input_structure(base)
    if structure is None:
        shape = (base.get_build_config() or {}).get("input_shape")
        if shape is None:
            return None
        structure = _tensors_of_shape(shape)
    rng = np.random.default_rng(0)

    def draw(tensor: Any) -> tf.Tensor:
        shape = [_ROWS, *(size or _SIZE for size in tensor.shape[1:])]
        if not tf.as_dtype(tensor.dtype).is_floating:
            # Each table of categories or words has the entries 0 and 1.
            bits = rng.integers(0, 2, [len(_SCALES) * _ROWS, *shape[1:]])
            return tf.cast(tf.constant(bits), tensor.dtype)
        parts = [scale * rng.normal(size=shape) for scale in _SCALES]
        return tf.constant(np.concatenate(parts), tensor.dtype)

    try:
        outputs = base(
            keras.tree.map_structure(draw, structure), training=False
        )
        return keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    except Exception:  # the network takes other values than random ones
        return None


def _tensors_of_shape(shape: Any) -> Any:
    """Returns symbolic inputs for the shapes that a network was built with."""
    if isinstance(shape, dict):
        return {key: _tensors_of_shape(each) for key, each in shape.items()}
    if shape and isinstance(shape[0], (list, tuple)):
        return [_tensors_of_shape(each) for each in shape]
    return keras.KerasTensor(tuple(shape), "float32")


def _check_outputs(outputs: np.ndarray) -> None:
    """Raises an `InputError` if outputs look like an activation's."""
    if not np.isfinite(outputs).all() or not np.ptp(outputs, axis=0).any():
        return  # nothing to learn from outputs that are all the same
    low, high = outputs.min(), outputs.max()
    if low >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise _no_logits("rows that sum to 1, as after a softmax")
    if low >= 0 and high <= 1 and low < 1e-3 and high > 1 - 1e-3:
        raise _no_logits("values from 0 to 1, as after a sigmoid")
    if low >= -1 and high <= 1 and low < 1e-3 - 1 and high > 1 - 1e-3:
        raise _no_logits("values from -1 to 1, as after a tanh")
    if low == 0 and np.mean(outputs == 0) > 0.1:
        warnings.warn(
            "The outputs of `base` on random inputs are all >= 0, and "
            f"{np.mean(outputs == 0):.0%} are 0, as after a relu: they should "
            "be logits, without an activation.",
            stacklevel=5,
        )


def _output_shape(base: keras.Model, outputs: Any) -> tuple[int | None, ...]:
    if outputs is not None:
        return (None, *outputs.shape[1:])
    try:
        return tuple(base.output_shape)
    except (AttributeError, ValueError):  # a subclassed model
        raise InputError(
            "`base` should have a known output shape. Received: `base` = a "
            f"{type(base).__name__} that cannot be called on random inputs; "
            "make it a functional model, keras.Model(inputs, base(inputs))."
        ) from None
