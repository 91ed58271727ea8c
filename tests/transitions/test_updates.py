"""Tests the objects that define how T starts and moves."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.transitions import Exponentiated
from mlc_tf.transitions import Projected
from mlc_tf.transitions import ProjectedColumns

START = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5]])
GRADIENT = np.array([[0.3, -0.2, 0.1], [0.0, 0.4, -0.1], [0.2, 0.1, -0.5]])


def test_the_identity_is_smoothed():
    np.testing.assert_allclose(
        Exponentiated(smoothing=0.3).start(4), 0.7 * np.eye(4) + 0.3 / 4
    )
    np.testing.assert_array_equal(Projected().start(3), np.eye(3))


def test_a_given_start_is_smoothed_as_the_identity_is():
    np.testing.assert_allclose(
        Exponentiated(initial=START, smoothing=0.5).start(3), START / 2 + 1 / 6
    )
    np.testing.assert_array_equal(
        Exponentiated(initial=START, smoothing=0.0).start(3), START
    )


def test_the_start_of_columns_is_gauged():
    start = ProjectedColumns(initial=START).start(3)
    np.testing.assert_allclose(start.sum(axis=0), 1)
    np.testing.assert_allclose(transitions.regauge(start), START, atol=1e-12)


@pytest.mark.parametrize(
    "update, pure",
    [
        (Exponentiated(2.0, max_step=None), transitions.exponentiated_step),
        (Projected(2.0), transitions.projected_step),
        (
            ProjectedColumns(2.0),
            lambda matrix, step: transitions.projected_step(
                matrix, step, "columns"
            ),
        ),
    ],
    ids=["exponentiated", "projected", "projected columns"],
)
def test_a_step_is_the_pure_function_of_rate_times_gradient(update, pure):
    matrix, gradient = tf.constant(update.start(3)), tf.constant(GRADIENT)
    moved = update.apply(matrix, gradient, 0)
    np.testing.assert_array_equal(moved, pure(matrix, 2.0 * gradient))
    assert not np.allclose(moved, matrix, atol=1e-2)
    axis = 0 if update.normalization == "columns" else 1
    np.testing.assert_allclose(tf.reduce_sum(moved, axis), 1)


@pytest.mark.parametrize("step, share", [(0, 1.0), (2, 0.5), (4, 0.0), (9, 0)])
def test_the_step_is_limited_first_and_then_decays(step, share):
    update = Projected(100.0, max_step=0.2, decay_steps=4)
    matrix = tf.constant(np.full((3, 3), 1 / 3))
    change = 0.2 * share * GRADIENT / np.linalg.norm(GRADIENT)
    expected = transitions.projected_step(matrix, tf.constant(change))
    np.testing.assert_allclose(
        update.apply(matrix, tf.constant(GRADIENT), tf.constant(step)),
        expected,
        atol=1e-9,
    )


def test_rates_from_the_length_of_a_run():
    steps, classes = 500, 9
    update = transitions.for_run(steps, classes)
    assert update.expectation_rate * steps == pytest.approx(6 * classes)
    rng = np.random.default_rng(0)
    start = tf.constant(update.start(classes))
    logits = np.log(start)
    path = 0.0
    for step in range(steps):
        # Of the gradient only the direction counts.
        gradient = rng.normal(size=(classes, classes)) * 10.0 ** (step % 3)
        moved = update.apply(start, tf.constant(gradient), step)
        change = np.log(moved) - logits
        # A row of logits is known up to a constant.
        direction = -gradient / np.linalg.norm(gradient)
        length = np.sum((change - change.mean(1, keepdims=True)) * direction)
        centred = direction - direction.mean(1, keepdims=True)
        path += length / np.sum(centred * direction)
    assert path == pytest.approx(120 * np.sqrt(classes), rel=0.01)


@pytest.mark.parametrize("arguments", [(0, 2), (5, 1), (2.5, 3)])
def test_a_run_has_steps_and_classes(arguments):
    with pytest.raises(InputError, match="should be an integer >="):
        transitions.for_run(*arguments)


def test_a_run_of_one_step_is_limited_too():
    update = transitions.for_run(1, 10)
    assert update.max_step == 3.0 and update.expectation_rate == 1.0


@pytest.mark.parametrize("name", transitions.UPDATES)
def test_a_config_gives_the_same_object_again(name):
    given = {"learning_rate": 5.0, "smoothing": 0.1, "max_step": 0.5}
    if name != "projected_columns":
        given["expectation_rate"] = 0.4
    update = transitions.get(name, **given, decay_steps=7, initial=START)
    config = json.loads(json.dumps(update.get_config()))
    again = type(update).from_config(config)
    assert again.get_config() == update.get_config()
    assert {key: config[key] for key in given} == given
    np.testing.assert_array_equal(again.start(3), update.start(3))
    assert type(update) is transitions.UPDATES[name]


def test_arguments_from_numpy_are_json():
    update = Exponentiated(
        np.float32(2), max_step=np.float32(0.5), decay_steps=np.int64(5)
    )
    config = json.loads(json.dumps(update.get_config()))
    assert (config["max_step"], config["decay_steps"]) == (0.5, 5)
    assert repr(update).startswith("Exponentiated(learning_rate=2.0, ")


def test_an_infinite_limit_is_none():
    assert Projected(max_step=np.inf).max_step is None


def test_the_initial_matrix_is_a_copy():
    given = START.copy()
    update = Projected(initial=given)
    given[0, 0] = 9
    np.testing.assert_array_equal(update.start(3), START)


def test_a_rate_of_zero_that_a_class_lacks_is_left_out():
    update = transitions.get("projected_columns", expectation_rate=0.0)
    assert isinstance(update, ProjectedColumns)


def test_the_defaults_are_those_that_the_docstrings_state():
    for update, defaults in (
        (Exponentiated(), (3.0, 0.2, 0.3)),
        (Projected(), (1.0, 0.0, None)),
        (ProjectedColumns(), (1.0, 0.0, None)),
    ):
        assert (
            update.learning_rate,
            update.smoothing,
            update.max_step,
        ) == defaults
        stated = re.findall(
            r"Defaults\s+to\s+(None|[\d.]+)", type(update).__doc__
        )
        expected = [
            "None" if value is None else f"{value:g}"
            for value in update.get_config().values()
        ]
        assert [text.rstrip(".") for text in stated] == expected


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Projected(-1.0), "`learning_rate` should be a finite float"),
        (
            lambda: Projected(initial=np.ones((3, 3))),
            r"`initial\[0\]` should be a row that sums to 1",
        ),
        (lambda: Projected(initial="identity"), "`initial` should be a square"),
        (
            lambda: Projected(initial=[["1"]]),
            "`initial` should be a square mat",
        ),
        (lambda: Projected(initial=[[1], [1, 0]]), "`initial` should be a squ"),
        (lambda: Projected(initial=-np.eye(3)), "should be non-negative"),
        (
            lambda: Projected(initial=np.eye(4)).start(3),
            r"`initial` should be a matrix of shape \(3, 3\)",
        ),
        (
            lambda: Projected(smoothing=1.0),
            r"`smoothing` should be in \[0, 1\)",
        ),
        (lambda: Projected(smoothing="x"), "`smoothing` should be in"),
        (lambda: Exponentiated(smoothing=0.0), "`smoothing` should be above 0"),
        (
            lambda: Exponentiated(initial=np.eye(3), smoothing=0.0),
            "`smoothing` should be above 0",
        ),
        (
            lambda: Projected(max_step=0),
            "`max_step` should be a float > 0, or",
        ),
        (
            lambda: Projected(max_step=-1.0),
            "`max_step` should be a float > 0, or",
        ),
        (
            lambda: Projected(decay_steps=-1),
            "`decay_steps` should be an integer",
        ),
        (
            lambda: Projected(decay_steps=2.0),
            "`decay_steps` should be an integ",
        ),
        (lambda: Projected(decay_steps=True), "`decay_steps` should be an int"),
        (
            lambda: Projected(expectation_rate=-1),
            "`expectation_rate` should be",
        ),
        (lambda: transitions.get("project"), "Did you mean 'projected'"),
        (
            lambda: transitions.get("projected", max_steps=1),
            "`max_steps` should be left out: 'projected' has no",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(InputError, match=message):
        make()
