"""The user's own images, in one folder per split and class."""

from pathlib import Path

import keras
import numpy as np

from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


def load(path: str) -> Splits:
    """Returns the splits under `PATH/{train,test[,clean]}/CLASS/IMAGE`.

    Images are read as RGB, uint8, and should all have one size. The classes
    are the folders under `train`, in the order of their names.

    Args:
        path: The folder.

    Raises:
        InputError: if a folder is missing or empty, an image cannot be read
            or has another size, or a split has a class that `train` lacks.
    """
    root = Path(path)
    if not (root / "train").is_dir() or not (root / "test").is_dir():
        raise InputError(
            "`folder:PATH` should hold the folders train and test. Received: "
            f"{path!r}, without {_missing(root)}."
        )
    classes = _subfolders(root / "train")
    x_train, y_train = _read(root / "train", classes, None)
    x_test, y_test = _read(root / "test", classes, x_train.shape[1:])
    x_clean, y_clean = None, None
    if (root / "clean").is_dir():
        x_clean, y_clean = _read(root / "clean", classes, x_train.shape[1:])
    return Splits(
        x_train, y_train, x_test, y_test, tuple(classes), x_clean, y_clean
    )


def _read(
    folder: Path, classes: list[str], shape: tuple[int, ...] | None
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = [], []
    for name in _subfolders(folder):
        if name not in classes:
            raise InputError(
                f"The classes of {folder} should be those of train. Received: "
                f"{name!r}."
            )
        files = sorted(
            file
            for file in (folder / name).iterdir()
            if file.suffix.lower() in _SUFFIXES
        )
        if not files:
            raise InputError(
                f"Each class folder should hold images ({', '.join(_SUFFIXES)})"
                f". Received: none in {folder / name}."
            )
        for file in files:
            image = _read_image(file)
            shape = shape or image.shape
            if image.shape != shape:
                raise InputError(
                    "The images should all have one size, "
                    f"{shape[0]} by {shape[1]}. Received: {image.shape[0]} by "
                    f"{image.shape[1]} in {file}."
                )
            images.append(image)
            labels.append(classes.index(name))
    return np.stack(images), np.array(labels, np.int64)


def _read_image(file: Path) -> np.ndarray:
    try:
        return np.asarray(keras.utils.load_img(file), np.uint8)
    except (OSError, SyntaxError, ValueError):  # as Pillow raises them
        raise InputError(
            f"Each image should be readable. Received: {file}, which is not."
        ) from None


def _subfolders(folder: Path) -> list[str]:
    # Not .ipynb_checkpoints, nor macOS' __MACOSX.
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


def _missing(root: Path) -> str:
    return " and ".join(
        name for name in ("train", "test") if not (root / name).is_dir()
    )
