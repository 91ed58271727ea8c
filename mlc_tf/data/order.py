"""Whether a `tf.data.Dataset` has the same order each time it is read.

An index means nothing in a dataset that is shuffled again for each reading.
"""

import hashlib
import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf.data import streams
from mlc_tf.errors import InputError

# Number of examples at the start of a dataset that are compared.
COMPARED = 256


def check(which: str, dataset: tf.data.Dataset) -> None:
    """Reads the first examples of a dataset twice, and compares the readings.

    Inputs may differ where they are augmented at random. Then equal labels, and
    no input that moved, pass with a warning.

    Args:
        which: Name of the set, for messages, such as "noisy".
        dataset: A dataset of unbatched elements (input, label).

    Raises:
        InputError: if the second reading has another order, or if the dataset
            raises.
    """
    (inputs, labels), (again, labels_again) = (
        _digests(which, dataset) for _ in range(2)
    )
    if inputs == again and labels == labels_again:
        return
    if labels != labels_again or set(inputs) & set(again):
        raise InputError(
            f"The {which} set should have the same order each time it is read, "
            "since its examples are named by their index. Received: another "
            "order at the second reading; leave out `shuffle`, or pass "
            "shuffle=False to image_dataset_from_directory."
        )
    warnings.warn(
        f"The {which} set should have the same inputs each time it is read. "
        f"Received: {len(inputs)} compared inputs that all differ at the "
        "second reading, with the same labels in the same order; random "
        "augmentation does so, and so does `shuffle`, which must be left out.",
        stacklevel=2,
    )


def _digests(
    which: str, dataset: tf.data.Dataset
) -> tuple[list[bytes], list[bytes]]:
    """Returns a digest of each of the first inputs and of their labels."""
    read = [
        (_digest(x), _digest(label))
        for x, label in streams.read(which, dataset.take(COMPARED))
    ]
    return [x for x, _ in read], [label for _, label in read]


def _digest(element: Any) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    for part in tf.nest.flatten(element, expand_composites=True):
        array = np.asarray(part)
        text = array.dtype.kind == "O"
        content.update(
            repr(array.tolist()).encode() if text else array.tobytes()
        )
    return content.digest()
