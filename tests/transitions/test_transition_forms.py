"""The forms of T: a low rank says what its dense matrix says."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.models import meta_gradient
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.meta_loss_correction import META_GRADIENTS
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.transitions.transition_forms import DenseTransition
from mlc_tf.transitions.transition_forms import LowRankTransition
from tests.conftest import FLOAT64

CLASSES, RANK = 5, 2


@pytest.fixture
def parameters(rng):
    directions = rng.random((RANK, CLASSES))
    return [
        tf.constant(rng.random((CLASSES, RANK))),
        tf.constant(directions / directions.sum(axis=1, keepdims=True)),
    ]


@pytest.fixture
def batch(rng):
    logits = tf.constant(rng.normal(size=(12, CLASSES)))
    return logits, tf.constant(rng.integers(0, CLASSES, 12))


def small_network(dtype="float32", classes=CLASSES):
    return keras.Sequential(
        [
            keras.Input((4,), dtype=dtype),
            keras.layers.Dense(5, activation="tanh", dtype=dtype),
            keras.layers.Dense(classes, dtype=dtype),
        ]
    )


def sizes_of_tensors(model, size):
    """Returns how many entries the tensors of a step's graph have."""
    model.compile("sgd")
    model.optimizer.build(model.base.trainable_variables)
    half = tf.zeros([size, 4]), tf.zeros([size], tf.int64)
    step = tf.function(model.train_step).get_concrete_function((half, half))
    return {
        output.shape.num_elements()
        for operation in step.graph.get_operations()
        for output in operation.outputs
        if output.shape.is_fully_defined()
    }


def arrays(parameters):
    return [np.asarray(part) for part in parameters]


def test_the_matrix_is_identity_and_product_with_rows_that_sum_to_one():
    form = LowRankTransition(2, 1)
    matrix = form.matrix([np.array([[3.0], [0.0]]), np.array([[0.2, 0.8]])])
    np.testing.assert_allclose(matrix, [[1.6 / 4, 2.4 / 4], [0, 1]])


def test_it_starts_as_the_identity_with_rows_that_differ():
    one, same = (LowRankTransition(CLASSES, RANK).start() for _ in range(2))
    form = LowRankTransition(CLASSES, RANK)
    np.testing.assert_array_equal(
        form.matrix(list(one.values())), np.eye(CLASSES)
    )
    np.testing.assert_allclose(one["directions"].sum(axis=1), 1)
    np.testing.assert_array_equal(one["directions"], same["directions"])
    assert not np.allclose(*one["directions"])


def test_its_loss_and_gradients_are_those_of_its_matrix(parameters, batch):
    logits, labels = batch
    form = LowRankTransition(CLASSES, RANK)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([logits, parameters])
        odds, directions = parameters
        raw = tf.eye(CLASSES, dtype=tf.float64) + odds @ directions
        dense = raw / tf.reduce_sum(raw, axis=1, keepdims=True)
        expected = losses.corrected_cross_entropy(logits, labels, dense)
        ours = form.loss(logits, labels, parameters)
    np.testing.assert_allclose(form.matrix(arrays(parameters)), dense)
    np.testing.assert_allclose(ours, expected, **FLOAT64)
    for source in (logits, odds, directions):
        np.testing.assert_allclose(
            tape.gradient(ours, source),
            tape.gradient(expected, source),
            **FLOAT64,
        )


def test_a_step_descends_stays_positive_and_keeps_the_gauge(parameters, rng):
    form = LowRankTransition(CLASSES, RANK)
    gradients = [
        tf.constant(rng.normal(size=part.shape)) for part in parameters
    ]
    odds, directions = form.update(
        parameters, [0.3 * gradient for gradient in gradients]
    )
    raw = [
        np.maximum(part - 0.3 * gradient, 0)
        for part, gradient in zip(arrays(parameters), arrays(gradients))
    ]
    assert np.min(odds) >= 0 and np.min(directions) >= 0
    np.testing.assert_allclose(tf.reduce_sum(directions, axis=1), 1)
    np.testing.assert_allclose(
        form.matrix([odds, directions]), form.matrix(raw)
    )
    assert not np.allclose(
        form.matrix(raw), form.matrix(arrays(parameters)), atol=0.05
    )


def test_a_row_that_would_be_emptied_keeps_its_value(parameters):
    form = LowRankTransition(CLASSES, RANK)
    gradients = [tf.zeros_like(parameters[0]), 9 * tf.ones_like(parameters[1])]
    for part, old in zip(form.update(parameters, gradients), parameters):
        np.testing.assert_array_equal(part, old)


@pytest.mark.parametrize("kind", transitions.STEPS)
def test_the_dense_form_takes_steps_of_its_kind(kind, rng):
    start = transitions.normalize(rng.random((CLASSES, CLASSES)))
    gradient = tf.constant(rng.normal(size=(CLASSES, CLASSES)))
    form = DenseTransition("columns", kind)
    (parameter,) = form.start(np.asarray(start)).values()
    np.testing.assert_allclose(parameter.sum(axis=0), 1)
    (moved,) = form.update([parameter], [0.1 * gradient])
    np.testing.assert_allclose(
        moved,
        transitions.STEPS[kind](parameter, 0.1 * gradient, "columns"),
    )


def test_the_meta_gradient_equals_central_differences(parameters, batch, rng):
    _, labels = batch
    form = LowRankTransition(CLASSES, RANK)
    base = small_network("float64")
    x, x_clean = tf.constant(rng.normal(size=(2, 12, 4)))
    forward = AllWeights(base).forward(x)

    def clean_loss(weights):
        logits = forward.logits_at(weights, x_clean)
        return tf.reduce_mean(losses.cross_entropy(logits, labels))

    gradient_of = forward.gradient_of(
        lambda logits, transition: tf.reduce_mean(
            form.loss(logits, labels, transition)
        )
    )
    ours = meta_gradient.exact(
        gradient_of, clean_loss, forward.weights, parameters, 0.3
    )

    def meta_loss(moved):
        gradients = gradient_of([tf.constant(part) for part in moved])
        return clean_loss(
            meta_gradient.virtual_step(forward.weights, gradients, 0.3)
        ).numpy()

    for which, part in enumerate(parameters):
        for position in np.ndindex(*part.shape):
            both = []
            for sign in (1, -1):
                moved = [np.array(other) for other in parameters]
                moved[which][position] += sign * 1e-5
                both.append(meta_loss(moved))
            slope = (both[0] - both[1]) / 2e-5
            np.testing.assert_allclose(
                ours[which][position], slope, rtol=0, atol=1e-8
            )


@pytest.mark.parametrize("form", META_GRADIENTS)
def test_a_low_rank_is_learned(form, rng):
    """Of two swapped classes T comes to know, in all forms of the gradient."""
    centres = 4 * np.eye(4)
    true = rng.integers(0, 4, 600)
    x = (centres[true] + 0.3 * rng.normal(size=(600, 4))).astype(np.float32)
    noisy = np.where((true == 0) & (rng.random(600) < 0.4), 1, true)
    clean = slice(560, 600)
    model = MetaLossCorrection(
        small_network(classes=4),
        rank=4,
        meta_gradient=form,
        transition_learning_rate=3.0,
        max_transition_step=0.1,
    )
    model.compile(keras.optimizers.SGD(0.1))
    pairs = data.pair(
        (x[:560], noisy[:560]), (x[clean], true[clean]), batch_size=56
    )
    model.fit(pairs, epochs=30, verbose=0)
    matrix = model.transition_matrix
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    assert 0.2 < matrix[0, 1] < 0.6
    assert np.trace(matrix[1:, 1:]) > 2.5


def test_many_classes_make_no_cube_and_a_low_rank_no_square():
    classes, size = 1000, 8
    dense = MetaLossCorrection(small_network(classes=classes))
    assert max(sizes_of_tensors(dense, size)) == classes**2
    low_rank = MetaLossCorrection(small_network(classes=classes), rank=2)
    assert max(sizes_of_tensors(low_rank, size)) == size * classes


@pytest.mark.parametrize("rank", [0, CLASSES + 1, 1.5, True])
def test_other_ranks_are_refused(rank):
    message = re.escape("`rank` should be an integer in [1, 5]")
    with pytest.raises(InputError, match=message):
        LowRankTransition(CLASSES, rank)


def test_soft_labels_are_refused(parameters, batch):
    with pytest.raises(InputError, match="should be class ids where `rank`"):
        LowRankTransition(CLASSES, RANK).loss(
            batch[0], tf.one_hot(batch[1], CLASSES), parameters
        )


@pytest.mark.parametrize(
    "options", [{"transition": np.eye(3)}, {"normalization": "columns"}]
)
def test_what_a_rank_excludes_is_refused(options):
    with pytest.raises(InputError, match="where `rank` is given"):
        MetaLossCorrection(small_network(classes=3), rank=1, **options)
