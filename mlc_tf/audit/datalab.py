"""Hands an audit over to cleanlab's Datalab, beside its other issues."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections import Counter
from typing import Any

import numpy as np

from mlc_tf.audit.label_audit import Audit
from mlc_tf.data import hugging_face
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional

# The name of the issue: Datalab has an issue "label" of its own.
ISSUE = "audited_label"


def to_datalab(audit: Audit, data: Any = None, label: str = "label") -> Any:
    """Returns a `cleanlab.Datalab` with the label issues of an audit.

    The issue is called "audited_label": `lab.report()` lists it, and
    `lab.get_issues("audited_label")` is its table.
    `lab.find_issues(pred_probs=..., features=...)` adds the issues that
    Datalab finds, such as outliers and near duplicates, to the same report.

    Datalab numbers the classes that occur. If a class has no label, a warning
    names the columns that `pred_probs` should leave out.

    Args:
        audit: The audit, as `audit_labels` returns it.
        data: The columns of the dataset, in the order of the audit: a dict or a
            DataFrame, or a Hugging Face `datasets.Dataset`. Defaults to None, a
            single column of the given class ids.
        label: The name of the column of labels. Defaults to "label".

    Raises:
        InputError: if cleanlab is not installed, or if `data` has no such
            column or another number of examples than the audit. Also if the
            labels of `data` differ from the audited labels in their order or
            in their number of classes, or if their sorted order is not the
            order of the class ids.
    """
    cleanlab = import_optional("cleanlab.datalab.datalab", "cleanlab")
    given = audit.label_issues["given_label"].to_numpy()
    if data is None:
        data = {label: given.tolist()}
    if hugging_face.is_dataset(data):
        data = data.with_format(None)  # the only format that Datalab takes
    columns = getattr(data, "column_names", data)
    if label not in columns:
        raise InputError(
            f"`data` should have the column {label!r} of labels. Received: the "
            f"columns {', '.join(map(str, columns))}."
        )
    _check_labels(data[label], given, label)
    without = sorted({*range(len(audit.joint))} - {*given.tolist()})
    if without:
        warnings.warn(
            f"No example has the label {', '.join(map(str, without))}. Datalab "
            "numbers the classes that occur, so leave these columns out of the "
            "`pred_probs` of `find_issues`.",
            stacklevel=2,
        )
    _issue_manager()  # Datalab knows the issue from now on
    lab = cleanlab.Datalab(data=data, label_name=label)
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        lab.find_issues(issue_types={ISSUE: {"audit": audit}})
    return lab


def _check_labels(column: Any, given: np.ndarray, name: str) -> None:
    """Checks that Datalab will give the labels of a column the audit's ids.

    Args:
        column: The labels, as ids or in text.
        given: `(examples,)` integers, the audited labels.
        name: The name of the column, for messages.
    """
    try:
        labels = np.asarray(column)
    except ValueError:  # lists of several lengths
        labels = np.array(None)
    if labels.ndim != 1 or len({type(x) for x in labels.tolist()}) > 1:
        raise InputError(
            f"The column {name!r} should hold one number or text for each "
            f"example, all of one type. Received: {_described(column)}."
        )
    if len(labels) != len(given):
        raise InputError(
            f"`data` should have the {len(given)} examples of the audit. "
            f"Received: {len(labels)}."
        )
    pairs = {*zip(given.tolist(), labels.tolist())}
    if not len(pairs) == len({*given.tolist()}) == len({*labels.tolist()}):
        raise InputError(
            f"The column {name!r} should hold the labels that were audited, "
            "in their order. Received: other labels."
        )
    # Datalab numbers the classes itself, and would read the columns of
    # `pred_probs` by its own numbers.
    named = [label for _, label in sorted(pairs)]
    if named != sorted(named):
        raise InputError(
            f"The column {name!r} should have class names whose sorted order "
            "is the order of the class ids, since Datalab numbers classes so. "
            f"Received: {', '.join(map(repr, named[:3]))} for the first ids; "
            "pass the class ids as the labels."
        )


def _described(column: Any) -> str:
    """Returns the types of a column's values, most frequent first."""
    counts = Counter(type(value).__name__ for value in column)
    return ", ".join(f"{n} of type {name}" for name, n in counts.most_common())


@functools.cache
def _issue_manager() -> Any:
    """Registers the issue with cleanlab, as cleanlab documents it."""
    manager = import_optional(
        "cleanlab.datalab.internal.issue_manager", "cleanlab"
    )
    factory = import_optional(
        "cleanlab.datalab.internal.issue_manager_factory", "cleanlab"
    )

    class AuditedLabels(manager.IssueManager):  # type: ignore[name-defined]
        """The label issues of an `Audit`."""

        description = (
            "The given label is not the most probable class, by the network "
            "and the transition matrix T of mlc_tf."
        )
        issue_name = ISSUE
        verbosity_levels = {0: ["noise_rate"], 1: [], 2: ["transition"]}

        def find_issues(self, audit: Audit, **_: Any) -> None:
            table = audit.label_issues
            self.issues = table[["is_label_issue", "label_quality"]].rename(
                columns={
                    "is_label_issue": f"is_{ISSUE}_issue",
                    "label_quality": self.issue_score_key,
                }
            )
            self.summary = self.make_summary(
                float(table["label_quality"].mean())
            )
            self.info = self.collect_info(audit)

        def collect_info(self, audit: Audit) -> dict[str, Any]:
            return {
                "noise_rate": audit.noise_rate,
                "transition": audit.transition,
                "given_label": audit.label_issues["given_label"].to_list(),
                "predicted_label": audit.label_issues[
                    "predicted_label"
                ].to_list(),
            }

    return factory.register(AuditedLabels)
