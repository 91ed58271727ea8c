"""Loads the user's own arrays from one `.npz` file."""

import os
import tokenize
import zipfile
import zlib

import numpy as np

from mlc_tf.data.examples import Arrays
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError

# Errors that NumPy raises for a file that is not an archive, or is damaged.
UNREADABLE = (
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_REQUIRED = ("x_train", "y_train", "x_test", "y_test")


def load(path: str, options: Options | None = None) -> Splits:
    """Returns the splits in a file that `numpy.savez` wrote.

    Args:
        path: A `.npz` file with the arrays `x_train`, `y_train`, `x_test` and
            `y_test`; inputs are `(examples, ...)` and labels `(examples,)`
            integers. Optional arrays: `x_clean` and `y_clean`, the trusted
            set, and `class_names`, strings. Without `class_names`, the number
            of classes is the largest training label + 1.
        options: Must have its default values; "npz:PATH" uses none of them.
            Defaults to `Options()`.

    Raises:
        InputError: if the file does not exist, is not a `.npz` file, lacks an
            array, or contains Python objects, which are never unpickled.
    """
    (options or Options()).only("npz:PATH")
    if not os.path.isfile(path):
        raise InputError(f"`npz:PATH` should be a file. Received: {path!r}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except UNREADABLE:
        raise InputError(
            "`npz:PATH` should be a .npz file of numeric arrays. Received: "
            f"{path!r}, which cannot be read."
        ) from None
    missing = [name for name in _REQUIRED if name not in arrays]
    if ("x_clean" in arrays) != ("y_clean" in arrays):
        missing.append("y_clean" if "x_clean" in arrays else "x_clean")
    if missing:
        raise InputError(
            f"`npz:PATH` should hold the arrays {', '.join(_REQUIRED)}, and "
            "for a trusted set x_clean and y_clean. Received: "
            f"{path!r} without {', '.join(missing)}."
        )
    names = arrays.get("class_names")
    if names is None:
        # `Splits.checked` rejects labels that are not ids, with their index.
        labels = arrays["y_train"]
        integers = np.issubdtype(labels.dtype, np.integer) and labels.size
        names = np.arange(int(labels.max()) + 1 if integers else 0)
    if names.ndim != 1:
        raise InputError(
            "`class_names` should be a list of names. Received: an array of "
            f"shape {names.shape} in {path!r}."
        )
    clean = None
    if "x_clean" in arrays:
        clean = Arrays(arrays["x_clean"], arrays["y_clean"])
    return Splits(
        Arrays(arrays["x_train"], arrays["y_train"]),
        Arrays(arrays["x_test"], arrays["y_test"]),
        tuple(str(name) for name in names),
        clean,
    )
