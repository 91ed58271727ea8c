"""Tests the edge cases of Algorithm 1.

test_meta_loss_correction.py compares the steps with the NumPy reference.
"""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf.errors import InputError
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection
from mlc_tf.transitions import ProjectedColumns
from tests.conftest import FLOAT64
from tests.models.small_models import CLASSES
from tests.models.small_models import compiled
from tests.models.small_models import dataset
from tests.models.small_models import dense_base
from tests.models.small_models import random_pair


def test_the_defaults_are_the_papers_for_mnist():
    parameters = inspect.signature(PaperMetaLossCorrection).parameters
    defaults = {
        name: parameter.default for name, parameter in parameters.items()
    }
    assert defaults["virtual_learning_rate"] == 0.01
    assert defaults["transition_learning_rate"] == 1.0
    model = PaperMetaLossCorrection(dense_base())
    np.testing.assert_array_equal(model.transition_matrix, np.eye(CLASSES))


def test_the_random_start_has_columns_that_sum_to_one_and_follows_the_seed():
    starts = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = PaperMetaLossCorrection(dense_base(), transition="random")
        starts.append(model.transition_matrix)
    np.testing.assert_allclose(starts[0].sum(axis=0), 1, rtol=1e-6)
    assert (starts[0] > 0).all()
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.allclose(starts[0], starts[2], atol=1e-2)


def test_a_step_that_empties_no_column_is_that_of_projected_columns(rng):
    bases = [dense_base("float64") for _ in range(2)]
    bases[1].set_weights(bases[0].get_weights())
    elements = [random_pair(rng, bases[0], "float64") for _ in range(3)]
    models = [
        PaperMetaLossCorrection(bases[0]),
        MetaLossCorrection(
            bases[1], transition=ProjectedColumns(), virtual_learning_rate=0.01
        ),
    ]
    for model in models:
        compiled(model).fit(dataset(*elements), verbose=0)
    np.testing.assert_array_equal(*[m.transition_matrix for m in models])
    assert not np.array_equal(models[0].transition_matrix, np.eye(CLASSES))
    for weights, expected in zip(*[base.get_weights() for base in bases]):
        np.testing.assert_array_equal(weights, expected)


def test_a_plain_step_cannot_empty_a_column(rng, monkeypatch):
    # The reason: a factor of a column changes no gradient of the weights, so
    # the sum of T * G over the column is 0.
    base = dense_base("float64")
    start = rng.dirichlet(np.ones(CLASSES), CLASSES)
    model = PaperMetaLossCorrection(base, transition=start)
    before, averaged = model.transition_matrix, []
    monkeypatch.setattr(
        distribution,
        "global_mean",
        lambda tensors: averaged.append(tensors) or tensors,
    )
    compiled(model, run_eagerly=True).fit(
        dataset(random_pair(rng, base, "float64")), verbose=0
    )
    (gradient,) = next(each for each in averaged if len(each) == 1)
    assert np.abs(gradient).max() > 1e-6
    np.testing.assert_allclose(np.sum(before * gradient, axis=0), 0, atol=1e-12)
    assert np.abs(np.sum(before * gradient, axis=1)).max() > 1e-6


def test_the_step_that_empties_a_column_leaves_it_empty(rng, monkeypatch):
    # By the delta of Eq. 10; only rounding could ask for it.
    base = dense_base("float64")
    (x, labels), clean = random_pair(rng, base, "float64")
    element = (x, np.zeros_like(labels)), clean
    model = PaperMetaLossCorrection(base)
    emptied = np.eye(CLASSES)
    emptied[0, 0] = 0
    downward = np.zeros((CLASSES, CLASSES))
    downward[:, 0] = 9

    def mean(tensors):
        if tensors[0].shape == downward.shape and len(tensors) == 1:
            return [tf.constant(downward)]
        return tensors

    with monkeypatch.context() as patch:
        patch.setattr(distribution, "global_mean", mean)
        compiled(model).fit(dataset(element), verbose=0)
    np.testing.assert_array_equal(model.transition_matrix, emptied)
    # Examples of the label of an empty column move no weight.
    before = base.get_weights()
    history = compiled(model).fit(dataset(element), verbose=0).history
    assert history["loss"] == pytest.approx([87.0])
    np.testing.assert_array_equal(model.transition_matrix, emptied)
    for old, new in zip(before, base.get_weights()):
        np.testing.assert_allclose(old, new, **FLOAT64)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"virtual_learning_rate": -1}, "`virtual_learning_rate` should be"),
        ({"transition_learning_rate": np.nan}, "`transition_learning_rate`"),
        ({"transition": "randum"}, "Did you mean 'random'"),
        ({"transition": np.eye(4)}, r"should be a matrix of shape \(3, 3\)"),
        ({"transition": None}, "identity, random, or a matrix.*= None"),
        ({"transition": ProjectedColumns()}, "are for MetaLossCorrection"),
        ({"transition": np.ones((3, 3))}, "sums to 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        PaperMetaLossCorrection(dense_base(), **arguments)
