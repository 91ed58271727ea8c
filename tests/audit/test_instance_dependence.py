"""Whether labels depend on more than the class: on noises that are known."""

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.special
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from mlc_tf.audit import instance_dependence
from mlc_tf.audit import run_audit
from mlc_tf.audit.instance_dependence import check_instance_dependence
from mlc_tf.data import instance_noise
from mlc_tf.data import noise
from mlc_tf.errors import InputError
from mlc_tf.run import finished_run
from mlc_tf.run import problems
from mlc_tf.run import training
from tests.support import small

COUNT, CLASSES, WIDTH = 3000, 3, 6


def sure_of(classes, count=CLASSES):
    """The beliefs of a network that is right and has no doubt."""
    with np.errstate(divide="ignore"):
        return np.log(np.eye(count)[classes])


@pytest.fixture(scope="module")
def drawn():
    """Inputs of three clusters, and their classes."""
    rng = np.random.default_rng(0)
    classes = np.arange(COUNT) % CLASSES
    centers = 4 * rng.normal(size=(CLASSES, WIDTH))
    return centers[classes] + rng.normal(size=(COUNT, WIDTH)), classes


@pytest.mark.parametrize("kind", noise.KINDS[:3])
@pytest.mark.parametrize("seed", range(3))
def test_noise_of_the_class_is_not_taken_for_more(drawn, kind, seed):
    x, classes = drawn
    given = noise.corrupt(classes, kind, 0.4, seed, "iid").labels
    tested = check_instance_dependence(x, sure_of(classes), given)
    assert tested.examples == COUNT and not tested.is_found
    assert tested.gain < 0.001
    assert "No sign was found" in tested.sentence()


@pytest.mark.parametrize("seed", range(3))
def test_the_errors_of_a_network_are_not_taken_for_noise_of_the_input(seed):
    """A linear network of digits, of few examples, is wrong for every tenth."""
    images, classes = load_digits(return_X_y=True)
    few = np.random.default_rng(seed).permutation(len(classes))[:120]
    network = LogisticRegression(max_iter=2000).fit(images[few], classes[few])
    log_probs = network.predict_log_proba(images)
    assert 0.85 < np.mean(log_probs.argmax(axis=1) == classes) < 0.95
    for kind in noise.KINDS[:3]:
        given = noise.corrupt(classes, kind, 0.4, seed, "iid").labels
        tested = check_instance_dependence(images, log_probs, given)
        assert tested.examples > 1500 and not tested.is_found, kind


@pytest.mark.parametrize("seed", range(3))
def test_noise_of_the_input_is_found(drawn, seed):
    x, classes = drawn
    rng = np.random.default_rng(seed)
    side = x @ rng.normal(size=WIDTH)
    wrong = np.zeros(COUNT, bool)
    for label in range(CLASSES):
        members = classes == label
        wrong[members] = side[members] > np.quantile(side[members], 0.7)
    given = np.where(wrong, (classes + 1) % CLASSES, classes)
    tested = check_instance_dependence(x, sure_of(classes), given)
    assert tested.is_found and tested.gain > 0.1
    assert "depend on more than the class" in tested.sentence()
    assert f"{tested.gain:.3f}" in tested.sentence()


def test_the_gain_is_the_difference_of_two_likelihoods(drawn):
    """With a label that the input says outright, the regression is right."""
    x, classes = drawn
    given = (x[:, 0] > np.median(x[:, 0])).astype(int)
    alone = np.zeros(COUNT, int)
    tested = check_instance_dependence(x, sure_of(alone), given)
    # Without the input, a half is as good as can be: log 2 nats.
    assert 0 < tested.gain < np.log(2)
    assert tested.gain > 0.3


def test_what_cannot_be_tested_says_so():
    x = np.zeros((40, 2))
    alone = sure_of(np.zeros(40, int))
    tested = check_instance_dependence(x, alone, np.arange(40) % 2)
    assert tested == instance_dependence.InstanceDependence(0.0, 0.0, 0)
    assert not tested.is_found and "was not tested" in tested.sentence()
    # All labels are those predicted: there is nothing to explain.
    zeros = np.zeros(100, int)
    tested = check_instance_dependence(
        np.zeros((100, 2)), sure_of(zeros), zeros
    )
    assert tested.examples == 0


def test_rare_labels_count_as_one_label():
    rng = np.random.default_rng(0)
    predicted = np.zeros(200, int)
    given = np.where(np.arange(200) < 184, 0, 1 + np.arange(200) % 8)
    ((members, labels),) = instance_dependence._classes(predicted, given, rng)
    assert len(members) == 200
    assert {*np.unique(labels)} == {-1, 0}
    assert np.sum(labels == -1) == np.sum(given > 0)


@pytest.mark.parametrize("kind", ["flip_to_one", "instance"])
def test_the_audit_of_a_run_holds_it(kind, tmp_path):
    config = small(**{"noise.kind": kind, "train.epochs": 20})
    training.run(config, tmp_path, 0)
    run = finished_run.load(tmp_path)
    problem = problems.load(run.config)
    audited = run_audit.audit_run(run, problem)
    tested = audited.instance_dependence
    assert tested.examples > 500
    # About a thousand examples are too few to find the noise of the image with
    # a trained network; docs/how_to/wrong_labels.md says so.
    assert not tested.is_found


def test_of_many_examples_a_part_is_tested(tmp_path, monkeypatch):
    config = small(**{"noise.kind": "instance", "train.epochs": 1})
    training.run(config, tmp_path, 0)
    run = finished_run.load(tmp_path)
    problem = problems.load(run.config)
    monkeypatch.setattr(run_audit, "_MOST_EXAMPLES", 600)
    tested = run_audit.instance_dependence(run, problem)
    drawn = np.random.default_rng(0).permutation(len(problem.noisy))[:600]
    drawn = np.sort(drawn)  # a stream is read in its order
    x = problem.noisy.x[drawn]
    log_probs = scipy.special.log_softmax(
        run.network.predict(x, verbose=0), axis=1
    )
    expected = check_instance_dependence(
        x, log_probs, problem.noisy.labels[drawn], 0
    )
    assert 0 < tested.examples == expected.examples <= 600
    assert tested.gain == pytest.approx(expected.gain, abs=1e-3)


@pytest.mark.parametrize(
    "shape, dtype, expected",
    [
        ((64, 64), "float32", True),
        ((64, 65), "float32", False),
        ((3,), "int64", True),
        ((), "string", False),
    ],
)
def test_texts_and_large_inputs_are_not_tested(shape, dtype, expected):
    network = keras.Sequential(
        [keras.Input(shape, dtype=dtype), keras.layers.Identity()]
    )
    assert run_audit.can_test(network) == expected


def test_true_classes_of_digits_show_instance_noise():
    images, classes = load_digits(return_X_y=True)
    batches = [(images.astype(np.float32), classes)]
    given = instance_noise.corrupt(batches, 10, 0.4, 0).labels
    tested = check_instance_dependence(images, sure_of(classes, 10), given)
    assert tested.is_found


def test_what_the_beliefs_say_is_not_what_the_input_adds(drawn):
    """The input repeats the beliefs, and the labels follow the beliefs."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1.0, 1.0, 1.0], COUNT)
    given = (rng.random(COUNT)[:, np.newaxis] > probs.cumsum(axis=1)).sum(1)
    tested = check_instance_dependence(probs, np.log(probs), given)
    assert tested.examples > 2000 and not tested.is_found
    # Without the beliefs the same input explains much.
    blind = sure_of(probs.argmax(axis=1))
    assert check_instance_dependence(probs, blind, given).is_found


def test_labels_as_users_have_them(drawn):
    x, classes = drawn
    given = noise.corrupt(classes, "uniform", 0.4, 0, "iid").labels
    beliefs = sure_of(classes)
    expected = check_instance_dependence(x, beliefs, given)
    shuffled = pd.Series(given, np.random.default_rng(0).permutation(COUNT))
    for labels in (shuffled, given.tolist(), given[:, np.newaxis]):
        assert check_instance_dependence(x, beliefs, labels) == expected


@pytest.mark.parametrize(
    "change, message",
    [
        ({"log_probs": np.ones((4, 2))}, "`log_probs` should be logarithms"),
        ({"log_probs": np.zeros(4)}, r"`log_probs`.* of shape \(4,\)"),
        ({"given": [0, 1, 0]}, "one row for each example. Received: 4, 4 and"),
        ({"given": [0, 1, 2, 0]}, r"in \[0, 2\)"),
        ({"x": [[0.0], [np.nan], [1], [2]]}, "audited set .* finite inputs"),
        ({"x": [["a"]] * 4}, "audited set should be one array of numbers"),
        ({"x": {"a": np.zeros(4), "b": np.zeros(4)}}, "one array of numbers"),
        ({"x": [[0.0], [0.0, 1.0], [1.0], [2.0]]}, "ragged lists"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {
        "x": np.zeros((4, 1)),
        "log_probs": np.zeros((4, 2)),
        "given": [0, 1, 0, 1],
    }
    with pytest.raises(InputError, match=message):
        check_instance_dependence(**{**arguments, **change})
