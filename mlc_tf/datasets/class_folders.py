"""Finds the images in class folders, and says what is left out.

An image belongs to the class folder that holds it, at any depth, as in
`keras.utils.image_dataset_from_directory`. Class folders and images may be
links, so that a set can be made of links into a store. A link to a folder
inside a class folder is not followed, since it may lead in a circle.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mlc_tf.data import images
from mlc_tf.errors import InputError
from mlc_tf.errors import hint
from mlc_tf.errors import is_misspelt

# Maximum number of suffixes that a note lists.
_NAMED = 5
_STRANGE = "files of another kind"


class Found:
    """The images of a folder, and the files in it that are not examples.

    Attributes:
        rows: (file, class, split) of each image; the file is relative to the
            folder.
        nested: The images that lie in a sub-folder of their class folder.
        left_out: The files that are left out, by the reason.
        broken: The links that lead nowhere.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self.nested: list[str] = []
        self.left_out: dict[str, list[str]] = {}
        self.broken: list[str] = []

    def leave_out(self, reason: str, file: str) -> None:
        self.left_out.setdefault(reason, []).append(file)

    def notes(self, root: Path) -> tuple[str, ...]:
        """Returns one sentence on each decision, with counts and an example."""
        notes = []
        if self.nested:
            notes.append(
                f"{len(self.nested)} images in sub-folders of a class folder "
                f"belong to that class, such as {self.nested[0]}."
            )
        if self.left_out:
            parts = [
                f"{len(files)} {reason} ({_kinds(reason, files)}such as "
                f"{printable(files[0])})"
                for reason, files in self.left_out.items()
            ]
            notes.append(f"Left out of {root}: {', '.join(parts)}.")
        return tuple(notes)


def find(root: Path, splits: tuple[str, ...]) -> Found:
    """Returns the images `ROOT/SPLIT/CLASS/**/IMAGE`.

    Args:
        root: The folder.
        splits: Names of the folders that hold the splits, if they exist.

    Raises:
        InputError: if a folder cannot be read, a split has no class folder, a
            class folder has no image, a link to an image is broken, or a name
            is not in UTF-8.
    """
    found = Found()
    for name in _names(root):
        path = root / name
        if os.path.isdir(path) and name in splits:
            _find_classes(path, root, found)
        elif os.path.isdir(path) and not _hidden(name):
            for file in _image_files(path, root):
                found.leave_out("images in folders that are not splits", file)
        elif name in splits and _broken(path):
            found.broken.append(name)
        elif _is_image(name):
            found.leave_out("images beside the class folders", name)
    _check(root, found)
    return found


def _find_classes(split: Path, root: Path, found: Found) -> None:
    names = []
    for name in _names(split):
        path = split / name
        file = os.path.relpath(path, root)
        if os.path.isdir(path):
            # Such as .ipynb_checkpoints, and __MACOSX of macOS archives.
            if _hidden(name):
                for inner in _image_files(path, root):
                    found.leave_out("hidden images", inner)
            else:
                names.append(name)
                _find_images(path, root, split.name, found)
        elif _broken(path):  # it may be a class
            found.broken.append(file)
        elif _is_image(name):
            found.leave_out("images beside the class folders", file)
    if not names and not found.broken:
        raise InputError(
            f"The folder {split} should hold one folder per class. Received: "
            "none."
        )


def _find_images(folder: Path, root: Path, split: str, found: Found) -> None:
    rows = []
    strange: Counter[str] = Counter()
    for path in sorted(_walk(folder, found, root)):
        file = os.path.relpath(path, root)
        if not _is_image(path.name):
            if not _hidden(path.name):
                strange[_suffix(path.name)] += 1
                found.leave_out(_STRANGE, file)
        elif _hidden(path.name):
            found.leave_out("hidden images", file)
        elif _broken(path):
            found.broken.append(file)
        elif not os.path.isfile(path):  # a named pipe, a socket, a device
            found.leave_out("that are not regular files", file)
        else:
            rows.append((file, folder.name, split))
            if path.parent != folder:
                found.nested.append(file)
    if not rows and not found.broken:
        but = ", ".join(f"{count} of {kind}" for kind, count in strange.items())
        raise InputError(
            "Each class folder should hold images (.png, .jpg, .webp, .tif or "
            "another format that Pillow decodes). Received: none in "
            f"{printable(str(folder))}"
            + (f", but files of another kind: {but}." if but else ".")
        )
    found.rows.extend(rows)


def _walk(folder: Path, found: Found, root: Path) -> Iterator[Path]:
    """Yields all files below a class folder."""
    for parent, folders, files in os.walk(folder, onerror=_unreadable):
        for name in sorted(folders):
            path = os.path.join(parent, name)
            if _hidden(name):
                for inner in _image_files(path, root):
                    found.leave_out("hidden images", inner)
            elif os.path.islink(path):
                file = os.path.relpath(path, root)
                found.leave_out("linked folders inside a class folder", file)
        folders[:] = [name for name in folders if not _hidden(name)]
        yield from (Path(parent, name) for name in files)


def _image_files(folder: str | Path, root: Path) -> Iterator[str]:
    """Yields the files below a folder whose suffix is an image's."""
    for parent, _, files in os.walk(folder, onerror=_unreadable):
        for name in sorted(files):
            if _is_image(name):
                yield os.path.relpath(os.path.join(parent, name), root)


def _names(folder: Path) -> list[str]:
    """Returns the names in a folder, sorted."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        _unreadable(error)
        raise


def _broken(path: Path) -> bool:
    return os.path.islink(path) and not os.path.exists(path)


def _unreadable(error: OSError) -> None:
    raise InputError(
        "Each folder of `folder:PATH` should be readable. Received: "
        f"{printable(str(error.filename))}, which is not ({error.strerror})."
    ) from None


def _check(root: Path, found: Found) -> None:
    if found.broken:
        file = found.broken[0]
        raise InputError(
            f"The links in {root} should lead to images. Received: "
            f"{len(found.broken)} broken links, such as {printable(file)}, a "
            f"link to {printable(os.readlink(root / file))}."
        )
    check_names([file for file, _, _ in found.rows])


def check_names(names: list[str]) -> None:
    """Raises an `InputError` if a file name is not text in UTF-8.

    Names are written into CSV and JSON files and onto pages, and read back.
    """
    strange = [name for name in names if printable(name) != name]
    if strange:
        raise InputError(
            "Each file name should be text in UTF-8. Received: "
            f"{len(strange)} that are not, such as {printable(strange[0])}; "
            "rename them."
        )


def check_splits(root: Path, clean_split: str) -> None:
    """Raises an `InputError` unless a folder holds the split "train".

    A folder without "test" may have no test set; but if another folder has
    "test" in its name, or is nearly called so, that is an error too.

    Args:
        root: The folder.
        clean_split: The name of the split of the trusted images, if any.
    """
    names = _names(root) if root.is_dir() else []
    there = [name for name in names if (root / name).is_dir()]
    others = [
        name for name in there if name not in ("train", "test", clean_split)
    ]
    tests = [
        name
        for name in others
        if "test" in name.lower() or is_misspelt(name, "test")
    ]
    for split, is_missed in (("train", True), ("test", bool(tests))):
        if split not in there and is_missed:
            raise InputError(
                "`folder:PATH` should hold the folder train and, for a test "
                f"set, the folder test. Received: '{printable(str(root))}', "
                f"without {split}.{hint(split, others)}"
            )


def printable(name: str) -> str:
    r"""Returns a name with `\udcff` for each byte that is not UTF-8.

    Example:

    >>> printable("caf\udce9.png")
    'caf\\udce9.png'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def _kinds(reason: str, files: list[str]) -> str:
    """Returns the suffixes of files that are left out for their suffix."""
    if reason != _STRANGE:
        return ""
    names = sorted({_suffix(file) for file in files})
    more = " and others" if len(names) > _NAMED else ""
    return f"{printable(', '.join(names[:_NAMED]))}{more}; "


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower() or "no suffix"


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def _is_image(name: str) -> bool:
    return _suffix(name) in images.suffixes()
