"""Tells which labels of a finished run's noisy set are wrong.

    python launch/audit.py --workdir=runs/digits/flip_to_one-0.4/mlc-seed0

Into the folder `--output` go `label_issues.csv` and `.parquet`, one row an
example, the most suspicious first; `classes.csv`, the noise of each class; and
`audit.json`, that of all, with how well wrong labels were found where they are
known because they were injected. Nothing is trained.
"""

import json
from pathlib import Path
from typing import Any

import command_line
import numpy as np
import pandas as pd
from absl import flags
from sklearn import metrics

from mlc_tf import audit
from mlc_tf import finished_run
from mlc_tf import problems
from mlc_tf import run_directory
from mlc_tf.errors import bad_argument
from mlc_tf.errors import told_if_unwritable

_WORKDIR = flags.DEFINE_string("workdir", None, "That of a finished run.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "A folder. Defaults to audit/ in the workdir."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Examples in a batch.")


def main(argv: list[str]) -> None:
    del argv
    if _WORKDIR.value is None:
        raise bad_argument("workdir", "that of a finished run", None)
    if _BATCH_SIZE.value < 1:
        raise bad_argument("batch_size", "an integer >= 1", _BATCH_SIZE.value)
    run = finished_run.load(_WORKDIR.value)
    problem, true_labels = problems.load_with_truth(run.config)
    found = audit.audit(
        run.network,
        problem.noisy,
        transition=run.transition,
        batch_size=_BATCH_SIZE.value,
        verbose=1,
    )
    output = Path(_OUTPUT.value or run.workdir / "audit")
    summary = {
        **{
            name: run.result[name]
            for name in ("dataset", "method", "noise", "ratio", "seed")
        },
        "examples": len(found.label_issues),
        "label_issues": int(found.label_issues["is_label_issue"].sum()),
        "noise_rate": found.noise_rate,
        "used_transition": run.transition is not None,
        **_scores(found.label_issues, true_labels),
    }
    with told_if_unwritable("output", output):
        output.mkdir(parents=True, exist_ok=True)
        _write(output, found, problem)
        run_directory.write_json(output / "audit.json", summary)
    print(f"{output} holds the label issues.")
    print(json.dumps(summary))


def _write(output: Path, found: audit.Audit, problem: problems.Problem) -> None:
    names = np.array(problem.class_names)
    issues = found.label_issues.rename_axis("index").reset_index()
    for column in ("given", "predicted"):
        issues[f"{column}_name"] = names[issues[f"{column}_label"]]
    issues["example"] = [
        problem.noisy.name_of(index) for index in issues["index"]
    ]
    issues = issues.sort_values("label_quality", kind="stable")
    issues.to_csv(output / "label_issues.csv", index=False)
    issues.to_parquet(output / "label_issues.parquet", index=False)
    classes = found.classes
    classes.insert(0, "name", names)
    classes.to_csv(output / "classes.csv")


def _scores(
    issues: pd.DataFrame, true_labels: np.ndarray | None
) -> dict[str, Any]:
    """Returns how well wrong labels are found, where they are known."""
    if true_labels is None:
        return {}
    wrong = true_labels != issues["given_label"].to_numpy()
    if wrong.all() or not wrong.any():
        return {}
    suspicion = 1 - issues["label_quality"]
    right = issues["predicted_label"].to_numpy() == true_labels
    return {
        "auroc": float(metrics.roc_auc_score(wrong, suspicion)),
        "average_precision": float(
            metrics.average_precision_score(wrong, suspicion)
        ),
        "labels_right_as_given": float(np.mean(~wrong)),
        "labels_right_as_predicted": float(np.mean(right)),
    }


if __name__ == "__main__":
    command_line.run(main)
