"""Synthetic label noise that depends on the class: a named kind, or any T.

`ratio` is the share of each class that is *selected* for relabelling (paper,
section 4.1; the released `*_noise.py` scripts):

| kind | new label of a selected example of class i | T[i, :] |
|---|---|---|
| `uniform` | any class, including class i | 1 - r + r/C on the diagonal, r/C |
| `flip_random` | any other class | 1 - r on the diagonal, r/(C-1) |
| `flip_to_one` | the one class drawn for i | 1 - r on the diagonal, one r |
| `pair` | class i + 1, modulo C | as `flip_to_one` |
| `asymmetric_cifar10` | a class that looks alike | as `flip_to_one`, or 1 |

Han et al., 2018 (Co-teaching) define `pair`. Patrini et al., 2017 define
`asymmetric_cifar10`: truck becomes automobile, bird becomes airplane, deer
becomes horse, cat and dog become each other; the other classes keep their
labels. `instance_noise.py` holds noise that depends on the example.

`mode="exact"` selects `round(ratio * n_i)` examples of class i. `uniform` then
gives every class the same number of them (classes drawn at random get the
remainder), and `flip_random` draws each new label independently. For an array
T the counts of row i are rounded by the largest-remainder method. `mode="iid"`
draws every label from its row of T. `T[i, j] = p(noisy = j | clean = i)`
throughout.
"""

import tokenize
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf import transitions
from mlc_tf.data import checks
from mlc_tf.data import order
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count
from mlc_tf.errors import check_fraction
from mlc_tf.errors import check_seed
from mlc_tf.errors import unknown_name

KINDS = ("uniform", "flip_random", "flip_to_one", "pair", "asymmetric_cifar10")
MODES = ("exact", "iid")
# Truck (9), bird (2), deer (4), cat (3) and dog (5) in CIFAR-10's order.
_CIFAR10_TARGETS = (0, 1, 0, 5, 7, 3, 6, 7, 8, 1)
# Exact uniform noise is an error if the remainder is more than this share of
# the selected examples of a class.
MAX_UNIFORM_REMAINDER = 0.25
# Errors that NumPy raises for a file that holds no array, or a damaged array.
_UNREADABLE = (
    EOFError,
    OSError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Corruption:
    """The result of `corrupt`: noisy labels and their T.

    Attributes:
        labels: The noisy labels, `(examples,)`, with the dtype of the clean
            labels.
        expected: The requested T, `(classes, classes)`; rows are clean classes
            and sum to 1.
        empirical: The share of each clean class that got each noisy label,
            `(classes, classes)`; rows are clean classes. A class without
            examples has the identity row.
    """

    labels: np.ndarray
    expected: np.ndarray
    empirical: np.ndarray


def transition_matrix(
    kind: str, num_classes: int, ratio: float, seed: int = 0
) -> np.ndarray:
    """Returns the T of a named kind of noise.

    Args:
        kind: A name of `KINDS`.
        num_classes: Number of classes, at least 2; 10 for
            "asymmetric_cifar10".
        ratio: The share of each class that is selected, in [0, 1].
        seed: An integer >= 0, which draws the targets of `flip_to_one`. The
            targets are the same for every ratio, and two classes may have the
            same target. Defaults to 0.

    Returns:
        `(classes, classes)` float64, rows are clean classes and sum to 1.

    Raises:
        InputError: if an argument is outside the values given above.

    Example:

    >>> transition_matrix("uniform", 2, 0.5).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    check_num_classes(num_classes)
    check_ratio(ratio)
    check_seed(seed)
    if kind == "uniform":
        spread = np.full((num_classes, num_classes), 1 / num_classes)
    elif kind == "flip_random":
        spread = (1 - np.eye(num_classes)) / (num_classes - 1)
    else:
        spread = np.eye(num_classes)[_targets(kind, num_classes, seed)]
    return (1 - ratio) * np.eye(num_classes) + ratio * spread


def flip_targets(num_classes: int, seed: int = 0) -> np.ndarray:
    """Returns the class that each class flips to, `(num_classes,)` integers.

    No class flips to itself.

    Args:
        num_classes: Number of classes, at least 2.
        seed: An integer >= 0. Defaults to 0.
    """
    rng = np.random.default_rng(check_seed(seed))
    shifts = rng.integers(1, num_classes, num_classes)
    return (np.arange(num_classes) + shifts) % num_classes


def read_transition(path: str | Path) -> np.ndarray:
    """Reads a T from a file.

    Args:
        path: A `.npy` file, or a `.csv` file without a header.

    Returns:
        `(classes, classes)` float64, rows are clean classes and sum to 1.

    Raises:
        InputError: if the file cannot be read, or does not hold a transition
            matrix.
    """
    return transitions.validate(read_matrix("noise.kind", path))


def read_matrix(name: str, path: str | Path) -> np.ndarray:
    """Reads an array of numbers from a file.

    Args:
        name: Name of the setting that holds the path, for messages.
        path: A `.npy` file, or a `.csv` file without a header.

    Raises:
        InputError: if the file cannot be read, or has another suffix.
    """
    path = Path(path)
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        if path.suffix == ".csv":
            return np.loadtxt(path, delimiter=",", ndmin=2)
    except _UNREADABLE as error:
        raise InputError(
            f"`{name}` should name a .npy or .csv file of a matrix. Received: "
            f"'{path}', which cannot be read ({' '.join(str(error).split())})."
        ) from None
    raise InputError(
        f"`{name}` should name a .npy or .csv file of a matrix. Received: "
        f"'{path}'."
    )


def corrupt(
    labels: Any,
    kind: Any,
    ratio: float | None = None,
    seed: int = 0,
    mode: str = "exact",
    *,
    num_classes: int | None = None,
    target_seed: int | None = None,
) -> Corruption:
    """Returns noisy labels for clean labels.

    Args:
        labels: Clean class ids, `(examples,)` integers.
        kind: A name of `KINDS`, or a T, `(classes, classes)`, whose rows are
            clean classes and sum to 1.
        ratio: The share of each class that is selected, in [0, 1]. Must be
            None if `kind` is a T. Defaults to None.
        seed: An integer >= 0. Defaults to 0.
        mode: "exact" (fixed counts) or "iid" (independent draws). Defaults to
            "exact".
        num_classes: Number of classes. Defaults to the size of T, or to the
            largest label + 1.
        target_seed: The seed of the classes that "flip_to_one" flips to, an
            integer >= 0. Give all repetitions of an experiment the same, and
            they have the same T. Defaults to None, `seed`.

    Returns:
        A `Corruption`.

    Raises:
        InputError: if an argument or a label is invalid, or if a class is too
            small for the equal counts of exact uniform noise.
    """
    given, labels = labels, checks.as_labels("clean", labels)
    dtype = np.asarray(given).dtype
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise bad_argument(
            "labels",
            "integer class ids of shape (examples,)",
            f"{labels.dtype} of shape {labels.shape}",
        )
    if len(labels) == 0:
        raise bad_argument("labels", "at least one class id", labels)
    observed = None
    if num_classes is None and isinstance(kind, str):
        observed = checks.count_classes("clean", labels)
    targets = _checked_target_seed(seed, target_seed)
    expected = _expected_transition(kind, ratio, targets, num_classes, observed)
    check_countable(dtype, len(expected))
    outside = (labels < 0) | (labels >= len(expected))
    if outside.any():
        index = int(np.argmax(outside))
        raise InputError(
            f"`labels` should be in [0, {len(expected)}). Received: label "
            f"{labels[index]} at example {index}."
        )
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    if mode == "iid":
        noisy = _draw_all(labels, expected, seed)
    else:
        noisy = _corrupt_exactly(labels, kind, ratio, expected, seed, targets)
    return Corruption(
        labels=noisy.astype(dtype),
        expected=expected,
        empirical=empirical_transition(labels, noisy, len(expected)),
    )


def add_noise(
    kind: Any,
    ratio: float | None = None,
    seed: int = 0,
    mode: str = "iid",
    *,
    num_classes: int | None = None,
    target_seed: int | None = None,
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Returns a transformation for `Dataset.apply` that corrupts the labels.

    The noisy label of an example is a function of the seed and of the position
    of the example in the dataset. Apply the transformation before `shuffle`
    and `batch`: then each example keeps the same noisy label in every epoch.
    `corrupt` returns the same labels for the same arguments (including
    `mode`).

    Args:
        kind: A name of `KINDS`, or a T, `(classes, classes)`, whose rows are
            clean classes and sum to 1.
        ratio: The share of each class that is selected, in [0, 1]. Must be
            None if `kind` is a T. Defaults to None.
        seed: An integer >= 0. Defaults to 0.
        mode: "exact", which reads all labels of the dataset once, or "iid",
            which reads none in advance. Defaults to "iid".
        num_classes: Number of classes. Required in mode "iid" if `kind` is a
            name. Defaults to the size of T, or in mode "exact" to the largest
            label + 1.

    Returns:
        A function from a dataset of unbatched `(x, label)` to a dataset of
        `(x, noisy_label)`.

    Raises:
        InputError: if an argument is invalid; later, from `Dataset.apply`, if
            the elements are not unbatched pairs `(x, integer label)`.
    """
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    if mode == "iid":
        if isinstance(kind, str) and num_classes is None:
            raise bad_argument("num_classes", "given in mode 'iid'", None)
        targets = _checked_target_seed(seed, target_seed)
        expected = _expected_transition(kind, ratio, targets, num_classes, None)

    def apply(dataset: tf.data.Dataset) -> tf.data.Dataset:
        spec = dataset.element_spec
        pair = isinstance(spec, tuple) and len(spec) == 2
        labels: Any = spec[1] if pair else None
        scalar = isinstance(labels, tf.TensorSpec) and labels.shape.rank == 0
        if not scalar or not labels.dtype.is_integer:
            raise bad_argument(
                "dataset", "of unbatched elements (x, integer label)", spec
            )
        if mode == "exact" and dataset.cardinality() < 0:
            raise bad_argument(
                "dataset", "of known length in mode 'exact'", spec
            )
        if mode == "exact":
            order.check("clean", dataset)
            clean = dataset.map(lambda _, label: label).as_numpy_iterator()
            dtype = labels.dtype.as_numpy_dtype
            noisy = tf.constant(
                corrupt(
                    np.fromiter(clean, dtype),
                    kind,
                    ratio,
                    seed,
                    num_classes=num_classes,
                    target_seed=target_seed,
                ).labels
            )

            def relabel(index: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
                return tf.cast(noisy[index], label.dtype)
        else:
            check_countable(labels.dtype.as_numpy_dtype, len(expected))
            cumulative = tf.constant(np.cumsum(expected, axis=1))

            def relabel(index: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
                return _draw(index, label, cumulative, seed)

        return dataset.enumerate().map(
            lambda index, element: (element[0], relabel(index, element[1])),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    return apply


def empirical_transition(
    clean: np.ndarray, noisy: np.ndarray, num_classes: int
) -> np.ndarray:
    """Returns the share of each clean class that got each noisy label.

    Args:
        clean: Class ids, `(examples,)`.
        noisy: Class ids, `(examples,)`.
        num_classes: Number of classes.

    Returns:
        `(classes, classes)` float64. Rows are clean classes and sum to 1; a
        class without examples has the identity row.
    """
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (clean, noisy), 1)
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(
        totals > 0, counts / np.maximum(totals, 1), np.eye(num_classes)
    )


def check_ratio(ratio: Any) -> None:
    """Raises an `InputError` unless `ratio` is a number in [0, 1]."""
    check_fraction("ratio", ratio)


def check_num_classes(num_classes: Any) -> None:
    """Raises an `InputError` unless `num_classes` is an integer >= 2."""
    check_count("num_classes", num_classes, least=2)


def check_countable(dtype: np.dtype[Any], num_classes: int) -> None:
    """Raises an `InputError` if the integer `dtype` cannot hold every class."""
    if num_classes - 1 > np.iinfo(dtype).max:
        raise bad_argument(
            "num_classes", f"small enough for labels of {dtype}", num_classes
        )


def _checked_target_seed(seed: Any, target_seed: Any) -> int:
    """Returns the seed of the targets, after checking both seeds."""
    check_seed(seed)
    if target_seed is None:
        return int(seed)
    return check_seed(target_seed, "target_seed")


def _expected_transition(
    kind: Any,
    ratio: Any,
    target_seed: int,
    num_classes: Any,
    observed_classes: Any,
) -> np.ndarray:
    if isinstance(kind, str):
        size = num_classes if num_classes is not None else observed_classes
        return transition_matrix(kind, size, ratio, target_seed)
    if ratio is not None:
        raise bad_argument("ratio", "left out with a T", ratio)
    return transitions.validate(kind, num_classes)


def _corrupt_exactly(
    labels: np.ndarray,
    kind: Any,
    ratio: Any,
    expected: np.ndarray,
    seed: int,
    target_seed: int,
) -> np.ndarray:
    # `flip_targets` draws from the seed alone: this stream is independent.
    rng = np.random.default_rng([seed, 1])
    noisy = labels.copy()
    num_classes = len(expected)
    for label in range(num_classes):
        members = rng.permutation(np.flatnonzero(labels == label))
        if isinstance(kind, str):
            count = round(ratio * len(members))
            members = members[:count]
        if not isinstance(kind, str):
            targets = _by_largest_remainder(expected[label], len(members))
        elif kind == "uniform":
            targets = _evenly(num_classes, count, label, rng)
        elif kind == "flip_random":
            shifts = rng.integers(1, num_classes, count)
            targets = (label + shifts) % num_classes
        else:
            targets = _targets(kind, num_classes, target_seed)[label]
        noisy[members] = targets
    return noisy


def _targets(kind: str, num_classes: int, seed: int) -> np.ndarray:
    """Returns the class that each class flips to, `(num_classes,)`."""
    if kind == "flip_to_one":
        return flip_targets(num_classes, seed)
    if kind == "pair":
        return (np.arange(num_classes) + 1) % num_classes
    if num_classes != len(_CIFAR10_TARGETS):
        raise bad_argument(
            "num_classes", "10 for asymmetric_cifar10", num_classes
        )
    return np.array(_CIFAR10_TARGETS)


def _evenly(
    num_classes: int, count: int, label: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns `count` class ids, equally many of each class."""
    remainder = count % num_classes
    if remainder > MAX_UNIFORM_REMAINDER * count:
        raise InputError(
            "Exact uniform noise should select about a multiple of "
            f"{num_classes} examples of each class. Received: {count} selected "
            f"of class {label}; use `mode` = 'iid'."
        )
    extra = rng.permutation(num_classes)[:remainder]
    whole = np.tile(np.arange(num_classes), count // num_classes)
    return np.concatenate([whole, extra])


def _by_largest_remainder(row: np.ndarray, count: int) -> np.ndarray:
    """Returns `count` class ids in the proportions of a row of T."""
    exact_counts = row / row.sum() * count
    counts = np.floor(exact_counts + 1e-9).astype(int)
    missing = count - counts.sum()
    counts[np.argsort(counts - exact_counts, kind="stable")[:missing]] += 1
    return np.repeat(np.arange(len(row)), counts)


def _draw(
    index: tf.Tensor, label: tf.Tensor, cumulative: tf.Tensor, seed: int
) -> tf.Tensor:
    """Returns the noisy label of one example, a function of (seed, index)."""
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(index, tf.int64)])
    uniform = tf.random.stateless_uniform([], key, dtype=cumulative.dtype)
    # The last sum should be 1, but rounding may leave it lower: do not compare
    # with it.
    above = uniform >= tf.gather(cumulative, tf.cast(label, tf.int64))[:-1]
    return tf.reduce_sum(tf.cast(above, label.dtype))


@tf.function
def _draw_each(
    labels: tf.Tensor, cumulative: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    return tf.map_fn(
        lambda element: _draw(element[0], element[1], cumulative, seed),
        (tf.range(tf.size(labels), dtype=tf.int64), labels),
        fn_output_signature=labels.dtype,
    )


def _draw_all(
    labels: np.ndarray, expected: np.ndarray, seed: int
) -> np.ndarray:
    cumulative = tf.constant(np.cumsum(expected, axis=1))
    labels = tf.constant(labels.astype(np.int64))
    return _draw_each(labels, cumulative, tf.constant(seed, tf.int64)).numpy()
