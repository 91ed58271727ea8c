"""The same training steps in PyTorch, for a comparison on one machine.

PyTorch runs in a process of its own, since its libraries and TensorFlow's
disturb each other. It starts from the weights of the Keras network,
and its gradient of T is compared with ours before it is timed.
"""

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.errors import InputError
from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark.subjects import Subject
from mlc_tf.models import meta_gradient
from mlc_tf.models.forward_pass import AllWeights

STEPS = ("cross_entropy", "exact")
# The networks that torch_steps.py has, by the names of the Keras models.
_NETWORKS = ("lenet", "wrn")
# Small, so that rounding in a deep network does not change the gradient of T.
_VIRTUAL_RATE = 1e-3
_SCRIPT = Path(__file__).with_name("torch_steps.py")
# The greatest difference of the gradients of T, by their greatest entry.
_TOLERANCE = 0.01


def check(subject: Subject) -> None:
    """Raises an `InputError` if PyTorch, or the network in it, is missing."""
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "`torch` should be installed for --peer=torch: pip install torch. "
            "It is not."
        )
    name = subject.build(2).name
    if name.partition("_")[0] not in _NETWORKS:
        raise InputError(
            "`networks` should be LeNet or wide residual networks for "
            f"--peer=torch. Received: {name}."
        )


@contextmanager
def running(subject: Subject) -> Iterator[dict[str, Callable[[], Any]]]:
    """Gives PyTorch's steps, each of which returns when it is done.

    Args:
        subject: A subject that `check` accepts.

    Raises:
        RuntimeError: if PyTorch's gradient of T is not ours.
    """
    base = subject.build(subject.num_classes)
    element = subject.pair(subject.num_classes)
    eye = np.eye(subject.num_classes, dtype=np.float32)
    transition = 0.8 * eye + np.float32(0.2 / subject.num_classes)
    with tempfile.TemporaryDirectory() as folder:
        problem, gradient = Path(folder, "problem.npz"), Path(folder, "g.npy")
        np.savez(problem, **_problem(base, element, transition))
        process = subprocess.Popen(
            # -P: this folder has modules with the names of others.
            [sys.executable, "-P", str(_SCRIPT), str(problem), str(gradient)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            _answer(process)
            _compare(
                np.load(gradient, allow_pickle=False), base, element, transition
            )
            yield {f"torch: {name}": _action(process, name) for name in STEPS}
        finally:
            process.kill()
            process.communicate()


def _action(process: "subprocess.Popen[str]", name: str) -> Callable[[], None]:
    def action() -> None:
        if process.stdin is not None:  # it is a pipe
            process.stdin.write(f"{name}\n")
            process.stdin.flush()
        _answer(process)

    return action


def _answer(process: "subprocess.Popen[str]") -> None:
    """Waits until PyTorch has done what it was asked for."""
    if process.stdout is None or not process.stdout.readline():
        raise RuntimeError(
            f"PyTorch's process ended with the status {process.wait()}."
        )


def _problem(
    base: keras.Model, element: Any, transition: np.ndarray
) -> dict[str, Any]:
    """Returns what torch_steps.py needs, as arrays."""
    (x, labels), (x_clean, clean_labels) = element
    problem = {
        "network": base.name,
        "device": "cuda" if measuring.has_gpu() else "cpu",
        "noisy_x": x,
        "noisy_labels": labels,
        "clean_x": x_clean,
        "clean_labels": clean_labels,
        "transition": transition,
        "virtual_rate": _VIRTUAL_RATE,
    }
    for kind in ("Conv2D", "BatchNormalization", "Dense"):
        layers = [
            layer for layer in base.layers if type(layer).__name__ == kind
        ]
        # Keras numbers the layers of a kind as they are created; the last layer
        # has a name of its own.
        layers.sort(
            key=lambda layer: (
                layer.name == "logits",
                len(layer.name),
                layer.name,
            )
        )
        for number, layer in enumerate(layers):
            for index, weight in enumerate(layer.get_weights()):
                problem[f"weights_{kind}_{number}_{index}"] = weight
            if kind == "BatchNormalization":
                problem["epsilon"] = layer.epsilon
                problem["momentum"] = layer.momentum
    return problem


def _compare(
    found: np.ndarray, base: keras.Model, element: Any, transition: np.ndarray
) -> None:
    """Raises a `RuntimeError` unless a gradient of T equals our step's."""
    (x, labels), clean = tf.nest.map_structure(tf.constant, element)
    forward = AllWeights(base).forward(x)
    expected = meta_gradient.exact(
        forward.gradient_of(
            lambda logits, matrix: tf.reduce_mean(
                losses.corrected_cross_entropy(logits, labels, matrix)
            )
        ),
        forward.loss_at(*clean),
        forward.weights,
        tf.constant(transition),
        _VIRTUAL_RATE,
    ).numpy()
    error = np.abs(found - expected).max() / np.abs(expected).max()
    if not error < _TOLERANCE:
        raise RuntimeError(
            "PyTorch should compute the same gradient of T before it is timed. "
            f"Received: a difference of {error:.1%} of the greatest entry."
        )
