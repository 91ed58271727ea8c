"""Trains with several workers on this machine, to try out what a cluster does.

    python launch/train_cluster.py --workers=2 --config=configs/digits.py

All other flags are those of launch/train.py. It prints what to set on real
machines; `launch/cluster/` has a Kubernetes Job and a Slurm script.
"""

import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from mlc_tf import distribution
from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.run import directory
from mlc_tf.run import settings

_CONFIG = config_flags.DEFINE_config_file(
    "config", "configs/digits.py", "The experiment: configs/DATASET.py[:smoke]."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "As in launch/train.py.")
_WORKERS = flags.DEFINE_integer("workers", 2, "How many processes.")

_TRAIN = Path(__file__).with_name("train.py")
# Seconds in which workers notice that one is lost, on a busy machine too.
_PATIENCE = 120.0


def main(argv: list[str]) -> None:
    del argv
    if _WORKERS.value < 1:
        raise bad_argument("workers", "an integer >= 1", _WORKERS.value)
    config = _CONFIG.value
    config.train.strategy = "multi_worker"
    settings.check(config)
    workdir = _WORKDIR.value or f"runs/{directory.name_of(config)}"
    command = [
        sys.executable,
        str(_TRAIN),
        *_own_flags_left_out(sys.argv[1:]),
        "--config.train.strategy=multi_worker",
        f"--workdir={workdir}",
    ]
    _tell_of_real_machines(command[1:])
    addresses = distribution.free_addresses(_WORKERS.value)
    workers = [
        subprocess.Popen(
            command,
            env={
                **os.environ,
                "TF_CONFIG": distribution.tf_config(addresses, index),
            },
            # Worker 0 tells how the run goes; of the others only what fails.
            stdout=subprocess.DEVNULL if index else None,
            # Else a terminal's Ctrl-C would reach it besides, and a second
            # one does not wait for a checkpoint.
            start_new_session=True,
        )
        for index in range(_WORKERS.value)
    ]
    # A worker passes the wish on to the others; here it is told to all.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, lambda asked, _: [w.send_signal(asked) for w in workers]
        )
    failed = [status for status in _wait_for(workers) if status]
    if failed:
        # A worker that was killed has the negative number of the signal.
        told = [status for status in failed if status > 0]
        sys.exit(told[0] if told else 128 - failed[0])


def _wait_for(workers: list[subprocess.Popen[bytes]]) -> list[int]:
    """Returns their statuses, when all have ended.

    When one fails, the others find that out, but for those that wait for it to
    join: these are ended.
    """
    deadline = math.inf
    while any(worker.poll() is None for worker in workers):
        if deadline == math.inf and any(worker.poll() for worker in workers):
            deadline = time.monotonic() + _PATIENCE
        if time.monotonic() > deadline:
            for worker in workers:
                worker.kill()
        time.sleep(0.1)
    return [worker.wait() for worker in workers]


def _own_flags_left_out(arguments: list[str]) -> list[str]:
    """Returns the flags of launch/train.py, in their order."""
    rest, skip = [], False
    for argument in arguments:
        name, given, _ = argument.lstrip("-").partition("=")
        if skip or name in ("workers", "workdir"):
            skip = not skip and not given
        else:
            rest.append(argument)
    return rest


def _tell_of_real_machines(command: list[str]) -> None:
    hosts = [f"HOST{index}:2222" for index in range(_WORKERS.value)]
    example = json.loads(distribution.tf_config(hosts, 0))
    print(
        "On real machines, start the same on each, with a `workdir` that all "
        "see,\nand its own index from 0:\n\n"
        f"TF_CONFIG='{json.dumps(example)}' \\\n"
        f"    python {shlex.join(command)}\n",
        flush=True,
    )


if __name__ == "__main__":
    command_line.run(main)
