"""Reads and checks users' CSV files; error messages name the line."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from mlc_tf.datasets import text_files
from mlc_tf.datasets.options import existing_file
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional
from mlc_tf.errors import is_misspelt

if TYPE_CHECKING:
    import pandas as pd

# A cell that begins with one of these may be run as a formula by a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SPLITS = {"train", "test", "valid", "validation", "val", "dev", "clean"}
_DELIMITERS = (",", ";", "\t", "|")
_TRUE = {"true", "1", "1.0", "yes", "y", "t", "ja", "j", "wahr", "x"}
_FALSE = {"false", "0", "0.0", "no", "n", "f", "nein", "falsch", "-"}


class Dialect(NamedTuple):
    """How the text of a CSV file is written.

    Attributes:
        delimiter: The character between two cells: "," or ";" or a tab or "|".
        encoding: A codec of Python: "utf-8", "utf-8-sig" or "utf-16".
    """

    delimiter: str
    encoding: str


def dialect(path: str | Path, columns: Sequence[str]) -> Dialect:
    """Returns how a CSV file is written.

    Args:
        path: The CSV file.
        columns: Names of columns that the header should have. The delimiter is
            the one that separates most of them, and else most names.

    Raises:
        InputError: if the file cannot be read, or is neither in UTF-8 nor in
            UTF-16 with a byte order mark.
    """
    existing_file("path of the CSV", path)
    with open(path, "rb") as file:
        mark = file.read(3)
    if mark[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16"
        try:
            text = Path(path).read_text(encoding)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} should be text in UTF-16, as its byte order mark says."
                f" Received: {error.reason}."
            ) from None
    else:
        encoding = "utf-8-sig" if mark == codecs.BOM_UTF8 else "utf-8"
        text = text_files.read_text(path)
    wanted = {_folded(name) for name in columns}

    def found(delimiter: str) -> tuple[int, int]:
        lines = io.StringIO(text, newline="")
        try:
            names = next(csv.reader(lines, delimiter=delimiter), [])
        except csv.Error:
            return 0, 0
        return len(wanted & {_folded(name) for name in names}), len(names)

    return Dialect(max(_DELIMITERS, key=found), encoding)


def read(
    path: str | Path,
    columns: Sequence[str],
    may_be_empty: Sequence[str] = (),
    others: bool = True,
    optional: Sequence[str] = (),
    if_missing: str = "",
) -> pd.DataFrame:
    """Reads a CSV file with a header and checks its columns and cells.

    The delimiter and a byte order mark are recognised (`dialect`). Blanks
    around names of columns do not count, and neither does the case of the
    required names. Empty lines at the end of the file are left out.

    Args:
        path: The CSV file, in UTF-8 or, with a byte order mark, in UTF-16; or a
            file that ends in `.parquet`.
        columns: Names of the required columns, which are read as text.
        may_be_empty: Names of the columns that may have empty cells. Defaults
            to `()`.
        others: Whether the other columns are checked too. Defaults to True.
        optional: Names of columns that are read like the required ones if the
            file has them. Defaults to `()`.
        if_missing: What to do if a required column is missing, for the message.
            Defaults to "", no advice.

    Returns:
        The table. All cells of a CSV file are text; the columns of a Parquet
        file keep their types, except the required columns.

    Raises:
        InputError: if the file is not such a CSV file, lacks a column, has two
            columns of one name, or has an empty cell. The message names the
            line.
    """
    known = (*columns, *optional)
    table = _parsed(path, known)
    names = [str(name).strip() for name in table.columns]
    canonical = {_folded(name): name for name in known}
    # A column that has a known name exactly comes before others.
    taken = {name for name in known if name in names}
    table.columns = [
        name
        if name in taken
        else canonical.get(_folded(name), name)
        if canonical.get(_folded(name)) not in taken
        else name
        for name in names
    ]
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InputError(
            f"{path} should name each column once. Received: "
            f"{twice[0]!r} twice."
        )
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(
            f"{path} should have the columns {', '.join(columns)} in line 1. "
            f"Received: {', '.join(map(str, table.columns))}; missing: "
            f"{', '.join(missing)}{if_missing and f'; {if_missing}'}."
        )
    if table.empty:
        raise InputError(f"{path} should have rows. Received: only a header.")
    found = [name for name in known if name in table]
    for name in table.columns if others else found:
        if name in may_be_empty:
            continue
        if table[name].isna().any():
            empty = table[name].isna()
            row = int(np.argmax(empty))
            raise InputError(
                f"{path} should have no empty cells. Received: "
                f"{int(empty.sum())} in column {name!r}, the first in "
                f"{place(path, row)}."
            )
    for name in found:
        table[name] = table[name].where(
            table[name].isna(), table[name].astype(str)
        )
    return table


def _parsed(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    pd = import_optional("pandas", "files")
    if is_parquet(path):
        import_optional("pyarrow", "files")
        existing_file("path of the table", path)
        try:
            return without_index(pd.read_parquet(path))
        except (OSError, ValueError) as error:  # pyarrow's errors are both
            raise InputError(
                f"{path} should be a Parquet file. Received: "
                f"{' '.join(str(error).split())[:120]}"
            ) from None
    written = dialect(path, columns)
    try:
        table = pd.read_csv(
            path,
            sep=written.delimiter,
            encoding=written.encoding,
            dtype=str,
            na_values=[""],
            keep_default_na=False,
            skip_blank_lines=False,
            header=None,
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
    header = table.iloc[0].fillna("")
    if (header == "").sum() == len(header):
        raise InputError(
            f"{path} should be a CSV file in UTF-8 with a header. Received: an "
            "empty line 1."
        )
    table = table.iloc[1:].reset_index(drop=True)
    table.columns = header.tolist()
    filled = table.notna().any(axis=1)
    return table.iloc[: int(filled[::-1].idxmax()) + 1 if filled.any() else 0]


def check_no_splits(path: str | Path, table: pd.DataFrame, name: str) -> None:
    """Raises an `InputError` if a column seems to hold the splits of the rows.

    That is a column with almost the name of the splits, or whose cells are
    names of splits.

    Args:
        path: The file, for messages.
        table: The table, which has no column of splits.
        name: The name that the column of splits should have.
    """
    for column in table.columns:
        values = table[column].dropna().astype(str).str.strip().str.lower()
        only_splits = "train" in {*values} and {*values} <= _SPLITS
        if is_misspelt(str(column), name) or only_splits:
            raise InputError(
                f"{path} should have the splits of its rows in the column "
                f"{name!r}. Received: a column {column!r} in its place; rename "
                "it, or remove it if it holds no splits."
            )


def column_of(names: Sequence[Any], wanted: str) -> int:
    """Returns the place of a column as `read` finds it.

    Args:
        names: The names of all columns, as the file has them.
        wanted: The name of the column. A column of exactly this name comes
            before columns that differ in case.
    """
    stripped = [str(name).strip() for name in names]
    if wanted in stripped:
        return stripped.index(wanted)
    return [_folded(name) for name in stripped].index(_folded(wanted))


def without_index(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table whose rows are numbered; a named index is a column."""
    named = any(name is not None for name in table.index.names)
    return table.reset_index(drop=not named)


def is_parquet(path: str | Path) -> bool:
    """Returns whether a table is a Parquet file, by its name."""
    return Path(path).suffix.lower() == ".parquet"


def place(path: str | Path, row: int) -> str:
    """Returns where a row is in its file, for messages: "line 2" of a CSV."""
    return f"row {row}" if is_parquet(path) else f"line {line(row)}"


def places(path: str | Path, rows: int) -> np.ndarray:
    """Returns the name of each row, `(rows,)`: "data.csv:2" for row 0."""
    first = 0 if is_parquet(path) else line(0)
    return np.array([f"{path}:{first + row}" for row in range(rows)])


def line(row: int) -> int:
    """Returns the line number of a row; row 0 follows the header, line 1.

    A cell with line breaks counts as one line.
    """
    return row + 2


def truths(path: str | Path, table: pd.DataFrame, name: str) -> np.ndarray:
    """Returns a column of true and false as booleans, `(rows,)`.

    Args:
        path: The CSV file, for messages.
        table: Content of the file.
        name: Name of the column, as `dataset.clean` gives it. Its cells are
            true, 1, yes, y, t, x, ja, j or wahr; or false, 0, no, n, f, nein,
            falsch, "-" or empty; in any case.

    Raises:
        InputError: if the column is missing or has another value. The message
            names the line.
    """
    if name not in table:
        raise InputError(
            f"{path} should have the column {name!r}, which `dataset.clean` "
            f"names. Received: {', '.join(map(str, table.columns))}."
        )
    values = table[name].fillna("").astype(str).str.strip().str.lower()
    strange = ~values.isin(_TRUE | _FALSE | {""})
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            f"{path} should have true or false in the column {name!r}. "
            f"Received: {table[name][row]!r} in {place(path, row)}."
        )
    return values.isin(_TRUE).to_numpy()


def _folded(name: str) -> str:
    return name.strip().casefold()


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


def safe_cell(text: str) -> str:
    """Returns a text that no spreadsheet takes for a formula.

    A text that begins with =, +, -, @, a tab or a carriage return gets a single
    quote in front. `original_cell` takes it away.

    Args:
        text: A name of a class or of an example, or any other text of a user.

    Example:

    >>> safe_cell("=1+1"), safe_cell("cat")
    ("'=1+1", 'cat')
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def original_cell(text: str) -> str:
    """Returns the text that `safe_cell` made safe.

    Args:
        text: A cell of a table that this package wrote.
    """
    quoted = text.startswith("'") and text.lstrip("'").startswith(_FORMULA)
    return text[1:] if quoted else text
