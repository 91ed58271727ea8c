import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines.pencil import Pencil
from mlc_tf.baselines.pencil import label_step
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64
from tests.numpy_reference import softmax

pytestmark = pytest.mark.usefixtures("float64")
ALPHA, BETA = 0.3, 0.7
# Stage 1, 2 or 3, from the first step on.
STAGE_STEPS = [(9, 9), (0, 9), (0, 0)]


def total(logits, label_logits, labels):
    """L_c / C + alpha L_o + beta L_e / C."""
    probs, targets = softmax(logits), softmax(label_logits)
    compatibility = np.sum(probs * np.log(probs / targets), axis=1)
    given = -np.log(targets[np.arange(len(labels)), labels])
    entropy = -np.sum(probs * np.log(probs), axis=1)
    return np.mean((compatibility + BETA * entropy) / 3 + ALPHA * given)


def step(logits, label_logits, labels, alpha, rate):
    return label_step(
        tf.constant(logits, tf.float64),
        tf.constant(label_logits, tf.float64),
        tf.constant(labels),
        alpha,
        rate,
    ).numpy()


def make(rng, **arguments):
    good = {"labels": np.arange(8) % 3, "stage_steps": (0, 9)}
    return Pencil(one_step.two_layers(rng), **{**good, **arguments})


def element(rng, *indices):
    x, _ = one_step.half(rng, len(indices))
    labels = np.array(indices) % 3
    return (x, labels, np.array(indices)), (x, labels)


def test_the_gradient_of_the_given_label_by_hand():
    y = [[1.0, 0.2, -0.3]]  # f = d leaves L_o alone
    np.testing.assert_allclose(
        step(y, y, [0], 1.0, 128.0), [[-0.41923, 0.26096, 0.15828]], atol=1e-5
    )


def test_the_gradient_of_the_compatibility_by_hand():
    moved = step([[0.3, 1.2, -0.5]], [[1.0, 0.2, -0.3]], [0], 0.0, 128.0)
    expected = [[0.10831, -0.12276, 0.01444]]
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_labels_that_agree_with_the_network_stay():
    y = [[1.0, 0.2, -0.3]]
    np.testing.assert_array_equal(step(y, y, [0], 0.0, 600.0), [[0, 0, 0]])


def test_a_constant_added_to_the_label_logits_changes_nothing(rng):
    z, y = rng.normal(size=(2, 5, 3))
    labels = np.arange(5) % 3
    np.testing.assert_allclose(
        step(z, y + 7, labels, ALPHA, 1.0),
        step(z, y, labels, ALPHA, 1.0),
        **FLOAT64,
    )


def test_the_closed_form_is_the_derivative_of_the_total_loss(rng):
    z, y = rng.normal(size=(2, 5, 3))
    labels = np.arange(5) % 3
    (slope,) = numpy_reference.gradient(lambda y: total(z, y[0], labels), [y])
    # The rate is for a batch of 128; this one has 5.
    moved = step(z, y, labels, ALPHA, 128 / 5)
    np.testing.assert_allclose(moved, slope, **FLOAT64)


@pytest.mark.parametrize(
    "classes, probability", [(10, 0.99959), (100, 0.99553)]
)
def test_the_given_label_is_almost_sure_to_begin_with(classes, probability):
    base = one_step.linear(np.zeros((1, classes)))
    model = Pencil(base, labels=np.array([2, 4]), stage_steps=(1, 2))
    targets = softmax(model.label_logits.numpy())
    np.testing.assert_allclose(targets[[0, 1], [2, 4]], probability, atol=1e-5)


@pytest.mark.parametrize("stage_steps", STAGE_STEPS, ids=["1", "2", "3"])
def test_a_step_of_each_stage_equals_numpy(stage_steps, rng):
    model = make(
        rng,
        stage_steps=stage_steps,
        alpha=ALPHA,
        beta=BETA,
        label_learning_rate=128.0,
    )
    model.label_logits.assign(rng.normal(size=(8, 3)))
    weights, label_logits = model.base.get_weights(), model.label_logits.numpy()
    (x, labels, indices), clean = element(rng, 6, 1, 3)
    y = label_logits[indices]

    def loss(weights, y):
        logits = one_step.two_layer_logits(weights, x)
        if stage_steps == (9, 9):
            return np.mean(one_step.losses(logits, labels))
        if stage_steps == (0, 9):
            return total(logits, y, labels)
        probs = softmax(logits)
        return np.mean(np.sum(probs * np.log(probs / softmax(y)), axis=1)) / 3

    slopes = numpy_reference.gradient(lambda w: loss(w, y), weights)
    if stage_steps == (0, 9):
        (slope,) = numpy_reference.gradient(lambda y: loss(weights, y[0]), [y])
        label_logits[indices] -= 3 * slope
    logs = one_step.fit(model, ((x, labels, indices), clean))
    for old, slope, new in zip(weights, slopes, model.base.get_weights()):
        np.testing.assert_allclose(new, old - slope, **FLOAT64)
    np.testing.assert_allclose(
        model.label_logits.numpy(), label_logits, **FLOAT64
    )
    # The log leaves out L_o, which no network can lower.
    given = -np.mean(np.log(softmax(y)[range(3), labels]))
    logged = loss(weights, y) - ALPHA * given * (stage_steps == (0, 9))
    np.testing.assert_allclose(logs["loss"], logged, rtol=1e-5)


def test_labels_move_in_the_second_stage_only(rng):
    model = make(rng, stage_steps=(2, 4))
    model.compile("sgd")
    moved = []
    for _ in range(6):
        before = model.label_logits.numpy()
        (x, labels, indices), clean = element(rng, 5, 2)
        batch = tf.constant(x), tf.constant(labels), tf.constant(indices)
        model.train_step((batch, clean))
        change = np.any(model.label_logits.numpy() != before, axis=1)
        moved.append(np.flatnonzero(change).tolist())
    assert moved == [[], [], [2, 5], [2, 5], [], []]


def test_how_far_a_label_moves_does_not_depend_on_the_batch(rng):
    models = [make(np.random.default_rng(1)) for _ in range(2)]
    noisy, clean = element(rng, 4, 0, 7, 2)
    one_step.fit(models[0], (noisy, clean), rate=0.0)
    alone = tuple(part[:1] for part in noisy)
    one_step.fit(models[1], (alone, clean), rate=0.0)
    whole, single = (model.label_logits.numpy() for model in models)
    np.testing.assert_allclose(whole[4], single[4], **FLOAT64)
    assert np.abs(whole[4] - whole[1]).max() > 0.1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"labels": [0.0, 1.0]}, "`labels` should be class ids .*'float64"),
        ({"labels": [[0, 1]]}, r"`labels` should be .* of shape \(1, 2\)"),
        ({"labels": [0, 3]}, r"`labels` should be in \[0, 3\)\. .* = 3\."),
        ({"labels": [0, -1]}, r"`labels` should be in \[0, 3\)\. .* = -1\."),
        ({"stage_steps": (2, 1)}, r"`stage_steps` should be integers \(a, b\)"),
        (
            {"stage_steps": (-1, 1)},
            r"`stage_steps` should be integers \(a, b\)",
        ),
        (
            {"stage_steps": (1, 2, 3)},
            r"`stage_steps` should be integers \(a, b\)",
        ),
        (
            {"stage_steps": (1.5, 2)},
            r"`stage_steps` should be integers \(a, b\)",
        ),
        ({"stage_steps": None}, r"`stage_steps` should be integers \(a, b\)"),
        ({"alpha": -1.0}, "`alpha` should be a finite float >= 0"),
        ({"beta": np.inf}, "`beta` should be a finite float >= 0"),
        ({"label_learning_rate": -1.0}, "`label_learning_rate` should be a f"),
    ],
)
def test_bad_arguments(arguments, message, rng):
    with pytest.raises(InputError, match=message):
        make(rng, **arguments)


# An update of the optimizer takes the mean gradient of so many steps.
@pytest.mark.parametrize("accumulated", [None, 4])
def test_stages_count_steps(accumulated, rng):
    model = make(rng, stage_steps=(2, 3))
    before = model.label_logits.numpy()
    elements = [element(rng, index, 6, 7) for index in range(4)]
    one_step.fit(model, *elements, gradient_accumulation_steps=accumulated)
    moved = np.any(model.label_logits.numpy() != before, axis=1)
    np.testing.assert_array_equal(np.flatnonzero(moved), [2, 6, 7])
