"""A user's data, in any of its forms, as `Examples`."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf.data import checks
from mlc_tf.data import hugging_face
from mlc_tf.data import streams
from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import Examples
from mlc_tf.data.examples import Stream
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

# Up to this size a Hugging Face dataset is decoded once and kept in memory.
_MOST_BYTES = 2 * 2**30


def as_examples(which: str, source: Any) -> Examples:
    """Returns a user's data as `Examples`, after checking the data.

    Args:
        which: Name of the set, for messages: "noisy" or "clean".
        source: `Examples`, `(x, labels)` arrays, a `tf.data.Dataset` of `(x,
            label)` or of batches, a `keras.utils.PyDataset` of batches
            `(x, labels)`, or a Hugging Face `datasets.Dataset`
            (`hugging_face.Batches`), which is kept in memory up to 2 GiB. Here
            `x` is an array, or a dict or tuple of arrays.
            A dataset of unknown length, or of batches whose last batch may be
            smaller, is read once to count its examples.

    Raises:
        InputError: if `source` has another type, has sample weights, or fails
            `checks.check_arrays` or `streams.as_unbatched`.
    """
    if isinstance(source, Examples):
        return source
    if isinstance(source, keras.utils.PyDataset):
        return Stream(streams.guarded(which, *_unbatched(which, source)))
    if hugging_face.is_dataset(source):
        return from_hugging_face(which, hugging_face.Batches(which, source))
    if isinstance(source, tf.data.Dataset):
        dataset, length = streams.as_unbatched(which, source)
        return Stream(streams.guarded(which, dataset, length))
    if isinstance(source, (tuple, list)) and len(source) == 3:
        raise streams.weights_error(which)
    if isinstance(source, (tuple, list)) and len(source) == 2:
        return Arrays(*checks.check_arrays(which, *source))
    raise bad_argument(
        which,
        "(x, labels), a tf.data.Dataset of (x, label), a PyDataset, or a "
        "datasets.Dataset of Hugging Face",
        source,
    )


def from_hugging_face(which: str, batches: hugging_face.Batches) -> Examples:
    """Returns the examples in memory, or as a stream if they are too many.

    Args:
        which: Name of the set, for messages.
        batches: The batches of a Hugging Face dataset.

    Raises:
        InputError: as `as_examples`.
    """
    first = _batch(which, batches, 0)
    size = sum(part.nbytes for part in tf.nest.flatten(first[0]))
    if size * len(batches) > _MOST_BYTES:
        return Stream(streams.guarded(which, *_unbatched(which, batches)))
    parts = [_batch(which, batches, index) for index in range(len(batches))]
    try:
        x, labels = (
            tf.nest.map_structure(lambda *each: np.concatenate(each), *part)
            for part in zip(*parts)
        )
    except ValueError:
        raise InputError(
            f"The {which} set should have inputs of one shape. Received: "
            "inputs of several shapes; make them alike with `dataset.map`."
        ) from None
    return Arrays(*checks.check_arrays(which, x, labels))


def _unbatched(which: str, source: Any) -> tuple[tf.data.Dataset, int]:
    """Returns a PyDataset's examples as an unbatched dataset, and how many."""
    try:
        last = len(source) - 1
    except TypeError:
        raise bad_argument(
            which, "a PyDataset that has a length", type(source).__name__
        ) from None
    if last < 0:
        raise InputError(
            f"The {which} set should not be empty. Received: none."
        )
    first, final = _batch(which, source, 0), _batch(which, source, last)
    length = last * len(first[1]) + len(final[1])

    def generate() -> Any:
        for index in range(last + 1):
            with checks.marked_errors():
                yield _batch(which, source, index)

    dataset = tf.data.Dataset.from_generator(
        generate,
        output_signature=tf.nest.map_structure(
            lambda part: tf.TensorSpec((None, *part.shape[1:]), part.dtype),
            first,
        ),
    )
    return dataset.unbatch(), length


def _batch(which: str, source: Any, index: int) -> tuple[Any, np.ndarray]:
    """Returns a batch of a PyDataset as arrays."""
    try:
        batch = source[index]
    except InputError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"The {which} set should be readable. Received: "
            f"{type(error).__name__} ({error}) in batch {index} of "
            f"{type(source).__name__}."
        ) from error
    if isinstance(batch, (tuple, list)) and len(batch) == 3:
        raise streams.weights_error(which)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise bad_argument(
            which, "a PyDataset of batches (x, labels)", type(source).__name__
        )
    x, labels = batch
    if isinstance(x, list) and any(hasattr(part, "dtype") for part in x):
        x = tuple(x)
    structured = isinstance(x, (dict, tuple))
    arrays = tf.nest.map_structure(np.asarray, x) if structured else None
    labels = checks.as_labels(which, labels)
    return (arrays if structured else np.asarray(x)), labels
