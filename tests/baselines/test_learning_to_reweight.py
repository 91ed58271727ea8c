import math

import numpy as np
import pytest

from mlc_tf.baselines.learning_to_reweight import LearningToReweight
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64

pytestmark = pytest.mark.usefixtures("float64")


def ones(*labels):
    return np.ones((len(labels), 1)), np.array(labels)


def test_at_zero_weights_those_that_agree_with_the_clean_label_share_all():
    base = one_step.linear(np.zeros((1, 3)))
    logs = one_step.fit(LearningToReweight(base), (ones(1, 1, 0, 2), ones(1)))
    # Scores 2/3, 2/3, -1/3, -1/3.
    np.testing.assert_allclose(
        base.get_weights()[0], [[-1 / 3, 2 / 3, -1 / 3]], **FLOAT64
    )
    np.testing.assert_allclose(logs["loss"], math.log(3), rtol=1e-6)
    assert logs["zero_weights"] == 0.5
    np.testing.assert_allclose(
        logs["meta_gradient_norm"], math.sqrt(10) / 3, rtol=1e-6
    )


def test_examples_that_all_raise_the_clean_loss_have_no_weight():
    base = one_step.linear(np.zeros((1, 3)))
    logs = one_step.fit(LearningToReweight(base), (ones(0, 2), ones(1)))
    np.testing.assert_array_equal(base.get_weights()[0], np.zeros((1, 3)))
    assert logs["loss"] == 0 and logs["zero_weights"] == 1


def test_the_score_of_a_linear_model(rng):
    kernel = rng.normal(size=(one_step.WIDTH, 3))
    base = one_step.linear(kernel)
    (x, labels), (x_clean, clean_labels) = (
        one_step.half(rng),
        one_step.half(rng, 2),
    )
    errors, clean_errors = (
        numpy_reference.softmax(inputs @ kernel) - np.eye(3)[ids]
        for inputs, ids in ((x, labels), (x_clean, clean_labels))
    )
    scores = np.mean((x @ x_clean.T) * (errors @ clean_errors.T), axis=1)
    weights = np.maximum(scores, 0) / np.maximum(scores, 0).sum()
    assert 0 < np.sum(weights == 0) < len(weights)
    one_step.fit(
        LearningToReweight(base), ((x, labels), (x_clean, clean_labels))
    )
    expected = kernel - x.T @ (weights[:, np.newaxis] * errors)
    np.testing.assert_allclose(base.get_weights()[0], expected, **FLOAT64)


def test_a_step_of_two_layers_equals_numpy(rng):
    base = one_step.two_layers(rng)
    weights = base.get_weights()
    noisy, clean = one_step.half(rng), one_step.half(rng, 2)

    clean_slopes = one_step.slopes(weights, *clean)
    slopes = [
        one_step.slopes(weights, x[np.newaxis], label[np.newaxis])
        for x, label in zip(*noisy)
    ]
    scores = [
        max(sum(np.sum(a * b) for a, b in zip(mine, clean_slopes)), 0)
        for mine in slopes
    ]
    assert 0 < np.count_nonzero(scores) < len(scores)
    one_step.fit(LearningToReweight(base), (noisy, clean))
    for place, new in enumerate(base.get_weights()):
        step = sum(s * slope[place] for s, slope in zip(scores, slopes))
        expected = weights[place] - step / sum(scores)
        np.testing.assert_allclose(new, expected, **FLOAT64)
