"""Environment variables that make TensorFlow use the processor fully.

TensorFlow reads them once, when it is imported or runs its first operation.
"""

import os
from pathlib import Path

# The microseconds of all processors that a container gets in each period, and
# the period; in the two versions of control groups.
_QUOTA_AND_PERIOD = (
    ("cpu.max",),
    ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
)


def prepare(control_groups: Path = Path("/sys/fs/cgroup")) -> None:
    """Sets the variables that the user has not set.

    oneDNN's kernels, which TensorFlow leaves off on some processors, are turned
    on. If the container's share of the processors is smaller than their number,
    only as many threads compute: TensorFlow does not know the share.

    Args:
        control_groups: The folder of the container's limits.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if not control_groups.exists():  # no Linux
        return
    processors = len(os.sched_getaffinity(0))
    share = _share(control_groups)
    if share < processors:
        threads = str(max(1, round(share)))
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", threads)
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", threads)


def _share(control_groups: Path) -> float:
    """Returns the processors that the container may use; inf if unlimited."""
    # joblib.cpu_count() reads the same files, but its import takes 0.2 seconds,
    # for which `mlc_tf --help` should not wait.
    for names in _QUOTA_AND_PERIOD:
        try:
            texts = [(control_groups / name).read_text() for name in names]
            quota, period = map(float, " ".join(texts).split())
        except (OSError, ValueError):  # no such limit: the quota is "max"
            continue
        if quota > 0 and period > 0:
            return quota / period
    return float("inf")
