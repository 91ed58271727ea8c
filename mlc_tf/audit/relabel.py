"""Applies decisions on labels: writes a corrected copy of a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

import ml_collections
import numpy as np

from mlc_tf import datasets
from mlc_tf.data.examples import ImageFiles
from mlc_tf.datasets import tables
from mlc_tf.datasets.options import Options
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import import_optional
from mlc_tf.errors import writable_or_error
from mlc_tf.run import directory

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("index", "given_label", "decision", "label")
DECISIONS = ("keep", "relabel", "drop")
_SUFFIXES = {"npz": ".npz", "folder": ".csv"}


class Applied(NamedTuple):
    """How many examples of the training set were changed.

    Attributes:
        relabelled: Examples with a new label.
        dropped: Examples that were left out.
        kept: Examples with their old label.
    """

    relabelled: int
    dropped: int
    kept: int


def apply(
    config: ml_collections.ConfigDict,
    decisions: str | Path,
    output: str | Path,
) -> Applied:
    """Writes the dataset of a run with decisions applied to its labels.

    The original dataset is not changed.

    Args:
        config: The configuration of the run whose labels were reviewed. Its
            dataset is "npz:PATH" or "folder:PATH", without injected noise.
        decisions: A CSV file with the columns index (in the noisy set),
            given_label (a class id), decision (one of `DECISIONS`) and label
            (a class id if the decision is "relabel", else empty). Examples
            that are missing from the file are kept.
        output: The file to write, which must not exist. For "npz:PATH" it is a
            `.npz` with the arrays of the original; for "folder:PATH" it is a
            CSV of all images with their labels and splits, for the setting
            `dataset.labels`.

    Raises:
        InputError: for any other dataset, for decisions that do not match the
            dataset or that leave a class without examples, or if the output
            exists or cannot be written.
    """
    scheme, _, path = config.dataset.name.partition(":")
    if scheme not in _WRITERS:
        raise bad_argument(
            "dataset.name", "npz:PATH or folder:PATH", config.dataset.name
        )
    if config.noise.kind != "none":
        raise InputError(
            "`noise.kind` should be 'none', because the files of the dataset "
            "do not contain injected labels. Received: `noise.kind` = "
            f"{config.noise.kind!r}."
        )
    output = Path(output)
    if output.suffix != _SUFFIXES[scheme]:
        raise bad_argument("output", f"a {_SUFFIXES[scheme]} file", str(output))
    if output.exists():
        raise bad_argument("output", "a new file", str(output))
    options = Options.from_config(config.dataset)
    if scheme == "folder":  # a cache does not store the paths of the files
        options = dataclasses.replace(options, cache="none")
    splits = datasets.load(config.dataset.name, options)
    given = np.asarray(splits.train.labels)
    table = _read(decisions, given, splits.num_classes)
    labels, kept = given.copy(), np.ones(len(given), bool)
    relabelled = table[table["decision"] == "relabel"]
    labels[relabelled["index"]] = relabelled["label"]
    kept[table.loc[table["decision"] == "drop", "index"]] = False
    counts = np.bincount(labels[kept], minlength=splits.num_classes)
    if not counts.all():
        name = splits.class_names[int(np.argmin(counts))]
        raise InputError(
            f"{decisions} should leave examples of each class. Received: "
            f"decisions that leave no example of {name!r}."
        )
    with writable_or_error("output", output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        _WRITERS[scheme](Path(path), splits, labels, kept, output)
    dropped = int(np.sum(~kept))
    changed = int(np.sum(labels[kept] != given[kept]))
    return Applied(changed, dropped, len(given) - changed - dropped)


def _read(
    path: str | Path, given: np.ndarray, num_classes: int
) -> pd.DataFrame:
    """Returns the decisions, checked against the given labels."""
    table = tables.read(path, COLUMNS, may_be_empty=("label",))
    for column, limit in (("index", len(given)), ("given_label", num_classes)):
        table[column] = _ids(path, table[column], limit, column)
    _refuse(
        path,
        ~table["decision"].isin(DECISIONS),
        f"a decision of {', '.join(DECISIONS)}",
        table["decision"],
    )
    _refuse(
        path,
        table["index"].duplicated(),
        "one decision per example",
        table["index"],
    )
    _refuse(
        path,
        table["given_label"] != given[table["index"]],
        "the labels that the dataset has",
        table["given_label"],
    )
    relabelled = table["decision"] == "relabel"
    label = table["label"].where(relabelled, "0")
    table["label"] = _ids(path, label, num_classes, "label")
    return table


def _ids(
    path: str | Path, column: pd.Series, limit: int, name: str
) -> pd.Series:
    """Returns a column of text as integers in `[0, limit)`."""
    pd = import_optional("pandas", "audit")
    text = column.fillna("").astype(str)
    numbers = pd.to_numeric(text.where(text.str.fullmatch(r"\d{1,18}"), "-1"))
    out_of_range = (numbers < 0) | (numbers >= limit)
    _refuse(path, out_of_range, f"integers in [0, {limit}) as {name}", text)
    return numbers


def _refuse(
    path: str | Path, wrong: pd.Series, expected: str, received: pd.Series
) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path} should have {expected}. Received: "
            f"{str(received[row])!r} in line {tables.line(row)}."
        )


def _write_npz(
    path: Path,
    splits: datasets.Splits,
    labels: np.ndarray,
    kept: np.ndarray,
    output: Path,
) -> None:
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["x_train"] = arrays["x_train"][kept]
    arrays["y_train"] = labels[kept].astype(arrays["y_train"].dtype)
    # The old class names, so that a class keeps its id.
    arrays.setdefault("class_names", np.array(splits.class_names))
    directory.save_arrays(output, arrays)


def _write_labels(
    path: Path,
    splits: datasets.Splits,
    labels: np.ndarray,
    kept: np.ndarray,
    output: Path,
) -> None:
    rows = []
    for split, examples in (
        ("train", splits.train),
        ("test", splits.test),
        ("clean", splits.clean),
    ):
        assert isinstance(examples, ImageFiles)  # noqa: S101, without a cache
        ids = labels if split == "train" else examples.labels
        for index, (file, label) in enumerate(zip(examples.paths, ids)):
            if split != "train" or kept[index]:
                name = splits.class_names[label]
                rows.append((file.relative_to(path).as_posix(), name, split))
    pd = import_optional("pandas", "audit")
    table = pd.DataFrame(rows, columns=["file", "label", "split"])
    directory.write_atomically(output, table.to_csv(index=False).encode())


_WRITERS: dict[str, Callable[..., None]] = {
    "npz": _write_npz,
    "folder": _write_labels,
}
