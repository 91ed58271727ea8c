"""Measures how well finished runs find wrong labels, beside cleanlab.

    python launch/train.py --config=configs/digits.py
    python launch/paper/label_issues.py \\
        --workdirs=runs/digits/flip_to_one-0.4/mlc-seed0

The runs are used as they are. For cleanlab, and to measure the worth of mended
labels, cross-entropy is trained eight times; the run's own method is trained
once more, with errors planted in the trusted set, unless the run was fitted to
that set. The results go to `results/label_issues.jsonl`; a run that has a
result there is not measured again.
"""

from pathlib import Path

from absl import flags

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.launch.paper import label_issue_study
from mlc_tf.run import directory
from mlc_tf.run import finished_run
from mlc_tf.run import results

_WORKDIRS = flags.DEFINE_list("workdirs", None, "Folders of finished runs.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")


def main(argv: list[str]) -> None:
    del argv
    if not _WORKDIRS.value:
        raise bad_argument("workdirs", "the directories of finished runs", None)
    runs = {
        directory.name_of(run.config): run
        for run in map(finished_run.load, _WORKDIRS.value)
    }
    if len(runs) < len(_WORKDIRS.value):
        raise bad_argument(
            "workdirs",
            "of runs that differ in dataset, noise, method or seed",
            _WORKDIRS.value,
        )
    file = Path(_RESULTS.value) / "label_issues.jsonl"
    there = results.read(file)
    for name, run in runs.items():
        label_issue_study.check(run)
        digest = label_issue_study.settings_digest(run.config)
        if name in there and there[name]["config"] != digest:
            raise InputError(
                "`results` should be a folder without results of other "
                f"settings. Received: {name} in {file}, which is not of "
                f"{run.workdir}."
            )
    for name, run in runs.items():
        if name not in there:
            print(run.workdir, flush=True)
            measured = label_issue_study.measure(
                run, lambda line: print(f"    {line}", flush=True)
            )
            results.write(file, [{"run": name, **measured}])
        print(f"{name} in {file}", flush=True)


if __name__ == "__main__":
    command_line.run(main)
