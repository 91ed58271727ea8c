"""A user's arrays as inputs: numbers that a network can take, or texts.

Several inputs are a dict or a tuple of arrays. What the network could not read
as it is, such as a complex number or an overflow of float32, is an error.
"""

import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf.errors import InputError

# The range of one set is in other units than the range of another set if the
# largest values differ by this factor.
_OTHER_UNITS = 20.0
_OTHER_FLOATS = (np.longdouble, tf.bfloat16.as_numpy_dtype)


def as_inputs(which: str, x: Any) -> Any:
    """Returns inputs as an array, or as a dict or tuple of arrays.

    Args:
        which: Name of the set, for messages, such as "noisy".
        x: `(examples, ...)` numbers or texts, in an array, a list, a tensor or
            a DataFrame; or a dict or tuple of these, for several inputs.

    Returns:
        NumPy arrays, in the structure of `x`. Texts are UTF-8 in an array of
        objects.

    Raises:
        InputError: if the inputs are empty, ragged or of different lengths, or
            if a value is neither text nor a finite number within float32.
    """
    arrays = _structure(which, "inputs", x)
    leaves = tf.nest.flatten(arrays)
    if not leaves:
        raise InputError(
            f"The {which} set should hold inputs. Received: an empty "
            f"{type(x).__name__}."
        )
    sizes = {len(leaf) for leaf in leaves}
    if len(sizes) > 1:
        raise InputError(
            f"The {which} set should have inputs of one length. Received: "
            f"inputs of {', '.join(map(str, sorted(sizes)))} examples."
        )
    return arrays


def as_numbers(which: str, x: Any) -> np.ndarray:
    """Returns inputs as one array of numbers.

    Args:
        which: Name of the set, for messages, such as "noisy".
        x: `(examples, ...)` numbers in an array, a list, a tensor or a
            DataFrame; also as objects or in texts.

    Raises:
        InputError: as `as_inputs`, or if `x` is not one array of numbers.
    """
    array = as_inputs(which, _in_float32(x))
    if not isinstance(array, np.ndarray) or not _numeric(array):
        received = (
            "texts" if isinstance(array, np.ndarray) else "several inputs"
        )
        raise InputError(
            f"The {which} set should be one array of numbers. Received: "
            f"{received}."
        )
    return array


def _in_float32(x: Any) -> Any:
    """Returns numbers of a dtype that `as_inputs` refuses in float32.

    Other inputs are returned as they are.
    """
    if isinstance(x, (dict, tuple, np.ma.MaskedArray)):
        return x
    try:
        array = np.asarray(x)
        if array.dtype.kind not in "OU" and array.dtype not in _OTHER_FLOATS:
            return x
        with np.errstate(over="ignore"):  # `as_inputs` refuses infinity
            return array.astype(np.float32)
    except (TypeError, ValueError):
        return x


def check_units(first: tuple[str, Any], second: tuple[str, Any]) -> None:
    """Checks that two sets seem to have their inputs in the same units.

    Args:
        first: (name of the set, its array of inputs).
        second: As `first`.

    Raises:
        InputError: if one set has integers and the other set has floats, and
            the largest values differ by a factor of 20 or more. If the dtypes
            are of one kind, this is a warning.
    """
    (name, x), (other, y) = first, second
    if not (_numeric(x) and _numeric(y)):
        return
    largest, largest_other = _largest(x), _largest(y)
    low, high = sorted((largest, largest_other))
    if low == 0 or high < _OTHER_UNITS * low:
        return
    message = (
        f"The {other} set should have inputs in the units of the {name} set. "
        f"Received: {_range(x)} in {name}, {_range(y)} in {other}."
    )
    if np.issubdtype(x.dtype, np.floating) != np.issubdtype(
        y.dtype, np.floating
    ):
        raise InputError(message)
    warnings.warn(message, stacklevel=3)


def check_columns(first: tuple[str, Any], second: tuple[str, Any]) -> None:
    """Checks that two DataFrames have the same columns in the same order.

    Columns become inputs by their position. Other inputs are not checked.

    Args:
        first: The name of a set, for messages, and its inputs.
        second: The other set.

    Raises:
        InputError: if the names of the columns differ.
    """
    (name, x), (other, y) = first, second
    if not (is_table(x) and is_table(y)):
        return
    expected, received = list(x.columns), list(y.columns)
    if expected != received:
        raise InputError(
            f"The {other} set should have the columns of the {name} set in "
            f"their order, {', '.join(map(repr, expected))}. Received: "
            f"{', '.join(map(repr, received))}."
        )


def is_table(x: Any) -> bool:
    """Returns whether inputs are a DataFrame."""
    return hasattr(x, "columns") and hasattr(x, "iloc")


def _structure(which: str, part: str, x: Any) -> Any:
    if isinstance(x, dict):
        return {
            key: _structure(which, f"inputs {key!r}", value)
            for key, value in x.items()
        }
    if isinstance(x, tuple) and any(_is_array(value) for value in x):
        return tuple(
            _structure(which, f"inputs {index}", value)
            for index, value in enumerate(x)
        )
    return _array(which, part, x)


def _is_array(value: Any) -> bool:
    return isinstance(value, dict) or hasattr(value, "dtype")


def _array(which: str, part: str, x: Any) -> np.ndarray:
    if isinstance(x, np.ma.MaskedArray):
        _check_mask(which, part, x)
    if is_table(x):
        return _table(which, part, x)
    try:
        array = np.asarray(x)
    except ValueError:
        raise InputError(
            f"The {which} set should be arrays. Received: ragged lists."
        ) from None
    except (TypeError, RuntimeError):
        raise InputError(
            f"The {which} set should hold arrays. Received: {part} of type "
            f"{type(x).__name__}."
        ) from None
    if array.ndim == 0:
        raise InputError(
            f"The {which} set should be an array of inputs and an array of "
            f"labels. Received: {part} of shape () and dtype {array.dtype}."
        )
    if not len(array):
        raise InputError(
            f"The {which} set should not be empty. Received: none."
        )
    if 0 in array.shape[1:]:
        raise InputError(
            f"The {which} set should have at least one value per example. "
            f"Received: {part} of shape {array.shape}."
        )
    if array.dtype.kind in "USO":
        return _texts(which, part, array)
    _check_numbers(which, part, array)
    return array


def _table(which: str, part: str, table: Any) -> np.ndarray:
    """Returns the columns of a DataFrame as one array."""
    columns = [np.asarray(table.iloc[:, i]) for i in range(table.shape[1])]
    for name, column in zip(table.columns, columns):
        if not _numeric(column):
            raise InputError(
                f"The {which} set should hold numbers. Received: column "
                f"{name!r} of dtype {column.dtype}; make numbers of it, or "
                "leave the column out."
            )
    if not columns:
        return _array(which, part, np.zeros(table.shape))
    return _array(which, part, np.column_stack(columns))


def _check_mask(which: str, part: str, x: np.ma.MaskedArray) -> None:
    masked = np.ma.count_masked(x)
    if masked:
        raise InputError(
            f"The {which} set should hold no masked values. Received: "
            f"{masked} masked values in the {part}; x.filled(value) replaces "
            "them."
        )


def _texts(which: str, part: str, array: np.ndarray) -> np.ndarray:
    """Returns texts as UTF-8, which TensorFlow takes."""
    encoded = np.empty(array.size, object)
    for index, value in enumerate(array.ravel()):
        example = index // (array.size // len(array))
        if not isinstance(value, (str, bytes)):
            raise InputError(
                f"The {which} set should hold numbers or texts. Received: "
                f"{part} of dtype {array.dtype}, such as a "
                f"{type(value).__name__} in example {example}; "
                "x.astype('float32') makes numbers of objects."
            )
        try:
            text = value.encode() if isinstance(value, str) else value
        except UnicodeEncodeError:
            raise InputError(
                f"The {which} set should hold texts that UTF-8 can write. "
                f"Received: {value!r} in example {example}."
            ) from None
        encoded[index] = text
    return encoded.reshape(array.shape)


def _numeric(x: np.ndarray) -> bool:
    return x.dtype.kind in "biuf"


def _check_numbers(which: str, part: str, x: np.ndarray) -> None:
    if not _numeric(x) or x.dtype.itemsize > 8:
        hint = {
            "c": "; x.real and x.imag are two inputs of numbers",
            "f": "; x.astype('float32') makes smaller numbers of them",
            "m": "; x / np.timedelta64(1, 's') makes seconds of them",
            "M": "; x.astype('datetime64[D]').astype(int) makes days of them",
        }.get(x.dtype.kind, "")
        raise InputError(
            f"The {which} set should hold numbers. Received: {part} of dtype "
            f"{x.dtype}{hint}."
        )
    if x.dtype.kind == "f":
        _check_floats(which, x)
    if x.dtype.kind in "iu" and x.dtype.itemsize >= 4:
        _warn_of_large_integers(which, part, x)


def _check_floats(which: str, x: np.ndarray) -> None:
    index = _first(~np.isfinite(x))
    if index is not None:
        raise InputError(
            f"The {which} set should hold finite inputs. Received: NaN or "
            f"infinity in example {index}."
        )
    limit = np.finfo(np.float32).max
    index = _first(np.abs(x) > limit) if x.dtype.itemsize > 4 else None
    if index is not None:
        raise InputError(
            f"The {which} set should hold numbers within the range of "
            f"float32, {limit:.3g}. Received: {np.abs(x[index]).max():.3g} in "
            f"example {index}."
        )


def _warn_of_large_integers(which: str, part: str, x: np.ndarray) -> None:
    """Warns of integers that differ from their float32."""
    size = np.where(x < 0, -x.astype(np.uint64), x.astype(np.uint64))
    if not x.size or size.max() <= 1 << 24:
        return
    # Float32 holds 24 binary digits, from the first 1 to the last 1.
    last = np.maximum(size & (~size + np.uint64(1)), np.uint64(1))
    rounded = size // last >= 1 << 24
    if rounded.any():
        warnings.warn(
            f"The {which} set should hold integers that float32 can hold. "
            f"Received: {np.count_nonzero(rounded)} of {x.size} {part} that "
            f"become other numbers, such as {x[rounded][0]}; networks compute "
            "in float32.",
            stacklevel=2,
        )


def _first(wrong: np.ndarray) -> int | None:
    """Returns the index of the first example with a True, or None."""
    rows = wrong.reshape(len(wrong), -1).any(axis=1)
    return int(np.argmax(rows)) if rows.any() else None


def _largest(x: np.ndarray) -> float:
    return max(abs(float(x.min())), abs(float(x.max())))


def _range(x: np.ndarray) -> str:
    return f"{x.dtype} in [{float(x.min()):.3g}, {float(x.max()):.3g}]"
