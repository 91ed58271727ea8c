"""Applies decisions on labels: writes a corrected copy of a dataset.

A decision belongs to an example, not to an index: an image that was added since
the review moves all indices behind it. So decisions are applied by the identity
of the example (`mlc_tf.data.identity`), all of them or none.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

import ml_collections
import numpy as np

from mlc_tf import datasets
from mlc_tf.data import identity
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

COLUMNS = ("identity", "given_label", "decision", "label")
DECISIONS = ("keep", "relabel", "drop")
# The most examples that a message names.
_NAMED = 10


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


def check_source(config: ml_collections.ConfigDict) -> str:
    """Checks that decisions can be applied to the dataset of a run.

    Args:
        config: The configuration of the run.

    Returns:
        The suffix of the file that `apply` writes: ".npz", ".csv" or the suffix
        of the table.

    Raises:
        InputError: for a dataset that is not the user's own, or for injected
            noise.
    """
    scheme, _, path = config.dataset.name.partition(":")
    if scheme not in _WRITERS:
        raise bad_argument(
            "dataset.name",
            "npz:PATH, folder:PATH or csv:PATH, to apply decisions",
            config.dataset.name,
        )
    if config.noise.kind != "none":
        raise InputError(
            "`noise.kind` should be 'none', because the files of the dataset "
            "do not contain injected labels. Received: `noise.kind` = "
            f"{config.noise.kind!r}."
        )
    if scheme == "csv":
        return Path(path).suffix or ".csv"
    return ".npz" if scheme == "npz" else ".csv"


def apply(
    config: ml_collections.ConfigDict,
    decisions: str | Path,
    output: str | Path,
    class_names: list[str] | None = None,
) -> Applied:
    """Writes the dataset of a run with decisions applied to its labels.

    The original dataset is not changed.

    Args:
        config: The configuration of the run whose labels were reviewed. Its
            dataset is "npz:PATH", "folder:PATH" or "csv:PATH", without injected
            noise.
        decisions: A CSV file with the columns identity, given_label, decision
            and label. `identities` returns the identities of the training set.
            A given label is a class id, a decision is one of `DECISIONS`, and a
            label is a class id if the decision is "relabel", else empty.
            Examples that are missing from the file are kept.
        output: The file to write, which must not exist. For "npz:PATH" it is a
            `.npz` with the arrays of the original. For "csv:PATH" it is the
            table with its new labels. For "folder:PATH" it is a CSV of all
            images with their labels and splits, for the setting
            `dataset.labels`.
        class_names: The class names of the run, to which the class ids of the
            decisions belong. Defaults to None, the present class names.

    Raises:
        InputError: for any other dataset, for decisions on examples that the
            dataset lacks or has with other labels, for decisions that leave a
            class without examples, or if the output exists or cannot be
            written. In these cases nothing is written.
    """
    suffix = check_source(config)
    scheme, _, path = config.dataset.name.partition(":")
    output = Path(output)
    if output.suffix != suffix:
        raise bad_argument("output", f"a {suffix} file", str(output))
    if output.exists():
        raise bad_argument("output", "a new file", str(output))
    options = Options.from_config(config.dataset)
    if scheme == "folder":  # a cache does not store the paths of the files
        options = dataclasses.replace(options, cache="none")
    splits = datasets.load(config.dataset.name, options)
    if class_names is not None and list(splits.class_names) != class_names:
        raise InputError(
            f"The dataset should have the classes of the review, "
            f"{', '.join(class_names)}. Received: "
            f"{', '.join(splits.class_names)}."
        )
    given = np.asarray(splits.train.labels)
    table = _decided(decisions, splits, given)
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
        _WRITERS[scheme](Path(path), options, splits, labels, kept, output)
    dropped = int(np.sum(~kept))
    changed = int(np.sum(labels[kept] != given[kept]))
    return Applied(changed, dropped, len(given) - changed - dropped)


def _decided(
    path: str | Path, splits: datasets.Splits, given: np.ndarray
) -> pd.DataFrame:
    """Returns the decisions with the present index of each example."""
    table = _read(path, splits.num_classes)
    found = identity.identities(splits.train)
    if found is None:
        raise InputError(
            "The dataset should have inputs that can be compared. Received: a "
            "stream."
        )
    places = {text: index for index, text in enumerate(found)}
    table["index"] = [places.get(text, -1) for text in table["identity"]]
    gone = table["index"] < 0
    other = ~gone & (table["given_label"] != given[table["index"]])
    for wrong, expected in (
        (gone, "examples that the dataset has"),
        (other, "the labels that the dataset has"),
    ):
        if wrong.any():
            names = table.get("example", table["identity"])[wrong].tolist()
            more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
            raise InputError(
                f"{path} should decide on {expected}. Received: "
                f"{len(names)} of {len(table)} decisions on others: "
                f"{', '.join(map(str, names[:_NAMED]))}{more}. Nothing was "
                "written; review the data as they are now."
            )
    return table


def _read(path: str | Path, num_classes: int) -> pd.DataFrame:
    """Returns the decisions of a file, checked without the dataset."""
    table = tables.read(path, COLUMNS, may_be_empty=("label",), others=False)
    if "example" in table:
        table["example"] = table["example"].map(tables.original_cell)
    table["identity"] = table["identity"].map(tables.original_cell)
    table["given_label"] = _ids(
        path, table["given_label"], num_classes, "given_label"
    )
    _refuse(
        path,
        ~table["decision"].isin(DECISIONS),
        f"a decision of {', '.join(DECISIONS)}",
        table["decision"],
    )
    _refuse(
        path,
        table["identity"].duplicated(),
        "one decision per example",
        table["identity"],
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
    numbers = pd.to_numeric(text.where(text.str.fullmatch("[0-9]{1,18}"), "-1"))
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
    options: Options,
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
    options: Options,
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
        if examples is None:
            continue
        assert isinstance(examples, ImageFiles)  # noqa: S101, without a cache
        ids = labels if split == "train" else examples.labels
        for index, (file, label) in enumerate(zip(examples.paths, ids)):
            if split != "train" or kept[index]:
                name = splits.class_names[label]
                place = file.relative_to(path).as_posix()
                cells = (place, name, split)
                rows.append([tables.safe_cell(cell) for cell in cells])
    pd = import_optional("pandas", "audit")
    table = pd.DataFrame(rows, columns=["file", "label", "split"])
    directory.write_atomically(
        output, table.to_csv(index=False).encode(errors="surrogateescape")
    )


def _write_table(
    path: Path,
    options: Options,
    splits: datasets.Splits,
    labels: np.ndarray,
    kept: np.ndarray,
    output: Path,
) -> None:
    """Writes the table with changed labels and without dropped rows."""
    given = np.asarray(splits.train.labels)
    assert splits.train.names is not None  # noqa: S101, a table's rows have names
    rows = [int(name.rpartition(":")[2]) for name in splits.train.names]
    label_key = options.label_key or "label"
    changed = {
        row: splits.class_names[label]
        for row, label, old in zip(rows, labels, given)
        if label != old
    }
    dropped = {row for row, stays in zip(rows, kept) if not stays}
    if tables.is_parquet(path):
        pd = import_optional("pandas", "audit")
        original = pd.read_parquet(path)
        table = tables.without_index(original)
        place = tables.column_of(table.columns, label_key)
        values = {str(each).strip(): each for each in table.iloc[:, place]}
        for row, name in changed.items():
            table.iloc[row, place] = values[name]
        # By position: rows of joined tables share the labels of an index.
        stays = np.array([row not in dropped for row in range(len(table))])
        index = [name for name in original.index.names if name is not None]
        if index:
            table = table.set_index(index)
        else:
            table.index = original.index
        content = io.BytesIO()
        table[stays].to_parquet(content)
        directory.write_atomically(output, content.getvalue())
        return
    written = tables.dialect(path, (label_key,))
    text = Path(path).read_bytes().decode(written.encoding)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    ends = "\r\n" if "\r\n" in text else "\n"
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=written.delimiter
    )
    mended = io.StringIO(newline="")
    writer = csv.writer(
        mended, delimiter=written.delimiter, lineterminator=ends
    )
    header = next(reader)
    writer.writerow(header)
    place = tables.column_of(header, label_key)
    for number, cells in enumerate(reader, start=tables.line(0)):
        if number in changed:
            cells[place] = changed[number]
        if number not in dropped:
            writer.writerow(cells)
    directory.write_atomically(
        output, mended.getvalue().encode(written.encoding)
    )


_WRITERS: dict[str, Callable[..., None]] = {
    "npz": _write_npz,
    "folder": _write_labels,
    "csv": _write_table,
}
