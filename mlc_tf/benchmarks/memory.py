"""The most memory that a step holds, each measured in a process of its own."""

import concurrent.futures
import multiprocessing
import re
from pathlib import Path
from typing import Any

from mlc_tf.benchmarks import step
from mlc_tf.benchmarks.subjects import SUBJECTS

_VARIANTS = ("cross_entropy", "exact", "head", "fast")
_STEPS = 4


def measure(network: str) -> dict[str, Any]:
    """Returns peaks in MiB, of the whole process and of what steps added.

    Args:
        network: A name of `SUBJECTS`.
    """
    measured = {}
    for variant in _VARIANTS:
        with concurrent.futures.ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn")
        ) as pool:
            measured[variant] = pool.submit(_child, network, variant).result()
    plain = measured["cross_entropy"]
    return {
        "batch_size": SUBJECTS[network].batch_size,
        "mebibytes": measured,
        "ratio_to_cross_entropy": {
            variant: {key: values[key] / plain[key] for key in values}
            for variant, values in measured.items()
        },
    }


def _child(network: str, variant: str) -> dict[str, float]:
    subject = SUBJECTS[network]
    model = step.VARIANTS[variant](subject.build(subject.num_classes))
    take = step.compiled_step(model)
    element = subject.pair(subject.num_classes)
    before = _mebibytes("VmRSS")
    for _ in range(_STEPS):
        take(element)
    peak = _mebibytes("VmHWM")
    return {"process": peak, "steps": peak - before}


def _mebibytes(what: str) -> float:
    # Not `getrusage`: its peak is inherited from the parent.
    status = Path("/proc/self/status").read_text()
    (kibibytes,) = re.findall(rf"{what}:\s+(\d+) kB", status)
    return int(kibibytes) / 1024
