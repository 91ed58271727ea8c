"""The fused kernels compute what Keras' batch normalisation computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.models import fused_normalization
from tests.conftest import FLOAT32

SHAPE = (6, 5, 4, 3)


def with_layer(layer, shape=SHAPE[1:], dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), layer])


def normalization(**options):
    layer = keras.layers.BatchNormalization(
        momentum=0.8, epsilon=1e-2, **options
    )
    return with_layer(layer, dtype=layer.variable_dtype)


def set_weights(base):
    rng = np.random.default_rng(1)
    for variable in base.weights:
        variable.assign(rng.uniform(0.5, 2.0, variable.shape))


def slope(base, x, direction, fused, training):
    """Returns a loss's gradients, and their sum along a direction."""
    weights = base.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(x)
        if fused:
            with fused_normalization.used_by(base):
                y = base(x, training=training)
        else:
            y = base(x, training=training)
        loss = tf.reduce_sum(tf.sin(tf.cast(y, x.dtype)))
    gradients = tape.gradient(loss, [x, *weights])
    along = sum(
        tf.reduce_sum(gradient * tf.cast(towards, gradient.dtype))
        for gradient, towards in zip(gradients, direction, strict=True)
    )
    return y, gradients, along


def computed(base, x, direction, fused, training=True):
    """Returns outputs, gradients, second derivatives, and statistics."""
    set_weights(base)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, first, along = slope(base, x, direction, fused, training)
    second = tape.gradient(along, [x, *base.trainable_variables])
    statistics = [variable.numpy().copy() for variable in base.variables]
    return {
        "outputs": y,
        **{f"gradient {number}": part for number, part in enumerate(first)},
        **{f"second {number}": part for number, part in enumerate(second)},
        **{f"weight {number}": part for number, part in enumerate(statistics)},
    }


def directions(base, rng):
    shapes = [SHAPE, *(variable.shape for variable in base.trainable_variables)]
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"scale": False}, {"center": False, "axis": 3}]
)
def test_outputs_gradients_and_statistics_are_those_of_keras(
    options, training, rng
):
    x = (3.0 * rng.normal(size=SHAPE) + 1.0).astype(np.float32)
    base = normalization(**options)
    direction = directions(base, rng)
    expected, found = (
        computed(base, x, direction, fused, training) for fused in (False, True)
    )
    assert np.abs(expected["gradient 0"]).max() > 0.01
    if training:
        # Keras takes the mean in the variance for a constant, which is right
        # for first derivatives only. The next test has the second one.
        del expected["second 0"], found["second 0"]
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, **FLOAT32)


def test_the_second_derivative_is_the_difference_of_first_ones(rng):
    x = 3.0 * rng.normal(size=SHAPE) + 1.0
    along_x = rng.normal(size=SHAPE)
    base = normalization()
    direction = directions(base, rng)
    found = computed(base, x.astype(np.float32), direction, fused=True)
    wide, step = normalization(dtype="float64"), 1e-6
    set_weights(wide)
    ahead, behind = (
        slope(wide, tf.constant(moved), direction, False, True)[2]
        for moved in (x + step * along_x, x - step * along_x)
    )
    np.testing.assert_allclose(
        np.sum(found["second 0"] * along_x),
        (ahead - behind) / (2 * step),
        rtol=1e-4,
    )


def operations(base, training=True):
    """Returns the types of the operations of a call inside of the context."""
    shape = (8, *base.input_shape[1:])

    @tf.function
    def call(x):
        with fused_normalization.used_by(base):
            return base(x, training=training)

    spec = tf.TensorSpec(shape, base.inputs[0].dtype)
    graph = call.get_concrete_function(spec).graph
    return {operation.type for operation in graph.get_operations()}


class Own(keras.layers.BatchNormalization):
    """A layer of a user."""


@pytest.mark.parametrize(
    "base",
    [
        with_layer(keras.layers.BatchNormalization(axis=1)),
        with_layer(keras.layers.BatchNormalization(synchronized=True)),
        with_layer(keras.layers.BatchNormalization(renorm=True)),
        with_layer(keras.layers.BatchNormalization(epsilon=1e-6)),
        with_layer(keras.layers.BatchNormalization(dtype="float64")),
        with_layer(keras.layers.BatchNormalization(), shape=(5,)),
        with_layer(Own()),
    ],
    ids="axis synchronized renorm epsilon float64 rank subclass".split(),
)
def test_other_layers_are_called_as_always(base):
    assert "FusedBatchNormV3" not in operations(base)


def test_nested_and_frozen_layers():
    inner = normalization()
    outer = keras.Sequential([keras.Input(SHAPE[1:]), inner])
    assert "FusedBatchNormV3" in operations(outer)
    inner.layers[0].trainable = False
    before = [variable.numpy() for variable in inner.variables]
    with fused_normalization.used_by(outer):
        outer(10.0 * np.ones(SHAPE, np.float32), training=True)
    for variable, value in zip(inner.variables, before):
        np.testing.assert_array_equal(variable, value)


def test_a_narrow_dtype_is_computed_in_float32(rng):
    x = rng.normal(size=SHAPE).astype(np.float32)
    base = normalization(dtype="mixed_bfloat16")
    set_weights(base)
    expected = base(x, training=True)
    set_weights(base)
    with fused_normalization.used_by(base):
        found = base(x, training=True)
    assert found.dtype == expected.dtype == tf.bfloat16
    np.testing.assert_allclose(
        tf.cast(found, tf.float32), tf.cast(expected, tf.float32), atol=0.02
    )


def test_the_network_stays_as_it_is(tmp_path):
    base = normalization()
    config, attributes = base.get_config(), set(vars(base.layers[0]))
    with pytest.raises(ZeroDivisionError), fused_normalization.used_by(base):
        assert set(vars(base.layers[0])) != attributes
        raise ZeroDivisionError
    assert base.get_config() == config
    assert set(vars(base.layers[0])) == attributes
    with fused_normalization.used_by(base):
        base.save(tmp_path / "base.keras")
    loaded = keras.saving.load_model(tmp_path / "base.keras")
    assert type(loaded.layers[0]) is keras.layers.BatchNormalization
