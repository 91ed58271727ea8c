"""Measures how well finished runs find wrong labels, and beside them cleanlab.

    python launch/train.py --config=configs/digits.py
    python launch/label_issues.py \\
        --workdirs=runs/digits/flip_to_one-0.4/mlc-seed0

The runs are used as they are. For cleanlab, and to see what mended labels are
worth, cross-entropy is trained eight times; and the run's own method once more,
with errors planted in the trusted set, unless it was fitted to that. A file a
run goes to `results/label_issues/`; one that is there is not made again.
"""

import json
from pathlib import Path

from absl import flags

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import writable_or_error
from mlc_tf.launch import command_line
from mlc_tf.launch.paper.studies import label_issues
from mlc_tf.run import directory
from mlc_tf.run import finished_run

_WORKDIRS = flags.DEFINE_list("workdirs", None, "Those of finished runs.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")


def main(argv: list[str]) -> None:
    del argv
    if not _WORKDIRS.value:
        raise bad_argument("workdirs", "those of finished runs", None)
    runs = {
        _output(run): run for run in map(finished_run.load, _WORKDIRS.value)
    }
    if len(runs) < len(_WORKDIRS.value):
        raise bad_argument(
            "workdirs",
            "of runs that differ in dataset, noise, method or seed",
            _WORKDIRS.value,
        )
    for output, run in runs.items():
        label_issues.check(run)
        _check_same(output, run)
    for output, run in runs.items():
        if not output.exists():
            print(run.workdir, flush=True)
            content = label_issues.measure(
                run, lambda line: print(f"    {line}", flush=True)
            )
            with writable_or_error("results", output.parent):
                output.parent.mkdir(parents=True, exist_ok=True)
                directory.write_json(output, content)
        print(output, flush=True)


def _output(run: finished_run.FinishedRun) -> Path:
    name = directory.name_of(run.config)
    return Path(_RESULTS.value) / "label_issues" / f"{name}.json"


def _check_same(output: Path, run: finished_run.FinishedRun) -> None:
    """Refuses to take what was measured of another run for this one's."""
    digest = label_issues.settings_digest(run.config)
    if output.exists() and json.loads(output.read_text())["config"] != digest:
        raise InputError(
            "`results` should be a folder without results of other settings. "
            f"Received: {output}, which is not of {run.workdir}."
        )


if __name__ == "__main__":
    command_line.run(main)
