"""Tells which labels of a finished run's noisy set are wrong.

    python launch/audit.py --workdir=runs/digits/flip_to_one-0.4/mlc-seed0

Into the folder `--output` go

    label_issues.csv, .parquet  one row an example, the most suspicious first
    classes.csv                 the noise of each class
    transition.csv              T as the audited labels show it, often nearer to
                                the truth than the one that was learned
    clean_label_issues.csv      of the trusted set itself, one row an example;
                                not for methods that were fitted to its labels
    to_check.csv                with --pick=N, N examples to look at next, for a
                                larger trusted set
    audit.json                  the noise of all, and how well wrong labels were
                                found where they are known, being injected

Nothing is trained.
"""

import json
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from absl import flags

from mlc_tf import audit
from mlc_tf import transitions
from mlc_tf.audit import run_audit
from mlc_tf.data.examples import Examples
from mlc_tf.errors import bad_argument
from mlc_tf.errors import writable_or_error
from mlc_tf.launch import command_line
from mlc_tf.run import directory
from mlc_tf.run import finished_run
from mlc_tf.run import problems

_WORKDIR = flags.DEFINE_string("workdir", None, "That of a finished run.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "A folder. Defaults to audit/ in the workdir."
)
_PICK = flags.DEFINE_integer("pick", 0, "How many examples to pick. None: 0.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Examples in a batch.")


def main(argv: list[str]) -> None:
    del argv
    _check_flags()
    run = finished_run.load(_WORKDIR.value)
    problem, true_labels = problems.load_with_truth(run.config)
    if _PICK.value > len(problem.noisy):
        raise bad_argument(
            "pick", f"at most {len(problem.noisy)}, all examples", _PICK.value
        )
    found = run_audit.audit_run(run, problem, _BATCH_SIZE.value, verbose=1)
    tables = _tables(run, problem, found)
    summary = _summary(run, found, tables, problem, true_labels)
    output = Path(_OUTPUT.value or run.workdir / "audit")
    with writable_or_error("output", output):
        _write(output, found, tables, problem.class_names)
        directory.write_json(output / "audit.json", summary)
    print(f"{output} holds the label issues.")
    print(json.dumps(summary))


def _check_flags() -> None:
    if _WORKDIR.value is None:
        raise bad_argument("workdir", "that of a finished run", None)
    if _BATCH_SIZE.value < 1:
        raise bad_argument("batch_size", "an integer >= 1", _BATCH_SIZE.value)
    if _PICK.value < 0:
        raise bad_argument("pick", "an integer >= 0", _PICK.value)


def _tables(
    run: finished_run.FinishedRun, problem: problems.Problem, found: audit.Audit
) -> dict[str, pd.DataFrame]:
    """Returns the tables of examples, by the names of their files."""
    tables = {
        "label_issues": _named(found.label_issues, problem, problem.noisy)
    }
    if run_audit.fits_clean(run):
        print(
            f"{run.result['method']} was fitted to the trusted labels, so it "
            "cannot tell which of these are wrong."
        )
    else:
        suspicious = audit.check_clean_set(
            run.network, problem.clean, _BATCH_SIZE.value
        )
        tables["clean_label_issues"] = _named(
            suspicious, problem, problem.clean
        )
    if _PICK.value:
        picked = audit.pick_to_check(
            found.label_issues, _PICK.value, run.config.seed
        )
        tables["to_check"] = _named(picked, problem, problem.noisy)
    return tables


def _summary(
    run: finished_run.FinishedRun,
    found: audit.Audit,
    tables: Mapping[str, pd.DataFrame],
    problem: problems.Problem,
    true_labels: np.ndarray | None,
) -> dict[str, Any]:
    """Returns what `audit.json` holds."""
    return {
        **{
            name: run.result[name]
            for name in ("dataset", "method", "noise", "ratio", "seed")
        },
        "examples": len(found.label_issues),
        **{
            name: int(table["is_label_issue"].sum())
            for name, table in tables.items()
            if name != "to_check"
        },
        "noise_rate": found.noise_rate,
        "used_transition": run.transition is not None,
        "temperature": found.temperature,
        **_distances(run.row_transition, found, problem.true_transition),
        **_scores(found.label_issues, true_labels),
    }


def _write(
    output: Path,
    found: audit.Audit,
    tables: Mapping[str, pd.DataFrame],
    class_names: Sequence[str],
) -> None:
    """Writes the tables of the examples, of the classes, and T."""
    output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(output / f"{name}.csv", index=False)
    tables["label_issues"].to_parquet(
        output / "label_issues.parquet", index=False
    )
    classes = found.classes.copy()
    classes.insert(0, "name", class_names)
    classes.to_csv(output / "classes.csv")
    pd.DataFrame(found.transition, class_names, class_names).to_csv(
        output / "transition.csv"
    )


def _named(
    issues: pd.DataFrame, problem: problems.Problem, examples: Examples
) -> pd.DataFrame:
    """Returns the table with names, the most suspicious first."""
    names = np.array(problem.class_names)
    issues = issues.rename_axis("index").reset_index()
    for column in ("given", "predicted"):
        issues[f"{column}_name"] = names[issues[f"{column}_label"]]
    issues["example"] = [examples.name_of(index) for index in issues["index"]]
    return issues.sort_values("label_quality", kind="stable")


def _distances(
    learned: np.ndarray | None, found: audit.Audit, true: np.ndarray | None
) -> dict[str, Any]:
    """Returns how far the T learned, and that of the audit, are from truth."""
    if true is None:
        return {}
    return {
        f"transition_l1_{name}": transitions.distance(matrix, true)
        for name, matrix in (("learned", learned), ("audit", found.transition))
        if matrix is not None
    }


def _scores(
    issues: pd.DataFrame, true_labels: np.ndarray | None
) -> dict[str, Any]:
    """Returns how well wrong labels are found, where they are known."""
    if true_labels is None:
        return {}
    wrong = true_labels != issues["given_label"].to_numpy()
    if wrong.all() or not wrong.any():
        return {}
    right = issues["predicted_label"].to_numpy() == true_labels
    return {
        **audit.scores(wrong, issues["label_quality"]),
        "labels_right_as_given": float(np.mean(~wrong)),
        "labels_right_as_predicted": float(np.mean(right)),
    }


if __name__ == "__main__":
    command_line.run(main)
