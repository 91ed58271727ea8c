"""Checks of training sets, made where a set enters the package.

Arrays and dataset specs are checked before the first training step. The labels
of a `tf.data.Dataset` are checked while they are read. Each error message names
the set and, for arrays, the index of the example.
"""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mlc_tf.data import inputs
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count

# Encloses the message of a check that fails inside a tf.data pipeline, so that
# `plain_errors` finds the message inside TensorFlow's longer text.
_MARK = "|mlc_tf|"
# The errors that TensorFlow makes of an exception in a pipeline.
_OF_PIPELINES = (
    tf.errors.FailedPreconditionError,
    tf.errors.InvalidArgumentError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnimplementedError,
    tf.errors.UnknownError,
)
# The scalars that may be NaN or NaT.
_WITH_NAN = (float, np.floating, np.datetime64, np.timedelta64)
# What TensorFlow says where a user's generator raises, and where a dataset has
# another length than it declares.
_OF_USERS = ("in generator_py_func", "Input dataset was expected to contain")


def check_batch_size(name: str, size: Any, which: str, available: int) -> None:
    """Raises an `InputError` unless `size` is an integer in [1, available].

    Args:
        name: Name of the argument, for messages: "batch_size".
        size: The batch size, in examples.
        which: Name of the set, for messages, such as "noisy".
        available: Number of examples in the set.
    """
    if check_count(name, size) > available:
        raise InputError(
            f"`{name}` should be at most the {available} examples of the "
            f"{which} set. Received: `{name}` = {size}.",
            name,
        )


def check_arrays(which: str, x: Any, labels: Any) -> tuple[Any, Any]:
    """Returns inputs and labels as arrays, after checking them.

    Args:
        which: Name of the set, for messages, such as "noisy".
        x: As in `inputs.as_inputs`.
        labels: `(examples,)` or `(examples, 1)` non-negative integers, or
            `(examples, classes)` probabilities, whose rows sum to 1.

    Returns:
        `x` as NumPy arrays in its structure, and the labels as an array; class
        ids are `(examples,)`.

    Raises:
        InputError: if the inputs fail `inputs.as_inputs`, if there is not one
            label per example, or if a label is invalid. The message names the
            set and the index of the first invalid example.
    """
    x, labels = inputs.as_inputs(which, x), as_labels(which, labels)
    count = len(tf.nest.flatten(x)[0])
    if labels.ndim not in (1, 2) or len(labels) != count:
        raise InputError(
            f"The {which} set should have one label per example. Received: "
            f"{count} examples, labels of shape {labels.shape}."
        )
    if labels.ndim == 1:
        _check_ids(which, labels)
    else:
        check_probabilities(which, labels)
    return x, labels


def check_unmasked(name: str, value: Any) -> None:
    """Raises an `InputError` if a NumPy array has masked values.

    Args:
        name: Name of the argument, for messages.
        value: Any value.
    """
    masked = np.ma.count_masked(value) if np.ma.isMaskedArray(value) else 0
    if masked:
        raise bad_argument(name, "values without a mask", f"{masked} masked")


def as_weights(name: str, given: Any, count: int) -> np.ndarray:
    """Returns weights of examples or of classes as an array.

    Args:
        name: Name of the argument, for messages: "sample_weight".
        given: `(count,)` finite numbers >= 0, and not all 0.
        count: The number of examples or classes.

    Raises:
        InputError: if `given` is anything else.
    """
    check_unmasked(name, given)
    try:
        weights = np.asarray(given)
    except ValueError:  # rows of several lengths
        weights = np.array(None)
    most = np.finfo(np.float32).max  # a larger one would become infinite
    if (
        weights.shape != (count,)
        or weights.dtype.kind not in "iuf"
        or not ((weights >= 0) & (weights <= most)).all()
    ):
        raise bad_argument(name, f"{count} finite numbers >= 0", given)
    if not weights.astype(np.float32).any():
        raise bad_argument(name, "weights of which some are above 0", given)
    return weights


class NoisyHalf(NamedTuple):
    """The noisy half of an element of `mlc_tf.pair`, or its spec.

    Attributes:
        x: The inputs of a batch.
        labels: `(batch,)` class ids or `(batch, classes)` probabilities.
        index: `(batch,)` integers, the positions of the examples in the noisy
            set. None if the element has none.
        weights: `(batch,)` floats, the factors of the examples' losses. None
            if the element has none.
    """

    x: Any
    labels: Any
    index: Any = None
    weights: Any = None


def noisy_half(parts: Any) -> NoisyHalf:
    """Returns the noisy half of an element with its parts by name.

    Args:
        parts: (inputs, labels), followed by integers, which are the index; by
            floats, which are the weights; or by both.
    """
    x, labels, *more = parts
    named = {
        "index" if part.dtype.is_integer else "weights": part for part in more
    }
    return NoisyHalf(x, labels, **named)


def pair_spec(
    dataset: Any, num_classes: int, with_index: bool = False
) -> dict[str, Any]:
    """Returns the specs of the halves of a dataset of pairs, by their names.

    Without a clean set there is no "clean" half.

    Args:
        dataset: The training set, as `mlc_tf.data.pair` returns it.
        num_classes: Number of classes, the width of the base's outputs.
        with_index: Whether the noisy half must contain the index of each
            example. Defaults to False.

    Raises:
        InputError: if `dataset` is not a `tf.data.Dataset` of batched pairs,
            if its soft labels are not `num_classes` wide, or if indices are
            required and missing.
    """
    expected = (
        "a tf.data.Dataset of batched elements ((x, noisy_label), (x_clean, "
        "clean_label)), or ((x, noisy_label), ()) without a clean set, as "
        "mlc_tf.data.pair makes it"
    )
    if not isinstance(dataset, tf.data.Dataset):
        raise bad_argument("x", expected, type(dataset).__name__)
    spec = dataset.element_spec
    halves = isinstance(spec, tuple) and len(spec) == 2
    if not halves or not all(
        isinstance(half, tuple) and len(half) in sizes
        for half, sizes in zip(spec, ((2, 3, 4), (0, 2)))
    ):
        raise bad_argument("x", expected, spec)
    more = [_kind_of_part(part) for part in spec[0][2:]]
    if more not in ([], ["index"], ["weight"], ["index", "weight"]):
        raise InputError(
            "The noisy half of each element should be (x, label), followed by "
            "an integer for each example, its index, by a float, its weight, "
            f"or by both. Received: {', '.join(map(str, spec[0][2:]))}."
        )
    if with_index and "index" not in more:
        raise InputError(
            "The noisy half of each element should be (x, label, index), as "
            "mlc_tf.data.pair(..., with_index=True) makes it. Received: "
            "(x, label)."
        )
    named = {
        which: half for which, half in zip(("noisy", "clean"), spec) if half
    }
    for which, (_, label, *_) in named.items():
        shape = getattr(label, "shape", None)
        if shape is None or shape.rank not in (1, 2):
            raise bad_argument("x", expected, spec)
        if shape.rank == 1 and not label.dtype.is_integer:
            raise InputError(
                f"The {which} labels should be integer class ids or rows of "
                f"probabilities. Received: labels of dtype {label.dtype.name}."
            )
        if shape.rank == 2 and shape[-1] != num_classes:
            raise InputError(
                f"The {which} labels should be as wide as the outputs of the "
                f"base, {num_classes}. Received: labels of width {shape[-1]}."
            )
    return named


def _kind_of_part(part: Any) -> str:
    shape, dtype = getattr(part, "shape", None), getattr(part, "dtype", None)
    if shape is None or dtype is None or shape.rank != 1:
        return "other"
    if dtype.is_integer:
        return "index"
    return "weight" if dtype.is_floating else "other"


def check_labels(
    dataset: Any, num_classes: int, num_examples: int | None = None
) -> Any:
    """Returns a dataset of pairs that checks its labels while it is read.

    A class id outside `[0, num_classes)`, or an index outside `[0,
    num_examples)`, makes the iteration fail; `plain_errors` turns that failure
    into an `InputError`.

    Args:
        dataset: The training set, as `mlc_tf.data.pair` returns it.
        num_classes: Number of classes.
        num_examples: The number of examples that a model keeps something for.
            Defaults to None, which checks no index.
    """

    def checked(which: str, half: Any) -> Any:
        if not half:  # there is no clean set
            return ()
        x, labels, *more = half
        if num_examples is not None and which == "noisy":
            more = [
                _checked_index(part, num_examples)
                if part.dtype.is_integer
                else part
                for part in more
            ]
        return x, checked_labels(which, labels, num_classes), *more

    # AutoGraph would wrap an `InputError` in one of its own.
    @tf.autograph.experimental.do_not_convert
    def both(noisy: Any, clean: Any) -> Any:
        return checked("noisy", noisy), checked("clean", clean)

    return dataset.map(both).prefetch(tf.data.AUTOTUNE)


def checked_labels(which: str, labels: Any, num_classes: int) -> tf.Tensor:
    """Returns a batch of labels with a check of the class ids in its graph.

    XLA cannot compile the check: it belongs in a dataset, not in a step.

    Args:
        which: Name of the set, for messages, such as "noisy".
        labels: `(batch,)` or `(batch, 1)` class ids, or `(batch, num_classes)`
            probabilities.
        num_classes: Number of classes.

    Returns:
        The labels as a tensor; ids are `(batch,)`. Evaluating it fails if an id
        lies outside `[0, num_classes)`, or if probabilities are below 0 or do
        not sum to 1.

    Raises:
        InputError: if the labels have another shape or dtype.
    """
    labels = tf.convert_to_tensor(labels)
    rank, width = labels.shape.rank, labels.shape[-1:]
    if labels.dtype.is_integer and rank == 2 and width == [num_classes]:
        labels = tf.cast(labels, tf.float32)  # one-hot
    if labels.dtype.is_integer and rank == 2 and width == [1]:
        labels, rank = labels[:, 0], 1
    ids = rank == 1 and labels.dtype.is_integer
    if not ids and not (
        rank == 2 and width == [num_classes] and labels.dtype.is_floating
    ):
        raise wrong_labels(which, num_classes, labels.dtype.name, labels.shape)
    if not ids:
        return _failing(
            labels,
            _not_probabilities(labels),
            f"The {which} labels should be probabilities that sum to 1. "
            "Received: a row that sums to {}.",
        )
    outside = (labels < 0) | (labels >= tf.cast(num_classes, labels.dtype))
    if num_classes - 1 > labels.dtype.max:  # every id of the dtype is a class
        outside = labels < 0
    return _failing(
        labels,
        outside,
        f"The {which} labels should be in [0, {num_classes}), the classes of "
        "the base. Received: label {}.",
    )


def _not_probabilities(labels: tf.Tensor) -> tf.Tensor:
    """Returns which rows are no probabilities."""
    few_digits = labels.dtype.size == 2
    labels = tf.cast(labels, tf.float32)
    total = tf.reduce_sum(labels, axis=1)
    return tf.reduce_any(~tf.math.is_finite(labels) | (labels < 0), axis=1) | (
        tf.abs(total - 1) >= (2e-2 if few_digits else 1e-3)
    )


def _checked_index(index: tf.Tensor, num_examples: int) -> tf.Tensor:
    index = tf.cast(index, tf.int64)
    return _failing(
        index,
        (index < 0) | (index >= num_examples),
        f"The index of a noisy example should be in [0, {num_examples}), the "
        "examples that the model was made for. Received: index {}.",
    )


def _failing(values: tf.Tensor, wrong: tf.Tensor, message: str) -> tf.Tensor:
    """Returns values whose evaluation fails if one of them is wrong."""
    # Sums, since a replica may have no example.
    first = tf.reduce_sum(tf.boolean_mask(values, wrong)[:1])
    text = tf.strings.format(_MARK + message + _MARK, first)
    with tf.control_dependencies(
        [tf.debugging.Assert(~tf.reduce_any(wrong), [text])]
    ):
        return tf.identity(values)


def wrong_labels(
    which: str, num_classes: int, dtype: Any, shape: Any
) -> InputError:
    """Returns the error for labels that are neither ids nor probabilities."""
    return InputError(
        f"The {which} labels should be integer class ids of shape (batch,) "
        f"or probabilities of shape (batch, {num_classes}). Received: "
        f"{dtype} of shape {shape}."
    )


def as_labels(which: str, labels: Any) -> np.ndarray:
    """Returns labels as users have them as an array.

    Args:
        which: Name of the set, for messages, such as "noisy".
        labels: A list, an array, a tensor, or a column of pandas: class ids of
            any integer dtype, `(examples,)` or `(examples, 1)`; or rows of
            probabilities.

    Returns:
        `(examples,)` int64 class ids, or the array as it is.

    Raises:
        InputError: for missing labels; and for texts, booleans, categories or
            whole numbers in a floating dtype, where the message has the line
            that makes ids of them.
    """
    try:
        given = np.asarray(labels)
    except (ValueError, TypeError, RuntimeError):
        raise InputError(
            f"The {which} set should have an array of labels. Received: "
            "ragged lists."
        ) from None
    if isinstance(labels, np.ma.MaskedArray) and np.ma.is_masked(labels):
        raise InputError(
            f"The {which} set should have a label for each example. Received: "
            f"{np.ma.count_masked(labels)} masked labels."
        )
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.dtype.kind in "iu":  # a timedelta is an np.integer too
        if given.ndim != 1:
            return given
        if given.size and given.dtype == np.uint64:
            if given.max() > np.iinfo(np.int64).max:
                raise InputError(
                    f"The {which} set should have class ids as labels. "
                    f"Received: label {given.max()}."
                )
        return given.astype(np.int64)
    if np.issubdtype(given.dtype, np.floating) and given.ndim == 2:
        return given
    if given.ndim == 1 and given.size:
        missing = sum(map(_is_missing, given))
        if missing:
            raise InputError(
                f"The {which} set should have a label for each example. "
                f"Received: {missing} missing labels; leave these examples out."
            )
        # `np.unique` of another set, which may lack a class, would not do.
        advice = (
            "class_names, labels = np.unique(labels, return_inverse=True) "
            "makes ids of them, and np.searchsorted(class_names, labels) makes "
            "the same ids of the labels of another set."
        )
        if given.dtype.kind == "f" and np.array_equal(given, np.floor(given)):
            advice = "labels = labels.astype(int) makes ids of them."
        raise InputError(
            f"The {which} set should have integer class ids as labels. "
            f"Received: labels of dtype {given.dtype}, such as "
            f"{given.tolist()[0]!r}; {advice}"
        )
    return given


def _is_missing(label: Any) -> bool:
    """Returns whether a label is None, NaN, or the NA or NaT of pandas."""
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, _WITH_NAN) and bool(label != label)


def count_classes(which: str, labels: np.ndarray) -> int:
    """Returns the largest class id + 1, after checking it.

    Args:
        which: Name of the set, for messages, such as "train".
        labels: `(examples,)` class ids, at least one.

    Raises:
        InputError: if the ids do not number the classes: the largest id is
            above 1000, and above ten times the number of different ids.
    """
    largest, different = int(labels.max()), len(np.unique(labels))
    if largest > max(1000, 10 * different):
        raise InputError(
            f"The {which} set should have class ids 0, 1, 2, ... as labels. "
            f"Received: label {largest} at example {int(labels.argmax())}, "
            f"with {different} different labels; class_names, labels = "
            "np.unique(labels, return_inverse=True) makes ids of them."
        )
    return largest + 1


def check_given(labels: Any, num_classes: int) -> np.ndarray:
    """Returns the class ids of all examples as an array, after checking them.

    Args:
        labels: `(examples,)` or `(examples, 1)` integers.
        num_classes: Number of classes.

    Raises:
        InputError: unless all labels are integers in `[0, num_classes)`.
    """
    check_unmasked("labels", labels)
    given = np.asarray(labels)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise bad_argument(
            "labels",
            "class ids of shape (examples,)",
            f"{given.dtype} of shape {given.shape}",
        )
    outside = given[(given < 0) | (given >= num_classes)]
    if len(outside):
        raise bad_argument("labels", f"in [0, {num_classes})", int(outside[0]))
    return given


def check_batch_sizes(spec: Mapping[str, Any], replicas: int) -> None:
    """Raises an `InputError` unless batches divide by the replicas.

    Args:
        spec: The specs of the halves, as `pair_spec` returns them.
        replicas: Number of replicas among which a batch is divided.
    """
    for which, (_, labels, *_) in spec.items():
        if labels.shape[0] is not None:
            check_divides(which, labels.shape[0], replicas)


def check_divides(which: str, size: int, replicas: int) -> None:
    """Raises an `InputError` unless `size` is a multiple of `replicas`."""
    if size % replicas:
        raise InputError(
            f"The {which} batches should divide by the {replicas} replicas. "
            f"Received: batches of {size}."
        )


@contextmanager
def marked_errors() -> Iterator[None]:
    """Marks the message of an `InputError` raised inside a tf.data pipeline.

    TensorFlow wraps the error in one of its own; the mark lets `plain_errors`
    recover the message.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{_MARK}{error}{_MARK}") from None


def marked(*message: Any) -> tf.Tensor:
    """Returns the marked message of a check inside a tf.data pipeline.

    Args:
        *message: The parts of the message: texts, or scalar string tensors.
    """
    return tf.strings.join([_MARK, *message, _MARK])


def marked_error(error: tf.errors.OpError) -> InputError | None:
    """Returns the `InputError` whose message is marked in an error, if any."""
    parts = str(error.message).split(_MARK)
    return None if len(parts) < 3 else InputError(parts[1])


def first_line(error: tf.errors.OpError) -> str:
    """Returns what an error inside a tf.data pipeline says, in one line."""
    line = str(error.message).split("\n")[0]
    return re.sub(r"^\{\{.*?\}\} ?|\s*\[Op:.*$", "", line).rstrip(".") + "."


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns a failed check inside a tf.data pipeline into an `InputError`.

    An exception of a user's own generator becomes an `InputError` too, and so
    does a dataset that is shorter or longer than it declares.
    """
    try:
        yield
    except InputError as error:  # Keras read the first batch by itself
        if _MARK not in str(error):
            raise
        raise InputError(str(error).split(_MARK)[1]) from None
    except _OF_PIPELINES as error:
        found = marked_error(error)
        if found is None and any(
            text in str(error.message) for text in _OF_USERS
        ):
            found = UnreadableError(
                "A set should be readable to its end. Received: "
                f"{first_line(error)}"
            )
        if found is None:
            raise
        raise found from None


class UnreadableError(InputError):
    """A dataset failed while it was read, or was not as long as it declares."""


def _check_ids(which: str, labels: np.ndarray) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"The {which} set should have integer class ids as labels. "
            f"Received: labels of dtype {labels.dtype}."
        )
    if labels.min() < 0:
        index = int(np.argmax(labels < 0))
        raise InputError(
            f"The {which} set should have labels >= 0. Received: label "
            f"{labels[index]} at example {index}."
        )


def check_probabilities(which: str, labels: np.ndarray) -> None:
    if labels.dtype.kind not in "iuf" or labels.dtype.itemsize > 8:
        raise InputError(
            f"The {which} set should have probabilities as soft labels. "
            f"Received: labels of dtype {labels.dtype}."
        )
    wrong = ~(
        np.isfinite(labels).all(axis=1)
        & (labels >= 0).all(axis=1)
        & (np.abs(labels.sum(axis=1) - 1) < 1e-3)
    )
    if wrong.any():
        index = int(np.argmax(wrong))
        raise InputError(
            f"The {which} set should have probabilities that sum to 1 as soft "
            f"labels. Received: a sum of {labels[index].sum():.6g} at example "
            f"{index}; mlc_tf.data.soft_labels makes them of the votes of "
            "several annotators."
        )
