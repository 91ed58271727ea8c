"""Wrong labels found: posteriors by hand, and digits with known noise."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from cleanlab.benchmarking import noise_generation
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from mlc_tf import data
from mlc_tf.audit import label_audit
from mlc_tf.data import noise
from mlc_tf.errors import InputError
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.transitions import Exponentiated
from mlc_tf.transitions import Projected
from tests import processes
from tests.conftest import FLOAT32

# Class 0 is given label 1 in 0.4 of its examples; class 1 always its own.
T = np.array([[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9]])
# What the network believes of five examples.
F = np.array(
    [
        [0.5, 0.25, 0.25],
        [0.5, 0.25, 0.25],
        [0.8, 0.1, 0.1],
        [0.05, 0.9, 0.05],
        [0.25, 0.25, 0.5],
    ]
)
GIVEN = np.array([1, 0, 1, 1, 2])
# f[y] T[y, given], each over its sum.
POSTERIOR = np.array(
    [
        [0.2 / 0.45, 0.25 / 0.45, 0],
        [0.3 / 0.325, 0, 0.025 / 0.325],
        [0.32 / 0.42, 0.1 / 0.42, 0],
        [0.02 / 0.92, 0.9 / 0.92, 0],
        [0, 0, 1],
    ]
)


@pytest.fixture
def network():
    """Its logits are its inputs."""
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(3, kernel_initializer="identity")
    return keras.Model(inputs, dense(inputs))


@pytest.fixture
def examples():
    # Any constant may be added to logits.
    return np.log(F).astype(np.float32) + 5, GIVEN


def test_the_posterior_is_that_of_bayes(network, examples):
    result = label_audit.audit_labels(
        network, examples, transition=T, batch_size=2
    )
    issues = result.label_issues
    quality = POSTERIOR[np.arange(5), GIVEN]
    np.testing.assert_allclose(issues["label_quality"], quality, **FLOAT32)
    assert issues["given_label"].tolist() == [1, 0, 1, 1, 2]
    assert issues["predicted_label"].tolist() == [1, 0, 0, 1, 2]
    assert (
        issues["is_label_issue"].tolist() == [False] * 2 + [True] + [False] * 2
    )
    joint = np.zeros((3, 3))
    for row, given in zip(POSTERIOR, GIVEN):
        joint[:, given] += row
    np.testing.assert_allclose(result.joint, joint, **FLOAT32)


def test_rates_of_classes_are_shares_of_the_joint(network, examples):
    result = label_audit.audit_labels(network, examples, transition=T)
    joint = result.joint
    np.testing.assert_allclose(joint.sum(), 5, **FLOAT32)
    classes = result.classes
    assert classes["given"].tolist() == [1, 3, 1]
    assert classes["label_issues"].tolist() == [0, 1, 0]
    np.testing.assert_allclose(
        classes["noise_rate_in"], 1 - np.diag(joint) / [1, 3, 1], **FLOAT32
    )
    np.testing.assert_allclose(
        classes["noise_rate_out"],
        1 - np.diag(joint) / joint.sum(axis=1),
        **FLOAT32,
    )
    expected = (joint.sum() - np.trace(joint)) / 5
    np.testing.assert_allclose(result.noise_rate, expected, **FLOAT32)


def test_without_t_the_quality_is_what_the_network_believes(network, examples):
    for transition in (None, "learned"):  # a plain network has none
        issues = label_audit.find_label_issues(
            network, examples, transition=transition
        )
        np.testing.assert_allclose(
            issues["label_quality"], F[np.arange(5), GIVEN], **FLOAT32
        )
        predicted = issues["predicted_label"]
        np.testing.assert_array_equal(predicted, F.argmax(axis=1))
    checked = label_audit.check_clean_set(network, examples)
    assert checked.equals(issues)


def test_the_scale_of_a_column_has_no_say(network, examples):
    rows = label_audit.find_label_issues(network, examples, transition=T)
    scaled = T * [5, 0.1, 2]
    columns = label_audit.find_label_issues(
        network, examples, transition=scaled
    )
    np.testing.assert_allclose(
        rows["label_quality"], columns["label_quality"], **FLOAT32
    )


def test_a_label_that_t_rules_out_is_judged_by_the_network(network, examples):
    never = T.copy()
    never[:, 1] = 0
    issues = label_audit.find_label_issues(network, examples, transition=never)
    np.testing.assert_allclose(issues["label_quality"][0], F[0, 1], **FLOAT32)


def test_a_pair_model_brings_its_own_t(network, examples):
    model = MetaLossCorrection(network, transition=Projected(initial=T))
    ours = label_audit.find_label_issues(model, examples)
    quality = POSTERIOR[np.arange(5), GIVEN]
    np.testing.assert_allclose(ours["label_quality"], quality, **FLOAT32)
    other = label_audit.find_label_issues(model, examples, transition=None)
    assert np.abs(other["label_quality"] - quality).max() > 0.1


def test_streams_are_audited_as_they_come(network, examples):
    stream = tf.data.Dataset.from_tensor_slices(examples)
    ours = label_audit.find_label_issues(
        network, stream, transition=T, batch_size=2
    )
    assert ours.equals(
        label_audit.find_label_issues(network, examples, transition=T)
    )


def test_the_noise_matrix_of_cleanlab_is_the_transpose():
    matrix = label_audit.noise_matrix(T)
    np.testing.assert_array_equal(matrix, T.T)
    np.testing.assert_allclose(matrix.sum(axis=0), 1, **FLOAT32)
    shares = np.array([0.5, 0.3, 0.2])
    uniform = noise.transition_matrix("uniform", 3, 0.3, seed=0)
    assert noise_generation.noise_matrix_is_valid(
        label_audit.noise_matrix(uniform), shares
    )


@pytest.mark.parametrize(
    "transition, message",
    [
        ("true", "a matrix, 'learned' or None"),
        (np.eye(2), r"of shape \(3, 3\), finite and >= 0"),
        (-T, r"of shape \(3, 3\), finite and >= 0"),
        (T * np.nan, r"of shape \(3, 3\), finite and >= 0"),
    ],
)
def test_what_is_no_t_is_refused(network, examples, transition, message):
    with pytest.raises(InputError, match=message):
        label_audit.audit_labels(network, examples, transition=transition)


@pytest.mark.parametrize("size", [0, None, 2.5])
def test_bad_batch_sizes(network, examples, size):
    for call in (label_audit.audit_labels, label_audit.temperature):
        with pytest.raises(InputError, match="`batch_size` should be an int"):
            call(network, examples, batch_size=size)


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.array([0, 1, 2, 3, 0]), r"`labels` should be in \[0, 3\)"),
        (np.full((5, 3), 1 / 3), "class ids of shape"),
    ],
)
def test_labels_that_are_no_classes_are_refused(network, labels, message):
    with pytest.raises(InputError, match=message):
        label_audit.audit_labels(
            network, (np.zeros((5, 3), np.float32), labels)
        )


def test_progress_is_shown_if_asked_for(network, examples, capsys):
    label_audit.audit_labels(network, examples, verbose=1)
    assert "5/5" in capsys.readouterr().out
    label_audit.audit_labels(network, examples)
    assert not capsys.readouterr().out


def test_wrong_labels_of_digits_are_found():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    clean, rest = (x[:100], y[:100]), (x[100:], y[100:])
    given = noise.corrupt(rest[1], "uniform", ratio=0.4, seed=0).labels
    base = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(10),
        ]
    )
    model = MetaLossCorrection(
        base,
        meta_gradient="head",
        transition=Exponentiated(30.0, max_step=1.0),
    )
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(data.pair((rest[0], given), clean, 64), epochs=15, verbose=0)
    issues = label_audit.find_label_issues(model, (rest[0], given))
    wrong = given != rest[1]
    assert roc_auc_score(wrong, -issues["label_quality"]) > 0.97
    right = issues["predicted_label"] == rest[1]
    assert right.mean() > 0.85 > np.mean(~wrong)


@pytest.mark.parametrize(
    "rows", [10**5, pytest.param(10**6, marks=pytest.mark.wide)]
)
def test_a_million_rows_stay_within_two_gibibytes(rows, tmp_path):
    code = """
import keras, re, sys, tensorflow as tf
from mlc_tf.audit import label_audit

inputs = keras.Input((8,))
network = keras.Model(inputs, keras.layers.Dense(3)(inputs))
rows = tf.data.Dataset.range(int(sys.argv[1])).map(
    lambda i: (tf.fill([8], tf.cast(i, tf.float32)), i % 3)
)
issues = label_audit.find_label_issues(
    network, rows, batch_size=1024, verbose=1
)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print()
print(len(issues), int(peak))
"""
    (tmp_path / "audit.py").write_text(code)
    completed = processes.run(tmp_path / "audit.py", str(rows))
    assert completed.returncode == 0, completed.stderr
    *progress, last = completed.stdout.splitlines()
    audited, kibibytes = map(int, last.split())
    assert audited == rows and kibibytes < 2 * 2**20
    assert f"{rows}/{rows}" in "".join(progress)


def test_scores_of_a_perfect_and_of_a_reversed_order():
    wrong = np.array([True, False, True, False])
    perfect = label_audit.scores(wrong, np.array([0.1, 0.9, 0.2, 0.8]))
    assert perfect == {"auroc": 1.0, "average_precision": 1.0}
    reverse = label_audit.scores(wrong, np.array([0.9, 0.1, 0.8, 0.2]))
    assert reverse["auroc"] == 0.0


def test_picked_examples_are_of_all_classes_alike():
    issues = pd.DataFrame({"predicted_label": [0] * 90 + [1] * 8 + [2] * 2})
    picked = label_audit.pick_to_check(issues, 12)
    assert picked["predicted_label"].value_counts().to_dict() == {
        0: 5,
        1: 5,
        2: 2,
    }
    assert picked.index.is_monotonic_increasing and picked.index.is_unique
    pd.testing.assert_frame_equal(picked, label_audit.pick_to_check(issues, 12))
    others = label_audit.pick_to_check(issues, 12, seed=1)
    assert set(others.index) != set(picked.index)
    assert len(label_audit.pick_to_check(issues, 100)) == 100


def test_as_many_are_picked_as_asked_for_whatever_their_index():
    issues = pd.DataFrame({"predicted_label": [0, 1, 0, 1]}, [0, 1, 0, 1])
    assert len(label_audit.pick_to_check(issues, 2)) == 2


@pytest.mark.parametrize("count", [0, 101, 1.5])
def test_a_count_that_cannot_be_picked(count):
    issues = pd.DataFrame({"predicted_label": [0] * 100})
    with pytest.raises(InputError, match=r"an integer in \[1, 100\]"):
        label_audit.pick_to_check(issues, count)


def test_the_transition_of_an_audit_is_a_step_of_em(network, examples):
    found = label_audit.audit_labels(network, examples, transition=T)
    joint = np.zeros((3, 3))
    np.add.at(joint.T, GIVEN, POSTERIOR)
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.transition, expected, **FLOAT32)


def test_em_keeps_the_true_transition(network, rng):
    # Clean classes drawn from what the network says: then T is a fixed point.
    probs = rng.dirichlet([0.2] * 3, 20_000).astype(np.float32)
    cumulated = probs.cumsum(axis=1)
    clean = (rng.random((len(probs), 1)) > cumulated[:, :2]).sum(axis=1)
    given = np.array([rng.choice(3, p=T[label]) for label in clean])
    found = label_audit.audit_labels(
        network, (np.log(probs + 1e-30), given), transition=T
    )
    np.testing.assert_allclose(found.transition, T, atol=0.01)


def test_a_class_of_nothing_keeps_the_identity():
    issues = pd.DataFrame()
    joint = np.array([[3.0, 1.0], [0.0, 0.0]])
    shown = label_audit.Audit(issues, joint).transition
    np.testing.assert_allclose(shown, [[0.75, 0.25], [0, 1]])


def test_the_temperature_makes_trusted_labels_likeliest(network, rng):
    probs = rng.dirichlet([0.3] * 3, 5000).astype(np.float32)
    drawn = rng.random((len(probs), 1)) > probs.cumsum(axis=1)[:, :2]
    labels = drawn.sum(axis=1)
    logits = np.log(probs + 1e-30)
    # Logits twice as large are too sure by a temperature of two.
    for factor in (0.5, 1.0, 2.0):
        found = label_audit.temperature(network, (factor * logits, labels))
        assert found == pytest.approx(factor, rel=0.1)
    right = probs.argmax(axis=1)
    assert label_audit.temperature(network, (logits, right)) == pytest.approx(
        0.25, rel=0.01
    )


def test_an_audit_is_made_at_the_temperature_of_the_trusted_set(
    network, examples, rng
):
    x, given = examples
    clean = x, np.array([0, 0, 0, 1, 1])
    scale = label_audit.temperature(network, clean)
    assert abs(scale - 1) > 0.05
    found = label_audit.audit_labels(
        network, examples, transition=T, clean=clean
    )
    assert found.temperature == scale
    assert label_audit.audit_labels(network, examples).temperature == 1
    plain = label_audit.audit_labels(network, (x / scale, given), transition=T)
    np.testing.assert_allclose(found.joint, plain.joint, rtol=1e-5)
    with pytest.raises(InputError, match=r"in \[0, 3\)"):
        label_audit.audit_labels(network, examples, clean=(x, np.full(5, 3)))


def as_index(examples):
    """The same examples as `(x, labels)`, of a form of its own each."""
    x, labels = examples
    dataset = tf.data.Dataset.from_tensor_slices((x, labels))
    return {
        "column": (x, labels[:, None]),
        "series": (x, pd.Series(labels)),
        "table": (pd.DataFrame(x), labels.astype(np.uint8)),
        "batches": dataset.batch(2),
        "unknown": dataset.filter(lambda x, y: True),
    }


@pytest.mark.parametrize(
    "form", ["column", "series", "table", "batches", "unknown"]
)
def test_an_audit_takes_examples_as_users_have_them(form, network, examples):
    expected = label_audit.find_label_issues(network, examples, transition=T)
    issues = label_audit.find_label_issues(
        network, as_index(examples)[form], transition=T
    )
    pd.testing.assert_frame_equal(issues, expected)
    table = label_audit.check_clean_set(network, as_index(examples)[form])
    assert table["given_label"].tolist() == GIVEN.tolist()


def test_an_audit_of_several_inputs_and_of_texts(examples):
    x, labels = examples
    text = keras.Input((), dtype="string", name="text")
    logits = keras.Input((3,), name="logits")
    words = keras.layers.StringLookup(vocabulary=["a", "b"])
    # Text "b" hides the logits.
    hidden = keras.layers.Lambda(lambda parts: parts[0] * (
        2.0 - keras.ops.cast(parts[1][:, None], "float32")))  # fmt: skip
    network = keras.Model(
        {"text": text, "logits": logits}, hidden([logits, words(text)])
    )
    half = {"text": np.array(["a", "a", "b", "a", "b"]), "logits": x}, labels
    issues = label_audit.find_label_issues(network, half, transition=None)
    from_dataset = label_audit.find_label_issues(
        network, tf.data.Dataset.from_tensor_slices(half), transition=None
    )
    pd.testing.assert_frame_equal(issues, from_dataset)
    np.testing.assert_allclose(
        issues["label_quality"],
        np.where(half[0]["text"] == "b", 1 / 3, F[np.arange(5), GIVEN]),
        **FLOAT32,
    )


def test_an_audit_of_a_shuffled_dataset_is_refused(network, examples):
    shuffled = tf.data.Dataset.from_tensor_slices(examples).shuffle(5)
    for call in (
        label_audit.find_label_issues,
        label_audit.audit_labels,
        label_audit.check_clean_set,
    ):
        with pytest.raises(InputError, match="dataset set .* same order each"):
            call(network, shuffled)
        with pytest.raises(InputError, match="dataset set .* same order each"):
            call(network, shuffled.batch(2))


def test_a_dataset_that_raises_names_itself(network, examples):
    def generate():
        yield examples[0][0], examples[1][0]
        raise KeyError("no such row")

    broken = tf.data.Dataset.from_generator(
        generate,
        output_signature=(tf.TensorSpec((3,)), tf.TensorSpec((), tf.int64)),
    ).apply(tf.data.experimental.assert_cardinality(5))
    with pytest.raises(InputError, match="dataset set .* 'no such row'"):
        label_audit.find_label_issues(network, broken)
    with pytest.raises(InputError, match="clean set .* 'no such row'"):
        label_audit.temperature(network, broken)


def test_a_model_without_logits_is_refused(network, examples):
    softmax = keras.Sequential([network, keras.layers.Softmax()])
    for audit in (label_audit.find_label_issues, label_audit.temperature):
        with pytest.raises(InputError, match="logits"):
            audit(softmax, examples)
        with pytest.raises(InputError, match="should be a keras.Model"):
            audit(None, examples)


def test_a_frozen_network_can_be_audited(network, examples):
    expected = label_audit.find_label_issues(network, examples)
    network.trainable = False
    found = label_audit.find_label_issues(network, examples)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("batch_size", [2, 256])
def test_logits_that_are_not_finite_are_refused(network, examples, batch_size):
    x, labels = examples
    x = x.copy()
    x[3, 1] = np.nan
    stream = tf.data.Dataset.from_tensor_slices((x, labels))
    for audit in (label_audit.find_label_issues, label_audit.temperature):
        with pytest.raises(InputError, match="finite logits.* at example 3;"):
            audit(network, stream, batch_size=batch_size)
