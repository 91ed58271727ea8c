"""Loads the user's own table: each row is an example, one column its label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlc_tf.data.examples import Arrays
from mlc_tf.datasets import tables
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_SPLIT = "split"


def load(path: str, options: Options) -> Splits:
    """Returns the splits of a CSV file with a header.

    The file has a column "split" (train, test, or the name that `clean` gives)
    and a column of labels. All other columns are inputs. Numeric columns are
    used as they are; a text column becomes one column of 0 and 1 for each value
    that occurs in the training rows.

    Args:
        path: The CSV file, in UTF-8.
        options: `label_key`, the name of the label column ("label" by default),
            and `clean`: "split:NAME" for rows with that split, or
            "column:NAME" for training rows in which that column is true.

    Raises:
        InputError: if a column or a cell is missing, a test label does not
            occur in the training rows, or an input is not finite. The message
            names the line.
    """
    options.only("csv:PATH", "label_key", "clean")
    scheme, chosen = options.trusted("csv:PATH", "split", "column")
    label_key = options.label_key or "label"
    table = tables.read(path, (label_key, _SPLIT))
    which = table[_SPLIT].copy()
    if scheme == "split":
        which[which == "clean"] = ""
        which[table[_SPLIT] == chosen] = "clean"
    train = which == "train"
    marked = [label_key, _SPLIT]
    if scheme == "column":
        trusted = tables.truths(path, table, chosen)
        which[trusted & train] = "clean"
        marked.append(chosen)
    wanted = ("train", "test", *(["clean"] if scheme else []))
    for name in wanted:
        if not (which == name).any():
            raise InputError(
                f"{path} should have rows of the {name} set. Received: rows of "
                f"the splits {', '.join(table[_SPLIT].unique())} only."
            )
    names = tables.class_names(table[label_key][train])
    ids = tables.class_ids(table[label_key], names)
    strange = which.isin(wanted).to_numpy() & (ids < 0)
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            f"{path} should have only classes of the training rows. "
            f"Received: {table[label_key][row]!r} in line {tables.line(row)}."
        )
    x = _inputs(path, table.drop(columns=marked), train)
    lines = np.array([f"{path}:{tables.line(row)}" for row in range(len(x))])
    splits = {
        name: Arrays(x[rows], ids[rows], lines[rows].tolist())
        for name, rows in ((name, which == name) for name in wanted)
    }
    return Splits(
        splits["train"],
        splits["test"],
        names,
        splits.get("clean"),
        twins_are_one=False,
    )


def _inputs(path: str, table: pd.DataFrame, train: pd.Series) -> np.ndarray:
    """Returns the inputs `(rows, features)` float32 of the input columns."""
    if table.columns.empty:
        raise InputError(
            f"{path} should have a column of inputs. Received: only columns "
            "of labels and splits."
        )
    columns = []
    for name in table.columns:
        numbers = _numbers(table[name])
        if numbers is not None:
            columns.append(numbers)
            infinite = ~np.isfinite(columns[-1])
            if infinite.any():
                row = int(np.argmax(infinite))
                raise InputError(
                    f"{path} should have finite inputs. Received: "
                    f"{table[name][row]} in line {tables.line(row)}, column "
                    f"{name!r}."
                )
            continue
        values = sorted(table[name][train].astype(str).unique())
        texts = table[name].astype(str)
        columns.extend((texts == value).astype(np.float32) for value in values)
    return np.stack([column.to_numpy() for column in columns], axis=1)


def _numbers(column: pd.Series) -> pd.Series | None:
    """Returns a column as float32; None if it is not numeric."""
    try:
        return column.astype(np.float32)
    except ValueError:
        return None
