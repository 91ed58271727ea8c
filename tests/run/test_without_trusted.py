"""Runs without a trusted set, and without a test set."""

import json

import numpy as np
import pytest

from mlc_tf.audit import audit_files
from mlc_tf.audit import model_card
from mlc_tf.audit import relabel
from mlc_tf.audit import review
from mlc_tf.audit import run_audit
from mlc_tf.data import identity
from mlc_tf.errors import InputError
from mlc_tf.models import prediction
from mlc_tf.run import data_identity
from mlc_tf.run import description
from mlc_tf.run import finished_run
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import training
from tests.support import own_arrays
from tests.support import small

ONLY_TRAIN = dict.fromkeys(["x_test", "y_test", "x_clean", "y_clean"])


@pytest.mark.parametrize("name", methods.METHODS)
def test_each_method_trains_without_a_trusted_set_or_names_those_that_do(
    name, tmp_path
):
    config = small(
        name,
        **{"clean.per_class": 0, "train.epochs": 1, "train.steps_per_epoch": 2},
    )
    if methods.METHODS[name].needs_clean:
        with pytest.raises(
            InputError,
            match="needs no trusted set, one of cross_entropy, ce_control, "
            "forward, dual_t, t_revision, co_teaching_estimated, "
            "masking_estimated, pencil, volmin, robot, gce, elr, "
            f".* = '{name}'",
        ):
            training.run(config, tmp_path, 0)
        assert not list(tmp_path.iterdir())
        return
    result = training.run(config, tmp_path, 0)
    assert result["clean_examples"] == 0
    assert result["noisy_examples"] == 1297
    assert result["best_clean_accuracy_test_accuracy"] is None
    assert np.isfinite(result["test_accuracy"])


def test_a_weight_of_the_trusted_set_is_refused(tmp_path):
    config = small("ce_control", **{"clean.per_class": 0})
    config.method.ce_control.clean_weight = 0.3
    with pytest.raises(
        InputError, match="`method.ce_control.clean_weight` should be 0 without"
    ):
        training.run(config, tmp_path, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of volmin on a file that has training examples only."""
    folder = tmp_path_factory.mktemp("only_train")
    own = own_arrays(folder / "own.npz", **ONLY_TRAIN)
    config = small("volmin", **own)
    training.run(config, folder / "run", 0)
    return finished_run.load(folder / "run")


def test_the_accuracy_is_the_agreement_with_given_labels(run):
    assert run.result["evaluated_on"] == "noisy_validation"
    test = problems.load(run.config).test
    forward = prediction.forward_pass(run.network)
    logits = np.concatenate(
        [logits for logits, _ in prediction.logits(forward, test.batches(3))]
    )
    agreement = np.mean(logits.argmax(axis=1) == test.labels)
    assert run.result["test_accuracy"] == pytest.approx(agreement)
    again = training.run(run.config, run.workdir, 0)
    assert again == run.result


def test_a_run_notices_a_trusted_set_that_is_added_later(run, tmp_path):
    own_arrays(tmp_path / "own.npz")
    changed = json.loads((run.workdir / "data.json").read_text())
    assert changed["clean"]["examples"] == 0
    config = run.config.copy_and_resolve_references()
    config.dataset.name = f"npz:{tmp_path / 'own.npz'}"
    with pytest.raises(InputError, match="8 instead of 0 clean examples"):
        data_identity.check(run.workdir, problems.load(config))


def test_the_audit_says_what_it_was_made_of(run, tmp_path):
    folder, summary = audit_files.write(run, tmp_path)
    assert summary["examples"] == 54
    assert summary["temperature"] == 1
    assert not (folder / "clean_label_issues.csv").exists()
    problem, _ = finished_run.data_of(run)
    found = run_audit.audit_run(run, problem)
    card = model_card.render(run, problem, found)
    assert "without a clean set: no label was known to be right" in card
    assert "clean, trusted" not in card
    assert "% of the held-out set, with its given labels" in card
    assert "6 of 60 training examples were held out" in card


def test_the_page_and_the_decisions(run, tmp_path):
    problem, _ = finished_run.data_of(run)
    found = run_audit.audit_run(run, problem)
    confused = review.confusion(run.network, problem.test)
    page = review.page(run, problem, found, confused)
    assert "Accuracy on the held-out set, with its given labels" in page
    assert "clean set" not in page
    decisions = tmp_path / "decisions.csv"
    given = problem.class_names[problem.noisy.labels[0]]
    decisions.write_text(
        "identity,given_label,decision,label\n"
        f"{identity.identities(problem.noisy)[0]},{given},drop,\n"
    )
    output = tmp_path / "mended.npz"
    applied = relabel.apply(run.config, decisions, output)
    assert applied.dropped == 1
    with np.load(output) as arrays:
        assert len(arrays["x_train"]) == 59
        assert "x_test" not in arrays and "x_clean" not in arrays


def test_the_description_has_no_column_of_a_missing_set(run):
    text = description.describe(run.config).text
    assert "clean" not in text.split("noise:")[0]
    assert "given labels" in text


def test_a_trusted_set_and_no_test_set(tmp_path):
    own = own_arrays(tmp_path / "own.npz", x_test=None, y_test=None)
    result = training.run(small("mlc", **own), tmp_path / "run", 0)
    assert result["evaluated_on"] == "noisy_validation"
    assert result["clean_examples"] == 8
