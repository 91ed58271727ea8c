"""TensorFlow gets the processors that the container has, and oneDNN."""

import os
import subprocess
import sys

import pytest

from mlc_tf import processor
from tests.support import ROOT

VARIABLES = (
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@pytest.fixture
def eight_processors(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))


def set_variables():
    return [os.environ.get(name) for name in VARIABLES]


@pytest.mark.parametrize(
    "files, threads",
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "800000 100000\n"}, None),
        ({"cpu.max": "250000 100000\n"}, "2"),
        ({"cpu.max": "20000 100000\n"}, "1"),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "10"}, None),
        ({"cpu/cpu.cfs_quota_us": "30", "cpu/cpu.cfs_period_us": "10"}, "3"),
    ],
)
def test_the_share_of_a_container_sets_the_threads(
    files, threads, tmp_path, eight_processors
):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    processor.prepare(tmp_path)
    assert set_variables() == ["1", threads, threads]


def test_what_the_user_has_set_stays(tmp_path, monkeypatch, eight_processors):
    (tmp_path / "cpu.max").write_text("200000 100000")
    for name, value in zip(VARIABLES, "057", strict=True):
        monkeypatch.setenv(name, value)
    processor.prepare(tmp_path)
    assert set_variables() == ["0", "5", "7"]


def test_tensorflow_has_these_threads():
    """One thread computes for each that the variable allows."""
    code = """
import mlc_tf, pathlib
import tensorflow as tf
tf.ones((9, 9)) @ tf.ones((9, 9))
tasks = pathlib.Path("/proc/self/task").glob("*/comm")
print(sum(task.read_text().strip() == "tf_Compute" for task in tasks))
"""
    for threads in ("3", "5"):
        process = subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TF_NUM_INTEROP_THREADS": threads,
            },
            capture_output=True,
            text=True,
        )
        assert process.stdout.strip() == threads, process.stderr


def test_importing_the_package_prepares_tensorflow():
    code = "import mlc_tf, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    for given, expected in ({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("TF_ENABLE_ONEDNN_OPTS", None)
        process = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, **given},
            capture_output=True,
            text=True,
        )
        assert process.stdout.strip() == expected
