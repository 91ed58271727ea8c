"""Reads and checks users' CSV files; error messages name the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlc_tf.datasets.options import existing_file
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional

if TYPE_CHECKING:
    import pandas as pd

_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}


def read(
    path: str | Path,
    columns: Sequence[str],
    may_be_empty: Sequence[str] = (),
) -> pd.DataFrame:
    """Reads a CSV file with a header and checks its columns and cells.

    Args:
        path: The CSV file, in UTF-8.
        columns: Names of the required columns, which are read as text.
        may_be_empty: Names of the columns that may have empty cells. Defaults
            to `()`.

    Raises:
        InputError: if the file is not such a CSV file, lacks a column, or has
            an empty cell. The message names the line.
    """
    pd = import_optional("pandas", "files")
    existing_file("path of the CSV", path)
    try:
        table = pd.read_csv(
            path,
            dtype={name: str for name in columns},
            na_values=[""],
            keep_default_na=False,
            skip_blank_lines=False,
        )
    except (
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        ValueError,
    ) as error:
        raise InputError(
            f"{path} should be a CSV file in UTF-8 with a header. Received: "
            f"{' '.join(str(error).split())}"
        ) from None
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(
            f"{path} should have as many cells in a line as in its header. "
            "Received: more in line 2."
        )
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(
            f"{path} should have the columns {', '.join(columns)} in line 1. "
            f"Received: {', '.join(map(str, table.columns))}; missing: "
            f"{', '.join(missing)}."
        )
    if table.empty:
        raise InputError(f"{path} should have rows. Received: only a header.")
    for name in table.columns.difference(may_be_empty, sort=False):
        if table[name].isna().any():
            row = int(np.argmax(table[name].isna()))
            raise InputError(
                f"{path} should have no empty cells. Received: one in "
                f"line {line(row)}, column {name!r}."
            )
    return table


def line(row: int) -> int:
    """Returns the line number of a row; row 0 follows the header, line 1."""
    return row + 2


def truths(path: str | Path, table: pd.DataFrame, name: str) -> np.ndarray:
    """Returns a column of true and false as booleans, `(rows,)`.

    Args:
        path: The CSV file, for messages.
        table: Content of the file.
        name: Name of the column, as `dataset.clean` gives it. Its cells are
            true, 1, yes, false, 0 or no.

    Raises:
        InputError: if the column is missing or has another value. The message
            names the line.
    """
    if name not in table:
        raise InputError(
            f"{path} should have the column {name!r}, which `dataset.clean` "
            f"names. Received: {', '.join(map(str, table.columns))}."
        )
    values = table[name].astype(str).str.strip().str.lower()
    strange = ~values.isin(_TRUE | _FALSE)
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            f"{path} should have true or false in the column {name!r}. "
            f"Received: {table[name][row]!r} in line {line(row)}."
        )
    return values.isin(_TRUE).to_numpy()


def class_names(labels: pd.Series) -> tuple[str, ...]:
    """Returns the distinct labels, sorted: by value if all are integers."""
    names = labels.unique().tolist()
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))


def class_ids(labels: pd.Series, names: tuple[str, ...]) -> np.ndarray:
    """Returns the index of each label in `names`, `(rows,)`; -1 if missing."""
    pd = import_optional("pandas", "files")
    ids: np.ndarray = pd.Index(names).get_indexer(labels).astype(np.int64)
    return ids
