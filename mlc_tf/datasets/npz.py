"""Loads the user's own arrays from one `.npz` file."""

import os
import tokenize
import zipfile
import zlib
from collections import Counter

import numpy as np

from mlc_tf.data import checks
from mlc_tf.data.examples import Arrays
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError
from mlc_tf.errors import is_misspelt

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
_REQUIRED = ("x_train", "y_train")
_OPTIONAL = ("test", "clean")
_PARTS = ("train", *_OPTIONAL)


def load(path: str, options: Options | None = None) -> Splits:
    """Returns the splits in a file that `numpy.savez` wrote.

    Args:
        path: A `.npz` file with the arrays `x_train` and `y_train`; inputs are
            `(examples, ...)` numbers, at least one per example, and labels
            `(examples,)` or `(examples, 1)` integers. Optional arrays: `x_test`
            and `y_test`, the test set; `x_clean` and `y_clean`, the trusted
            set; and `class_names`, different strings. Without `class_names`,
            the number of classes is the largest training label + 1.
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
    for which in _OPTIONAL:
        inputs, labels = f"x_{which}", f"y_{which}"
        if (inputs in arrays) != (labels in arrays):
            missing.append(labels if inputs in arrays else inputs)
    if missing:
        raise InputError(
            f"`npz:PATH` should hold the arrays {', '.join(_REQUIRED)}, for a "
            "test set x_test and y_test, and for a trusted set x_clean and "
            f"y_clean. Received: {path!r} without {', '.join(missing)}."
        )
    others = sorted(
        arrays.keys()
        - {f"{axis}_{which}" for axis in "xy" for which in _PARTS}
        - {"class_names"}
    )
    for which in _OPTIONAL:
        near = [name for name in others if is_misspelt(name, f"x_{which}")]
        if f"x_{which}" not in arrays and near:
            raise InputError(
                f"`npz:PATH` should hold the {which} set as x_{which} and "
                f"y_{which}. Received: {path!r} with an array {near[0]}; "
                "rename or remove it."
            )
    notes = (
        (f"Arrays of {path} that are not used: {', '.join(others)}.",)
        if others
        else ()
    )
    parts = {
        which: _part(which, arrays[f"x_{which}"], arrays[f"y_{which}"])
        for which in _PARTS
        if f"x_{which}" in arrays
    }
    train = parts["train"]
    return Splits(
        train,
        parts.get("test"),
        _class_names(path, arrays.get("class_names"), train.labels),
        parts.get("clean"),
        notes=notes,
    )


def _part(which: str, x: np.ndarray, labels: np.ndarray) -> Arrays:
    if x.dtype.kind not in "biufcmM":
        raise InputError(
            f"The {which} set should hold numbers. Received: inputs of dtype "
            f"{x.dtype}."
        )
    if x.ndim == 1:
        raise InputError(
            f"The {which} set should have inputs of shape (examples, ...). "
            f"Received: shape {x.shape}; x[:, None] is one number per example."
        )
    return Arrays(*checks.check_arrays(which, x, labels))


def _class_names(
    path: str, names: np.ndarray | None, labels: np.ndarray
) -> tuple[str, ...]:
    if names is None:
        # `Splits.checked` rejects labels that are no ids.
        count = checks.count_classes("train", labels) if labels.ndim == 1 else 0
        return tuple(map(str, range(count)))
    if names.ndim != 1:
        raise InputError(
            "`class_names` should be a list of names. Received: an array of "
            f"shape {names.shape} in {path!r}."
        )
    try:
        texts = [
            name.decode() if isinstance(name, bytes) else str(name)
            for name in names.tolist()
        ]
        "".join(texts).encode()
    except UnicodeError:
        raise InputError(
            "`class_names` should be texts in UTF-8. Received: other texts in "
            f"{path!r}."
        ) from None
    repeated = [name for name, count in Counter(texts).items() if count > 1]
    if repeated:
        raise InputError(
            "`class_names` should have a different name for each class. "
            f"Received: {repeated[0]!r} {texts.count(repeated[0])} times in "
            f"{path!r}."
        )
    return tuple(texts)
