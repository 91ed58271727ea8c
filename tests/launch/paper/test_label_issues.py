import dataclasses

import numpy as np
import pytest

from mlc_tf.configs import digits
from mlc_tf.errors import InputError
from mlc_tf.launch.paper import label_issue_study
from mlc_tf.run import finished_run
from mlc_tf.run import problems
from mlc_tf.run import training

pytest.importorskip("cleanlab")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "run"
    config = digits.get_config("smoke")
    config.method.mlc.clean_weight = 0.0  # so that it can audit the clean set
    training.run(config, workdir, verbose=0)
    return finished_run.load(workdir)


def test_what_each_network_is_trained_on(run, monkeypatch):
    trained = []

    def network_of(config, problem):
        trained.append((config.method.name, problem))
        return run.network, {"test_accuracy": 0.5 + len(trained) / 100}

    monkeypatch.setattr(label_issue_study.training, "network_of", network_of)
    lines = []
    found = label_issue_study.measure(run, lines.append)
    problem, true_labels = problems.load_with_truth(run.config)
    given, size = problem.noisy.labels, len(problem.noisy)

    folds, retrained, planted = trained[:5], trained[5:8], trained[8:]
    assert {name for name, _ in folds + retrained} == {"cross_entropy"}
    lengths = [len(part.noisy) for _, part in folds]
    assert sum(size - length for length in lengths) == size
    assert min(lengths) > 0.7 * size
    labels = {
        name: part.noisy.labels
        for name, (_, part) in zip(("given", "audit", "cleanlab"), retrained)
    }
    np.testing.assert_array_equal(labels["given"], given)
    for name, accuracy in (("given", 0.56), ("audit", 0.57)):
        retraining = found["cross_entropy"][name]
        right = np.mean(labels[name] == true_labels)
        assert retraining == {
            "labels_right": pytest.approx(right),
            "test_accuracy": pytest.approx(accuracy),
        }
    # One network for all: cleanlab then says what it says itself.
    alone = found["network_alone"]
    assert found["cleanlab"] == pytest.approx(alone, abs=1e-6)
    assert found["audit"]["auroc"] != alone["auroc"] > 0.5
    assert found["temperature"] != 1
    assert found["config"] == label_issue_study.settings_digest(run.config)

    ((method, part),) = planted
    assert method == "mlc"
    differ = part.clean.labels != problem.clean.labels
    assert found["clean_set"]["planted"] == differ.sum()
    assert 3 <= differ.sum() <= 20
    np.testing.assert_array_equal(part.noisy.labels, given)
    assert len(lines) == 9

    trained.clear()
    options = {**run.result["options"], "clean_weight": 0.3}
    fitted = dataclasses.replace(run, result={**run.result, "options": options})
    assert label_issue_study.measure(fitted)["clean_set"] is None
    assert len(trained) == 8


def test_runs_that_cannot_be_measured_are_refused(run, monkeypatch):
    without = dataclasses.replace(run, transition=None)
    with pytest.raises(InputError, match="a method that learns T"):
        label_issue_study.check(without)
    config = run.config.copy_and_resolve_references()
    config.noise.kind = "none"
    with pytest.raises(InputError, match="should be injected noise"):
        label_issue_study.check(dataclasses.replace(run, config=config))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="cleanlab should be installed"):
        label_issue_study.check(run)


def test_a_trusted_set_too_small_to_plant_errors_in(run, monkeypatch):
    problem = problems.load(run.config)
    monkeypatch.setattr(label_issue_study, "_PLANTED", 1e-9)
    with pytest.raises(InputError, match="`clean.per_class` should be so lar"):
        label_issue_study._planted(run.config, problem)


def test_settings_have_a_digest_of_their_own(run):
    other = run.config.copy_and_resolve_references()
    assert label_issue_study.settings_digest(
        other
    ) == label_issue_study.settings_digest(run.config)
    other.clean.per_class += 1
    assert label_issue_study.settings_digest(
        other
    ) != label_issue_study.settings_digest(run.config)
