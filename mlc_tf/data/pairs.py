"""Pairs batches of the noisy set with batches of the clean set.

One element is `((x, noisy_label), (x_clean, clean_label))`, both halves
batched. Labels are integer class ids, or rows of probabilities. Without a clean
set, an element is `((x, noisy_label), ())`. The noisy half may also hold the
indices of the examples, and their weights: `checks.NoisyHalf`.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf.data import checks
from mlc_tf.data import examples
from mlc_tf.data import inputs
from mlc_tf.data import order
from mlc_tf.data import sources
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count
from mlc_tf.errors import check_seed

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def pair(
    noisy: Any,
    clean: Any = None,
    batch_size: int = 64,
    clean_batch_size: int | None = None,
    *,
    seed: int = 0,
    epochs: range | None = None,
    steps_per_epoch: int | None = None,
    augment: Augment | None = None,
    with_index: bool = False,
    sample_weight: Any = None,
    first_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns batches of the noisy set, each paired with a clean batch.

    An epoch is one shuffled pass over the noisy set, without a last partial
    batch. The clean set is repeated, and shuffled again for each of its passes.
    Sets that are read by index (arrays, image files) are shuffled as a whole;
    streams are shuffled in a buffer of `examples.SHUFFLE_BUFFER` elements.

    Args:
        noisy: `(x, labels)` arrays, where `x` may be a dict or tuple of
            arrays; a `tf.data.Dataset` of `(x, label)` or of batches; a
            `keras.utils.PyDataset` of batches; a Hugging Face
            `datasets.Dataset`; or `mlc_tf.data.examples.Examples`. The label of
            a Hugging Face dataset is its only `ClassLabel` or is called
            "label" or "labels", and its other columns are inputs. A dataset of
            unknown length is read once, to count its examples.
        clean: The trusted set, in any of the forms of `noisy`. Defaults to
            None: there is none, for the methods that train without it.
        batch_size: Number of noisy examples in a batch. Defaults to 64.
        clean_batch_size: Number of clean examples in a batch. Defaults to
            `batch_size`, or to the size of the clean set if that is smaller.
            Left out without a clean set.
        seed: An integer >= 0. Defaults to 0.
        epochs: The epochs to yield, one after another, for `fit` with
            `steps_per_epoch`. The order is then a function of (seed, epoch),
            so a resumed run sees the same batches as an uninterrupted run.
            Defaults to None: each iteration of the dataset is one epoch, in a
            new order that also depends on TensorFlow's global seed.
        steps_per_epoch: Number of batches in an epoch. Defaults to one pass
            over the noisy set.
        augment: Maps a batch of inputs and a key, `(2,)` integers, to inputs of
            the same shape (see `mlc_tf.data.augmentation`). The key differs
            for each half of each batch. Defaults to None, no augmentation.
        with_index: Whether the noisy half is `(x, label, index)`, where index
            is the position of each example in the noisy set. Methods that
            keep a state for each example need it. Defaults to False.
        sample_weight: `(noisy examples,)` finite numbers >= 0, the factor of
            the loss of each noisy example, for the methods that take weights.
            The weight is the last part of the noisy half. Defaults to None, no
            weights.
        first_step: Number of batches to skip at the start, without loading
            their examples. Defaults to 0.
        input_context: The input context of one worker. The dataset then yields
            only the worker's part of each batch, as one element per replica
            of the worker; use it as
            `fit(lambda context: pair(..., input_context=context))`. The
            augmentation of an example depends on the number of replicas.
            Defaults to None: the dataset yields whole batches, which `fit`
            divides (by `AutoShardPolicy.DATA`).

    Returns:
        A `tf.data.Dataset` of `((x, noisy_label), (x_clean, clean_label))`,
        or of `((x, noisy_label), ())` without a clean set.

    Raises:
        InputError: if a set is empty or smaller than its batch, or if a batch
            size is not a multiple of the replicas of `input_context`. Arrays
            also fail if their lengths differ, an input is NaN or infinite, or
            a label is neither an id >= 0 nor a row of probabilities. A noisy
            set or a clean set with a single class fails; a clean set that lacks
            some class gives a warning. `fit` checks the labels of datasets, but
            not their inputs. With `with_index` or `sample_weight`, a noisy set
            whose order changes from one reading to the next fails.

    Example:

    >>> noisy = np.zeros((128, 8)), np.arange(128) % 2
    >>> clean = np.zeros((16, 8)), np.arange(16) % 2
    >>> len(pair(noisy, clean, batch_size=32))
    4
    """
    seed = check_seed(seed)
    first_step = check_count("first_step", first_step, least=0)
    _check_options(with_index, augment, input_context)
    sets = (noisy, clean)
    if all(isinstance(part, (tuple, list)) and part for part in sets):
        inputs.check_columns(("noisy", noisy[0]), ("clean", clean[0]))
    noisy = sources.as_examples("noisy", noisy)
    if clean is not None:
        clean = sources.as_examples("clean", clean)
    weights = _checked_weights(sample_weight, len(noisy))
    by_position = with_index or weights is not None
    if by_position and isinstance(noisy, examples.Stream):
        order.check("noisy", noisy.dataset)
    checks.check_batch_size("batch_size", batch_size, "noisy", len(noisy))
    halves: list[tuple[str, examples.Examples, int]]
    halves = [("noisy", noisy, batch_size)]
    if clean is not None:
        if clean_batch_size is None:
            clean_batch_size = min(batch_size, len(clean))
        checks.check_batch_size(
            "clean_batch_size", clean_batch_size, "clean", len(clean)
        )
        halves.append(("clean", clean, clean_batch_size))
    elif clean_batch_size is not None:
        raise bad_argument(
            "clean_batch_size", "left out without a clean set", clean_batch_size
        )
    _check_teachable(noisy, clean)
    if epochs is not None and not isinstance(epochs, range):
        raise bad_argument("epochs", "a range or None", epochs)
    steps = len(noisy) // batch_size
    if steps_per_epoch is not None:
        steps = check_count("steps_per_epoch", steps_per_epoch)

    def raw_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.zip(
            *(
                part.raw_batches(
                    tf.stack([seed, 2 * epoch + which]), size, steps
                )
                for which, (_, part, size) in enumerate(halves)
            ),
            tf.data.Dataset.range(steps).map(
                lambda step: tf.stack([epoch, step])
            ),
        )

    def load(*raw: Any) -> Any:
        *raw_halves, place = raw
        noisy_half, *clean_half = (
            _augmented(part.load(raw_half), augment, seed, place, which)
            for which, ((_, part, _), raw_half) in enumerate(
                zip(halves, raw_halves)
            )
        )
        more = []
        if by_position:
            index = noisy.indices_of(raw_halves[0])
            more += [index] if with_index else []
            more += [] if weights is None else [tf.gather(weights, index)]
        return (*noisy_half, *more), *(clean_half or ((),))

    if epochs is None:
        keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
        keys = keys.map(lambda key: key // 2).take(1)
        total = steps
    else:
        keys = tf.data.Dataset.range(epochs.start, epochs.stop, epochs.step)
        total = steps * len(epochs)
    raw = keys.flat_map(raw_epoch).skip(first_step)
    total -= first_step
    shard = distribution.shard_of(input_context)
    if shard.replicas > 1:
        for which, _, size in halves:
            checks.check_divides(which, size, shard.replicas)
        raw = raw.flat_map(_parts_of(shard))
        total *= shard.last - shard.first
    dataset = (
        raw.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .apply(tf.data.experimental.assert_cardinality(total))
        .prefetch(tf.data.AUTOTUNE)
    )
    return distribution.by_data(dataset)


def _checked_weights(given: Any, count: int) -> tf.Tensor | None:
    """Returns the weights of the noisy examples as float32."""
    if given is None:
        return None
    weights = checks.as_weights("sample_weight", given, count)
    return tf.constant(weights, tf.float32)


def _check_teachable(
    noisy: examples.Examples, clean: examples.Examples | None
) -> None:
    """Checks that two sets can teach: units and classes.

    Sets in memory have their inputs compared. The labels of streams are not
    read.

    Raises:
        InputError: if a set has a single class, or the inputs fail
            `inputs.check_units`. A clean set without some class is a warning.
    """
    if isinstance(noisy, examples.Arrays) and isinstance(
        clean, examples.Arrays
    ):
        for x, x_clean in zip(
            tf.nest.flatten(noisy.x), tf.nest.flatten(clean.x)
        ):
            inputs.check_units(("noisy", x), ("clean", x_clean))
    found = {}
    for which, part in (("noisy", noisy), ("clean", clean)):
        if part is None or isinstance(part, examples.Stream):
            continue
        labels = part.labels if part.labels.ndim == 1 else part.labels.argmax(1)
        found[which] = np.unique(labels)
        if len(found[which]) == 1:
            raise InputError(
                f"The {which} set should have class ids of several classes as "
                f"labels. Received: {len(labels)} examples, all of class "
                f"{labels[0]}."
            )
    if len(found) < 2:
        return
    missing = np.setdiff1d(found["noisy"], found["clean"])
    if len(missing):
        warnings.warn(
            "The clean set should hold every class. Received: no example of "
            f"{len(missing)} of the {len(found['noisy'])} classes of the noisy "
            f"labels, such as class {missing[0]}; nothing corrects their "
            "labels.",
            stacklevel=3,
        )


def _parts_of(shard: distribution.WorkerShard) -> Callable[..., Any]:
    """Returns a function that splits a raw pair into the parts of a worker.

    It maps the raw halves and their (epoch, step) to a dataset with one element
    for each replica of the worker.
    """
    replicas, first, last = shard

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
        halves_of_worker = tf.nest.map_structure(part, tuple(halves))
        return tf.data.Dataset.from_tensor_slices((*halves_of_worker, places))

    return parts


def clean_weight(num_noisy: int, num_clean: int) -> float:
    """Returns a weight of the trusted set that fits the sizes of the sets.

    A trusted example then counts as three noisy ones, and all of them count 0.3
    at most. Both numbers were chosen on digits. Where the trusted set is small
    beside the noisy one, a network that trains on it at 0.3 memorises it.

    Args:
        num_noisy: The number of noisy examples, at least 1.
        num_clean: The number of trusted examples, at least 1.

    Returns:
        The argument `clean_weight` of a model.

    Raises:
        InputError: for a smaller number.

    Example:

    >>> clean_weight(20_000, 500)
    0.075
    """
    check_count("num_noisy", num_noisy)
    check_count("num_clean", num_clean)
    return min(3 * num_clean / num_noisy, 0.3)


def class_weight(
    noisy_labels: Any, clean_labels: Any, num_classes: int
) -> np.ndarray:
    """Returns class weights that match the clean set to the noisy labels.

    The weight of a class is its share of the noisy labels divided by its share
    of the clean labels. The weighted mean loss of the clean set then equals the
    mean loss of a clean set whose classes are as frequent as the noisy labels.

    Args:
        noisy_labels: Given class ids, `(examples,)` integers.
        clean_labels: True class ids, `(examples,)` integers.
        num_classes: Number of classes.

    Returns:
        `(num_classes,)` floats; 0 for a class without clean examples.

    Raises:
        InputError: unless all labels are integers in `[0, num_classes)`, at
            least one of each.

    Example:

    >>> class_weight([0, 0, 0, 1], [0, 1], 2).tolist()
    [1.5, 0.5]
    """
    check_count("num_classes", num_classes, least=2)
    noisy, clean = (
        _shares(which, labels, num_classes)
        for which, labels in (("noisy", noisy_labels), ("clean", clean_labels))
    )
    return np.divide(noisy, clean, out=np.zeros(num_classes), where=clean > 0)


def _shares(which: str, labels: Any, num_classes: int) -> np.ndarray:
    """Returns the share of each class among labels, `(num_classes,)`."""
    given = checks.as_labels(which, labels)
    if not given.size:
        raise InputError(
            f"The {which} set should not be empty. Received: none."
        )
    given = checks.check_given(given, num_classes)
    return np.bincount(given, minlength=num_classes) / len(given)


def _check_options(with_index: Any, augment: Any, input_context: Any) -> None:
    if not isinstance(with_index, (bool, np.bool_)):
        raise bad_argument("with_index", "True or False", with_index)
    if augment is not None and not callable(augment):
        raise bad_argument("augment", "a function of inputs and a key", augment)
    if input_context is not None and not isinstance(
        input_context, tf.distribute.InputContext
    ):
        raise bad_argument(
            "input_context",
            "what `fit` passes to its function, a tf.distribute.InputContext",
            input_context,
        )


def _augmented(
    batch: tuple[tf.Tensor, tf.Tensor],
    augment: Augment | None,
    seed: int,
    place: tf.Tensor,
    which: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a batch with augmented inputs.

    Args:
        batch: (inputs, labels).
        augment: Maps inputs and a key to inputs; None changes nothing.
        seed: An integer >= 0, part of the key.
        place: `(2,)` or `(3,)` integers: epoch, step and, with several
            replicas, replica.
        which: 0 for the noisy half, 1 for the clean half.
    """
    if augment is None:
        return batch
    x, labels = batch
    key = tf.stack([tf.cast(seed, tf.int64), place[0]])
    for number in (*tf.unstack(place[1:]), which):
        key = tf.random.experimental.stateless_fold_in(key, number)
    return augment(x, key), labels
