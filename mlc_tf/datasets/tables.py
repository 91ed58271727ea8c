"""CSV files that users write: read, and refused with the line."""

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
    """Returns a CSV file with a header, after checking its columns.

    Args:
        path: The file.
        columns: Those it should have; they are read as text.
        may_be_empty: Columns in which cells may be. Defaults to none.

    Raises:
        InputError: if it is no such file, with the line.
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
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as e:
        raise InputError(
            f"{path} should be a CSV file in UTF-8 with a header. Received: "
            f"{' '.join(str(e).split())}"
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
    """Returns the line in the file of the row 0, 1, ... below the header."""
    return row + 2


def truths(path: str | Path, table: pd.DataFrame, name: str) -> np.ndarray:
    """Returns a column of true and false, `(rows,)`.

    Raises:
        InputError: if it is missing or holds something else, with the line.
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
    """Returns the classes of a training set, numbers in their own order."""
    names = labels.unique().tolist()
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))


def class_ids(labels: pd.Series, names: tuple[str, ...]) -> np.ndarray:
    """Returns ids `(rows,)`; -1 for a label that is none of `names`."""
    pd = import_optional("pandas", "files")
    ids: np.ndarray = pd.Index(names).get_indexer(labels).astype(np.int64)
    return ids
