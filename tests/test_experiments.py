import json

import pytest

from configs import digits
from mlc_tf import experiments
from mlc_tf.errors import InputError


def config_of(method="cross_entropy", rate=0.05):
    config = digits.get_config("smoke")
    config.train.epochs = 1
    config.method.name = method
    config.optimizer.learning_rate = rate
    return config


def test_one_that_diverges_is_told_of_and_the_others_go_on(tmp_path, capsys):
    configs = {
        "one/done": config_of(),
        "lost": config_of("ce_control", rate=1e30),
    }
    runs, results = tmp_path / "runs", tmp_path / "results"
    diverged = experiments.do(configs, runs, results, jobs=2)
    done, lost = configs
    assert diverged == [lost]
    result = json.loads((results / f"{done}.json").read_text())
    assert result["method"] == "cross_entropy"
    assert not (results / f"{lost}.json").exists()
    told = capsys.readouterr().out
    assert f"[1/2] {done}: " in told
    assert f"{lost} is left out: The loss became" in told

    # What is done is copied again, and not run.
    (results / f"{done}.json").unlink()
    assert experiments.do({done: configs[done]}, runs, results) == []
    assert (results / f"{done}.json").exists()
    assert capsys.readouterr().out == ""


def test_all_configs_are_checked_before_the_first_runs(tmp_path):
    configs = {"a": config_of(), "b": config_of("mlcc")}
    with pytest.raises(InputError, match="Did you mean 'mlc'"):
        experiments.do(configs, tmp_path / "runs", tmp_path / "results")
    assert not [*tmp_path.iterdir()]
    with pytest.raises(InputError, match="`jobs` should be"):
        experiments.do(configs, tmp_path, tmp_path, jobs=0)


def test_what_runs_like_one_took():
    config = config_of()
    done = {"dataset": "digits", "network": "mlp", "method": "cross_entropy"}
    results = [
        {**done, "seconds": 3.0},
        {**done, "seconds": 5.0},
        {**done, "seconds": 4.0},
        {**done, "method": "mlc", "seconds": 100.0},
        {**done, "network": "lenet", "seconds": 100.0},
    ]
    assert experiments.seconds_before(config, results) == 4.0
    assert experiments.seconds_before(config, results[3:]) is None


@pytest.mark.parametrize(
    "seconds, text",
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (3900, "1 h 05 min")],
)
def test_durations(seconds, text):
    assert experiments.duration(seconds) == text
