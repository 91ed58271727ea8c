import numpy as np
import pytest

from configs import digits
from mlc_tf import finished_run
from mlc_tf import problems
from mlc_tf import training
from mlc_tf.errors import InputError
from mlc_tf.studies import label_issues

pytest.importorskip("cleanlab")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "run"
    training.run(digits.get_config("smoke"), workdir, verbose=0)
    return finished_run.load(workdir)


def test_what_each_network_is_trained_on(run, monkeypatch):
    trained = []

    def network_of(config, problem):
        trained.append((config.method.name, problem))
        return run.network, {"test_accuracy": 0.5 + len(trained) / 100}

    monkeypatch.setattr(label_issues.training, "network_of", network_of)
    lines = []
    found = label_issues.measure(run, lines.append)
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
    # The same network for all folds: cleanlab then says what it says itself.
    assert found["audit"]["trainings"] == 0
    assert found["cleanlab"]["auroc"] > 0.5

    ((method, part),) = planted
    assert method == "mlc"
    differ = part.clean.labels != problem.clean.labels
    assert found["clean_set"]["planted"] == differ.sum()
    assert 3 <= differ.sum() <= 20
    np.testing.assert_array_equal(part.noisy.labels, given)
    assert len(lines) == 9


def test_labels_of_unknown_truth_are_refused(run, monkeypatch):
    loaded = problems.load(run.config), None
    monkeypatch.setattr(
        label_issues.problems, "load_with_truth", lambda config: loaded
    )
    with pytest.raises(InputError, match="should be injected noise"):
        label_issues.measure(run)
