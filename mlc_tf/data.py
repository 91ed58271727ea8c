"""Pairs the noisy stream with the repeated, shuffled clean stream.

One element is `((x, noisy_label), (x_clean, clean_label))`, both halves
batched. Labels are integer class ids, or rows of probabilities.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf import data_checks
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_seed

SHUFFLE_BUFFER = 10_000


def pair(
    noisy: Any,
    clean: Any,
    batch_size: int = 64,
    clean_batch_size: int | None = None,
    *,
    seed: int = 0,
    epochs: range | None = None,
) -> tf.data.Dataset:
    """Returns batches of the noisy set, each beside a batch of the clean set.

    The noisy set is shuffled and passes once per epoch, without a last partial
    batch; the clean set is repeated, and shuffled for each of its passes.

    Arrays are shuffled whole, datasets within a buffer of `SHUFFLE_BUFFER`.

    Args:
        noisy: `(x, labels)` arrays, or an unbatched `tf.data.Dataset` of
            `(x, label)`.
        clean: The trusted set, in either form.
        batch_size: Noisy examples in a batch. Defaults to 64.
        clean_batch_size: Clean examples in a batch. Defaults to `batch_size`,
            or to the whole clean set where that is smaller.
        seed: An integer. Defaults to 0.
        epochs: For arrays: which epochs to yield, one after another, for `fit`
            with `steps_per_epoch`. The order is then a function of (seed,
            epoch), so that a resumed run sees the batches that it would have
            seen. Defaults to None: each iteration of the dataset is one epoch,
            in a new order that also depends on TensorFlow's global seed.

    Returns:
        A `tf.data.Dataset`.

    Raises:
        InputError: if a set is empty or smaller than its batch; of arrays also
            if lengths differ, an input is NaN or infinite, or a label is no
            id >= 0 and no row of probabilities. What flows out of a dataset is
            checked in `fit`, and only its labels.
    """
    check_seed(seed)
    noisy, num_noisy = _source("noisy", noisy)
    clean, num_clean = _source("clean", clean)
    data_checks.check_batch_size("batch_size", batch_size, "noisy", num_noisy)
    if clean_batch_size is None:
        clean_batch_size = min(batch_size, num_clean)
    data_checks.check_batch_size(
        "clean_batch_size", clean_batch_size, "clean", num_clean
    )
    if epochs is not None and not isinstance(epochs, range):
        raise bad_argument("epochs", "a range or None", epochs)
    steps = num_noisy // batch_size
    arguments = noisy, clean, batch_size, clean_batch_size, steps, seed
    if isinstance(noisy, tuple) and isinstance(clean, tuple):
        total = steps * (1 if epochs is None else len(epochs))
        dataset = _pair_arrays(*arguments, epochs)
    elif epochs is None:
        total = steps
        dataset = _pair_streams(*arguments)
    else:
        raise bad_argument("epochs", "left out for a tf.data.Dataset", epochs)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(total))
    return dataset.prefetch(tf.data.AUTOTUNE)


def merge(noisy: tuple[Any, Any], clean: tuple[Any, Any]) -> tuple[Any, Any]:
    """Returns the arrays of both sets as one, for methods that need no pair.

    The clean labels are mixed in anonymously (the paper, section 4.1).

    Raises:
        InputError: if one set has ids as labels and the other probabilities.
    """
    x, labels = noisy
    x_clean, clean_labels = clean
    if np.shape(labels)[1:] != np.shape(clean_labels)[1:]:
        raise InputError(
            "The noisy and the clean set should have labels of one kind. "
            f"Received: shapes {np.shape(labels)} and {np.shape(clean_labels)}."
        )
    return (
        np.concatenate([x, x_clean]),
        np.concatenate([labels, clean_labels]),
    )


def _pair_arrays(
    noisy: tuple[tf.Tensor, tf.Tensor],
    clean: tuple[tf.Tensor, tf.Tensor],
    batch_size: int,
    clean_batch_size: int,
    steps: int,
    seed: int,
    epochs: range | None,
) -> tf.data.Dataset:
    """Pairs by index: the order of an epoch is a function of (seed, epoch)."""

    def shuffled(key: list[Any], count: int, size: int) -> tf.Tensor:
        """Returns indices below `count`, `(steps, size)`, pass after pass."""
        passes = -(-steps * size // count)
        uniform = tf.random.stateless_uniform([passes, count], key)
        order = tf.reshape(tf.argsort(uniform, axis=-1), [-1])
        return tf.reshape(order[: steps * size], [steps, size])

    def indices_of(epoch: tf.Tensor) -> tf.data.Dataset:
        noisy_order, clean_order = (
            shuffled(tf.stack([seed, 2 * epoch + half]), *sizes)
            for half, sizes in enumerate(
                (
                    (len(noisy[1]), batch_size),
                    (len(clean[1]), clean_batch_size),
                )
            )
        )
        return tf.data.Dataset.from_tensor_slices((noisy_order, clean_order))

    def gather(noisy_batch: tf.Tensor, clean_batch: tf.Tensor) -> Any:
        return tuple(
            tuple(tf.gather(array, batch) for array in half)
            for half, batch in ((noisy, noisy_batch), (clean, clean_batch))
        )

    if epochs is None:
        keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
        keys = keys.map(lambda key: key // 2).take(1)
    else:
        keys = tf.data.Dataset.range(epochs.start, epochs.stop, epochs.step)
    return keys.flat_map(indices_of).map(
        gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def _pair_streams(
    noisy: Any,
    clean: Any,
    batch_size: int,
    clean_batch_size: int,
    steps: int,
    seed: int,
) -> tf.data.Dataset:
    """Pairs datasets, shuffled anew for each iteration."""
    noisy, clean = (
        half
        if isinstance(half, tf.data.Dataset)
        else tf.data.Dataset.from_tensor_slices(half)
        for half in (noisy, clean)
    )
    return tf.data.Dataset.zip(
        noisy.shuffle(SHUFFLE_BUFFER, seed).batch(
            batch_size, drop_remainder=True
        ),
        clean.shuffle(SHUFFLE_BUFFER, seed + 1)
        .repeat()
        .batch(clean_batch_size, drop_remainder=True),
    ).take(steps)


def _source(which: str, source: Any) -> tuple[Any, int]:
    """Returns a checked set, tensors or a dataset, and its length."""
    if isinstance(source, tf.data.Dataset):
        return source, data_checks.check_stream(which, source)
    if not isinstance(source, (tuple, list)) or len(source) != 2:
        raise bad_argument(
            which, "(x, labels) or a tf.data.Dataset of (x, label)", source
        )
    x, labels = data_checks.check_arrays(which, *source)
    return (tf.constant(x), tf.constant(labels)), len(x)
