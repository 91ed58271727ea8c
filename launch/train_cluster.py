"""Trains with several workers on this machine, as a cluster would.

    mlc_tf train_cluster --workers=2 --config=digits

The command takes all flags of `mlc_tf train`. It also prints the command for a
cluster of real machines; `launch/cluster/` has a Kubernetes Job and a Slurm
script.
"""

import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time

from absl import flags

from mlc_tf import distribution
from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line

_CONFIG = command_line.define_config()
_WORKDIR = command_line.define_workdir()
_JOIN_TIMEOUT = flags.DEFINE_integer(
    "join_timeout",
    distribution.JOIN_TIMEOUT,
    "The seconds to wait until all workers have joined.",
)
_WORKERS = flags.DEFINE_integer("workers", 2, "The number of processes.")

# Seconds within which workers notice a lost worker, even on a busy machine.
_PATIENCE = 120.0


def main(argv: list[str]) -> None:
    del argv
    if _WORKERS.value < 1:
        raise bad_argument("workers", "an integer >= 1", _WORKERS.value)
    config = _CONFIG.value
    config.train.strategy = "multi_worker"
    workdir = command_line.workdir_of(_CONFIG, _WORKDIR)
    train = [
        "train",
        *command_line.flags_without("workers", "workdir"),
        "--config.train.strategy=multi_worker",
        f"--workdir={workdir}",
    ]
    _print_for_real_machines(train)
    addresses = distribution.free_addresses(_WORKERS.value)
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "mlc_tf.launch.main", *train],
            env={
                **os.environ,
                "TF_CONFIG": distribution.tf_config(addresses, index),
            },
            # Worker 0 prints the progress; the others print only errors.
            stdout=subprocess.DEVNULL if index else None,
            # Without its own session a worker would receive a terminal's
            # Ctrl-C twice, and would end without a checkpoint.
            start_new_session=True,
        )
        for index in range(_WORKERS.value)
    ]
    # One signal ends all workers, each after a checkpoint.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, lambda asked, _: [w.send_signal(asked) for w in workers]
        )
    failed = [status for status in _wait_for(workers) if status]
    if failed:
        # A worker that was killed has the negative number of the signal.
        returned = [status for status in failed if status > 0]
        sys.exit(returned[0] if returned else 128 - failed[0])


def _wait_for(workers: list[subprocess.Popen[bytes]]) -> list[int]:
    """Returns the statuses of the workers, when all have ended.

    When a worker fails, the others end by themselves, except workers that
    still wait for the failed worker to join. This function kills them.
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


def _print_for_real_machines(train: list[str]) -> None:
    hosts = [f"HOST{index}:2222" for index in range(_WORKERS.value)]
    example = json.loads(distribution.tf_config(hosts, 0))
    print(
        "On real machines, run this command on each machine, with a `workdir` "
        "that all\nmachines share and with the index of the machine, from "
        "0:\n\n"
        f"TF_CONFIG='{json.dumps(example)}' \\\n"
        f"    mlc_tf {shlex.join(train)}\n",
        flush=True,
    )


if __name__ == "__main__":
    command_line.run(main)
