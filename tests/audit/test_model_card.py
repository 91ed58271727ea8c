"""The card of a run says what its files say."""

import json
import re

import keras
import ml_collections
import numpy as np
import pandas as pd
import pytest

from mlc_tf import networks
from mlc_tf.audit import model_card
from mlc_tf.audit.label_audit import Audit
from mlc_tf.data.examples import Arrays
from mlc_tf.errors import InputError
from mlc_tf.run import settings
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem

T = np.array([[0.75, 0.25], [0.0, 1.0]])
RESULT = {
    "dataset": "pets",
    "method": "mlc",
    "options": {"transition": {"name": "projected", "max_step": 2.0}},
    "network": "mlp",
    "epochs": 3,
    "seed": 5,
    "evaluated_on": "test",
    "oracle": "",
    "test_accuracy": 0.875,
    "transition_l1": 0.125,
}
REPORT = {"kind": "pair", "ratio": 0.25, "changed_share": 0.125}


def make_run(workdir, transition=T, **result):
    (workdir / "versions.json").write_text(json.dumps({"keras": "3.15.1"}))
    config = ml_collections.ConfigDict(settings.default_config())
    network = networks.mlp((2, 2, 1), 2)
    return FinishedRun(
        workdir, config, {**RESULT, **result}, network, transition
    )


def examples(count, classes=2):
    labels = np.arange(count) % classes
    return Arrays(np.zeros((count, 2, 2, 1), np.float32), labels)


def make_problem(names=("cat", "a|b"), report=REPORT):
    return Problem(
        noisy=examples(1500),
        clean=examples(2 * len(names) + 1, len(names)),
        test=examples(8),
        class_names=names,
        noise_report=report,
        notes=("Take care.",),
    )


def make_audit(joint=((3.0, 1.0), (0.0, 4.0))):
    given = np.repeat([0, 1], [3, 5])
    issues = pd.DataFrame(
        {"given_label": given, "is_label_issue": np.arange(8) == 3}
    )
    return Audit(issues, np.array(joint))


def test_it_says_what_the_files_say(tmp_path):
    card = model_card.render(make_run(tmp_path), make_problem(), make_audit())
    for line in (
        "# pets, mlc",
        "| noisy, trained on | 1,500 | injected noise `pair 0.25` |",
        "| clean, trusted | 5 | as the dataset has them |",
        "Take care.",
        "| transition.name | projected |",
        "| transition.max_step | 2.0 |",
        "87.50 % of the test set, after the last epoch.",
        "The network and its T judge 12.5 % of the noisy labels wrong; "
        "12.5 % were made so.",
        # 1 of 4 cats is labelled otherwise; 1 of 5 of these labels is a cat.
        "| cat | 3 | 0 | 0.0 | 25.0 |",
        "| a\\|b | 5 | 1 | 20.0 | 0.0 |",
        "| **cat** | 0.750 | 0.250 |",
        "`inputs`: shape `(batch, 2, 2, 1)`, `float32`, in the dataset's own "
        "units: the network standardises them itself.",
        "| keras | 3.15.1 |",
    ):
        assert line in card.splitlines()
    assert "the rows of the true T is 0.125" in card
    assert "has 2 examples of its rarest class" in card
    assert "noisy_label_posterior" in card and "The method used" not in card
    # Each table has as many cells in each row.
    for table in re.findall(r"(?:^\|.*\n)+", card, re.M):
        cells = re.sub(r"\\\|", "", table).splitlines()
        assert len({row.count("|") for row in cells}) == 1
        assert re.fullmatch(r"\|(---\|)+", cells[1])


def test_it_names_the_rates_that_the_run_chose(tmp_path):
    chosen = {"transition": {"max_step": 1.5}, "clean_weight": 0.03}
    run = make_run(tmp_path, chosen_rates=chosen)
    card = model_card.render(run, make_problem(), make_audit())
    assert "| transition.max_step (chosen) | 1.5 |" in card
    assert "| clean_weight (chosen) | 0.03 |" in card


def test_what_is_not_known_is_not_said(tmp_path):
    run = make_run(tmp_path, None, transition_l1=None, oracle="the noise rate")
    nothing = make_audit(((4.0, 0.0), (0.0, 0.0)))
    card = model_card.render(run, make_problem(report=None), nothing)
    assert "| noisy, trained on | 1,500 | noisy as they come |" in card
    assert "The network judges 0.0 % of the noisy labels wrong." in card
    assert "every wrong label counts as equally likely" in card
    assert "| a\\|b | 5 | 1 | – | – |" in card
    assert "The method used the noise rate" in card
    assert "## T," not in card and "noisy_label_posterior" not in card


def test_of_many_classes_the_noisiest_are_shown(tmp_path):
    names = tuple(f"class {index}" for index in range(30))
    keras.utils.set_random_seed(0)
    shares = np.linspace(0.1, 0.9, 30)  # of each class that is kept
    joint = np.diag(shares) + np.roll(np.diag(1 - shares), 1, axis=1)
    found = make_audit(joint)
    run = make_run(tmp_path, np.eye(30))
    card = model_card.render(run, make_problem(names), found)
    assert "class 19, ..." in card and "The 20 noisiest of 30 classes." in card
    rows = re.findall(r"^\| class \d+ .* ([\d.]+) \| [\d.]+ \|$", card, re.M)
    rates = [float(rate) for rate in rows]
    assert len(rates) == 20 and rates == sorted(rates, reverse=True)
    assert "**class" not in card and "## T," in card


def test_a_run_without_its_versions_is_refused(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "versions.json").unlink()
    with pytest.raises(InputError, match="versions.json"):
        model_card.render(run, make_problem(), make_audit())


def test_a_transition_of_columns_is_told_with_rows_that_sum_to_1(tmp_path):
    columns = np.array([[0.9, 0.4], [0.1, 0.6]])
    run = make_run(tmp_path, transition=columns, method="mlc_paper")
    rows = run.row_transition
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    # The same T, up to the scale of its columns.
    np.testing.assert_allclose(rows[0] / rows[1], columns[0] / columns[1])
    assert make_run(tmp_path).row_transition is T
