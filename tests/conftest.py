"""The setup of all tests: devices, tolerances, and the selection of tests."""

import fcntl
import gc
import os
import types
from collections.abc import Callable
from pathlib import Path

# TensorFlow reads these variables at its import. It then logs errors only, and
# raises an error where autograph would fall back to Python.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("AUTOGRAPH_STRICT_CONVERSION", "1")

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import distribution

# Two logical devices, for the tests of distribution.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
# And two logical GPUs of one card, for `pytest -m gpu`.
HAS_GPU = bool(tf.config.list_physical_devices("GPU"))
_MEBIBYTES = 6144
if HAS_GPU:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("GPU")[0],
        [tf.config.LogicalDeviceConfiguration(_MEBIBYTES)] * 2,
    )
tf.config.experimental.enable_tensor_float_32_execution(False)

# Relative and absolute tolerances for numbers that are equal up to rounding.
FLOAT64 = {"rtol": 1e-8, "atol": 1e-8}
FLOAT32 = {"rtol": 1e-5, "atol": 1e-5}


def pytest_addoption(parser):
    parser.addoption(
        "--all",
        action="store_true",
        help="also run the tests marked `wide`, with more cases of other tests",
    )


def pytest_configure(config):
    if not (config.option.all or config.option.markexpr):
        config.option.markexpr = "not wide"


def pytest_deselected(items):
    # A worker of pytest-xdist sends the names, since the process that writes
    # the summary has no items.
    output = getattr(items[0].config, "workeroutput", None)
    if output is not None:
        names = output.setdefault("deselected", [])
        names.extend(item.nodeid for item in items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    # All workers collect and deselect the same tests.
    stats = node.config.pluginmanager.get_plugin("terminalreporter").stats
    names = getattr(node, "workeroutput", {}).get("deselected")
    if names:
        # Reports have attributes, which the summary of hypothesis reads.
        stats["deselected"] = [types.SimpleNamespace(name=n) for n in names]


def pytest_collection_finish():
    # Imported modules stay, so the garbage collector need not scan them.
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    # One more process than cores: some tests wait for the processes they start.
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(scope="module", autouse=True)
def _fast_collections():
    """Excludes the surviving objects of a test file from garbage collection.

    TensorFlow keeps the graph of each training step. Scanning the graphs of all
    earlier tests took longer than training.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _fresh_keras():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def two_replicas() -> tf.distribute.Strategy:
    return distribution.strategy("mirrored", 2)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[..., Path]:
    """A function that fills a folder once for all processes of pytest-xdist.

    `made_once(name, make)` calls `make(folder)`, unless another process has
    called it, and returns the folder. Tests only read the folder, or copy it.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def made_once(name, make):
        folder, done = root / name, root / f"{name}.done"
        with open(root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder

    return made_once
