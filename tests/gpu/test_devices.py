"""Another device computes what the first CPU computes.

Each test runs on a GPU, if there is one: `pytest -m gpu`. A second CPU tests
the tests, and `pytest --all` runs all cases on it.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import MetaLossCorrection
from mlc_tf import data
from mlc_tf import networks
from mlc_tf.models import PaperMetaLossCorrection
from mlc_tf.models.meta_loss_correction import META_GRADIENTS
from mlc_tf.run import training
from mlc_tf.transitions import Exponentiated
from tests.conftest import HAS_GPU
from tests.support import ROOT
from tests.support import get_config

needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_GPU, reason="TensorFlow finds no GPU"),
]
DEVICES = ["CPU:1", pytest.param("GPU:0", marks=needs_gpu)]
on_each_device = pytest.mark.parametrize("device", DEVICES)


def wide_resnet():
    return networks.wide_resnet((8, 8, 3), 10, depth=10, width=1)


def mlp():
    return networks.mlp((12, 12, 3), 10, hidden_units=(16,))


def lenet():
    return networks.lenet((12, 12, 3), 10)


@pytest.fixture
def sets(rng):
    x = rng.random((96, 12, 12, 3)).astype(np.float32)
    labels = rng.integers(0, 10, 96)
    return (x, labels), (x[:32], labels[:32])


def state_after_a_run(method, build, sets, where, xla=False, policy="float32"):
    """Returns T, the weights and the losses after some steps in a scope."""
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    with where:
        base = build()
        model = method(base)
        model.compile(keras.optimizers.SGD(0.05), jit_compile=xla)
        side = base.input_shape[1]
        noisy, clean = ((x[:, :side, :side], labels) for x, labels in sets)
        pairs = data.pair(noisy, clean, 16, epochs=range(1))
        history = model.fit(pairs, verbose=0).history
        found = model.evaluate(*noisy, verbose=0)
    norm = history["meta_gradient_norm"]
    weights = model.get_weights()
    return [model.transition_matrix, history["loss"], norm, found, *weights]


METHODS = {
    **{
        form: functools.partial(
            MetaLossCorrection,
            meta_gradient=form,
            # T moves so little that roundings do not grow.
            transition=Exponentiated(),
            virtual_learning_rate=0.1,
        )
        for form in META_GRADIENTS
    },
    "paper": PaperMetaLossCorrection,
}


def assert_close(states, rtol=2e-3, atol=2e-4):
    """The roundings of six steps add up; T moves by more."""
    for expected, found in zip(*states, strict=True):
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def each_method(*by_default):
    """Runs a test with each method on each device.

    Args:
        *by_default: The methods that run on the second CPU without `--all`.
    """
    on_cpu, on_gpu = DEVICES
    return pytest.mark.parametrize(
        "name, device",
        [
            pytest.param(
                name,
                on_cpu,
                marks=() if name in by_default else pytest.mark.wide,
            )
            for name in METHODS
        ]
        + [
            pytest.param(name, *on_gpu.values, marks=needs_gpu)
            for name in METHODS
        ],
    )


@each_method("exact", "paper")
@pytest.mark.parametrize("build", [lenet, wide_resnet])
def test_a_device_computes_what_a_cpu_computes(name, build, device, sets):
    assert_close(
        state_after_a_run(METHODS[name], build, sets, tf.device(where))
        for where in ("CPU:0", device)
    )


# tests/models/test_meta_loss_correction.py has the others.
@each_method("finite_difference", "paper")
def test_xla_computes_what_kernels_compute(name, device, sets):
    assert_close(
        state_after_a_run(METHODS[name], lenet, sets, tf.device(device), xla)
        for xla in (False, True)
    )


@each_method("exact", "paper")
# XLA takes a minute for the second derivatives of a residual network.
@pytest.mark.parametrize(
    "build, xla",
    [
        (wide_resnet, False),
        (mlp, True),
        pytest.param(wide_resnet, True, marks=pytest.mark.wide),
    ],
)
def test_in_bfloat16_t_and_its_gradient_stay_wide(
    name, build, xla, device, sets
):
    wide, narrow = (
        state_after_a_run(
            METHODS[name], build, sets, tf.device(device), xla, policy
        )
        for policy in ("float32", "mixed_bfloat16")
    )
    transition, *_ = narrow
    np.testing.assert_allclose(transition, wide[0], atol=0.05)
    for array, expected in zip(narrow, wide, strict=True):
        assert np.asarray(array).dtype == np.asarray(expected).dtype
    assert transition.dtype == np.float32
    assert (transition != wide[0]).any()
    axis = 0 if name == "paper" else 1
    np.testing.assert_allclose(transition.sum(axis), 1, rtol=1e-5)


@each_method("paper")
def test_two_devices_compute_what_one_computes(
    name, device, sets, two_replicas
):
    """On a machine with a GPU: two logical GPUs of one card."""
    kind = "GPU" if HAS_GPU else "CPU"
    if not device.startswith(kind):
        pytest.skip("the replicas of this machine are GPUs")
    assert_close(
        state_after_a_run(METHODS[name], lenet, sets, where)
        for where in (tf.device(f"{kind}:0"), two_replicas.scope())
    )


def child(code, *arguments, device):
    """Runs a program on one kind of device; returns what it prints."""
    hidden = {} if device.startswith("GPU") else {"CUDA_VISIBLE_DEVICES": "-1"}
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **hidden},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-1500:]
    return json.loads(process.stdout.splitlines()[-1])


_CUT_AND_RESUME = """
import json, sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from mlc_tf.run import checkpoints, training
from tests.support import small

folder, deterministic = Path(sys.argv[1]), sys.argv[2] == "True"
if deterministic:
    tf.config.experimental.enable_op_determinism()
config = small("mlc", **{
    "network.name": "lenet", "train.epochs": 2, "train.steps_per_epoch": 6,
    "train.checkpoint_every": "2 steps", "dataset.name": f"npz:{sys.argv[3]}",
    "method.mlc.meta_gradient": "exact", "noise.kind": "none",
})
training.run(config, folder / "whole", verbose=0)

class Cut(Exception):
    pass

save = checkpoints.Checkpoints.on_train_batch_end
def save_and_stop(self, batch, logs=None):
    save(self, batch, logs)
    if batch == 3:
        raise Cut

checkpoints.Checkpoints.on_train_batch_end = save_and_stop
try:
    training.run(config, folder / "cut", verbose=0)
except Cut:
    checkpoints.Checkpoints.on_train_batch_end = save
training.run(config, folder / "cut", verbose=0)
learned = [
    np.load(folder / run / "transition.npz")["learned"]
    for run in ("whole", "cut")
]
print(json.dumps({
    "difference": float(np.abs(learned[0] - learned[1]).max()),
    "moved": float(np.abs(learned[0][-1] - learned[0][0]).max()),
    "gpu": bool(tf.config.list_logical_devices("GPU")),
}))
"""


@on_each_device
@pytest.mark.parametrize(
    "deterministic", [True, pytest.param(False, marks=pytest.mark.wide)]
)
def test_a_run_resumes_in_mid_epoch(deterministic, device, tmp_path, rng):
    """To the bit if TensorFlow's operations are made deterministic."""
    own = tmp_path / "own.npz"
    arrays = {}
    for part, count in (("train", 200), ("test", 40), ("clean", 50)):
        arrays[f"x_{part}"] = rng.random((count, 12, 12, 1), np.float32)
        arrays[f"y_{part}"] = np.arange(count) % 10
    np.savez(own, **arrays)
    found = child(_CUT_AND_RESUME, tmp_path, deterministic, own, device=device)
    assert found["gpu"] == device.startswith("GPU") and found["moved"] > 1e-4
    on_cpu = device.startswith("CPU")
    bound = 0 if deterministic or on_cpu else 0.01 * found["moved"]
    assert found["difference"] <= bound


@on_each_device
def test_an_exported_model_answers_alike(device, sets, tmp_path):
    with tf.device(device):
        model = MetaLossCorrection(lenet(), meta_gradient="head")
        model.compile(keras.optimizers.SGD(0.05))
        model.fit(data.pair(*sets, 16), verbose=0)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    x = tf.constant(sets[0][0])
    answers = []
    for where in ("CPU:0", device):
        with tf.device(where):
            answers.append(served.signatures["serving_default"](inputs=x))
    assert answers[0]["probabilities"].shape == (len(x), 10)
    np.testing.assert_allclose(
        *(answer["probabilities"] for answer in answers), rtol=1e-4, atol=1e-5
    )


@on_each_device
def test_a_whole_run_on_digits(device, tmp_path):
    config = get_config(ROOT / "configs/digits.py")
    if device.startswith("CPU"):
        config.train.epochs = 3
    with tf.device(device):
        result = training.run(config, tmp_path, verbose=0)
    assert result["test_accuracy"] > (0.5 if device.startswith("CPU") else 0.9)


@pytest.mark.parametrize("device", [pytest.param("GPU:0", marks=needs_gpu)])
def test_a_whole_run_on_mnist(device, tmp_path):
    folder = os.environ.get("TFDS_DATA_DIR")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("TFDS_DATA_DIR has no MNIST")
    config = get_config(ROOT / "configs/mnist.py")
    config.train.epochs = 1
    with tf.device(device):
        result = training.run(config, tmp_path, verbose=0)
    assert result["test_accuracy"] > 0.9
