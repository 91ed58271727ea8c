"""What every method of `METHODS` has to pass."""

import re
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf import methods
from mlc_tf import settings
from mlc_tf.errors import InputError
from tests.conftest import FLOAT32

CLASSES, WIDTH, BATCH, STEPS = 3, 5, 12, 3
TRUE = np.array([[0.7, 0.3, 0.0], [0.0, 0.6, 0.4], [0.2, 0.0, 0.8]])
# The row of each method in this suite: its arguments here.
ARGUMENTS = {
    "mlc": {},
    "cross_entropy": {},
    "ce_control": {},
    "authors_code": {},
    "true_forward": {"transition": TRUE},
}
each_method = pytest.mark.parametrize("name", methods.METHODS)


def make_sets():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, WIDTH)).astype(np.float32)
    labels = rng.integers(0, CLASSES, len(x))
    return (x, labels), (x[:BATCH] + 1, labels[:BATCH])


def make_model(name):
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [
            keras.Input((WIDTH,)),
            keras.layers.Dense(6, activation="tanh"),
            keras.layers.Dense(CLASSES),
        ]
    )
    return methods.METHODS[name].model(base, **ARGUMENTS[name])


def fit(model, sets=None, **options):
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        metrics=["accuracy"],
        **options,
    )
    pairs = data.pair(*(sets or make_sets()), BATCH, epochs=range(1))
    return model.fit(pairs, verbose=0).history


@cache
def trained(name):
    model = make_model(name)
    return model, fit(model)


def assert_same_weights(one, other, **tolerance):
    for first, second in zip(one.get_weights(), other.get_weights()):
        np.testing.assert_allclose(first, second, **(tolerance or FLOAT32))


@each_method
def test_steps_are_finite_and_move_every_weight(name):
    model, history = trained(name)
    assert np.isfinite(history["loss"]).all()
    start = make_model(name).base.get_weights()
    for old, new in zip(start, model.base.get_weights()):
        assert np.isfinite(new).all() and not np.allclose(old, new, rtol=1e-4)


@each_method
def test_the_same_seed_gives_the_same_result(name):
    again = make_model(name)
    assert fit(again) == trained(name)[1]
    assert_same_weights(again, trained(name)[0], rtol=0, atol=0)


@each_method
def test_eager_equals_graph(name):
    eager = make_model(name)
    fit(eager, run_eagerly=True)
    assert_same_weights(eager, trained(name)[0])


@each_method
def test_one_device_equals_two_replicas(name, two_replicas):
    with two_replicas.scope():
        model = make_model(name)
        history = fit(model)
    assert_same_weights(model, trained(name)[0])
    for metric, values in trained(name)[1].items():
        np.testing.assert_allclose(history[metric], values, **FLOAT32)


@each_method
def test_the_export_equals_the_model(name, tmp_path):
    model, _ = trained(name)
    x = make_sets()[0][0]
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(
        model.predict(x, verbose=0), served.serve(x), **FLOAT32
    )


@each_method
def test_bad_labels_are_refused(name):
    noisy, clean = make_sets()
    wrong = noisy[1].copy()
    wrong[4] = CLASSES
    with pytest.raises(InputError, match=r"in \[0, 3\).*label 3"):
        # Eager: nothing is traced before the first batch is checked.
        fit(make_model(name), ((noisy[0], wrong), clean), run_eagerly=True)


def test_dict_suite_and_readme_name_the_same_methods():
    readme = Path(__file__).parents[2] / "README.md"
    section = readme.read_text().split("## Methods")[1].split("\n## ")[0]
    named = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert list(methods.METHODS) == list(ARGUMENTS) == named


def test_every_configured_method_exists():
    configured = set(settings.default_config().method) - {"name"}
    assert configured <= set(methods.METHODS)


def test_unknown_methods_name_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'mlc'"):
        methods.get("mcl")
