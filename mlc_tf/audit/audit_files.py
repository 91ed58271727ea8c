"""The audit of a finished run as files: tables of labels, and a summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from mlc_tf import transitions
from mlc_tf.audit import label_audit
from mlc_tf.audit import run_audit
from mlc_tf.audit.label_audit import Audit
from mlc_tf.data import identity
from mlc_tf.data.examples import Examples
from mlc_tf.datasets import tables as tables_of_text
from mlc_tf.errors import bad_argument
from mlc_tf.errors import import_optional
from mlc_tf.errors import writable_or_error
from mlc_tf.run import directory
from mlc_tf.run import finished_run
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem

if TYPE_CHECKING:
    import pandas as pd


def write(
    run: FinishedRun,
    output: str | Path | None = None,
    pick: int = 0,
    batch_size: int = 256,
    verbose: int = 0,
) -> tuple[Path, dict[str, Any]]:
    """Audits a run, and writes what `launch/audit.py` lists.

    Args:
        run: A finished run.
        output: A folder. Defaults to `audit/` in the directory of the run.
        pick: How many examples to pick for a larger trusted set. Defaults to 0.
        batch_size: Examples in a batch of the network. Defaults to 256.
        verbose: 1 shows a progress bar. Defaults to 0.

    Returns:
        The folder, and the content of its `audit.json`.

    Raises:
        InputError: if `pick` is larger than the noisy set, or the folder
            cannot be written.
    """
    import_optional("pyarrow", "audit")  # pandas writes .parquet with it
    problem, true_labels = finished_run.data_of(run)
    if pick > len(problem.noisy):
        raise bad_argument(
            "pick", f"at most {len(problem.noisy)}, all examples", pick
        )
    found = run_audit.audit_run(run, problem, batch_size, verbose)
    tables = _tables(run, problem, found, pick, batch_size)
    summary = _summary(run, found, tables, problem, true_labels)
    folder = Path(output or run.workdir / "audit")
    with writable_or_error("output", folder):
        _write(folder, found, tables, problem.class_names)
        directory.write_json(folder / "audit.json", summary)
    return folder, summary


def _tables(
    run: FinishedRun,
    problem: Problem,
    found: Audit,
    pick: int,
    batch_size: int,
) -> dict[str, pd.DataFrame]:
    """Returns the tables of examples, by the names of their files."""
    tables = {
        "label_issues": _named(found.label_issues, problem, problem.noisy)
    }
    if problem.clean is not None and not run_audit.fits_clean(run):
        suspicious = label_audit.check_clean_set(
            run.network, problem.clean, batch_size
        )
        tables["clean_label_issues"] = _named(
            suspicious, problem, problem.clean
        )
    if pick:
        picked = label_audit.pick_to_check(
            found.label_issues, pick, run.config.seed
        )
        tables["to_check"] = _named(picked, problem, problem.noisy)
    return tables


def _summary(
    run: FinishedRun,
    found: Audit,
    tables: Mapping[str, pd.DataFrame],
    problem: Problem,
    true_labels: np.ndarray | None,
) -> dict[str, Any]:
    """Returns the content of `audit.json`."""
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
        **_dependence(found),
        **_distances(run.row_transition, found, problem.true_transition),
        **_scores(found.label_issues, true_labels),
    }


def _write(
    folder: Path,
    found: Audit,
    tables: Mapping[str, pd.DataFrame],
    class_names: Sequence[str],
) -> None:
    """Writes the tables of the examples, the table of the classes, and T."""
    pd = import_optional("pandas", "audit")
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        _safe(table).to_csv(folder / f"{name}.csv", index=False)
    tables["label_issues"].to_parquet(
        folder / "label_issues.parquet", index=False
    )
    classes = found.classes.copy()
    names = [tables_of_text.safe_cell(name) for name in class_names]
    classes.insert(0, "name", names)
    classes.to_csv(folder / "classes.csv")
    pd.DataFrame(found.transition, names, names).to_csv(
        folder / "transition.csv"
    )


def _safe(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table whose texts no spreadsheet takes for formulas."""
    texts = ("given_name", "predicted_name", "example", "identity")
    return table.assign(
        **{
            name: table[name].astype(str).map(tables_of_text.safe_cell)
            for name in texts
            if name in table
        }
    )


def _named(
    issues: pd.DataFrame, problem: Problem, examples: Examples
) -> pd.DataFrame:
    """Returns the table with names, the most suspicious first."""
    names = np.array(problem.class_names)
    issues = issues.rename_axis("index").reset_index()
    for column in ("given", "predicted"):
        issues[f"{column}_name"] = names[issues[f"{column}_label"]]
    issues["example"] = [examples.name_of(index) for index in issues["index"]]
    known = identity.identities(examples)
    if known is not None:
        issues["identity"] = [known[index] for index in issues["index"]]
    return issues.sort_values("label_quality", kind="stable")


def _dependence(found: Audit) -> dict[str, Any]:
    """Returns the test whether labels depend on more than the class."""
    tested = found.instance_dependence
    if tested is None:
        return {}
    return {
        "instance_dependence": {
            **dataclasses.asdict(tested),
            "is_found": tested.is_found,
            "sentence": tested.sentence(),
        }
    }


def _distances(
    learned: np.ndarray | None, found: Audit, true: np.ndarray | None
) -> dict[str, float]:
    """Returns how far the learned T and the T of the audit are from truth."""
    if true is None:
        return {}
    return {
        f"transition_l1_{name}": transitions.distance(matrix, true)
        for name, matrix in (("learned", learned), ("audit", found.transition))
        if matrix is not None
    }


def _scores(
    issues: pd.DataFrame, true_labels: np.ndarray | None
) -> dict[str, float]:
    """Returns how well wrong labels are found, where they are known."""
    if true_labels is None:
        return {}
    wrong = true_labels != issues["given_label"].to_numpy()
    if wrong.all() or not wrong.any():
        return {}
    right = issues["predicted_label"].to_numpy() == true_labels
    return {
        **label_audit.scores(wrong, issues["label_quality"].to_numpy()),
        "labels_right_as_given": float(np.mean(~wrong)),
        "labels_right_as_predicted": float(np.mean(right)),
    }
