"""Measures how well finished runs find wrong labels, and beside them cleanlab.

    python launch/train.py --config=configs/digits.py
    python launch/label_issues.py \\
        --workdirs=runs/digits/flip_to_one-0.4/mlc-seed0

The runs are used as they are. For cleanlab, and to see what mended labels are
worth, cross-entropy is trained eight times. A JSON file a run goes to
`results/label_issues/`; one that is there is not made again.
"""

from pathlib import Path

import command_line
from absl import flags

from mlc_tf import finished_run
from mlc_tf import run_directory
from mlc_tf.errors import bad_argument
from mlc_tf.errors import told_if_unwritable
from mlc_tf.studies import label_issues

_WORKDIRS = flags.DEFINE_list("workdirs", None, "Those of finished runs.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")


def main(argv: list[str]) -> None:
    del argv
    if not _WORKDIRS.value:
        raise bad_argument("workdirs", "those of finished runs", None)
    runs = [finished_run.load(workdir) for workdir in _WORKDIRS.value]
    for run in runs:
        name = run_directory.name_of(run.config)
        output = Path(_RESULTS.value) / "label_issues" / f"{name}.json"
        if not output.exists():
            print(name, flush=True)
            content = label_issues.measure(
                run, lambda line: print(f"    {line}", flush=True)
            )
            with told_if_unwritable("results", output.parent):
                output.parent.mkdir(parents=True, exist_ok=True)
                run_directory.write_json(output, content)
        print(output, flush=True)


if __name__ == "__main__":
    command_line.run(main)
