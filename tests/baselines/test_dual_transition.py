import numpy as np

from mlc_tf import transitions
from mlc_tf.baselines.dual_transition import dual_transition
from mlc_tf.baselines.forward_correction import anchor_point_transition


def test_worked_numbers():
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])
    # Of class 0, as predicted, one label of two is 0; of class 1, none of two.
    intermediate = np.array([[0.9, 0.1], [0.2, 0.8]])
    np.testing.assert_allclose(
        dual_transition(intermediate, probs, labels),
        [[0.9 * 0.5, 0.9 * 0.5 + 0.1], [0.2 * 0.5, 0.2 * 0.5 + 0.8]],
    )


def test_a_class_that_is_never_predicted_counts_as_free_of_noise():
    probs = np.array([[0.9, 0.1], [0.8, 0.2]])
    found = dual_transition(np.eye(2), probs, np.array([0, 1]))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0, 1]])


def test_a_network_that_knows_the_clean_classes_gives_the_shares(rng):
    """Where the predictions are the clean classes T is counted exactly."""
    true = np.array([[0.7, 0.3, 0.0], [0.1, 0.6, 0.3], [0.0, 0.2, 0.8]])
    clean = np.repeat(np.arange(3), 20_000)
    noisy = (rng.random(len(clean))[:, None] > true[clean].cumsum(1)).sum(1)
    probs = np.where(np.eye(3)[clean] > 0, 0.98, 0.01)
    alone = anchor_point_transition(probs, percentile=None)
    found = dual_transition(alone, probs, noisy)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert transitions.distance(found, true) < 0.05
    # The single predictions know nothing of this noise.
    assert transitions.distance(alone, true) > 0.5
