"""Tests the steps of T: worked numbers, and properties of the steps."""

import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import transitions


def update(matrix, gradient, rate, normalization):
    tensors = tf.constant(matrix), tf.constant(gradient)
    matrix, gradient = tensors
    return transitions.projected_step(
        matrix, rate * gradient, normalization
    ).numpy()


def test_update_descends_clips_and_normalizes():
    gradient = np.array([[0.0, -1.0], [4.0, 0.0]])
    # Eq. 7: [[1, .5], [-2, 1]]; Eq. 9: [[1, .5], [0, 1]]; Eq. 10.
    np.testing.assert_allclose(
        update(np.eye(2), gradient, 0.5, "rows"), [[2 / 3, 1 / 3], [0, 1]]
    )
    np.testing.assert_allclose(
        update(np.eye(2), gradient, 0.5, "columns"), [[1, 1 / 3], [0, 2 / 3]]
    )


def test_an_exponentiated_step_multiplies_and_normalizes():
    matrix = tf.constant([[0.5, 0.5], [0.0, 1.0]])
    step = tf.constant([[0.0, -np.log(3.0)], [-9.0, 4.0]])
    rows = transitions.exponentiated_step(matrix, step, "rows")
    np.testing.assert_allclose(rows, [[0.25, 0.75], [0, 1]], rtol=1e-6)
    columns = transitions.exponentiated_step(matrix, step, "columns")
    np.testing.assert_allclose(columns[:, 0], [1, 0])
    np.testing.assert_allclose(
        columns[0, 1], 1.5 / (1.5 + np.exp(-4)), rtol=1e-6
    )


@pytest.mark.parametrize(
    "kind, take",
    [
        ("projected", transitions.projected_step),
        ("exponentiated", transitions.exponentiated_step),
    ],
)
def test_both_steps_agree_to_first_order(kind, take, rng):
    matrix = rng.dirichlet(np.ones(4), 4)
    gradient = rng.normal(size=(4, 4))
    # On the simplex a projected step moves by the gradient, an exponentiated
    # one by the gradient times the entry.
    scaled = gradient if kind == "projected" else matrix * gradient
    tangent = scaled - matrix * scaled.sum(axis=1, keepdims=True)
    moved = take(tf.constant(matrix), 1e-6 * gradient)
    np.testing.assert_allclose(
        (moved - matrix) / 1e-6, -tangent, rtol=1e-4, atol=1e-4
    )


def expected_step(matrix, probs, labels, rate):
    """Returns the step, with the gradient of the mean loss in closed form."""
    explained = (probs @ matrix)[np.arange(len(labels)), labels]
    gradient = np.zeros_like(matrix)
    np.add.at(
        gradient.T, labels, -probs / explained[:, np.newaxis] / len(labels)
    )
    moved = transitions.expectation_step(
        tf.constant(matrix), tf.constant(gradient), rate
    )
    return moved.numpy(), -np.log(explained).mean()


def test_an_expectation_step_of_a_sure_network_counts_the_labels():
    # Three examples of class 0, one of them labelled 1; one of class 1.
    probs = np.eye(2)[[0, 0, 0, 1]]
    start = np.array([[0.8, 0.2], [0.4, 0.6]])
    labels = np.array([0, 0, 1, 1])
    counted = np.array([[2 / 3, 1 / 3], [0, 1]])
    # A row moves by the rate times the class frequency, 3/4 or 1/4, at most
    # all of the way.
    for rate, shares in ((1.0, [0.75, 0.25]), (2.0, [1, 0.5]), (9.0, [1, 1])):
        moved, _ = expected_step(start, probs, labels, rate)
        share = np.array(shares)[:, np.newaxis]
        np.testing.assert_allclose(
            moved, start + share * (counted - start), atol=1e-12
        )


@pytest.mark.parametrize("rate", [0.3, 1.0, 50.0])
def test_expectation_steps_never_raise_the_loss(rate, rng):
    probs = rng.dirichlet(np.ones(4), 200)
    labels = rng.integers(0, 4, 200)
    matrix = rng.dirichlet(np.ones(4), 4)
    matrix[0] = [0, 0.5, 0.5, 0]
    losses = []
    for _ in range(20):
        matrix, loss = expected_step(matrix, probs, labels, rate)
        losses.append(loss)
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        assert (matrix >= 0).all() and (matrix[0, [0, 3]] == 0).all()
    assert (np.diff(losses) < 1e-12).all() and losses[-1] < losses[0] - 1e-3


def test_a_class_that_explains_no_label_keeps_its_row():
    start = np.array([[0.8, 0.2], [0.4, 0.6]])
    moved, _ = expected_step(start, np.eye(2)[[0, 0]], np.array([0, 1]), 1.0)
    np.testing.assert_allclose(moved, [[0.5, 0.5], [0.4, 0.6]])


@pytest.mark.parametrize("limit, scale", [(1.0, 0.2), (5.0, 1.0), (None, 1.0)])
def test_a_long_step_is_shortened(limit, scale):
    step = np.array([[3.0, 0.0], [0.0, 4.0]])
    shortened = transitions.shortened(tf.constant(step), limit)
    np.testing.assert_allclose(shortened, scale * step, rtol=1e-6)


def test_update_keeps_a_row_or_column_that_would_be_empty():
    matrix = np.array([[0.6, 0.4], [0.1, 0.9]])
    gradient = np.array([[9.0, 9.0], [0.0, 0.0]])
    np.testing.assert_allclose(update(matrix, gradient, 1.0, "rows"), matrix)
    gradient = np.array([[9.0, 0.0], [9.0, 0.0]])
    np.testing.assert_allclose(
        update(matrix, gradient, 1.0, "columns"),
        [[0.6, 0.4 / 1.3], [0.1, 0.9 / 1.3]],
    )


@pytest.mark.parametrize("normalization", ["rows", "columns"])
def test_a_nan_gradient_is_not_repaired(normalization):
    gradient = np.full((2, 2), np.nan)
    assert np.isnan(update(np.eye(2), gradient, 1.0, normalization)).all()
