"""Prints TF_CONFIG for this process, from the scheduler's environment.

    export TF_CONFIG=$(python -m mlc_tf.launch.cluster.tf_config \\
        --scheduler=slurm)
"""

import os
import subprocess
from collections.abc import Mapping

from absl import flags

from mlc_tf import distribution
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch import command_line

_SCHEDULER = flags.DEFINE_string(
    "scheduler", None, "The scheduler: kubernetes or slurm."
)
_PORT = flags.DEFINE_integer("port", 2222, "The port of all workers.")


def main(argv: list[str]) -> None:
    del argv
    if _SCHEDULER.value not in _SCHEDULERS:
        raise unknown_name("scheduler", _SCHEDULER.value, _SCHEDULERS)
    hosts, index = _SCHEDULERS[_SCHEDULER.value](os.environ)
    workers = [f"{host}:{_PORT.value}" for host in hosts]
    text = distribution.tf_config(workers, index)
    distribution.cluster(text)
    print(text)


def _kubernetes(environment: Mapping[str, str]) -> tuple[list[str], int]:
    """Returns the pods of an indexed Job behind a headless Service."""
    job, service = (_variable(environment, n) for n in ("JOB_NAME", "SERVICE"))
    count = _number(environment, "WORKERS")
    index = _number(environment, "JOB_COMPLETION_INDEX")
    return [f"{job}-{number}.{service}" for number in range(count)], index


def _slurm(environment: Mapping[str, str]) -> tuple[list[str], int]:
    """Returns the nodes of a job that has one task on each node."""
    nodes = _variable(environment, "SLURM_JOB_NODELIST")
    index = _number(environment, "SLURM_PROCID")
    try:
        completed = subprocess.run(
            ["scontrol", "show", "hostnames", nodes],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            "`scontrol` should print the nodes of SLURM_JOB_NODELIST. "
            f"Received: {error}."
        ) from None
    return completed.stdout.split(), index


def _variable(environment: Mapping[str, str], name: str) -> str:
    if name not in environment:
        raise InputError(
            f"`{name}` should be set in the environment, by "
            f"{_SCHEDULER.value} or as in the example beside this script. "
            "Received: no value."
        )
    return environment[name]


def _number(environment: Mapping[str, str], name: str) -> int:
    text = _variable(environment, name)
    if not text.isdigit():
        raise bad_argument(name, "an integer >= 0", text)
    return int(text)


_SCHEDULERS = {"kubernetes": _kubernetes, "slurm": _slurm}

if __name__ == "__main__":
    command_line.run(main)
