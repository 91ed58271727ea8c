"""Tests two workers, real processes on this machine, that train one model.

When Keras' own `fit` works over several workers, the first test fails. Then
`MultiWorkerFit` is no longer needed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlc_tf import distribution
from mlc_tf.run import callbacks
from tests import processes
from tests.models import multi_worker_process
from tests.support import ROOT

MODULE = "tests.models.multi_worker_process"


def start(kind, folder, workers=2):
    addresses = distribution.free_addresses(workers)
    return [
        subprocess.Popen(
            [sys.executable, "-m", MODULE]
            + [kind, str(folder / f"{index}.npz")],
            cwd=ROOT,
            env={
                **os.environ,
                "TF_CONFIG": distribution.tf_config(addresses, index),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(workers)
    ]


# What is ours instead, the other tests show.
@pytest.mark.wide
def test_fit_of_keras_still_fails_over_workers(tmp_path):
    workers = start("plain", tmp_path)
    errors = [worker.communicate()[1] for worker in workers]
    assert all(worker.returncode for worker in workers), (
        "Keras' `fit` works over several workers: drop mlc_tf/multi_worker_fit"
    )
    assert "PerReplica" in errors[0]  # which `fit` cannot reduce


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(arrays, history) of worker 0, of worker 1, and of one device."""
    folder = tmp_path_factory.mktemp("workers")
    workers = start("mlc", folder)
    for worker in workers:
        assert worker.communicate()[1] is not None
        assert worker.returncode == 0
    alone = processes.run(MODULE, "mlc", folder / "one.npz")
    assert alone.returncode == 0, alone.stderr
    return [
        (
            dict(np.load(folder / f"{name}.npz")),
            json.loads((folder / f"{name}.npz.json").read_text()),
        )
        for name in ("0", "1", "one")
    ]


def test_both_workers_end_with_the_same_bits(trained):
    (first, history), (second, other_history), _ = trained
    assert history == other_history
    for name in set(first) - {"seen"}:
        assert first[name].tobytes() == second[name].tobytes(), name
    assert np.abs(first["T"] - np.eye(3)).max() > 0.01


def test_workers_end_near_one_device(trained):
    # BatchNorm uses the statistics of the worker's half of each batch.
    (two, history), _, (single, single_history) = trained
    assert np.abs(two["T"] - single["T"]).max() < 0.1
    assert set(history) == set(single_history)
    assert abs(history["val_loss"][-1] - single_history["val_loss"][-1]) < 0.2


def test_each_worker_loads_its_half_of_each_batch(trained):
    batch, steps = multi_worker_process.BATCH, multi_worker_process.STEPS
    first, second, single = (arrays["seen"] for arrays, _ in trained)
    whole = single.reshape(-1, batch)
    epochs = multi_worker_process.EPOCHS
    assert len(whole) == epochs * steps
    # Loading runs in parallel, so the order of examples varies.
    for seen, half in zip((first, second), np.split(whole, 2, axis=1)):
        rows = seen.reshape(-1, batch // 2).tolist()
        assert sorted(rows) == sorted(half.tolist())


def cluster(workdir, epochs=4):
    return subprocess.Popen(
        [
            sys.executable,
            "launch/train_cluster.py",
            "--workers=2",
            "--config=configs/digits.py",
            f"--config.train.epochs={epochs}",
            "--config.train.checkpoint_every=3 steps",
            "--workdir",
            str(workdir),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_a_checkpoint(workdir, process):
    while not list((workdir / "checkpoints").glob("*-step-0000000?.*.json")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)


def worker_processes(workdir):
    """Returns the ids of the workers, by index."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode()
            environment = (folder / "environ").read_bytes().decode()
        except OSError:
            continue
        if str(workdir) in command and "mlc_tf.launch.main" in command:
            config = re.search(r"TF_CONFIG=([^\0]+)", environment)[1]
            found[json.loads(config)["task"]["index"]] = int(folder.name)
    return found


def on_one_device(workdir, epochs=4):
    """Returns the result of a run that goes on in one process."""
    completed = processes.run(
        ROOT / "launch" / "train.py",
        "--config=configs/digits.py",
        f"--config.train.epochs={epochs}",
        f"--workdir={workdir}",
    )
    assert completed.returncode == 0, completed.stderr
    assert "Resuming from epoch" in completed.stdout
    return json.loads(completed.stdout.splitlines()[-1])


@pytest.mark.wide
def test_a_job_that_is_ended_resumes_on_one_device(tmp_path):
    workdir, epochs = tmp_path / "run", 20
    process = cluster(workdir, epochs)
    wait_for_a_checkpoint(workdir, process)
    # One is asked to end, and it passes that on.
    os.kill(worker_processes(workdir)[1], signal.SIGTERM)
    out, errors = process.communicate()
    assert process.returncode == 143, errors
    assert errors.count("was ended by SIGTERM, and its state was saved.") == 2
    assert 'TF_CONFIG=\'{"cluster": {"worker": ["HOST0:2222"' in out
    result = on_one_device(workdir, epochs)
    rows = callbacks.read_metrics(workdir / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [*range(1, epochs + 1)]
    assert result["test_accuracy"] > 0.7


# What a worker says that loses another, in tests/run/test_faults.py too.
@pytest.mark.wide
def test_a_job_that_loses_a_worker_or_is_ended_resumes(tmp_path):
    workdir = tmp_path / "run"
    process = cluster(workdir)
    wait_for_a_checkpoint(workdir, process)
    os.kill(worker_processes(workdir)[1], signal.SIGKILL)
    out, errors = process.communicate()
    assert process.returncode == 1, errors
    assert "error: Worker 0 lost another worker of this run" in errors
    assert "Traceback" not in errors
    assert 'TF_CONFIG=\'{"cluster": {"worker": ["HOST0:2222"' in out

    lost = shutil.copytree(workdir, tmp_path / "copy")
    process = cluster(workdir)
    # One worker receives SIGTERM before its first step, and informs the other.
    while "Resuming" not in (line := process.stdout.readline()):
        assert process.poll() is None
    assert re.search(r"from epoch \d, step \d+\.", line)
    os.kill(worker_processes(workdir)[1], signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    assert errors.count("was ended by SIGTERM, and its state was saved.") == 2

    process = cluster(workdir)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    result = json.loads(out.splitlines()[-1])
    rows = callbacks.read_metrics(workdir / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert result["test_accuracy"] > 0.7

    # A run of two workers resumes with one device.
    alone = on_one_device(lost)
    assert abs(alone["test_accuracy"] - result["test_accuracy"]) < 0.01
