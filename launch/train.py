"""Trains a method on a noisy dataset, and prints the result.

    mlc_tf train --config=digits
    mlc_tf train --config=my_config.py --workdir=runs/mine \\
        --config.method.name=cross_entropy --config.noise.ratio=0.2

The command prints where the run is and what to do next. The last line is the
result as JSON. Repeat the command to resume an interrupted run, or to print the
result of a finished run.
"""

import json
from pathlib import Path

from absl import flags

from mlc_tf import distribution
from mlc_tf.audit import run_audit
from mlc_tf.launch import command_line
from mlc_tf.run import data_identity
from mlc_tf.run import directory
from mlc_tf.run import finished_run
from mlc_tf.run import problems
from mlc_tf.run import training

_CONFIG = command_line.define_config()
_WORKDIR = command_line.define_workdir()
_JOIN_TIMEOUT = flags.DEFINE_integer(
    "join_timeout",
    distribution.JOIN_TIMEOUT,
    "With several workers: the seconds to wait until all have joined.",
)


def main(argv: list[str]) -> None:
    del argv
    workdir = command_line.workdir_of(_CONFIG, _WORKDIR)
    finished = directory.finished_result(workdir) is not None
    result = training.run(
        _CONFIG.value, workdir, join_timeout=_JOIN_TIMEOUT.value
    )
    if finished:
        data_identity.check_config(workdir, _CONFIG.value)
    print(
        f"{workdir} {'is' if finished else 'holds'} the finished run: accuracy "
        f"{result['test_accuracy']:.4f} on the "
        f"{problems.EVALUATION_SETS[result['evaluated_on']]}, "
        f"after epoch {result['epochs']}."
    )
    command_line.print_next(
        ["audit", f"--workdir={workdir}"],
        ["review", f"--workdir={workdir}"],
        [
            "export",
            f"--workdir={workdir}",
            f"--output=served/{workdir.name}",
        ],
    )
    if not finished:
        _warn_unless_described(workdir)
    print(json.dumps(result), flush=True)


def _warn_unless_described(workdir: Path) -> None:
    """Prints a warning if the labels depend on more than T describes.

    Several workers leave this test to the audit.
    """
    run = finished_run.load(workdir)
    workers = run.config.train.strategy == "multi_worker"
    if workers or run.transition is None or not run_audit.can_test(run.network):
        return
    print("Testing whether T describes the labels.", flush=True)
    found = run_audit.instance_dependence(run, problems.load(run.config))
    if found.is_found:
        print(f"Warning: {found.sentence()}")


if __name__ == "__main__":
    command_line.run(main)
