"""A user's `tf.data.Dataset`: unbatched, counted and guarded."""

import time
import warnings
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

# Seconds of counting after which a warning names the count so far.
PATIENCE = 30.0


def weights_error(which: str) -> InputError:
    """Returns the error for elements with sample weights."""
    return InputError(
        f"The {which} set should be (x, labels). Received: three parts; "
        "weights of noisy examples are the argument `sample_weight` of "
        "mlc_tf.pair."
    )


def as_unbatched(
    which: str, source: tf.data.Dataset
) -> tuple[tf.data.Dataset, int]:
    """Returns a dataset of `(x, label)` and its number of examples.

    Args:
        which: Name of the set, for messages, such as "noisy".
        source: Elements `(x, label)`, or batches of these. A label is an
            integer class id, or a vector of probabilities, `(classes,)`. A
            dataset that `keras.utils.image_dataset_from_directory` returns
            knows its length; any other dataset of batches or of unknown length
            is read once and counted.

    Raises:
        InputError: if the elements have another structure, or if the dataset
            is empty or infinite, or raises while it is counted.
    """
    spec = source.element_spec
    if isinstance(spec, tuple) and len(spec) == 3:
        raise weights_error(which)
    pair = isinstance(spec, tuple) and len(spec) == 2
    labels: Any = spec[1] if pair else None
    shape = getattr(labels, "shape", None)
    if shape is None or shape.rank not in (0, 1, 2):
        raise bad_argument(which, "a tf.data.Dataset of (x, label)", spec)
    batched = _is_batch(spec[0], labels)
    ids = labels.dtype.is_integer
    if shape.rank == 1 and ids and not batched and shape[0] != 1:
        raise InputError(
            f"The {which} set should have class ids or rows of probabilities "
            f"as labels. Received: {labels.dtype.name} of shape {shape}; "
            "dataset.map(lambda x, y: (x, tf.argmax(y))) makes ids of one-hot "
            "labels."
        )
    label = shape[1:] if batched else shape
    if not ids and label.as_list() in ([], [1]):
        raise InputError(
            f"The {which} set should have integer class ids as labels. "
            f"Received: labels of dtype {labels.dtype.name}."
        )
    length = _length(which, source, batched)
    if length == 0:
        raise InputError(
            f"The {which} set should not be empty. Received: none."
        )
    dataset = source.unbatch() if batched else source
    if ids and label.as_list() in ([1], [None]):
        dataset = dataset.map(lambda x, y: (x, tf.reshape(y, [])))
    return dataset, length


def guarded(
    which: str, dataset: tf.data.Dataset, length: int
) -> tf.data.Dataset:
    """Returns a dataset that fails unless it has `length` elements.

    The error names the set; `checks.plain_errors` makes an `InputError` of it.
    """
    declared = tf.data.experimental.assert_cardinality(length)
    specs = tf.nest.flatten(dataset.element_spec)
    if not all(
        isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None
        for spec in specs
    ):
        return dataset.apply(declared)
    # An element after the last element, so that the end can be seen.
    end = tf.nest.map_structure(
        lambda spec: tf.zeros([size or 0 for size in spec.shape], spec.dtype),
        dataset.element_spec,
    )
    tagged = dataset.map(lambda *element: (False, element)).concatenate(
        tf.data.Dataset.from_tensors((True, end))
    )

    def count(seen: tf.Tensor, tagged_element: Any) -> Any:
        ended, _ = tagged_element
        right = tf.where(ended, seen == length, seen < length)
        message = checks.marked(
            f"The {which} set should have the {length} examples that it "
            "declares. Received: ",
            tf.where(ended, tf.strings.as_string(seen), "more examples"),
            ".",
        )
        with tf.control_dependencies([tf.debugging.Assert(right, [message])]):
            return tf.identity(seen) + 1, tagged_element

    return (
        tagged.scan(tf.constant(0, tf.int64), count)
        .filter(lambda ended, _: ~ended)
        .map(lambda _, element: element)
        .apply(declared)
    )


def read(which: str, dataset: Iterable[Any]) -> Iterator[Any]:
    """Yields the elements of a dataset; an error names the set.

    Raises:
        InputError: if the dataset raises while it is read.
    """
    elements = iter(dataset)
    while True:
        try:
            element = next(elements)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise (
                checks.marked_error(error)
                or InputError(
                    f"The {which} set should be readable to its end. Received: "
                    f"{checks.first_line(error)}"
                )
            ) from error
        yield element


def _is_batch(x: Any, labels: tf.TensorSpec) -> bool:
    """Returns whether elements are batches, as labels and inputs show."""
    if labels.shape.rank == 0:
        return False
    if labels.shape.rank == 2 or labels.shape[0] is None:
        return True
    if not labels.dtype.is_integer:
        return False  # probabilities
    inputs = tf.nest.flatten(x)
    sizes = {
        spec.shape[0] if spec.shape.rank else None
        for spec in inputs
        if isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None
    }
    return sizes == {labels.shape[0]}


def _length(which: str, source: tf.data.Dataset, batched: bool) -> int:
    """Returns the number of examples of a dataset."""
    length = int(source.cardinality())
    if length == tf.data.INFINITE_CARDINALITY:
        raise InputError(
            f"The {which} set should be a tf.data.Dataset that ends. Received: "
            "an infinite dataset; leave out `repeat`."
        )
    if not batched and length >= 0:
        return length
    # What keras.utils.image_dataset_from_directory returns.
    files = getattr(source, "file_paths", None)
    if batched and files is not None:
        return len(files)
    size = source.element_spec[1].shape[0] if batched else None
    if size is not None and length >= 0:
        return length * size
    counts = source.map(
        lambda _, y: tf.shape(y, tf.int64)[0] if batched else tf.constant(1)
    )
    total, begin = 0, time.monotonic()
    for count in read(which, counts):
        total += int(count)
        if time.monotonic() - begin > PATIENCE:
            begin = float("inf")
            warnings.warn(
                f"The {which} set should declare its length "
                "(tf.data.experimental.assert_cardinality). Received: an "
                f"unknown length; {total} examples are counted so far.",
                stacklevel=2,
            )
    return total
