"""The most memory that a step holds, each measured in a process of its own."""

import concurrent.futures
import multiprocessing
import re
from pathlib import Path
from typing import Any

from mlc_tf.launch.benchmark import step
from mlc_tf.launch.benchmark.subjects import SUBJECTS

_VARIANTS = ("cross_entropy", "exact", "finite_difference", "head")


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Returns peaks in MiB, of the whole process and of what steps added.

    Args:
        network: A name of `SUBJECTS`.
        rounds: How many steps are taken.
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
        network: A name of `SUBJECTS`.
        variant: A name of `step.VARIANTS`.
        num_classes: The number of classes of the network.
        steps: How many.

    Returns:
        Of the steps, without what building the network took: "process", all
        of it, TensorFlow included; "steps", by how much that grew.
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
    before = _mebibytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    for _ in range(steps):
        take(element)
    process = _mebibytes("VmHWM")
    return {"process": process, "steps": process - before}


def _mebibytes(what: str) -> float:
    # Not `getrusage`: its peak is inherited from the parent.
    status = Path("/proc/self/status").read_text()
    (kibibytes,) = re.findall(rf"{what}:\s+(\d+) kB", status)
    return int(kibibytes) / 1024
