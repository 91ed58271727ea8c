"""Copies of a model: clones, pickles, saved files. T and the optimizer stay."""

import copy
import pickle

import keras
import numpy as np
import pandas as pd
import pytest

from mlc_tf import MetaLossCorrection
from mlc_tf import PaperMetaLossCorrection
from mlc_tf import baselines
from mlc_tf import data
from mlc_tf import transitions

CLASSES, WIDTH = 3, 5


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 24)
    return rng.normal(size=(24, WIDTH)).astype(np.float32), labels


def make_base():
    return keras.Sequential(
        [
            keras.Input((WIDTH,)),
            keras.layers.Dense(4, "relu"),
            keras.layers.Dense(CLASSES),
        ]
    )


T = np.full((CLASSES, CLASSES), 0.1) + 0.7 * np.eye(CLASSES)
LABELS = np.arange(24) % CLASSES
MODELS = {
    "mlc": lambda: MetaLossCorrection(
        make_base(),
        transition=transitions.Exponentiated(
            learning_rate=np.float64(0.5), initial=T, expectation_rate=0.1
        ),
        meta_gradient="head",
        clean_weight=0.3,
        clean_class_weight=np.array([1.0, 2.0, 0.5]),
    ),
    "paper": lambda: PaperMetaLossCorrection(make_base(), transition=T),
    "authors_step": lambda: baselines.AuthorsStep(make_base()),
    "co_teaching": lambda: baselines.CoTeaching(
        make_base(), peer=make_base(), forget_rate=0.2, steps=3
    ),
    "cross_entropy": lambda: baselines.CrossEntropy(make_base()),
    "fasten": lambda: baselines.Fasten(make_base(), labels=LABELS),
    "forward": lambda: baselines.ForwardCorrection(
        make_base(), transition=T, expectation_rate=0.1, clean_weight=0.3
    ),
    "gce": lambda: baselines.GeneralizedCrossEntropy(make_base(), q=0.5),
    "masking": lambda: baselines.Masking(
        make_base(), transition=T, structure=np.eye(CLASSES)
    ),
    "lre": lambda: baselines.LearningToReweight(make_base()),
    "meta_weight_net": lambda: baselines.MetaWeightNet(make_base()),
    "noise_layer": lambda: baselines.NoiseLayer(make_base(), space="logits"),
    "pencil": lambda: baselines.Pencil(
        make_base(), labels=pd.Series(LABELS), stage_steps=(2, 4)
    ),
    "robot": lambda: baselines.RobustBilevel(
        make_base(), transition=transitions.Projected(learning_rate=2.0)
    ),
    "semi": lambda: baselines.SemiSupervised(
        make_base(), labels=LABELS, posterior=T[LABELS]
    ),
    "t_revision": lambda: baselines.TransitionRevision(
        make_base(), transition=T, revision_rate=0.1
    ),
    "volmin": lambda: baselines.VolumeMinimization(
        make_base(), volume_weight=0.01
    ),
}


def compiled(model, **options):
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"], **options)
    return model


def trained(name, examples, epochs=1):
    keras.utils.set_random_seed(0)
    model = compiled(MODELS[name]())
    fit(model, examples, epochs)
    return model


def fit(model, examples, epochs=1, first=0):
    pairs = data.pair(
        examples,
        examples,
        8,
        epochs=range(first, first + epochs),
        with_index=model.uses_index,
    )
    model.fit(pairs, epochs=epochs, steps_per_epoch=3, verbose=0)


def states(model):
    return [
        np.array(variable)
        for variable in [*model.variables, *model.optimizer.variables]
    ]


def same(one, two):
    assert len(one) == len(two)
    return all(np.array_equal(a, b) for a, b in zip(one, two))


@pytest.mark.parametrize("name", MODELS)
def test_a_clone_has_the_arguments_and_new_weights(name, examples):
    model = compiled(MODELS[name](), run_eagerly=True)
    fit(model, examples)
    clone = keras.models.clone_model(model)
    assert type(clone) is type(model)
    configs = [each.get_config() for each in (clone, model)]
    for config in configs:
        del config["base"]  # its layers have other names
    np.testing.assert_equal(*configs)
    assert [v.shape for v in clone.variables] == [
        v.shape for v in model.variables
    ]
    trained_weights = model.base.get_weights()
    assert not same(clone.base.get_weights(), trained_weights)
    fit(compiled(clone, run_eagerly=True), examples)
    assert same(model.base.get_weights(), trained_weights)


def by_deepcopy(model, folder):
    return copy.deepcopy(model)


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_save_model(model, folder):
    keras.saving.save_model(model, folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def by_save_weights(model, folder):
    model.save_weights(folder / "model.weights.h5")
    keras.utils.set_random_seed(1)
    fresh = compiled(model.__class__.from_config(model.get_config()))
    fresh.load_weights(folder / "model.weights.h5")
    return fresh


@pytest.mark.parametrize(
    "way", [by_deepcopy, by_pickle, by_save_model, by_save_weights]
)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=() if name in ("mlc", "noise_layer") else pytest.mark.wide,
        )
        for name in MODELS
    ],
)
def test_a_copy_trains_on_as_the_model_would(name, way, examples, tmp_path):
    model = trained(name, examples)
    copied = way(model, tmp_path)
    assert same(states(copied), states(model))
    assert copied.optimizer.iterations == model.optimizer.iterations > 0
    for each in (model, copied):
        keras.utils.set_random_seed(2)
        fit(each, examples, first=1)
    assert same(states(copied), states(model))


def test_save_writes_the_base_alone(examples, tmp_path):
    model = trained("mlc", examples)
    model.save(tmp_path / "base.keras")
    loaded = keras.saving.load_model(tmp_path / "base.keras")
    assert type(loaded) is keras.Sequential
    x = examples[0]
    np.testing.assert_array_equal(loaded(x), model.base(x))


def test_a_class_that_hands_arguments_on_is_copied():
    class Own(baselines.CrossEntropy):
        def __init__(self, base, *, scale=1.0, **more):
            super().__init__(base, **more)
            self.scale = scale

    clone = keras.models.clone_model(Own(make_base(), scale=2.0, name="mine"))
    assert (clone.scale, clone.name) == (2.0, "mine")
