"""Pairs the noisy stream with the repeated, shuffled clean stream.

One element is `((x, noisy_label), (x_clean, clean_label))`, both halves
batched. Labels are integer class ids, or rows of probabilities.
"""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf.data import checks
from mlc_tf.data import examples
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_seed

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def pair(
    noisy: Any,
    clean: Any,
    batch_size: int = 64,
    clean_batch_size: int | None = None,
    *,
    seed: int = 0,
    epochs: range | None = None,
    steps_per_epoch: int | None = None,
    augment: Augment | None = None,
    with_index: bool = False,
    first_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns batches of the noisy set, each beside a batch of the clean set.

    The noisy set is shuffled and passes once per epoch, without a last partial
    batch; the clean set is repeated, and shuffled for each of its passes. What
    is read by index (arrays, image files) is shuffled whole, what flows is
    shuffled within a buffer of `examples.SHUFFLE_BUFFER`.

    Args:
        noisy: `(x, labels)` arrays, an unbatched `tf.data.Dataset` of
            `(x, label)`, a `keras.utils.PyDataset` of batches, or
            `mlc_tf.data.examples.Examples`.
        clean: The trusted set, in any of these forms.
        batch_size: Noisy examples in a batch. Defaults to 64.
        clean_batch_size: Clean examples in a batch. Defaults to `batch_size`,
            or to the whole clean set where that is smaller.
        seed: An integer. Defaults to 0.
        epochs: Which epochs to yield, one after another, for `fit` with
            `steps_per_epoch`. The order is then a function of (seed, epoch),
            so that a resumed run sees the batches that it would have seen.
            Defaults to None: each iteration of the dataset is one epoch, in a
            new order that also depends on TensorFlow's global seed.
        steps_per_epoch: Batches in an epoch. Defaults to one pass of the
            noisy set.
        augment: Called with a batch of inputs and a key, `(2,)` integers, that
            differs for each half of each batch; returns inputs of the same
            shape (`mlc_tf.data.augmentation`). Defaults to none.
        with_index: Whether the noisy half is `(x, label, index)`, with the
            place of each example in the noisy set, for methods that keep
            something for each example. Defaults to False.
        first_step: How many batches to leave out at the begin, none of whose
            examples is loaded. Defaults to 0.
        input_context: Of one worker of several: then only its part of each
            batch is loaded, as one element for each of its replicas. For
            `fit(lambda context: pair(..., input_context=context))`. Augmented
            examples differ with the number of replicas. Defaults to None:
            whole batches, which `fit` divides (by `AutoShardPolicy.DATA`).

    Returns:
        A `tf.data.Dataset`.

    Raises:
        InputError: if a set is empty or smaller than its batch; of arrays also
            if lengths differ, an input is NaN or infinite, or a label is no
            id >= 0 and no row of probabilities. What flows out of a dataset is
            checked in `fit`, and only its labels. If a batch cannot be shared
            evenly by the replicas of `input_context`.
    """
    seed = check_seed(seed)
    noisy, clean = (
        examples.as_examples("noisy", noisy),
        examples.as_examples("clean", clean),
    )
    checks.check_batch_size("batch_size", batch_size, "noisy", len(noisy))
    if clean_batch_size is None:
        clean_batch_size = min(batch_size, len(clean))
    checks.check_batch_size(
        "clean_batch_size", clean_batch_size, "clean", len(clean)
    )
    if epochs is not None and not isinstance(epochs, range):
        raise bad_argument("epochs", "a range or None", epochs)
    steps = len(noisy) // batch_size
    if steps_per_epoch is not None:
        integer = isinstance(steps_per_epoch, numbers.Integral)
        if not integer or steps_per_epoch < 1:
            raise bad_argument(
                "steps_per_epoch", "an integer >= 1 or None", steps_per_epoch
            )
        steps = steps_per_epoch

    def raw_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.zip(
            noisy.raw_batches(tf.stack([seed, 2 * epoch]), batch_size, steps),
            clean.raw_batches(
                tf.stack([seed, 2 * epoch + 1]), clean_batch_size, steps
            ),
            tf.data.Dataset.range(steps).map(
                lambda step: tf.stack([epoch, step])
            ),
        )

    def load(raw_noisy: Any, raw_clean: Any, place: tf.Tensor) -> Any:
        noisy_half, clean_half = (
            _augmented(half.load(raw), augment, seed, place, which)
            for which, (half, raw) in enumerate(
                ((noisy, raw_noisy), (clean, raw_clean))
            )
        )
        if not with_index:
            return noisy_half, clean_half
        return (*noisy_half, noisy.indices_of(raw_noisy)), clean_half

    if epochs is None:
        keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
        keys = keys.map(lambda key: key // 2).take(1)
        total = steps
    else:
        keys = tf.data.Dataset.range(epochs.start, epochs.stop, epochs.step)
        total = steps * len(epochs)
    raw = keys.flat_map(raw_epoch).skip(first_step)
    total -= first_step
    share = distribution.share_of(input_context)
    if share.replicas > 1:
        for which, size in (
            ("noisy", batch_size),
            ("clean", clean_batch_size),
        ):
            checks.check_divides(which, size, share.replicas)
        raw = raw.flat_map(_own_parts(share))
        total *= share.last - share.first
    dataset = (
        raw.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .apply(tf.data.experimental.assert_cardinality(total))
        .prefetch(tf.data.AUTOTUNE)
    )
    return distribution.by_data(dataset)


def _own_parts(share: distribution.Share) -> Callable[..., Any]:
    """Returns what makes of a raw pair that of each replica of a worker."""
    replicas, first, last = share

    def part(tensor: tf.Tensor) -> tf.Tensor:
        size, *rest = tensor.shape
        return tf.reshape(tensor, [replicas, size // replicas, *rest])[
            first:last
        ]

    def parts(*raw: Any) -> tf.data.Dataset:
        *halves, place = raw
        places = tf.stack(
            [tf.concat([place, [number]], 0) for number in range(first, last)]
        )
        own = tf.nest.map_structure(part, tuple(halves))
        return tf.data.Dataset.from_tensor_slices((*own, places))

    return parts


def merge(noisy: Any, clean: Any) -> examples.Examples:
    """Returns the examples of both sets as one, for methods without pairs.

    The clean labels are mixed in anonymously (the paper, section 4.1).

    Raises:
        InputError: as `examples.join`.
    """
    return examples.join(
        examples.as_examples("noisy", noisy),
        examples.as_examples("clean", clean),
    )


def class_weight(
    noisy_labels: Any, clean_labels: Any, num_classes: int
) -> np.ndarray:
    """Returns what a clean example counts, where classes are not as frequent.

    That of a class is its share of the noisy set, by the given labels, over its
    share of the clean set: the mean loss of the clean set is then that of a
    clean set with as many examples of each class as labels were given.

    Args:
        noisy_labels: Given class ids, `(examples,)`.
        clean_labels: True class ids, `(examples,)`.
        num_classes: How many classes there are.

    Returns:
        `(num_classes,)`; 0 for a class without clean examples.

    Raises:
        InputError: if the labels are no ids in `[0, num_classes)`.
    """
    noisy, clean = (
        np.bincount(
            checks.check_given(labels, num_classes), minlength=num_classes
        )
        / len(labels)
        for labels in (noisy_labels, clean_labels)
    )
    return np.divide(noisy, clean, out=np.zeros(num_classes), where=clean > 0)


def _augmented(
    batch: tuple[tf.Tensor, tf.Tensor],
    augment: Augment | None,
    seed: int,
    place: tf.Tensor,
    which: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    if augment is None:
        return batch
    x, labels = batch
    key = tf.stack([tf.cast(seed, tf.int64), place[0]])
    for number in (*tf.unstack(place[1:]), which):
        key = tf.random.experimental.stateless_fold_in(key, number)
    return augment(x, key), labels
