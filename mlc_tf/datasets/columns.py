"""What each column of a table becomes: a number, a category, a date, nothing.

`decide` looks at the cells of all rows. `encode` makes the network's inputs,
and `encoder` is the same function as a Keras model, for serving.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf.datasets import tables
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import import_optional

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("numeric", "categorical", "date", "ignore")
# A date or a time in ISO 8601.
_ISO = (
    r"\d{4}-\d{2}-\d{2}"
    r"([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?"
)
# Up to this share of the cells, or this number, may be mistakes in a column of
# numbers.
_FEW_SHARE, _FEW = 0.05, 3
# A column of text with more values per row than this identifies rows.
_MOST_VALUES = 0.5
# With fewer rows, nothing is concluded from how many values there are.
_ENOUGH_ROWS = 20
_MOST_BYTES = 4 * 2**30
_NAMED = 10


@dataclass(frozen=True)
class Column:
    """A column of inputs.

    Attributes:
        name: The name of the column in the file.
        kind: "numeric", "categorical" or "date"; a date is the number of days
            since 1970-01-01, with a fraction for the time.
        values: The values of a categorical column, one input of 0 or 1 each.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of inputs that the column becomes."""
        return len(self.values) if self.kind == "categorical" else 1


def parse(text: str) -> dict[str, str]:
    """Returns the kinds that a user gives to columns.

    Args:
        text: The setting `dataset.columns`, such as "age:numeric,id:ignore".

    Raises:
        InputError: if an entry is not NAME:KIND with one of `KINDS`.
    """
    kinds = {}
    for entry in text.split(",") if text else []:
        name, _, kind = entry.strip().rpartition(":")
        if not name or kind not in KINDS:
            raise bad_argument(
                "dataset.columns",
                f"NAME:KIND, ..., with the kinds {', '.join(KINDS)}",
                text,
            )
        kinds[name.strip()] = kind
    return kinds


def decide(
    path: str,
    table: pd.DataFrame,
    train: np.ndarray,
    kinds: Mapping[str, str],
    decimal_comma: bool = False,
) -> tuple[tuple[Column, ...], dict[str, np.ndarray], tuple[str, ...]]:
    """Returns what each column of inputs becomes.

    Args:
        path: The file, for messages.
        table: The columns of inputs, `(rows, columns)`.
        train: `(rows,)` booleans, the training rows. The values of a category
            are its values in the training rows.
        kinds: The kinds that the user gives to some columns.
        decimal_comma: Whether 1,5 may be a number: commas do not separate the
            cells of the file. Defaults to False.

    Returns:
        The columns; the content of each, floats `(rows,)` or texts `(rows,)`;
        and sentences for the user about what the columns became.

    Raises:
        InputError: for an unknown column in `kinds`, for a column that the user
            should decide on (see the message), or if nothing is left.
    """
    unknown = [name for name in kinds if name not in table]
    if unknown:
        raise InputError(
            f"`dataset.columns` should name columns of {path}: "
            f"{', '.join(table.columns)}. Received: {unknown[0]!r}."
        )
    found: list[Column] = []
    content: dict[str, np.ndarray] = {}
    with_commas: list[str] = []
    left_out = [name for name in table.columns if kinds.get(name) == "ignore"]
    for name in table.columns.difference(left_out, sort=False):
        cells = table[name]
        kind = kinds.get(name)
        if kind is None and _counts_rows_of_pandas(name, cells):
            left_out.append(name)
            continue
        kind, numbers = _kind(path, name, cells, kind, decimal_comma)
        if kind == "numeric" and cells.astype(str).str.contains(",").any():
            with_commas.append(name)
        if numbers is not None:
            content[name] = _finite(path, name, cells, numbers)
            found.append(Column(name, kind))
            continue
        texts = cells.astype(str).str.strip().to_numpy(str)
        values = tuple(sorted({*texts[train].tolist()}))
        if kinds.get(name) is None:
            _check_values(path, name, values, int(train.sum()))
        content[name] = texts
        found.append(Column(name, "categorical", values))
    if not found:
        raise InputError(
            f"{path} should have a column of inputs. Received: only columns "
            "of labels and splits, and columns that are left out."
        )
    notes = _sentences(found, left_out)
    if with_commas:
        notes += (f"Commas in {_some(with_commas)} are decimal commas.",)
    return tuple(found), content, notes


def encode(
    columns: Sequence[Column], content: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Returns the network's inputs, `(rows, inputs)` float32.

    Args:
        columns: The columns, in the order of the inputs.
        content: The content of each column, as `decide` returns it. A text that
            is not among the values of its column becomes zeros.

    Raises:
        InputError: if the inputs would take more than 4 GiB.
    """
    rows = len(content[columns[0].name])
    width = sum(column.width for column in columns)
    if rows * width * 4 > _MOST_BYTES:
        widest = max(columns, key=lambda column: column.width)
        raise InputError(
            f"The table should become at most {_MOST_BYTES / 2**30:g} GiB of "
            f"inputs. Received: {rows:,} rows of {width:,} inputs, "
            f"{rows * width * 4 / 2**30:.1f} GiB; column {widest.name!r} has "
            f"{widest.width:,} values (--config.dataset.columns="
            f"{widest.name}:ignore leaves it out)."
        )
    x = np.zeros((rows, width), np.float32)
    start = 0
    for column in columns:
        cells = content[column.name]
        if column.kind == "categorical":
            for offset, value in enumerate(column.values):
                x[:, start + offset] = cells == value
        else:
            x[:, start] = cells
        start += column.width
    return x


def serving_names(columns: Sequence[Column]) -> dict[str, str]:
    """Returns the name of each column in a signature, by its name in the file.

    A signature takes letters, digits and underscores only; a column with
    another name is called by its number.
    """
    names = [column.name for column in columns]
    valid = {
        name: name
        for name in names
        if re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)
    }
    numbered: dict[str, str] = {}
    for number, name in enumerate(names):
        short = f"column_{number}"
        while name not in valid and (
            short in valid or short in numbered.values()
        ):
            short += "_"
        numbered[name] = short
    return {name: valid.get(name) or numbered[name] for name in names}


def encoder(columns: Sequence[Column]) -> keras.Model:
    """Returns `encode` as a Keras model, from named columns to inputs.

    Args:
        columns: The columns, in the order of the inputs.

    Returns:
        A functional model. It takes a dict of `(batch, 1)` tensors by
        `serving_names`: strings for categories, floats for numbers and dates.
        It returns `(batch, inputs)` float32. A string that is not among the
        values becomes zeros.
    """
    names = serving_names(columns)
    inputs, parts = {}, []
    for column in columns:
        text = column.kind == "categorical"
        name = names[column.name]
        inputs[name] = keras.Input(
            (1,), name=name, dtype="string" if text else "float32"
        )
        part = inputs[name]
        if text:
            lookup = keras.layers.StringLookup(
                vocabulary=list(column.values), output_mode="multi_hot"
            )
            # The first place stands for unknown values.
            part = lookup(part)[:, 1:]
        parts.append(keras.ops.cast(part, "float32"))
    joined = keras.ops.concatenate(parts, axis=-1) if parts[1:] else parts[0]
    return keras.Model(inputs, joined, name="columns")


def with_encoder(
    columns: Sequence[Column], network: keras.Model
) -> keras.Model:
    """Returns a network that takes the columns of a table.

    Args:
        columns: The columns, in the order of the network's inputs.
        network: A network from encoded inputs `(batch, inputs)` to logits.
    """
    encode_columns = encoder(columns)
    logits = network(encode_columns(encode_columns.input))
    return keras.Model(encode_columns.input, logits, name=network.name)


def signature(columns: Sequence[Column]) -> dict[str, tf.TensorSpec]:
    """Returns the specs of a batch of columns: `(batch,)` by serving name."""
    return {
        name: tf.TensorSpec(
            [None],
            tf.string if column.kind == "categorical" else tf.float32,
            name,
        )
        for column, name in zip(columns, serving_names(columns).values())
    }


def order(columns: Sequence[Column]) -> str:
    """Returns the names of all inputs in their order, for a reader."""
    return ", ".join(
        name
        for column in columns
        for name in (
            [f"{column.name}={value}" for value in column.values]
            if column.kind == "categorical"
            else [column.name]
        )
    )


def to_json(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Returns the columns as JSON content."""
    return [
        {
            "name": column.name,
            "kind": column.kind,
            "values": list(column.values),
        }
        for column in columns
    ]


def from_json(content: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Returns the columns that `to_json` described."""
    return tuple(
        Column(entry["name"], entry["kind"], tuple(entry["values"]))
        for entry in content
    )


def _kind(
    path: str,
    name: str,
    cells: pd.Series,
    kind: str | None,
    decimal_comma: bool,
) -> tuple[str, np.ndarray | None]:
    """Returns the kind of a column, and its numbers if it has numbers."""
    pd = import_optional("pandas", "files")
    if kind == "categorical":
        return kind, None
    texts = cells.astype(str).str.strip()
    is_time = pd.api.types.is_datetime64_any_dtype(cells)
    all_iso = is_time or bool(texts.str.fullmatch(_ISO).all())
    if kind == "date" or (kind is None and all_iso):
        return "date", _days(path, name, cells, texts)
    if pd.api.types.is_bool_dtype(cells):
        return "categorical", None
    numbers = pd.to_numeric(texts, errors="coerce")
    if decimal_comma and numbers.isna().any():
        decimal = texts.str.replace(",", ".", n=1, regex=False)
        numbers = numbers.fillna(pd.to_numeric(decimal, errors="coerce"))
    # NaN and infinity are numbers to pandas; `_finite` refuses them.
    named = texts.str.fullmatch("(?i)[+-]?(nan|inf|infinity)")
    wrong = (numbers.isna() & ~named).to_numpy()
    few = len(cells) >= _ENOUGH_ROWS and wrong.sum() <= max(
        _FEW_SHARE * len(cells), _FEW
    )
    if wrong.any() and (kind == "numeric" or few):
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path} should have numbers in the column {name!r}, as in "
            f"{len(cells) - wrong.sum():,} of {len(cells):,} rows. Received: "
            f"{cells.iloc[row]!r} in {tables.place(path, row)}; correct the "
            f"cells, or set --config.dataset.columns={name}:categorical."
        )
    if wrong.any():
        return "categorical", None
    if kind is None and _counts_rows(numbers.to_numpy()):
        raise InputError(
            f"{path} should have inputs that say something about the example. "
            f"Received: the column {name!r}, which counts the rows; set "
            f"--config.dataset.columns={name}:ignore (or {name}:numeric)."
        )
    return "numeric", numbers.to_numpy(np.float64)


def _days(
    path: str, name: str, cells: pd.Series, texts: pd.Series
) -> np.ndarray:
    pd = import_optional("pandas", "files")
    dates = pd.to_datetime(
        cells if cells.dtype.kind == "M" else texts,
        errors="coerce",
        utc=True,
        format=None if cells.dtype.kind == "M" else "ISO8601",
    )
    wrong = dates.isna().to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path} should have dates like 2024-12-31 in the column {name!r}. "
            f"Received: {cells.iloc[row]!r} in {tables.place(path, row)}."
        )
    since = dates - pd.Timestamp("1970-01-01", tz="UTC")
    return (since / pd.Timedelta(days=1)).to_numpy(np.float64)


def _finite(
    path: str, name: str, cells: pd.Series, numbers: np.ndarray
) -> np.ndarray:
    with np.errstate(over="ignore"):
        infinite = ~np.isfinite(numbers.astype(np.float32))
    if infinite.any():
        row = int(np.argmax(infinite))
        raise InputError(
            f"{path} should have finite inputs (in float32). Received: "
            f"{cells.iloc[row]} in {tables.place(path, row)}, column {name!r}."
        )
    return numbers.astype(np.float32)


def _counts_rows_of_pandas(name: str, cells: pd.Series) -> bool:
    """Returns whether `DataFrame.to_csv` wrote this column: the row numbers."""
    unnamed = name == "" or name.startswith("Unnamed: ")
    return unnamed and (
        cells.astype(str).tolist() == [str(row) for row in range(len(cells))]
    )


def _counts_rows(numbers: np.ndarray) -> bool:
    return len(numbers) >= _ENOUGH_ROWS and bool((np.diff(numbers) == 1).all())


def _check_values(
    path: str, name: str, values: tuple[str, ...], rows: int
) -> None:
    if rows >= _ENOUGH_ROWS and len(values) > _MOST_VALUES * rows:
        raise InputError(
            f"{path} should have columns whose values occur again. Received: "
            f"{len(values):,} values in {rows:,} training rows of the column "
            f"{name!r}, such as {values[0]!r}; set --config.dataset.columns="
            f"{name}:ignore (or {name}:categorical, one input per value; "
            "sentences need a network of your own, in Python)."
        )


def _sentences(
    columns: Sequence[Column], left_out: Sequence[str]
) -> tuple[str, ...]:
    parts = []
    for kind, form in (
        ("numeric", "{} as numbers"),
        ("date", "{} as days since 1970-01-01"),
    ):
        names = [column.name for column in columns if column.kind == kind]
        if names:
            parts.append(form.format(_some(names)))
    categories = [
        f"{column.name} ({column.width} values)"
        for column in columns
        if column.kind == "categorical"
    ]
    if categories:
        parts.append(f"{_some(categories)} as categories")
    if left_out:
        parts.append(f"{_some([name or '(no name)' for name in left_out])} not")
    total = sum(column.width for column in columns)
    return (
        f"{len(columns) + len(left_out)} columns become {total} inputs: "
        f"{'; '.join(parts)}. `dataset.columns` changes that.",
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
