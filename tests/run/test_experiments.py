import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mlc_tf.configs import digits
from mlc_tf.errors import InputError
from mlc_tf.run import directory
from mlc_tf.run import experiments
from mlc_tf.run import results as result_files
from mlc_tf.run import settings
from tests.support import ROOT


def config_of(method="cross_entropy", rate=0.05):
    config = digits.get_config("smoke")
    config.train.epochs = 1
    config.method.name = method
    config.method[method].learning_rate = rate
    return config


def test_a_run_that_diverges_is_reported_and_the_others_continue(
    tmp_path, capsys
):
    configs = {
        "one/done": config_of(),
        "lost": config_of("ce_control", rate=1e30),
    }
    runs, results = tmp_path / "runs", tmp_path / "results/digits.jsonl"
    diverged = experiments.run_all(configs, runs, results, jobs=2)
    done, lost = configs
    assert diverged == [lost]
    there = result_files.read(results)
    assert [*there] == [done]
    assert there[done]["method"] == "cross_entropy"
    assert there[done]["training"]["optimizer.learning_rate"] == 0.05
    of_run = json.loads((runs / done / "result.json").read_text())
    assert there[done] == {
        "run": done,
        **of_run,
        "training": there[done]["training"],
    }
    printed = capsys.readouterr().out
    assert f"[1/2] {done}: " in printed
    assert f"{lost} is left out: The loss became" in printed

    # A finished run is copied again, and not run.
    text = results.read_text()
    results.unlink()
    assert experiments.run_all({done: configs[done]}, runs, results) == []
    assert results.read_text() == text
    assert capsys.readouterr().out == ""

    # A result will do without its run, but not a result of another rate.
    elsewhere = tmp_path / "nowhere"
    assert experiments.run_all({done: configs[done]}, elsewhere, results) == []
    printed = capsys.readouterr().out
    assert printed == f"1 results are in '{results}' already.\n"
    assert not elsewhere.exists()
    with pytest.raises(InputError, match=r"differs in optimizer.learning_rate"):
        experiments.run_all({done: config_of(rate=0.1)}, elsewhere, results)
    assert results.read_text() == text


def write(path, name, **changes):
    """Writes the result of a run of `config_of()` with some changes."""
    result = {
        "run": name,
        "network": "mlp",
        "options": {},
        "evaluated_on": "test",
        "training": settings.of_training(config_of()),
        **changes,
    }
    result_files.write(path, [result])
    return path.read_text()


def test_a_result_of_other_settings_is_not_written_over(tmp_path):
    configs = {"one": config_of()}
    runs, results = tmp_path / "runs", tmp_path / "results.jsonl"
    (runs / "one").mkdir(parents=True)
    (runs / "one/config.json").write_text(config_of().to_json())
    (runs / "one/result.json").write_text(
        '{"network": "mlp", "options": {}, "evaluated_on": "test", "epochs": 2}'
    )
    there = write(results, "one", epochs=30)
    with pytest.raises(InputError, match="which differs in epochs"):
        experiments.run_all(configs, runs, results)
    assert results.read_text() == there


def test_results_are_checked_before_the_first_run(tmp_path):
    path = tmp_path / "results.jsonl"
    write(path, "one", network="lenet", options={"beta": 2.0})
    with pytest.raises(InputError, match="differs in network, options"):
        experiments.run_all({"one": config_of()}, tmp_path / "runs", path)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "name, value",
    [("train_split", "train[:10%]"), ("embeddings", "/words.txt")]
    + [("image_size", (8, 8)), ("validation", 0.1)],
)
def test_a_result_of_other_data_is_not_taken(tmp_path, name, value):
    config, path = config_of(), tmp_path / "results.jsonl"
    training = settings.of_training(config)
    # A missing setting counts as its default.
    del training[f"dataset.{name}"]
    write(path, "one", training=training)
    where = tmp_path / "runs", result_files.read(path)
    assert experiments.is_done("one", config, *where)
    assert not experiments.is_done("two", config, *where)
    config.dataset[name] = value
    assert not experiments.is_done("one", config, *where)
    with pytest.raises(InputError, match=rf"differs in .*dataset\.{name}"):
        experiments.check({"one": config}, tmp_path / "runs", path)


def test_a_run_that_is_refused_does_not_end_the_others(tmp_path, capsys):
    configs = {
        "one": config_of(),
        "two": config_of("gce"),
        "three": config_of(),
    }
    configs["two"].method.gce.q = 7.0  # only the method knows better
    runs, results = where = tmp_path / "runs", tmp_path / "results.jsonl"
    with pytest.raises(InputError, match="`method.gce.q` should be"):
        experiments.run_all(configs, *where)
    assert [*result_files.read(results)] == ["one", "three"]
    assert (
        "two is left out: `method.gce.q` should be" in capsys.readouterr().out
    )
    # If the first run is refused, the others may well be refused, too.
    configs = {"two": configs["two"], "four": config_of()}
    with pytest.raises(InputError, match="`method.gce.q` should be"):
        experiments.run_all(configs, *where)
    assert not (runs / "four").exists()
    # But not if some are done already.
    configs = {"one": config_of(), **configs}
    with pytest.raises(InputError, match="`method.gce.q` should be"):
        experiments.run_all(configs, *where)
    assert "four" in result_files.read(results)


def test_runs_beside_a_run_that_is_refused_end(tmp_path):
    configs = {name: config_of("gce") for name in ("bad", "good", "next")}
    configs["bad"].method.gce.q = 7.0
    results = tmp_path / "results.jsonl"
    with pytest.raises(InputError, match="`method.gce.q` should be"):
        experiments.run_all(configs, tmp_path / "runs", results, jobs=2)
    assert [*result_files.read(results)] == ["good", "next"]


def test_the_time_that_is_left_is_printed(capsys):
    progress = experiments._Progress(runs=4, jobs=2)
    progress.report("a", 60.0, 0.5)
    progress.report("b", 300.0, 0.75)
    assert capsys.readouterr().out.splitlines() == [
        "[1/4] a: 50.00 % in 1 min; about 2 min left",  # 3 of 60 s, two a time
        "[2/4] b: 75.00 % in 5 min; about 3 min left",  # 2 of 180 s
    ]


BATCH = """
import sys
from mlc_tf.configs import digits
from mlc_tf.run import experiments
from mlc_tf.run import results as result_files
from mlc_tf.errors import InterruptedRunError

if __name__ == "__main__":
    configs = {}
    for seed in range(3):
        configs[f"seed{seed}"] = config = digits.get_config()
        config.train.epochs, config.seed = int(sys.argv[1]), seed
        config.method.name = "clean_only"
    try:
        experiments.run_all(configs, "runs", "results.jsonl", jobs=2)
    except InterruptedRunError as error:
        print(error, flush=True)
        sys.exit(error.status)
"""


def batch(folder, epochs):
    return subprocess.Popen(
        [sys.executable, "batch.py", str(epochs)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "to_all",
    [
        pytest.param(True, marks=pytest.mark.wide, id="SIGINT"),
        pytest.param(False, id="SIGTERM"),
    ],
)
def test_a_batch_that_is_ended_saves_and_starts_nothing(tmp_path, to_all):
    (tmp_path / "batch.py").write_text(BATCH)
    process = batch(tmp_path, epochs=5000)
    saved = [tmp_path / f"runs/seed{n}/checkpoints" for n in range(2)]
    while not all([*folder.glob("*.h5")] for folder in saved):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    if to_all:  # as a terminal does
        os.killpg(process.pid, signal.SIGINT)
    else:  # as `kill` and schedulers do
        process.terminate()
    out, errors = process.communicate(timeout=120)
    assert process.returncode == (130 if to_all else 143), errors
    assert to_all or "Ending 2 runs." in out
    assert "again resumes it." in out.splitlines()[-1]
    assert "Traceback" not in errors
    assert not (tmp_path / "runs/seed2").exists()
    # No process is left that would claim the directories.
    for folder in saved:
        done = directory.finished_result(folder.parent)
        assert done is None
        with open(folder.parent / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_all_configs_are_checked_before_the_first_runs(tmp_path):
    configs = {"a": config_of(), "b": config_of()}
    configs["b"].method.name = "mlcc"
    with pytest.raises(InputError, match="Did you mean 'mlc'"):
        experiments.run_all(configs, tmp_path / "runs", tmp_path / "results")
    assert not [*tmp_path.iterdir()]
    with pytest.raises(InputError, match="`jobs` should be"):
        experiments.run_all(configs, tmp_path, tmp_path, jobs=0)


def test_the_seconds_of_similar_runs():
    config = config_of()
    trained = settings.of_training(config)
    done = {
        **{"dataset": "digits", "network": "mlp", "method": "cross_entropy"},
        "training": trained,
    }
    results = [
        {**done, "seconds": 3.0},
        {**done, "seconds": 5.0},
        {**done, "seconds": 4.0},
        {**done, "method": "mlc", "seconds": 100.0},
        {**done, "network": "lenet", "seconds": 100.0},
    ] + [
        {**done, "training": {**trained, f"train.{name}": 9}, "seconds": 100.0}
        for name in ("epochs", "batch_size", "steps_per_epoch")
    ]
    assert experiments.seconds_before(config, results) == 4.0
    assert experiments.seconds_before(config, results[3:]) is None


@pytest.mark.parametrize(
    "seconds, text",
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (3900, "1 h 05 min")],
)
def test_durations(seconds, text):
    assert experiments.duration(seconds) == text
