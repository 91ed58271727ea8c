"""What every method of `METHODS` has to pass."""

import inspect
import re
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.models import pair_model
from mlc_tf.run import methods
from mlc_tf.run import settings
from tests.conftest import FLOAT32
from tests.support import ROOT

CLASSES, WIDTH, BATCH, STEPS = 3, 5, 12, 3
TRUE = np.array([[0.7, 0.3, 0.0], [0.0, 0.6, 0.4], [0.2, 0.0, 0.8]])
LABELS = np.random.default_rng(1).integers(0, CLASSES, BATCH * STEPS)
POSTERIOR = np.random.default_rng(2).dirichlet(np.ones(CLASSES), BATCH * STEPS)
GOLD = np.arange(BATCH * STEPS) % 3 == 0
# The row of each method in this suite: its arguments here.
ARGUMENTS = {
    "mlc": {},
    "mlc_semi": {"labels": LABELS, "posterior": POSTERIOR, "momentum": 0.5},
    "mlc_paper": {},
    "cross_entropy": {},
    "ce_control": {},
    "authors_step": {},
    "noise_layer": {},
    "noise_layer_logits": {},
    "forward": {"transition": TRUE},
    "dual_t": {"transition": TRUE},
    "t_revision": {"transition": TRUE, "revision_rate": 0.1},
    "glc": {"transition": TRUE, "gold": GOLD},
    "glc_semi": {"labels": LABELS, "posterior": POSTERIOR, "momentum": 0.5},
    "glc_em": {
        "transition": TRUE,
        "expectation_rate": 0.3,
        "clean_weight": 0.3,
    },
    "confusion": {"transition": TRUE, "gold": GOLD},
    "lre": {},
    "co_teaching": {"forget_rate": 0.25, "steps": STEPS},
    "co_teaching_estimated": {"forget_rate": 0.25, "steps": STEPS},
    "masking": {"transition": TRUE, "structure": TRUE > 0},
    "masking_estimated": {"transition": TRUE, "structure": TRUE > 0},
    "masking_hard": {"transition": TRUE, "structure": TRUE > 0},
    "pencil": {"labels": LABELS, "stage_steps": (1, 2)},
    "volmin": {},
    "robot": {},
    "gce": {},
    "elr": {"num_examples": BATCH * STEPS},
    "meta_weight_net": {},
    "fasten": {"labels": LABELS},
    "clean_only": {},
    "fine_tune": {},
    "true_forward": {"transition": TRUE},
}
# Arguments that take a trusted set, or knowledge that no user has.
ORACLES = {"transition", "structure", "gold", "forget_rate"}
GLC = ("glc", "confusion")  # merged, with marks on the clean ones
# Those that keep something for each example.
INDEXED = (
    "mlc_semi",
    "glc",
    "glc_semi",
    "confusion",
    "pencil",
    "elr",
    "fasten",
)
# Their last phases have the class and arguments of one another: one will do.
SAME = (
    "ce_control",
    "dual_t",
    "glc_semi",
    "confusion",
    "co_teaching_estimated",
    "masking_estimated",
    "clean_only",
    "fine_tune",
    "true_forward",
)
each_method = pytest.mark.parametrize("name", methods.METHODS)
each_model = pytest.mark.parametrize(
    "name", sorted(set(methods.METHODS) - set(SAME))
)


def make_sets():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, WIDTH)).astype(np.float32)
    return (x, LABELS), (x[:BATCH] + 1, LABELS[:BATCH])


def make_model(name):
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [
            keras.Input((WIDTH,)),
            keras.layers.Dense(6, activation="tanh"),
            keras.layers.Dense(CLASSES),
        ]
    )
    last = methods.METHODS[name].phases[-1]
    return last.model(base, **ARGUMENTS[name])


def fit(model, sets=None, accumulated=None, **options):
    model.compile(
        keras.optimizers.SGD(
            0.01, momentum=0.9, gradient_accumulation_steps=accumulated
        ),
        metrics=["accuracy"],
        **options,
    )
    pairs = data.pair(
        *(sets or make_sets()),
        batch_size=BATCH,
        epochs=range(1),
        with_index=model.uses_index,
    )
    return model.fit(pairs, verbose=0).history


@cache
def trained(name):
    model = make_model(name)
    return model, fit(model)


def assert_same_weights(one, other, **tolerance):
    for first, second in zip(one.get_weights(), other.get_weights()):
        np.testing.assert_allclose(first, second, **(tolerance or FLOAT32))


@each_model
def test_steps_are_finite_and_move_every_weight(name):
    model, history = trained(name)
    assert np.isfinite(history["loss"]).all()
    start = make_model(name).base.get_weights()
    for old, new in zip(start, model.base.get_weights()):
        assert np.isfinite(new).all() and not np.allclose(old, new, rtol=1e-4)


# A method whose step depends on the number of steps has its own count.
COUNTERS = ("co_teaching", "masking", "mlc", "mlc_semi", "pencil", "robot")


@pytest.mark.parametrize("accumulated", [None, STEPS])
@pytest.mark.parametrize("name", COUNTERS)
def test_steps_are_counted_and_not_updates(name, accumulated):
    model = make_model(name)
    fit(model, accumulated=accumulated)
    assert int(model.step) == STEPS
    assert int(model.optimizer.iterations) == STEPS // (accumulated or 1)


@each_model
def test_the_models_that_count_steps_are_known(name):
    assert hasattr(make_model(name), "step") == (name in COUNTERS)


@each_model
def test_the_same_seed_gives_the_same_result(name):
    again = make_model(name)
    assert fit(again) == trained(name)[1]
    assert_same_weights(again, trained(name)[0], rtol=0, atol=0)


@each_model
def test_eager_equals_graph(name):
    eager = make_model(name)
    fit(eager, run_eagerly=True)
    assert_same_weights(eager, trained(name)[0])


# These share a step with another method, except for the loss of an example.
# They run on replicas with --all only.
LIKE_OTHERS = ("cross_entropy", "forward", "noise_layer_logits")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.wide)
        if name in LIKE_OTHERS
        else name
        for name in sorted(set(methods.METHODS) - set(SAME))
    ],
)
def test_one_device_equals_two_replicas(name, two_replicas):
    with two_replicas.scope():
        model = make_model(name)
        history = fit(model)
    assert_same_weights(model, trained(name)[0])
    for metric, values in trained(name)[1].items():
        np.testing.assert_allclose(history[metric], values, **FLOAT32)


@each_model
def test_the_export_equals_the_model(name, tmp_path):
    model, _ = trained(name)
    x = make_sets()[0][0]
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served").signatures
    expected = model.predict(x, verbose=0)
    logits = served["logits"](inputs=x)["logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-6)
    matrix = getattr(model, "transition_matrix", None)
    assert ("noisy_label_posterior" in served) == (matrix is not None)
    if matrix is not None:
        noisy = served["noisy_label_posterior"](inputs=x)["probabilities"]
        probs = tf.nn.softmax(expected)
        normalization = getattr(model, "normalization", "rows")
        stochastic = transitions.to_rows(matrix, normalization)
        np.testing.assert_allclose(noisy, probs @ stochastic, **FLOAT32)


@pytest.mark.parametrize("name", INDEXED)
def test_pairs_without_an_index_are_refused(name):
    model = make_model(name)
    model.compile()
    with pytest.raises(InputError, match="with_index=True.*Received: .x, lab"):
        model.fit(data.pair(*make_sets(), BATCH), verbose=0)


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {*INDEXED, *SAME}))
def test_other_methods_train_on_pairs_with_an_index_too(name):
    pairs = data.pair(*make_sets(), BATCH, epochs=range(1), with_index=True)
    model = make_model(name)
    assert not model.uses_index
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), run_eagerly=True)
    model.fit(pairs, verbose=0)
    assert_same_weights(model, trained(name)[0])


# `PairModel.fit` refuses them: of pairs, of merged examples, with an index.
@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("mlc", "glc", "pencil")
        else pytest.param(name, marks=pytest.mark.wide)
        for name in sorted(set(methods.METHODS) - set(SAME))
    ],
)
def test_bad_labels_are_refused(name):
    noisy, clean = make_sets()
    wrong = noisy[1].copy()
    wrong[4] = CLASSES
    with pytest.raises(InputError, match=r"in \[0, 3\).*label 3"):
        # Eager: nothing is traced before the first batch is checked.
        fit(make_model(name), ((noisy[0], wrong), clean), run_eagerly=True)


def documented_rows():
    """Maps each method to the other cells of its row in the documents."""
    page = (ROOT / "docs/explanation/methods.md").read_text()
    lines = re.findall(r"^\| (`.*) \|$", page, re.M)
    cells = [line.split(" | ") for line in lines]
    return {name.strip("`"): others for name, *others in cells}


@each_model
def test_without_a_trusted_set(name):
    model, (noisy, _) = make_model(name), make_sets()
    if model.needs_clean or model.clean_weight:
        with pytest.raises(InputError, match="without a trusted|needs a trust"):
            fit(model, (noisy,))
        return
    # What does not need the clean half trains as if it were there.
    assert fit(model, (noisy,)) == trained(name)[1]
    assert_same_weights(model, trained(name)[0], rtol=0, atol=0)


def test_replicas_need_no_trusted_set(two_replicas):
    with two_replicas.scope():
        model = make_model("volmin")
        fit(model, make_sets()[:1])
    assert_same_weights(model, trained("volmin")[0])


def test_the_models_that_train_without_a_trusted_set_are_named():
    needless = {
        type(make_model(name)).__name__
        for name, method in methods.METHODS.items()
        if not (method.needs_clean or ARGUMENTS[name].keys() & ORACLES)
    }
    assert needless == set(pair_model.WITHOUT_CLEAN)


def test_dict_suite_and_documents_name_the_same_methods():
    named = list(documented_rows())
    assert list(methods.METHODS) == list(ARGUMENTS) == named


def test_what_is_said_to_be_the_same_is():
    def last(name):
        return methods.METHODS[name].phases[-1].model, str(ARGUMENTS[name])

    for name in SAME:
        others = set(methods.METHODS) - set(SAME)
        assert last(name) in {last(other) for other in others}


@each_method
def test_the_documents_tell_data_oracle_and_file(name):
    method = methods.METHODS[name]
    _, clean_set, oracle, file, _, cost = documented_rows()[name]
    last = method.phases[-1]
    assert (clean_set == "merged") == (
        last.data == "merged" and name not in GLC
    )
    assert oracle == (method.oracle or "–")
    home = getattr(last.model, "func", last.model).__module__
    if name not in ("confusion", "dual_t"):  # whose file is the estimate
        assert file == f"`{home.replace('.', '/')}.py`"
    assert 0.5 < float(cost) < 10  # of cross-entropy


def test_every_configured_method_exists_and_takes_its_options():
    configured = settings.default_config().method.to_dict()
    del configured["name"]
    assert set(configured) == set(methods.METHODS)
    for name, options in configured.items():
        del options["learning_rate"]  # the optimizer's
        *firsts, last = methods.METHODS[name].phases
        models = [last.model, *(each.model for each in firsts if each.options)]
        known = [set(inspect.signature(model).parameters) for model in models]
        assert set(options) <= set.union(*known)


def test_unknown_methods_name_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'mlc'"):
        methods.get("mcl")
