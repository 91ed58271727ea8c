"""Loads the user's own images, from class folders or from a CSV of labels."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlc_tf.data import images
from mlc_tf.data.examples import Examples
from mlc_tf.data.examples import ImageFiles
from mlc_tf.datasets import class_folders
from mlc_tf.datasets import tables
from mlc_tf.datasets.cache import cached
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.options import existing_file
from mlc_tf.datasets.splits import NAMED
from mlc_tf.datasets.splits import Splits
from mlc_tf.datasets.splits import overlap
from mlc_tf.datasets.text_files import read_text
from mlc_tf.errors import InputError
from mlc_tf.errors import hint
from mlc_tf.errors import import_optional
from mlc_tf.errors import is_misspelt

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("file", "label")
_SPLIT = "split"


def load(path: str, options: Options | None = None) -> Splits:
    """Returns the splits of the images in a folder.

    The images are `PATH/{train[,test][,clean]}/CLASS/IMAGE`, at any depth below
    the class folder. With the option `labels` they may be anywhere in the
    folder, and a CSV gives the label and the split of each file. Without a
    column "split", all images are training images. Inputs are
    RGB, `(height, width, 3)` uint8; `mlc_tf.data.images` says how an image
    becomes RGB. `Splits.notes` says what is converted and what is left out.

    A CSV names files below the folder: an absolute path or `..` is refused. A
    link in the folder is followed wherever it leads, since who made the folder
    made the link, and a set may consist of links into a store.

    Args:
        path: The folder.
        options: `image_size`; `cache`; `labels`, a CSV with the columns file
            (relative to the folder), label and split; and `clean`. `clean` is
            "split:NAME", "column:NAME" (a column of the CSV, true for trusted
            training images) or "list:FILE" (a text file of trusted training
            images). It is "split:clean" by default, if that split exists.

    Raises:
        InputError: if a folder, file or column is missing or empty, a file is
            named twice or is in two splits, or an image cannot be read. Also if
            a split has a class that `train` lacks, or the images differ in size
            and `image_size` is not given.
    """
    options = options or Options()
    options.only("folder:PATH", "image_size", "cache", "labels", "clean")
    schemes = ("split", "list", *(["column"] if options.labels else []))
    scheme, chosen = options.trusted("folder:PATH", *schemes)
    root = Path(path)
    class_folders.check_names([str(root)])
    clean_split = chosen if scheme == "split" else "clean"
    if options.labels:
        table, notes = _listed(root, Path(options.labels), clean_split)
        if scheme == "split" and clean_split not in set(table["split"]):
            raise InputError(
                f"`dataset.clean` should name a split of {options.labels}. "
                f"Received: 'split:{clean_split}', and no such row."
                f"{hint(clean_split, set(table['split']))}"
            )
    else:
        table, notes = _found(root, clean_split, required=scheme == "split")
    train = table["split"] == "train"
    names = tables.class_names(table["label"][train])
    table["id"] = tables.class_ids(table["label"], names)
    _check_classes(table, names, clean_split)
    if scheme == "list":
        trusted = _named(root, Path(chosen), table)
        table.loc[trusted, "split"] = clean_split
    elif scheme == "column":
        trusted = tables.truths(options.labels, table, chosen)
        table.loc[trusted & train, "split"] = clean_split
    table = table[table["split"].isin(("train", "test", clean_split))]
    # The only time that all files are read before their pixels are needed.
    found = [images.inspect(root / file) for file in table["file"]]
    table = table.assign(digest=[image.digest for image in found])
    _check_contents(root, table)
    size = tuple(options.image_size) or _common_size(root, table, found)
    parts = {
        which: _examples(root, table[table["split"] == split], size, options)
        for which, split in (
            ("train", "train"),
            ("test", "test"),
            ("clean", clean_split),
        )
        if (table["split"] == split).any()
    }
    return Splits(
        parts["train"],
        parts.get("test"),
        names,
        parts.get("clean"),
        notes=(*notes, *_converted(found)),
    )


def _found(
    root: Path, clean_split: str, required: bool
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Returns the table (file, label, split) of class folders, and notes."""
    class_folders.check_splits(root, clean_split)
    if required and not (root / clean_split).is_dir():
        there = [path.name for path in root.iterdir() if path.is_dir()]
        raise InputError(
            f"`dataset.clean` should name a folder in {root}. Received: "
            f"'split:{clean_split}', and no such folder."
            f"{hint(clean_split, there)}"
        )
    found = class_folders.find(root, ("train", "test", clean_split))
    order = {"train": 0, "test": 1}
    rows = sorted(found.rows, key=lambda row: order.get(row[2], 2))
    pd = import_optional("pandas", "files")
    table = pd.DataFrame(rows, columns=[*_COLUMNS, _SPLIT])
    return table, found.notes(root)


def _listed(
    root: Path, labels: Path, clean_split: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Returns the table (file, label, split, line) of a CSV, and notes."""
    table = tables.read(labels, _COLUMNS, others=False, optional=(_SPLIT,))
    if _SPLIT not in table:
        tables.check_no_splits(labels, table, _SPLIT)
        table[_SPLIT] = "train"
    table["line"] = [tables.line(row) for row in range(len(table))]
    # `mlc_tf relabel` writes such tables, and no cell of them is a formula.
    for column in (*_COLUMNS, _SPLIT):
        table[column] = table[column].map(tables.original_cell)
    blanks = int((table["label"] != table["label"].str.strip()).sum())
    table["label"] = table["label"].str.strip()
    table["file"] = table["file"].map(os.path.normpath)
    for file, number in zip(table["file"], table["line"]):
        # Two slashes at the start make an absolute path too.
        if os.path.isabs(file) or file.split("/")[0] == "..":
            wrong = f"which lies outside of {root}"
        elif not os.path.isfile(root / file):
            wrong = "which does not exist"
            if os.path.lexists(root / file):
                wrong = "which is not a file, or is a broken link"
        else:
            continue
        raise InputError(
            f"{labels} should name images in {root}. Received: {file!r} in "
            f"line {number}, {wrong}."
        )
    twice = table["file"].duplicated()
    if twice.any():
        row = int(np.argmax(twice))
        raise InputError(
            f"{labels} should name each file once. Received: "
            f"{table['file'][row]!r} again in line {table['line'][row]}."
        )
    counts = Counter(table["split"])
    unknown = [
        split for split in counts if split not in ("train", "test", clean_split)
    ]
    misses_test = any(is_misspelt(split, "test") for split in unknown)
    for split, is_missed in (("train", True), ("test", misses_test)):
        if split not in counts and is_missed:
            raise InputError(
                f"{labels} should have rows of the split train and, for a "
                f"test set, of the split test. Received: none of {split}."
                f"{hint(split, unknown)}"
            )
    others = [f"{counts[split]} of {split!r}" for split in unknown]
    note = f"Left out of {labels}: rows of other splits, {', '.join(others)}."
    notes: tuple[str, ...] = (note,) if others else ()
    if blanks:
        notes += (f"Blanks around {blanks:,} labels were left out.",)
    return table, notes


def _named(root: Path, path: Path, table: pd.DataFrame) -> pd.Series:
    """Returns which rows of the table the list of trusted files names."""
    lines = read_text(existing_file("dataset.clean", path)).split("\n")
    training = set(table["file"][table["split"] == "train"])
    names: dict[str, int] = {}
    for number, text in enumerate(lines, start=1):
        name = os.path.normpath(text.strip()) if text.strip() else ""
        if not name:
            continue
        if name not in training:
            raise InputError(
                f"{path} should name training images, relative to {root}. "
                f"Received: {text.strip()!r} in line {number}."
            )
        if name in names:
            raise InputError(
                f"{path} should name each file once. Received: {name!r} in "
                f"lines {names[name]} and {number}."
            )
        names[name] = number
    if not names:
        raise InputError(f"{path} should name images. Received: none.")
    return table["file"].isin(names)


def _check_classes(
    table: pd.DataFrame, names: tuple[str, ...], clean_split: str
) -> None:
    for row in table[table["split"].isin(("test", clean_split))].itertuples():
        if row.id < 0:
            line = f", line {row.line} of the labels" if "line" in table else ""
            raise InputError(
                f"The split {row.split} should have only the classes of train, "
                f"{', '.join(names)}. Received: {row.label!r}, the label of "
                f"{row.file}{line}.{hint(row.label, names)}"
            )


def _check_contents(root: Path, table: pd.DataFrame) -> None:
    """Raises if images are in two splits."""
    paths = [str(root / file) for file in table["file"]]
    splits = list(dict.fromkeys(table["split"]))
    for place, split in enumerate(splits):
        for other in splits[:place]:
            chosen, against = (
                [index for index, of in enumerate(table["split"]) if of == name]
                for name in (split, other)
            )
            digests = table["digest"].tolist()
            pairs = overlap(
                [digests[index] for index in against],
                [digests[index] for index in chosen],
            )
            if pairs:
                named = [
                    f"{paths[against[first]]} and {paths[chosen[second]]}"
                    for first, second in pairs[:NAMED]
                ]
                raise InputError(
                    f"The {split} set should not overlap the {other} set. "
                    f"Received: {len(pairs)} images of {split} that are in "
                    f"{other} too, the same image as {'; '.join(named)}."
                )


def _converted(found: list[images.Inspection]) -> tuple[str, ...]:
    """Returns a note on the images that become others, with their counts."""
    counts = Counter(kind for image in found for kind in image.conversions)
    if not counts:
        return ()
    parts = [f"{count} {kind}" for kind, count in counts.items()]
    return (f"Of {len(found)} images, {', '.join(parts)}.",)


def _common_size(
    root: Path, table: pd.DataFrame, found: list[images.Inspection]
) -> tuple[int, int]:
    """Returns the (height, width) that all images have, or raises."""
    height, width = found[0].size
    for file, image in zip(table["file"], found):
        if image.size != (height, width):
            raise InputError(
                f"The images should all have one size, {height} by {width}, or "
                "`dataset.image_size` should be given. Received: "
                f"{image.size[0]} by {image.size[1]} in {root / file}."
            )
    return height, width


def _examples(
    root: Path, table: pd.DataFrame, size: tuple[int, ...], options: Options
) -> Examples:
    digests = table["digest"].tolist()
    files = ImageFiles(
        [root / file for file in table["file"]],
        table["id"].to_numpy(),
        (size[0], size[1]),
        digests,
    )
    return cached(files, options.cache, f"{size}\n{b''.join(digests).hex()}")
