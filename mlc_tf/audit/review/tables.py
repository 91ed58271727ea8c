"""Tables of the review page, with their numbers as text."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# With more classes than this, a matrix is shown by its largest off-diagonal
# entries.
_MOST_CLASSES = 30
_MOST_ENTRIES = 100
_MOST_NUMBERS = 12
_NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """A table with a header row; the first cell of each row names it.

    Attributes:
        caption: The caption of the table.
        header: One text per column.
        rows: One list of texts per row, one text per cell.
        shares: `(rows, columns - 1)` in [0, 1], the shading of the cells after
            the first. Defaults to None, no shading.
    """

    caption: str
    header: list[str]
    rows: list[list[str]]
    shares: list[list[float]] | None = None


def matrix_table(
    caption: str,
    matrix: np.ndarray,
    names: Sequence[str],
    sides: tuple[str, str],
    form: str,
) -> Table:
    """Returns the table of a matrix over classes.

    The shading of a cell is its share of the sum of its row.

    Args:
        caption: The caption of the table.
        matrix: `(classes, classes)` with entries >= 0.
        names: One name per class.
        sides: The names of the row classes and the column classes, for example
            `("clean", "given")`.
        form: The format of a number, for `str.format`.
    """
    row_name, column_name = sides
    if len(names) > _MOST_CLASSES:
        return _largest_entries(caption, matrix, names, sides, form)
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


def class_table(classes: pd.DataFrame, names: Sequence[str]) -> Table:
    """Returns the table of `Audit.classes`.

    Args:
        classes: One row per class, as in `Audit.classes`.
        names: One name per class.
    """
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


def epoch_table(
    metrics: Sequence[Mapping[str, Any]], columns: Mapping[str, str]
) -> Table:
    """Returns the table of accuracies after each epoch.

    Args:
        metrics: One mapping per epoch, as in `metrics.jsonl`.
        columns: The heading of each metric that is shown, by its name in
            `metrics`.
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
    """Returns a share as text in percent; NaN becomes a dash."""
    if np.isnan(share):
        return _NOTHING
    # A small share should not read as 0.
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def count(number: int, noun: str) -> str:
    """Returns "1 epoch", "2 epochs"."""
    return f"{number:,d} {noun}{'' if number == 1 else 's'}"


def numbers(x: np.ndarray) -> str:
    """Returns the first numbers of an input as text, and their count."""
    first = ", ".join(f"{value:.6g}" for value in x.ravel()[:_MOST_NUMBERS])
    if x.size <= _MOST_NUMBERS:
        return first
    return f"{first}, … ({x.size:,d} numbers)"


def _largest_entries(
    caption: str,
    matrix: np.ndarray,
    names: Sequence[str],
    sides: tuple[str, str],
    form: str,
) -> Table:
    """Returns the table of the largest entries off the diagonal."""
    off_diagonal = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    order = np.argsort(-off_diagonal, axis=None, kind="stable")[:_MOST_ENTRIES]
    rows, columns = np.unravel_index(order, off_diagonal.shape)
    return Table(
        f"{caption}; the largest entries off the diagonal",
        [*sides, "value"],
        [
            [names[row], names[column], form.format(off_diagonal[row, column])]
            for row, column in zip(rows, columns)
            if off_diagonal[row, column] > 0
        ],
    )
