"""Hands an audit over to cleanlab's Datalab, beside its other issues."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
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

    Datalab numbers the classes that occur, unless the column is a `ClassLabel`
    of Hugging Face. If it numbers them and a class has no label, a warning
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
            in their number of classes, or if Datalab would number the classes
            in another way.
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
    labels = _checked_labels(data[label], given, label)
    if hugging_face.is_dataset(data) and hugging_face.is_class_label(
        data, label
    ):  # whose ids Datalab takes as they are
        if labels != given.tolist():
            raise InputError(
                f"The ids of the column {label!r} should be the class ids that "
                "were audited. Received: other ids."
            )
    else:
        _check_numbering(labels, audit, label)
    _issue_manager()  # Datalab knows the issue from now on
    lab = cleanlab.Datalab(data=data, label_name=label)
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        lab.find_issues(issue_types={ISSUE: {"audit": audit}})
    return lab


def _checked_labels(column: Any, given: np.ndarray, name: str) -> list[Any]:
    """Returns the labels of a column, after checking them.

    Args:
        column: The labels, as ids or in text.
        given: `(examples,)` integers, the audited labels.
        name: The name of the column, for messages.
    """
    try:
        labels = [x.item() if isinstance(x, np.generic) else x for x in column]
    except TypeError:
        labels = [column]
    types = Counter(type(x) for x in labels)
    if len(types) > 1 or not {*types} <= {bool, int, float, str}:
        received = ", ".join(
            f"{count} of type {kind.__name__}"
            for kind, count in types.most_common()
        )
        raise InputError(
            f"The column {name!r} should hold one number or text for each "
            f"example, all of one type. Received: {received}."
        )
    if len(labels) != len(given):
        raise InputError(
            f"`data` should have the {len(given)} examples of the audit. "
            f"Received: {len(labels)}."
        )
    pairs = {*zip(given.tolist(), labels)}
    if not len(pairs) == len({*given.tolist()}) == len({*labels}):
        raise InputError(
            f"The column {name!r} should hold the labels that were audited, "
            "in their order. Received: other labels."
        )
    return labels


def _check_numbering(labels: list[Any], audit: Audit, name: str) -> None:
    """Checks that Datalab, which numbers classes itself, does as the audit.

    It would read the columns of `pred_probs` by its own numbers.
    """
    given = audit.label_issues["given_label"].tolist()
    named = [label for _, label in sorted({*zip(given, labels)})]
    for low, high in itertools.pairwise(named):
        if low > high:
            raise InputError(
                f"The column {name!r} should have class names whose sorted "
                "order is the order of the class ids, since Datalab numbers "
                f"classes so. Received: {low!r} with a lower id than {high!r}; "
                "pass the class ids as the labels."
            )
    absent = sorted({*range(len(audit.joint))} - {*given})
    if absent:
        warnings.warn(
            f"No example has the label {', '.join(map(str, absent))}. Datalab "
            "numbers the classes that occur, so leave these columns out of the "
            "`pred_probs` of `find_issues`.",
            stacklevel=3,
        )


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
