"""Runs that MLflow or Weights & Biases record too, on this machine."""

import contextlib
import io
import json
import sys

import mlflow
import pytest
import wandb
import wandb.integration.keras

from mlc_tf.errors import InputError
from mlc_tf.run import callbacks
from mlc_tf.run import directory
from mlc_tf.run import tracking
from mlc_tf.run import training
from tests.support import small


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlflow")
    return tmp_path / "mlflow"


def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def tracked_run(tracker, workdir):
    # Two phases: each has an optimizer of its own.
    config = small("glc", **{"train.epochs": 2, "train.tracker": tracker})
    training.run(config, workdir, verbose=0)
    return callbacks.read_metrics(workdir / "metrics.jsonl")


def test_mlflow_has_the_metrics_of_every_epoch(store, tmp_path, capsys):
    rows = tracked_run("mlflow", tmp_path / "run")
    (run,) = mlflow.search_runs(output_format="list")
    assert run.info.run_name == "digits/flip_to_one-0.4/glc-seed0"
    assert run.info.status == "FINISHED"
    assert run.data.params["train.batch_size"] == "32"
    assert run.data.params["method.name"] == "glc"
    client = mlflow.MlflowClient()
    for ours, theirs in (
        ("test_accuracy", "val_accuracy"),
        ("clean_accuracy", "clean_accuracy"),
        ("loss", "loss"),
    ):
        history = client.get_metric_history(run.info.run_id, theirs)
        assert [metric.step for metric in history] == [0, 1, 2, 3]
        assert [metric.value for metric in history] == [
            row[ours] for row in rows
        ]
    assert "Exception" not in capsys.readouterr().err


def test_a_resumed_run_goes_on_with_its_run_in_mlflow(store, tmp_path):
    config = small(**{"train.tracker": "mlflow"})
    for folder in ("a", "a", "b"):
        with tracking.tracked(config, tmp_path / folder, "digest"):
            pass
    assert len(mlflow.search_runs(output_format="list")) == 2


def test_wandb_has_the_metrics_of_every_epoch(tmp_path, monkeypatch):
    offline(monkeypatch)
    with contextlib.redirect_stderr(io.StringIO()):
        rows = tracked_run("wandb", tmp_path / "run")
    (file,) = (tmp_path / "run/wandb").glob("offline-run-*/*.wandb")
    content = file.read_bytes()
    assert b"digits/flip_to_one-0.4/glc-seed0" in content
    assert content.count(b"epoch/val_accuracy") >= len(rows) == 4
    for row in rows:
        assert json.dumps(row["test_accuracy"]).encode() in content


def test_a_run_that_is_resumed_has_its_settings(store, tmp_path):
    config = small(**{"train.tracker": "mlflow"})
    with pytest.MonkeyPatch.context() as patch:

        def fail(*_):
            raise OSError("no connection\nand more lines")

        patch.setattr(mlflow, "log_params", fail)
        with pytest.raises(InputError, match="which raised: no connection$"):
            with tracking.tracked(config, tmp_path / "run", "digest"):
                pass
    assert mlflow.active_run() is None
    with tracking.tracked(config, tmp_path / "run", "digest"):
        pass
    (run,) = mlflow.search_runs(output_format="list")
    assert run.data.params["method.name"] == "mlc"


def test_a_tracker_that_cannot_end_does_not_end_the_run(
    store, tmp_path, capsys
):
    config = small(**{"train.tracker": "mlflow"})
    with pytest.MonkeyPatch.context() as patch:
        with tracking.tracked(config, tmp_path / "run", "digest"):
            patch.setattr(mlflow.ActiveRun, "__exit__", lambda *_: 1 / 0)
    assert "mlflow could not end its run: division" in capsys.readouterr().out
    mlflow.end_run()


def test_only_the_first_worker_is_recorded(store, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking.distribution, "worker", lambda: 1)
    config = small(**{"train.tracker": "mlflow"})
    with tracking.tracked(config, tmp_path / "run", "digest") as trackers:
        assert list(trackers) == []


def test_wandb_goes_on_with_the_run_of_a_directory(tmp_path, monkeypatch):
    offline(monkeypatch)
    config, started = small(**{"train.tracker": "wandb"}), []
    monkeypatch.setattr(
        wandb,
        "init",
        lambda **options: started.append(options) or contextlib.nullcontext(),
    )
    monkeypatch.setattr(wandb.integration.keras, "WandbMetricsLogger", list)
    for folder in ("a", "a", "b"):
        with tracking.tracked(config, tmp_path / folder, "digest"):
            pass
    one, again, other = (options["id"] for options in started)
    assert one == again != other
    assert {options["resume"] for options in started} == {"allow"}


def test_a_missing_library_is_named_before_the_data_are_read(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    config = small(**{"train.tracker": "wandb", "dataset.name": "npz:none"})
    with pytest.raises(InputError, match=r"pip install 'mlc_tf\[trackers\]'"):
        training.run(config, tmp_path / "run", verbose=0)


def test_a_tracker_that_cannot_start_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://x")
    config = small(**{"train.tracker": "mlflow"})
    with pytest.raises(InputError, match="`train.tracker` = 'mlflow', which r"):
        training.run(config, tmp_path / "run", verbose=0)


def test_an_unknown_tracker_is_refused(tmp_path):
    config = small(**{"train.tracker": "mlfow"})
    with pytest.raises(InputError, match="Did you mean 'mlflow'"):
        training.run(config, tmp_path / "run", verbose=0)


def test_a_run_may_be_resumed_with_another_tracker(tmp_path):
    config = small(**{"train.epochs": 1})
    training.run(config, tmp_path, verbose=0)
    config.train.tracker = "wandb"
    directory.check(tmp_path, config)


def test_without_a_tracker_nothing_is_recorded(tmp_path):
    with tracking.tracked(small(), tmp_path, "digest") as trackers:
        assert list(trackers) == []
