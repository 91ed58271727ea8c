"""Weights of noisy examples."""

import inspect

import keras
import numpy as np
import pytest

from mlc_tf import baselines
from mlc_tf import data
from mlc_tf import models
from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.models import pair_model
from tests.conftest import FLOAT32

CLASSES, COUNT = 3, 12
T = np.full((CLASSES, CLASSES), 0.1) + 0.7 * np.eye(CLASSES)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(COUNT, 4)).astype(np.float32)
LABELS = np.arange(COUNT) % CLASSES
CLEAN = X[:6] + 1, LABELS[:6]
GOLD = np.arange(COUNT) < 3
MODELS = {
    "MetaLossCorrection": lambda base: models.MetaLossCorrection(
        base,
        transition=transitions.Exponentiated(
            learning_rate=5.0, expectation_rate=0.2
        ),
    ),
    "PaperMetaLossCorrection": models.PaperMetaLossCorrection,
    "RobustBilevel": baselines.RobustBilevel,
    "CrossEntropy": baselines.CrossEntropy,
    "GeneralizedCrossEntropy": baselines.GeneralizedCrossEntropy,
    "ForwardCorrection": lambda base: baselines.ForwardCorrection(
        base, transition=T, expectation_rate=0.2
    ),
    "GoldLossCorrection": lambda base: baselines.GoldLossCorrection(
        base, transition=T, gold=GOLD
    ),
}
each = pytest.mark.parametrize("name", MODELS)


def make(name):
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, "tanh"),
            keras.layers.Dense(CLASSES),
        ]
    )
    model = MODELS[name](base)
    model.compile(keras.optimizers.SGD(0.5))
    return model


def fit(model, x, labels, weights, order=None, **options):
    pairs = data.pair(
        (x, labels),
        CLEAN,
        len(x),
        with_index=model.uses_index,
        sample_weight=weights,
        **options,
    )
    model.fit(pairs, verbose=0)
    return model.get_weights()


def test_the_list_of_models_is_that_of_the_classes():
    taking = {
        name
        for module in (baselines, models)
        for name, each in vars(module).items()
        if inspect.isclass(each) and getattr(each, "takes_weights", False)
    }
    assert taking == {*pair_model.TAKE_WEIGHTS} == {*MODELS}


@each
def test_weights_of_one_change_nothing(name):
    plain = fit(make(name), X, LABELS, None, seed=3, epochs=range(1))
    weighted = fit(
        make(name), X, LABELS, np.ones(COUNT), seed=3, epochs=range(1)
    )
    for one, other in zip(plain, weighted):
        np.testing.assert_allclose(one, other, **FLOAT32)


@each
def test_the_input_of_an_example_without_weight_does_not_matter(name):
    weights = np.where(np.arange(COUNT) % 4 == 1, 0.0, 2.0)
    changed = np.where(weights[:, np.newaxis] == 0, -3 * X - 1, X)
    labels = np.where(weights == 0, (LABELS + 1) % CLASSES, LABELS)
    options = dict(seed=3, epochs=range(1))
    one = fit(make(name), X, LABELS, weights, **options)
    other = fit(make(name), changed, labels, weights, **options)
    unweighted = fit(make(name), changed, labels, None, **options)
    start = make(name).get_weights()
    for first, second in zip(one, other):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)
    assert any(
        not np.allclose(first, second) for first, second in zip(one, unweighted)
    )
    assert any(not np.allclose(first, old) for first, old in zip(one, start))


def test_the_loss_is_the_weighted_sum_over_the_number_of_examples():
    model = make("CrossEntropy")
    weights = np.arange(COUNT) / 3
    logits = np.asarray(model.base(X), np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -np.mean(weights * log_probs[np.arange(COUNT), LABELS])
    pairs = data.pair((X, LABELS), batch_size=COUNT, sample_weight=weights)
    loss = model.fit(pairs, verbose=0).history["loss"][0]
    assert loss == pytest.approx(expected, rel=1e-5)


def test_a_weight_stays_with_its_example():
    pairs = data.pair(
        (X, LABELS), batch_size=5, sample_weight=np.arange(COUNT) + 1.0
    )
    for (x, _, weights), clean in pairs.repeat(2):
        assert clean == ()
        np.testing.assert_array_equal(x, X[weights.numpy().astype(int) - 1])


def test_methods_that_take_no_weights_name_those_that_do():
    pairs = data.pair((X, LABELS), CLEAN, 4, sample_weight=np.ones(COUNT))
    base = make("CrossEntropy").base
    model = baselines.LearningToReweight(base)
    model.compile("sgd")
    with pytest.raises(
        InputError, match="no weights for LearningToReweight; MetaLossCorrect"
    ):
        model.fit(pairs, verbose=0)


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.ones(3), r"`sample_weight` should be 12 finite .*\[1., 1., 1.\]"),
        (["a"] * COUNT, "should be 12 finite numbers >= 0"),
        (np.ones(COUNT, bool), "should be 12 finite numbers >= 0"),
        ([[1.0], [1.0, 2.0]], "should be 12 finite numbers >= 0"),
        ([1.0] * 11 + [np.nan], "should be 12 finite numbers >= 0.*nan"),
        ([1.0] * 11 + [-1.0], "should be 12 finite numbers >= 0.*-1.0"),
        (np.zeros(COUNT), "weights of which some are above 0"),
        (np.full(COUNT, 1e-60), "weights of which some are above 0"),
        (np.full(COUNT, 1e300), "should be 12 finite numbers >= 0"),
        (
            np.ma.masked_array(np.ones(COUNT), [True] * COUNT),
            "`sample_weight` should be values without a mask. .*12 masked",
        ),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(InputError, match=message):
        data.pair((X, LABELS), batch_size=4, sample_weight=weights)
