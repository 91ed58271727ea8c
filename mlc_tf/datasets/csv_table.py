"""Loads the user's own table: each row is an example, one column its label."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from mlc_tf.data.examples import Arrays
from mlc_tf.datasets import columns
from mlc_tf.datasets import tables
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import is_misspelt

if TYPE_CHECKING:
    import pandas as pd

SPLIT = "split"


def load(path: str, options: Options) -> Splits:
    """Returns the splits of a CSV file with a header, or of a Parquet file.

    The file has a column of labels, and may have a column "split" (train, test,
    or the name that `clean` gives); without it, all rows are training rows. All
    other columns are inputs. Numbers are used as they are, and a date in ISO
    8601 becomes days since 1970-01-01. A column of text becomes one input of 0
    and 1 for each value that occurs in the training rows. `notes` says what
    each column became.

    Args:
        path: The CSV file, in UTF-8; or a file that ends in `.parquet`.
        options: `label_key` is the name of the label column, "label" by
            default. `clean` is "split:NAME" for rows with that split, or
            "column:NAME" for training rows in which that column is true.
            `columns`, such as "age:numeric,id:ignore", gives the kinds of
            columns that should not be guessed (`columns.KINDS`).

    Raises:
        InputError: if a column or a cell is missing, a test label does not
            occur in the training rows, an input is not finite, or it is not
            clear what a column should become. The message names the line.
    """
    options.only("csv:PATH", "label_key", "clean", "columns")
    scheme, chosen = options.trusted("csv:PATH", "split", "column")
    kinds = columns.parse(options.columns)
    label_key = options.label_key or "label"
    ignored = [name for name, kind in kinds.items() if kind == "ignore"]
    trusted_column = [chosen] if scheme == "column" else []
    table = tables.read(
        path,
        (label_key,),
        may_be_empty=[*ignored, *trusted_column],
        optional=(SPLIT,),
        if_missing="--config.dataset.label_key names the column of labels",
    )
    if SPLIT not in table:
        tables.check_no_splits(path, table, SPLIT)
        if scheme == "split":
            raise InputError(
                f"{path} should have a column {SPLIT!r} for `dataset.clean` = "
                f"{options.clean!r}. Received: no such column."
            )
        table[SPLIT] = "train"
    labels, blanks = _stripped(table[label_key])
    which, counts = _splits(
        path, table[SPLIT], chosen if scheme == "split" else None
    )
    train = which == "train"
    if scheme == "column":
        which[tables.truths(path, table, chosen) & train] = "clean"
    required = ("train", *(["clean"] if scheme else []))
    for name in required:
        if not (which == name).any():
            raise InputError(
                f"{path} should have rows of the {name} set. Received: rows of "
                f"the splits {', '.join(table[SPLIT].unique())} only."
            )
    wanted = [name for name in (*required, "test") if (which == name).any()]
    names = tables.class_names(labels[train])
    _check_numbers(path, names)
    ids = tables.class_ids(labels, names)
    strange = np.isin(which, wanted) & (ids < 0)
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            f"{path} should have only classes of the training rows. "
            f"Received: {labels[row]!r} in {tables.place(path, row)}."
        )
    inputs = table.drop(columns=[label_key, SPLIT, *trusted_column])
    used = np.isin(which, wanted)
    decimal_comma = not tables.is_parquet(path) and (
        tables.dialect(path, (label_key, SPLIT)).delimiter != ","
    )
    found, content, notes = columns.decide(
        path, inputs, train, kinds, decimal_comma
    )
    x = columns.encode(found, content)
    places = tables.places(path, len(table))
    splits = {
        name: Arrays(x[rows], ids[rows], places[rows].tolist())
        for name, rows in ((name, which == name) for name in wanted)
    }
    return Splits(
        splits["train"],
        splits.get("test"),
        names,
        splits.get("clean"),
        twins_are_one=False,
        notes=(*notes, *counts, *_unused(path, table[SPLIT], used), *blanks),
        columns=found,
    )


def _check_numbers(path: str, names: tuple[str, ...]) -> None:
    """Raises if two classes are the same number, as 1 and 01."""
    if not all(name.isdecimal() for name in names):
        return
    for one, two in itertools.pairwise(names):  # sorted by number
        if int(one) == int(two):
            raise InputError(
                f"{path} should write each class in one way. Received: the "
                f"classes {one!r} and {two!r}."
            )


def _stripped(labels: pd.Series) -> tuple[pd.Series, tuple[str, ...]]:
    """Returns labels without blanks around them, and a sentence about it."""
    stripped = labels.str.strip()
    changed = int((stripped != labels).sum())
    if not changed:
        return labels, ()
    return stripped, (f"Blanks around {changed:,} labels were left out.",)


def _splits(
    path: str, splits: pd.Series, clean: str | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the split of each row as train, test, clean or "" (no split).

    Args:
        path: The file, for messages.
        splits: The column of splits.
        clean: The split of the trusted rows; None if no split has that role.

    Raises:
        InputError: for a name that is almost one of the names.
    """
    roles = {"train": "train", "test": "test"}
    if clean is not None:
        if clean.strip().casefold() in roles:
            raise bad_argument(
                "dataset.clean", "a split besides train and test", clean
            )
        roles[clean] = "clean"
    by_folded = {name.casefold(): role for name, role in roles.items()}
    found = {}
    folded = 0
    for name, count in splits.value_counts().items():
        short = name.strip().casefold()
        role = roles.get(name) or by_folded.get(short, "")
        folded += int(count) if role and name not in roles else 0
        near = [known for known in by_folded if is_misspelt(short, known)]
        if not role and near:
            row = int(np.argmax(splits == name))
            raise InputError(
                f"{path} should have the splits {', '.join(roles)}. Received: "
                f"{name!r} in {count:,} rows, the first in "
                f"{tables.place(path, row)}. Did you mean {near[0]!r}? Give "
                "rows of another split a name that is less similar."
            )
        found[name] = role
    roles_of_rows = splits.map(found).to_numpy(str)
    if not folded:
        return roles_of_rows, ()
    return roles_of_rows, (
        f"{folded:,} rows write their split with blanks or in another case; "
        "they were taken.",
    )


def _unused(path: str, splits: pd.Series, used: np.ndarray) -> tuple[str, ...]:
    if used.all():
        return ()
    names = splits[~used].value_counts()
    listed = ", ".join(f"{name} ({count:,})" for name, count in names.items())
    return (
        f"{int((~used).sum()):,} of {len(splits):,} rows of {path} belong to "
        f"no set and were left out: {listed}.",
    )
