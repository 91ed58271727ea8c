import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.errors import InputError
from mlc_tf.errors import check_rate
from mlc_tf.models import meta_gradient
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.forward_pass import LastLayer
from tests.conftest import FLOAT64

ALPHA = 0.3
CLASSES = 4


def dense_base(dtype="float64"):
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(6, activation="tanh", dtype=dtype),
            keras.layers.Dense(CLASSES, dtype=dtype),
        ]
    )


def convolutional_base(dtype="float64"):
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2D(3, 3, dtype=dtype),
            keras.layers.BatchNormalization(dtype=dtype),
            keras.layers.Activation("tanh", dtype=dtype),
            keras.layers.Flatten(dtype=dtype),
            keras.layers.Dense(CLASSES, dtype=dtype),
        ]
    )


def batch(rng, base, size, dtype="float64"):
    x = rng.normal(size=(size, *base.input_shape[1:])).astype(dtype)
    return tf.constant(x), tf.constant(rng.integers(0, CLASSES, size))


def matrix(rng, dtype="float64"):
    return tf.constant(rng.dirichlet(np.ones(CLASSES), CLASSES).astype(dtype))


def noisy_loss(labels):
    return lambda logits, transition: tf.reduce_mean(
        losses.corrected_cross_entropy(logits, labels, transition)
    )


def parts(base, noisy, clean, network=AllWeights):
    """The arguments of a meta-gradient for one pair of batches."""
    forward = network(base).forward(noisy[0])
    arguments = {
        "noisy_gradient": forward.gradient_of(noisy_loss(noisy[1])),
        "clean_loss": lambda weights: tf.reduce_mean(
            losses.cross_entropy(forward.logits_at(weights, clean[0]), clean[1])
        ),
        "weights": forward.weights,
        "learning_rate": ALPHA,
    }
    return forward, arguments


def central_differences(forward, noisy_labels, arguments, transition):
    def meta_loss(transition):
        gradients = forward.gradient_of(noisy_loss(noisy_labels))(transition)
        fast = meta_gradient.virtual_step(forward.weights, gradients, ALPHA)
        return arguments["clean_loss"](fast).numpy()

    slope = np.zeros(transition.shape)
    for position in np.ndindex(*transition.shape):
        bump = np.zeros(transition.shape)
        bump[position] = 1e-5
        slope[position] = (
            meta_loss(transition + bump) - meta_loss(transition - bump)
        ) / 2e-5
    return slope


@pytest.mark.parametrize("network", [AllWeights, LastLayer])
@pytest.mark.parametrize("make_base", [dense_base, convolutional_base])
def test_exact_equals_central_differences(make_base, network, rng):
    base = make_base()
    noisy, clean = batch(rng, base, 12), batch(rng, base, 9)
    forward, arguments = parts(base, noisy, clean, network)
    transition = matrix(rng)
    exact = meta_gradient.exact(meta_parameter=transition, **arguments)
    expected = central_differences(forward, noisy[1], arguments, transition)
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-8)


def test_exact_equals_the_closed_form(rng):
    base = dense_base()
    noisy, clean = batch(rng, base, 12), batch(rng, base, 9)
    forward, arguments = parts(base, noisy, clean)
    transition = matrix(rng)
    exact = meta_gradient.exact(meta_parameter=transition, **arguments)
    # u, the derivative of the logits along v, by central differences.
    gradients = arguments["noisy_gradient"](transition)
    fast = meta_gradient.virtual_step(forward.weights, gradients, ALPHA)
    with tf.GradientTape() as tape:
        tape.watch(fast)
        loss = arguments["clean_loss"](fast)
    v = tape.gradient(loss, fast)
    h = 1e-6
    ahead, behind = (
        forward.logits_at(
            [w + sign * h * d for w, d in zip(forward.weights, v)], noisy[0]
        ).numpy()
        for sign in (1, -1)
    )
    u = (ahead - behind) / (2 * h)
    f, t = tf.nn.softmax(forward.logits).numpy(), noisy[1].numpy()
    expected = np.zeros((CLASSES, CLASSES))
    for b, label in enumerate(t):
        s = f[b] @ transition.numpy()[:, label]
        p = f[b] * transition.numpy()[:, label] / s
        expected[:, label] += f[b] / s * (u[b] - p @ u[b])
    np.testing.assert_allclose(exact, ALPHA / 12 * expected, atol=1e-9)


def test_column_weighted_sums_vanish(rng):
    # The loss gradient is homogeneous of degree 0 in each column of T.
    base = dense_base()
    noisy, clean = batch(rng, base, 12), batch(rng, base, 9)
    transition = matrix(rng)
    exact = meta_gradient.exact(
        meta_parameter=transition, **parts(base, noisy, clean)[1]
    )
    np.testing.assert_allclose(
        tf.reduce_sum(transition * exact, axis=0), 0, atol=1e-15
    )


def test_absent_labels_get_no_gradient(rng):
    base = dense_base()
    noisy, clean = batch(rng, base, 12), batch(rng, base, 9)
    noisy = noisy[0], noisy[1] % 3
    exact = meta_gradient.exact(
        meta_parameter=matrix(rng), **parts(base, noisy, clean)[1]
    )
    np.testing.assert_array_equal(exact[:, 3], 0)
    assert np.abs(exact[:, :3]).min() > 0


@pytest.mark.parametrize("form", ["probabilities", "logits"])
def test_worked_example(form):
    # z = x W, W = 0, x = x_clean = 1, noisy label 0, clean label 1, alpha 1.
    loss, expected = {
        "probabilities": (
            losses.corrected_cross_entropy,
            [[0, 0, 0], [-1.36418, 0, 0], [-0.36418, 0, 0]],
        ),
        "logits": (
            losses.logits_corrected_cross_entropy,
            [
                [0.38408, -0.19204, -0.19204],
                [-0.52537, 0.26269, 0.26269],
                [0.14129, -0.07065, -0.07065],
            ],
        ),
    }[form]
    weights = tf.zeros([1, 3], tf.float64)
    ones = tf.ones([1, 1], tf.float64)

    def noisy_gradient(transition):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = loss(ones @ weights, tf.constant([0]), transition)
        return [tape.gradient(value, weights)]

    exact = meta_gradient.exact(
        noisy_gradient,
        lambda fast: losses.cross_entropy(ones @ fast[0], tf.constant([1])),
        [weights],
        tf.eye(3, dtype=tf.float64),
        learning_rate=1.0,
    )
    np.testing.assert_allclose(exact, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make_base", [dense_base, convolutional_base])
def test_finite_difference_equals_exact(make_base, dtype, rng):
    base = make_base(dtype)
    noisy, clean = batch(rng, base, 12, dtype), batch(rng, base, 9, dtype)
    forward, arguments = parts(base, noisy, clean)
    transition = matrix(rng, dtype)
    exact = meta_gradient.exact(meta_parameter=transition, **arguments)
    approximate = meta_gradient.finite_difference(
        noisy_loss=lambda weights, transition: noisy_loss(noisy[1])(
            forward.noisy_logits(weights), transition
        ),
        meta_parameter=transition,
        compute_dtype=dtype,
        **arguments,
    )
    error = tf.norm(approximate - exact) / tf.norm(exact)
    assert 0 < error < {"float32": 1e-2, "float64": 1e-5}[dtype]


def test_a_network_in_bfloat16_takes_a_longer_difference(rng):
    base = dense_base("mixed_bfloat16")
    noisy = batch(rng, base, 64, "float32")
    clean = batch(rng, base, 64, "float32")
    forward, arguments = parts(base, noisy, clean)
    transition = matrix(rng, "float32")
    exact = meta_gradient.exact(meta_parameter=transition, **arguments)

    def error(compute_dtype):
        approximate = meta_gradient.finite_difference(
            noisy_loss=lambda weights, transition: noisy_loss(noisy[1])(
                forward.noisy_logits(weights), transition
            ),
            meta_parameter=transition,
            compute_dtype=compute_dtype,
            **arguments,
        )
        return tf.norm(approximate - exact) / tf.norm(exact)

    assert error("bfloat16") < 0.2 < error("float32")


def test_the_logits_of_the_batch_are_there_already(rng):
    base = dense_base("float64")
    forward = AllWeights(base).forward(batch(rng, base, 12)[0])
    assert forward.noisy_logits(forward.weights) is forward.logits
    doubled = [2 * weight for weight in forward.weights]
    np.testing.assert_array_equal(
        forward.noisy_logits(doubled), forward.logits_at(doubled, forward.x)
    )


def test_head_equals_exact_for_one_dense_layer(rng):
    base = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(CLASSES, dtype="float64")]
    )
    noisy, clean = batch(rng, base, 12), batch(rng, base, 9)
    transition = matrix(rng)
    whole, head = (
        meta_gradient.exact(
            meta_parameter=transition, **parts(base, noisy, clean, network)[1]
        )
        for network in (AllWeights, LastLayer)
    )
    np.testing.assert_allclose(head, whole, rtol=1e-6)


@pytest.mark.parametrize("use_bias", [True, False])
def test_head_moves_the_last_layer_alone(use_bias, rng):
    body = convolutional_base().layers[:-1]
    last = keras.layers.Dense(CLASSES, use_bias=use_bias, dtype="float64")
    base = keras.Sequential([keras.Input((4, 4, 2)), *body, last])
    x, _ = batch(rng, base, 12)
    forward = LastLayer(base).forward(x)
    assert len(forward.weights) == len(last.weights)
    moved = [2 * weight for weight in forward.weights]
    logits = forward.logits_at(moved, x)
    last.set_weights(moved)
    np.testing.assert_allclose(logits, base(x, training=True), **FLOAT64)


def test_no_virtual_step_gives_no_gradient(rng):
    base = dense_base()
    noisy, clean = batch(rng, base, 12), batch(rng, base, 9)
    _, arguments = parts(base, noisy, clean)
    arguments["learning_rate"] = 0.0
    exact = meta_gradient.exact(meta_parameter=matrix(rng), **arguments)
    np.testing.assert_array_equal(exact, 0)


@pytest.mark.parametrize("network", [AllWeights, LastLayer])
def test_the_virtual_step_touches_no_variable(network, rng):
    base = convolutional_base()
    noisy, clean = batch(rng, base, 12), batch(rng, base, 9)
    _, arguments = parts(base, noisy, clean, network)
    before = [variable.numpy() for variable in base.variables]
    meta_gradient.exact(meta_parameter=matrix(rng), **arguments)
    for old, variable in zip(before, base.variables):
        np.testing.assert_array_equal(variable, old)


def test_embedding_gradients_are_dense(rng):
    base = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(20, 4, dtype="float64"),
            keras.layers.GlobalAveragePooling1D(dtype="float64"),
            keras.layers.Dense(CLASSES, dtype="float64"),
        ]
    )
    x = tf.constant(rng.integers(0, 20, (12, 3)), tf.int32)
    noisy = x, tf.constant(rng.integers(0, CLASSES, 12))
    clean = x[:9], tf.constant(rng.integers(0, CLASSES, 9))
    forward, arguments = parts(base, noisy, clean)
    transition = matrix(rng)
    exact = meta_gradient.exact(meta_parameter=transition, **arguments)
    expected = central_differences(forward, noisy[1], arguments, transition)
    np.testing.assert_allclose(exact, expected, **FLOAT64)


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf, "0.1", None, True])
def test_check_rate_refuses(rate):
    with pytest.raises(InputError, match="`alpha` should be a finite float"):
        check_rate("alpha", rate)
