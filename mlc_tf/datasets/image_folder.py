"""Loads the user's own images, from class folders or from a CSV of labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlc_tf.data.examples import Examples
from mlc_tf.data.examples import ImageFiles
from mlc_tf.datasets import tables
from mlc_tf.datasets.cache import cached
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.options import existing_file
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_COLUMNS = ("file", "label", "split")


def load(path: str, options: Options | None = None) -> Splits:
    """Returns the splits of the images in a folder.

    The images are `PATH/{train,test[,clean]}/CLASS/IMAGE`. With the option
    `labels` they may be anywhere in the folder, and a CSV gives the label and
    the split of each file. Inputs are RGB, `(height, width, 3)` uint8.

    Args:
        path: The folder.
        options: `image_size`; `cache`; `labels`, a CSV with the columns file
            (relative to the folder), label and split; `clean`, "split:NAME"
            ("split:clean" by default, if that split exists), "column:NAME" (a
            column of the CSV, true for trusted training images) or "list:FILE"
            (a text file of trusted training images).

    Raises:
        InputError: if a folder, file or column is missing or empty, a file is
            named twice or is in two splits, a split has a class that `train`
            lacks, the images differ in size and `image_size` is not given, or
            an image cannot be read.
    """
    options = options or Options()
    options.only("folder:PATH", "image_size", "cache", "labels", "clean")
    schemes = ("split", "list", *(["column"] if options.labels else []))
    scheme, chosen = options.trusted("folder:PATH", *schemes)
    root = Path(path)
    clean_split = chosen if scheme == "split" else "clean"
    table = (
        _listed(root, Path(options.labels))
        if options.labels
        else _found(root, clean_split, required=scheme == "split")
    )
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
    _check_contents(root, table)
    size = tuple(options.image_size) or _common_size(root, table)
    parts = {
        which: _examples(root, table[table["split"] == split], size, options)
        for which, split in (
            ("train", "train"),
            ("test", "test"),
            ("clean", clean_split),
        )
        if (table["split"] == split).any()
    }
    return Splits(parts["train"], parts["test"], names, parts.get("clean"))


def _found(root: Path, clean_split: str, required: bool) -> pd.DataFrame:
    """Returns the table (file, label, split) of the images in class folders."""
    missing = [name for name in ("train", "test") if not (root / name).is_dir()]
    if missing:
        raise InputError(
            "`folder:PATH` should hold the folders train and test. Received: "
            f"'{root}', without {' and '.join(missing)}."
        )
    if required and not (root / clean_split).is_dir():
        raise InputError(
            f"`dataset.clean` should name a folder in {root}. Received: "
            f"'split:{clean_split}', and no such folder."
        )
    rows: list[tuple[str, str, str]] = []
    for split in dict.fromkeys(("train", "test", clean_split)):
        if not (root / split).is_dir():
            continue
        for name in _subfolders(root / split):
            files = sorted(
                file
                for file in (root / split / name).iterdir()
                if file.suffix.lower() in _SUFFIXES
            )
            if not files:
                raise InputError(
                    "Each class folder should hold images "
                    f"({', '.join(_SUFFIXES)}). Received: none in "
                    f"{root / split / name}."
                )
            rows.extend(
                (str(file.relative_to(root)), name, split) for file in files
            )
    pd = import_optional("pandas", "files")
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _listed(root: Path, labels: Path) -> pd.DataFrame:
    """Reads the table (file, label, split) from a CSV; adds the column line."""
    table = tables.read(labels, _COLUMNS)
    table["line"] = [tables.line(row) for row in range(len(table))]
    table["file"] = table["file"].map(os.path.normpath)
    for file, number in zip(table["file"], table["line"]):
        outside = Path(file).parts[:1] in (("/",), ("..",))
        if outside or not (root / file).is_file():
            raise InputError(
                f"{labels} should name images in {root}. Received: {file!r} in "
                f"line {number}, which does not exist."
            )
    twice = table["file"].duplicated()
    if twice.any():
        row = int(np.argmax(twice))
        raise InputError(
            f"{labels} should name each file once. Received: "
            f"{table['file'][row]!r} again in line {table['line'][row]}."
        )
    for split in ("train", "test"):
        if not (table["split"] == split).any():
            raise InputError(
                f"{labels} should have rows of the splits train and test. "
                f"Received: none of {split}."
            )
    return table


def _named(root: Path, path: Path, table: pd.DataFrame) -> pd.Series:
    """Returns which rows of the table the list of trusted files names."""
    lines = existing_file("dataset.clean", path).read_text().splitlines()
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
                f"{row.file}{line}."
            )


def _check_contents(root: Path, table: pd.DataFrame) -> None:
    """Raises if the same image is in two splits."""
    paths = [root / file for file in table["file"]]
    contents = ImageFiles(paths, table["id"].to_numpy(), (1, 1)).fingerprints()
    first: dict[object, tuple[Path, str]] = {}
    for path, split, content in zip(paths, table["split"], contents):
        twin, twin_split = first.setdefault(content, (path, split))
        if twin_split != split:
            raise InputError(
                f"The {split} set should not overlap the {twin_split} set. "
                f"Received: the same image as {twin} and {path}."
            )


def _common_size(root: Path, table: pd.DataFrame) -> tuple[int, int]:
    """Returns the (height, width) that all images have, or raises."""
    image = import_optional("PIL.Image", "files")
    expected = None
    for file in table["file"]:
        try:
            with image.open(root / file) as opened:
                width, height = opened.size
        # The errors that Pillow raises; the last if a header claims a huge
        # size.
        except (
            OSError,
            SyntaxError,
            ValueError,
            image.DecompressionBombError,
        ):
            raise InputError(
                f"Each image should be readable. Received: {root / file}, "
                "which is not."
            ) from None
        expected = expected or (height, width)
        if (height, width) != expected:
            raise InputError(
                "The images should all have one size, "
                f"{expected[0]} by {expected[1]}, or `dataset.image_size` "
                f"should be given. Received: {height} by {width} in "
                f"{root / file}."
            )
    assert expected is not None  # noqa: S101, no table is empty
    return expected


def _examples(
    root: Path, table: pd.DataFrame, size: tuple[int, ...], options: Options
) -> Examples:
    paths = [root / file for file in table["file"]]
    files = ImageFiles(paths, table["id"].to_numpy(), (size[0], size[1]))
    identity = "\n".join(
        f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in (paths if options.cache.startswith("disk:") else ())
    )
    return cached(files, options.cache, f"{size}\n{identity}")


def _subfolders(folder: Path) -> list[str]:
    """Returns the names of the class folders in a folder, sorted."""
    # Skips .ipynb_checkpoints, and __MACOSX of macOS archives.
    names = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith((".", "__"))
    )
    if not names:
        raise InputError(
            f"The folder {folder} should hold one folder per class. Received: "
            "none."
        )
    return names
