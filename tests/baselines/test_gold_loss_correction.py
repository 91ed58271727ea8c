import numpy as np
import pytest

from mlc_tf.baselines.gold_loss_correction import GoldLossCorrection
from mlc_tf.baselines.gold_loss_correction import mean_prediction_transition
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64

pytestmark = pytest.mark.usefixtures("float64")
TWO = np.array([[0.7, 0.3], [0.1, 0.9]])
THREE = np.array([[0.7, 0.3, 0.0], [0.0, 0.6, 0.4], [0.2, 0.0, 0.8]])


def test_the_mean_prediction_of_each_class_by_hand():
    probs = np.array([[0.8, 0.2], [0.1, 0.9], [0.6, 0.4]])
    labels = np.array([0, 1, 0])
    np.testing.assert_allclose(mean_prediction_transition(probs, labels), TWO)


def test_a_class_without_clean_examples_has_a_uniform_row():
    probs = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(
        mean_prediction_transition(probs, np.array([0, 2])),
        [[0.5, 0.3, 0.2], [1 / 3] * 3, [0, 1, 0]],
    )


@pytest.mark.parametrize(
    "gold, loss",
    [([False], 0.510826), ([True], 0.693147), ([True, False], 0.601987)],
    ids=["silver", "gold", "both"],
)
def test_the_loss_by_hand(gold, loss):
    size = len(gold)
    model = GoldLossCorrection(
        one_step.linear([[0, 0]]), transition=TWO, gold=np.array(gold)
    )
    x, labels = np.ones((size, 1)), np.ones(size, int)
    noisy = x, labels, np.arange(size)
    logs = one_step.fit(model, (noisy, (x, labels)))
    np.testing.assert_allclose(logs["loss"], loss, atol=1e-6)


def test_only_noisy_examples_move_the_transition():
    # As in test_forward_correction.py, for half of the batch.
    model = GoldLossCorrection(
        one_step.linear([[0, 0]]),
        transition=TWO,
        gold=np.array([True, False]),
        expectation_rate=1.0,
    )
    x, labels = np.ones((2, 1)), np.ones(2, int)
    one_step.fit(model, ((x, labels, np.arange(2)), (x, labels)))
    np.testing.assert_allclose(
        model.transition_matrix, [[0.6125, 0.3875], [0.0625, 0.9375]], **FLOAT64
    )


def test_a_step_equals_numpy_with_gold_looked_up_by_index(rng):
    base = one_step.two_layers(rng)
    weights = base.get_weights()
    gold = np.array([True, False, False, True, True, False, False, True])
    indices = np.array([7, 2, 5, 0, 6, 3])
    trusted = np.array([True, False, False, True, False, True])
    model = GoldLossCorrection(base, transition=THREE, gold=gold)
    x, labels = one_step.half(rng)

    def loss(weights):
        logits = one_step.two_layer_logits(weights, x)
        parts = [
            numpy_reference.corrected_loss(logits[part], labels[part], matrix)
            for part, matrix in ((trusted, np.eye(3)), (~trusted, THREE))
        ]
        return sum(parts) / 2  # three of each

    slopes = numpy_reference.gradient(loss, weights)
    one_step.fit(model, ((x, labels, indices), one_step.half(rng)))
    for old, slope, new in zip(weights, slopes, base.get_weights()):
        np.testing.assert_allclose(new, old - slope, **FLOAT64)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"gold": [0, 1]}, r"`gold` should be booleans .*int64 of shape \(2,"),
        ({"gold": [[True]]}, r"`gold` should be .*bool of shape \(1, 1\)"),
        ({"transition": np.ones((3, 3))}, "should be a row that sums to 1"),
    ],
)
def test_bad_arguments(arguments, message, rng):
    good = {"transition": THREE, "gold": [True, False]}
    with pytest.raises(InputError, match=message):
        GoldLossCorrection(one_step.two_layers(rng), **{**good, **arguments})
