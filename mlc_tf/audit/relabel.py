"""A user's decisions on labels, applied: a new dataset beside the old one."""

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
    """How many examples of the training set were changed."""

    relabelled: int
    dropped: int
    kept: int


def apply(
    config: ml_collections.ConfigDict,
    decisions: str | Path,
    output: str | Path,
) -> Applied:
    """Writes the dataset of a run with decided labels; the old one stays.

    Args:
        config: That of the run whose labels were decided on; its dataset is
            "npz:PATH" or "folder:PATH", with labels noisy as they come.
        decisions: A CSV file with the columns index (in the noisy set),
            given_label (a class id), decision (of `DECISIONS`) and label (a
            class id where the decision is "relabel", else empty). Examples
            that are not in it are kept.
        output: A new file. For "npz:PATH" a `.npz` of the same arrays; for
            "folder:PATH" a CSV of all images with their labels and splits, as
            `dataset.labels` takes it.

    Returns:
        What was changed.

    Raises:
        InputError: for another dataset, decisions that are not of it, or that
            leave a class without examples; if the output exists or cannot be
            written.
    """
    scheme, _, path = config.dataset.name.partition(":")
    if scheme not in _WRITERS:
        raise bad_argument(
            "dataset.name", "npz:PATH or folder:PATH", config.dataset.name
        )
    if config.noise.kind != "none":
        raise InputError(
            "`noise.kind` should be 'none', as labels that were injected are "
            f"not in the dataset. Received: {config.noise.kind!r}."
        )
    output = Path(output)
    if output.suffix != _SUFFIXES[scheme]:
        raise bad_argument("output", f"a {_SUFFIXES[scheme]} file", str(output))
    if output.exists():
        raise bad_argument("output", "a new file", str(output))
    options = Options.from_config(config.dataset)
    if scheme == "folder":  # a cache does not know the files
        options = dataclasses.replace(options, cache="none")
    splits = datasets.load(config.dataset.name, options)
    given = np.asarray(splits.train.labels)
    table = _read(decisions, given, splits.num_classes)
    labels, kept = given.copy(), np.ones(len(given), bool)
    moved = table[table["decision"] == "relabel"]
    labels[moved["index"]] = moved["label"]
    kept[table.loc[table["decision"] == "drop", "index"]] = False
    left = np.bincount(labels[kept], minlength=splits.num_classes)
    if not left.all():
        name = splits.class_names[int(np.argmin(left))]
        raise InputError(
            f"{decisions} should leave examples of each class. Received: "
            f"decisions that leave none of {name!r}."
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
    """Returns the decisions, checked against the labels they are on."""
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
        "one decision an example",
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
    strange = (numbers < 0) | (numbers >= limit)
    _refuse(path, strange, f"integers in [0, {limit}) as {name}", text)
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
    # What the old labels named, though none of the new ones may.
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
