import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import transitions
from mlc_tf.errors import InputError

TRUE = np.array([[0.7, 0.3, 0.0], [0.0, 0.7, 0.3], [0.0, 0.3, 0.7]])
# TRUE with its columns divided by their sums, (0.7, 1.3, 1).
GAUGED = np.array([[1, 3 / 13, 0], [0, 7 / 13, 0.3], [0, 3 / 13, 0.7]])


def test_correct_takes_rows_for_clean_classes():
    probs = np.array([[1.0, 0.0, 0.0]])
    np.testing.assert_allclose(
        transitions.correct(probs, TRUE), [[0.7, 0.3, 0.0]]
    )


def test_normalize_divides_rows_or_columns():
    raw = tf.constant([[1.0, 3.0], [2.0, 2.0]])
    np.testing.assert_allclose(
        transitions.normalize(raw, "rows"), [[0.25, 0.75], [0.5, 0.5]]
    )
    np.testing.assert_allclose(
        transitions.normalize(raw, "columns"), [[1 / 3, 0.6], [2 / 3, 0.4]]
    )


@pytest.mark.parametrize("normalization", ["rows", "columns"])
def test_normalize_leaves_zeros_zero(normalization):
    raw = tf.constant([[0.0, 0.0], [0.0, 4.0]])
    np.testing.assert_allclose(
        transitions.normalize(raw, normalization), [[0, 0], [0, 1]]
    )


def test_regauge_recovers_the_true_matrix():
    np.testing.assert_allclose(transitions.regauge(GAUGED), TRUE, atol=1e-12)


def test_distance_is_the_mean_l1_distance_of_rows():
    identity = np.eye(3)
    assert transitions.distance(TRUE, TRUE) == 0
    np.testing.assert_allclose(transitions.distance(identity, TRUE), 0.6)
    np.testing.assert_allclose(
        transitions.distance(identity[[1, 2, 0]], identity), 2
    )


def test_distance_of_other_shapes_is_refused():
    for other in (np.eye(2), np.array([0.5, 0.3, 0.2])):
        with pytest.raises(InputError, match="`true` should be a matrix"):
            transitions.distance(TRUE, other)


def test_distance_regauges_columns():
    assert transitions.distance(GAUGED, TRUE) > 0.1
    np.testing.assert_allclose(
        transitions.distance(GAUGED, TRUE, "columns"), 0, atol=1e-12
    )


def test_validate_returns_a_good_matrix():
    np.testing.assert_array_equal(transitions.validate(TRUE.tolist(), 3), TRUE)


@pytest.mark.parametrize(
    "matrix, num_classes, message",
    [
        (np.eye(2), 3, r"`transition` should be a matrix of shape \(3, 3\)"),
        (np.ones(3) / 3, None, r"should be a matrix of shape \(3, 3\)"),
        (np.full((2, 2), 0.4), None, r"sums to 1.*sums to 0.8"),
        ([[1.5, -0.5], [0, 1]], None, r"\[0, 1\]` should be non-negative"),
        ([[1, 0], [np.nan, 1]], None, r"\[1, 0\]` should be finite"),
        ([["a", "b"]], None, "a square matrix of numbers"),
        (TRUE.T, None, r"`transition\[0\]` should be a row that sums to 1"),
    ],
)
def test_validate_refuses(matrix, num_classes, message):
    with pytest.raises(InputError, match=message):
        transitions.validate(matrix, num_classes)


def test_rows_of_a_normalized_matrix_sum_to_one():
    np.testing.assert_array_equal(transitions.to_rows(TRUE, "rows"), TRUE)
    np.testing.assert_allclose(
        transitions.to_rows(GAUGED, "columns"), TRUE, atol=1e-12
    )


def test_a_row_without_mass_becomes_that_of_the_identity():
    empty = np.array([[0.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.5, 0.0, 1.0]])
    rows = transitions.to_rows(empty, "columns")
    np.testing.assert_array_equal(rows[0], [1, 0, 0])
    np.testing.assert_allclose(rows.sum(axis=1), 1)


@pytest.mark.parametrize(
    "use",
    [
        lambda name: transitions.to_rows(TRUE, name),
        lambda name: transitions.normalize(tf.constant(TRUE), name),
        lambda name: transitions.distance(TRUE, TRUE, name),
    ],
)
def test_an_unknown_normalization_is_refused(use):
    with pytest.raises(InputError, match="Did you mean 'columns'"):
        use("colums")
