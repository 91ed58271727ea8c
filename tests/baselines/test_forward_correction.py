import keras
import numpy as np
import pytest

from mlc_tf.baselines.forward_correction import ForwardCorrection
from mlc_tf.baselines.forward_correction import anchor_point_transition
from mlc_tf.errors import InputError
from tests.models.small_models import dataset


def base():
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros"),
        ]
    )


def test_one_step_by_hand():
    # f = (.5, .5), noisy label 1: loss -log .6, gradient (.25, -.25).
    model = ForwardCorrection(base(), transition=[[0.7, 0.3], [0.1, 0.9]])
    model.compile(keras.optimizers.SGD(1.0))
    one = np.ones((1, 1), np.float32)
    pair = (one, np.ones(1, int)), (one, np.ones(1, int))
    history = model.fit(dataset(pair), verbose=0).history
    np.testing.assert_allclose(history["loss"], [0.510826], atol=1e-6)
    np.testing.assert_allclose(
        model.base.get_weights()[0], [[-0.25, 0.25]], atol=1e-6
    )


def test_a_step_of_expectation_maximisation_by_hand():
    # f = (.5, .5), noisy label 1: the clean class is 0 or 1 with the
    # probabilities .25 and .75, the fractions of the way to (0, 1).
    model = ForwardCorrection(
        base(), transition=[[0.7, 0.3], [0.1, 0.9]], expectation_rate=1.0
    )
    model.compile(keras.optimizers.SGD(1.0))
    one = np.ones((1, 1), np.float32)
    pair = (one, np.ones(1, int)), (one, np.ones(1, int))
    model.fit(dataset(pair), verbose=0)
    np.testing.assert_allclose(
        model.transition_matrix, [[0.525, 0.475], [0.025, 0.975]], atol=1e-6
    )
    # The loss of the step is that under the T before it.
    np.testing.assert_allclose(
        model.base.get_weights()[0], [[-0.25, 0.25]], atol=1e-6
    )


def test_a_bad_matrix_is_refused():
    with pytest.raises(InputError, match="sums to 1"):
        ForwardCorrection(base(), transition=np.ones((2, 2)))


def test_the_anchor_point_is_the_surest_below_the_percentile():
    sureness = np.array([0.1, 0.5, 0.9, 0.95, 0.99])
    probs = np.stack([sureness, 1 - sureness], axis=1)
    np.testing.assert_allclose(
        anchor_point_transition(probs), [[0.95, 0.05], [0.5, 0.5]]
    )
    np.testing.assert_allclose(
        anchor_point_transition(probs, None), [[0.99, 0.01], [0.1, 0.9]]
    )


def test_an_outlier_of_one_class_is_a_whole_anchor_of_another():
    probs = np.array([[0.5, 0.4, 0.1], [0.4, 0.1, 0.5], [0.1, 0.5, 0.4]])
    # Zeroing outliers in place would leave (0, .8, .2) in the second row.
    np.testing.assert_allclose(anchor_point_transition(probs), probs[[1, 0, 2]])


def test_a_saturated_network_has_its_plain_maximum():
    probs = np.array([[0.2, 0.8], [1.0, 0.0], [1.0, 0.0]])
    anchors = anchor_point_transition(probs[1:])
    np.testing.assert_array_equal(anchors, [[1, 0], [1, 0]])
    # Nothing lies below the least of all.
    np.testing.assert_array_equal(
        anchor_point_transition(probs, 0), [[1, 0], [0.2, 0.8]]
    )


def test_rows_of_anchors_sum_to_1():
    probs = np.array([[0.6, 0.3], [0.2, 0.7]])
    np.testing.assert_allclose(
        anchor_point_transition(probs, None), [[2 / 3, 1 / 3], [2 / 9, 7 / 9]]
    )


@pytest.mark.parametrize("percentile", [-1, 101, np.nan])
def test_a_bad_percentile_is_refused(percentile):
    with pytest.raises(InputError, match=r"`percentile` should be in \[0, 100"):
        anchor_point_transition(np.eye(2), percentile)
