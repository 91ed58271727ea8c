"""What a page's tables say: numbers turned into text."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# A matrix of more classes is told by its largest entries off the diagonal.
_MOST_CLASSES = 30
_MOST_ENTRIES = 100
_MOST_NUMBERS = 12
_NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """A table with a header row; the first cell of each row names it.

    Attributes:
        caption: What it tells.
        header: One text a column.
        rows: One text a cell.
        shares: `(rows, columns - 1)` in [0, 1], by which cells but the first
            are shaded; None for no shades.
    """

    caption: str
    header: list[str]
    rows: list[list[str]]
    shares: list[list[float]] | None = None


def of_matrix(
    caption: str,
    matrix: np.ndarray,
    names: Sequence[str],
    sides: tuple[str, str],
    form: str,
) -> Table:
    """Returns the table of a matrix over classes; shades are shares of a row.

    Args:
        caption: What it tells.
        matrix: `(classes, classes)`, not below 0.
        names: One per class.
        sides: What the rows and the columns are.
        form: How a number is written, as for `str.format`.
    """
    row_name, column_name = sides
    if len(names) > _MOST_CLASSES:
        return _of_largest(caption, matrix, names, sides, form)
    totals = matrix.sum(axis=1, keepdims=True)
    return Table(
        caption,
        [f"{row_name} \\ {column_name}", *names],
        [
            [name, *(form.format(value) for value in row)]
            for name, row in zip(names, matrix)
        ],
        (matrix / np.where(totals, totals, 1)).round(3).tolist(),
    )


def of_classes(classes: pd.DataFrame, names: Sequence[str]) -> Table:
    """Returns the table of `Audit.classes`."""
    return Table(
        "Labels and their estimated noise, by class",
        [
            "class",
            "given",
            "suspicious",
            "wrong among given",
            "share given other labels",
        ],
        [
            [
                name,
                f"{row.given:,d}",
                f"{row.label_issues:,d}",
                percent(row.noise_rate_in),
                percent(row.noise_rate_out),
            ]
            for name, row in zip(names, classes.itertuples())
        ],
    )


def of_epochs(
    metrics: Sequence[Mapping[str, Any]], columns: Mapping[str, str]
) -> Table:
    """Returns the table of shares that `metrics.jsonl` has of each epoch.

    Args:
        metrics: One mapping an epoch.
        columns: What each of its names means.
    """
    return Table(
        "Accuracy after each epoch",
        ["epoch", *columns.values()],
        [
            [str(row["epoch"]), *(percent(row[name]) for name in columns)]
            for row in metrics
        ],
    )


def percent(share: float) -> str:
    """Returns a share as text; one that is not known is a dash."""
    if np.isnan(share):
        return _NOTHING
    # What is rare should not read as if it never were.
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def count(number: int, noun: str) -> str:
    """Returns "1 epoch", "2 epochs"."""
    return f"{number:,d} {noun}{'' if number == 1 else 's'}"


def numbers(x: np.ndarray) -> str:
    """Returns the first numbers of an input, and how many there are."""
    first = ", ".join(f"{value:.6g}" for value in x.ravel()[:_MOST_NUMBERS])
    if x.size <= _MOST_NUMBERS:
        return first
    return f"{first}, … ({x.size:,d} numbers)"


def _of_largest(
    caption: str,
    matrix: np.ndarray,
    names: Sequence[str],
    sides: tuple[str, str],
    form: str,
) -> Table:
    others = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    order = np.argsort(-others, axis=None, kind="stable")[:_MOST_ENTRIES]
    rows, columns = np.unravel_index(order, others.shape)
    return Table(
        f"{caption}; the largest off the diagonal",
        [*sides, "value"],
        [
            [names[row], names[column], form.format(others[row, column])]
            for row, column in zip(rows, columns)
            if others[row, column] > 0
        ],
    )
