"""The peak memory of training steps, each measured in its own process."""

import concurrent.futures
import multiprocessing
import re
from pathlib import Path
from typing import Any

import tensorflow as tf

from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark import step
from mlc_tf.launch.benchmark.subjects import SUBJECTS

_VARIANTS = ("cross_entropy", "exact", "finite_difference", "head")


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Returns peaks in MiB: of the whole process, and of the steps alone.

    Args:
        network: A name in `SUBJECTS`.
        rounds: The number of steps.
    """
    subject = SUBJECTS[network]
    measured = {
        variant: peak(network, variant, subject.num_classes, rounds)
        for variant in _VARIANTS
    }
    plain = measured["cross_entropy"]
    return {
        "batch_size": subject.batch_size,
        "rounds": rounds,
        "mebibytes": measured,
        "ratio_to_cross_entropy": {
            variant: {key: values[key] / plain[key] for key in values}
            for variant, values in measured.items()
        },
    }


def peak(
    network: str, variant: str, num_classes: int, steps: int
) -> dict[str, float]:
    """Returns the peak in MiB of a process that takes some training steps.

    Args:
        network: A name in `SUBJECTS`.
        variant: A name in `step.VARIANTS`.
        num_classes: The number of classes of the network.
        steps: The number of steps.

    Returns:
        On a CPU "process", the peak of the whole process during the steps,
        which includes TensorFlow; and "steps", the growth since before the
        steps. On a GPU "steps", the peak of TensorFlow's allocator.
    """
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn")
    ) as pool:
        return pool.submit(
            _child, network, variant, num_classes, steps
        ).result()


def _child(
    network: str, variant: str, num_classes: int, steps: int
) -> dict[str, float]:
    subject = SUBJECTS[network]
    model = step.VARIANTS[variant](subject.build(num_classes))
    take = step.compiled_step(model)
    element = subject.pair(num_classes)
    if measuring.has_gpu():
        for _ in range(steps):
            take(element)
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        return {"steps": peak / 2**20}
    before = _mebibytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    for _ in range(steps):
        take(element)
    process = _mebibytes("VmHWM")
    return {"process": process, "steps": process - before}


def _mebibytes(field: str) -> float:
    # A process inherits the peak of `getrusage` from its parent.
    status = Path("/proc/self/status").read_text()
    (kibibytes,) = re.findall(rf"{field}:\s+(\d+) kB", status)
    return int(kibibytes) / 1024
