"""Checks the labels of test data, outside of the compiled step.

XLA has no kernel for the text of an error. So labels in memory are checked
before `evaluate`, and labels of a dataset while they are read.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf.data import checks
from mlc_tf.data import hugging_face
from mlc_tf.data import sources
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

_BATCH = 256  # of a Hugging Face dataset


def checked(x: Any, y: Any, num_classes: int) -> tuple[Any, Any]:
    """Returns test data whose labels are checked, now or when they are read.

    Args:
        x: As in `keras.Model.evaluate`: inputs, or a dataset of batches
            (inputs, labels) or (inputs, labels, weights): a `tf.data.Dataset`,
            a `keras.utils.PyDataset` or a generator.
        y: The labels of inputs, `(examples,)` or `(examples, 1)` class ids, or
            `(examples, num_classes)` probabilities; None for a dataset.
        num_classes: The number of classes.

    Returns:
        `x` and `y`. Class ids are `(examples,)` int64.

    Raises:
        InputError: for labels of another kind, no labels, or labels beside a
            dataset that has them.
    """
    if y is not None and isinstance(x, tf.data.Dataset | keras.utils.PyDataset):
        raise bad_argument(
            "y", "None if the test set is a dataset of (x, labels)", "labels"
        )
    if isinstance(x, tf.data.Dataset):
        _check_parts(x.element_spec)
        # AutoGraph would wrap an `InputError` in one of its own.
        check = tf.autograph.experimental.do_not_convert(
            lambda *element: _checked_element(element, num_classes)
        )
        return x.map(check, num_parallel_calls=tf.data.AUTOTUNE).prefetch(
            tf.data.AUTOTUNE
        ), y
    if isinstance(x, keras.utils.PyDataset):
        return _CheckedPyDataset(x, num_classes), y
    if isinstance(x, Iterator):
        return _checked_batches(x, num_classes), y
    if isinstance(x, tf.distribute.DistributedDataset):
        raise bad_argument(
            "x",
            "the dataset before `experimental_distribute_dataset`: `evaluate` "
            "divides it itself",
            type(x).__name__,
        )
    if y is None:
        raise InputError(
            "`y` should be the labels of the test set, or `x` a dataset of "
            "(x, labels). Received: no labels."
        )
    return x, _labels(y, num_classes)


def as_batches(x: Any, labelled: bool = True) -> Any:
    """Returns a Hugging Face dataset as batches, and other data as they are.

    Args:
        x: The data.
        labelled: Whether the labels are read. Defaults to True.

    Raises:
        InputError: as `hugging_face.Batches`.
    """
    if not hugging_face.is_dataset(x):
        return x
    batches = hugging_face.Batches("test", x, labelled)
    return sources.from_hugging_face("test", batches).batches(_BATCH)


def check_batch(x: Any) -> None:
    """Raises an `InputError` if the inputs of one batch are a dataset.

    Args:
        x: The inputs.
    """
    datasets = (
        tf.data.Dataset,
        tf.distribute.DistributedDataset,
        keras.utils.PyDataset,
        Iterator,
    )
    if isinstance(x, datasets) or hugging_face.is_dataset(x):
        raise bad_argument("x", "the inputs of one batch", type(x).__name__)


def _labels(y: Any, num_classes: int) -> Any:
    """Returns labels in memory, after checking them."""
    labels = checks.as_labels("test", y)
    if labels.ndim == 1:
        outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
        if len(outside):
            raise InputError(
                f"The test labels should be in [0, {num_classes}), the classes "
                f"of the base. Received: label {labels[outside[0]]} at example "
                f"{outside[0]}."
            )
    elif labels.ndim != 2 or labels.shape[1] != num_classes:
        raise checks.wrong_labels(
            "test", num_classes, labels.dtype, labels.shape
        )
    else:
        checks.check_probabilities("test", labels)
    return labels


def _check_parts(parts: Any) -> None:
    """Raises unless an element is (x, labels) or (x, labels, weights)."""
    if (
        not isinstance(parts, tuple)
        or len(parts) not in (2, 3)
        or isinstance(parts[1], (tuple, list, dict))
    ):
        raise InputError(
            "The test set should be a dataset of batches (x, labels) or (x, "
            "labels, weights); pairs of noisy and clean batches are for `fit` "
            f"only. Received: elements {str(parts)[:120]}."
        )


def _checked_element(element: Any, num_classes: int) -> Any:
    x, labels, *weights = element
    return x, checks.checked_labels("test", labels, num_classes), *weights


def _checked_batch(batch: Any, num_classes: int) -> Any:
    with checks.marked_errors():
        _check_parts(tuple(batch) if isinstance(batch, list) else batch)
        x, labels, *weights = batch
        return x, _labels(labels, num_classes), *weights


def _checked_batches(batches: Iterator[Any], num_classes: int) -> Iterator[Any]:
    for batch in batches:
        yield _checked_batch(batch, num_classes)


class _CheckedPyDataset(keras.utils.PyDataset):
    """A PyDataset whose labels are checked when a batch is read."""

    def __init__(self, source: keras.utils.PyDataset, num_classes: int) -> None:
        super().__init__(
            source.workers, source.use_multiprocessing, source.max_queue_size
        )
        self._source, self._num_classes = source, num_classes

    @property
    def num_batches(self) -> int | None:
        return self._source.num_batches

    def __getitem__(self, index: int) -> Any:
        return _checked_batch(self._source[index], self._num_classes)

    def on_epoch_begin(self) -> None:
        self._source.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._source.on_epoch_end()
