"""Wrong labels on purpose that depend on the class: by name, or by any T.

`ratio` is the share of each class that is *selected* for relabelling (paper,
section 4.1; the released `*_noise.py` scripts):

| kind | a selected example of class i gets | T[i, :] |
|---|---|---|
| `uniform` | any class, its own included | 1 - r + r/C on the diagonal, r/C |
| `flip_random` | any other class | 1 - r on the diagonal, r/(C-1) |
| `flip_to_one` | the one class drawn for i | 1 - r on the diagonal, one r |
| `pair` | class i + 1, the first after the last | as `flip_to_one` |
| `asymmetric_cifar10` | the class it looks like | as `flip_to_one`, or 1 |

`pair` is that of Han et al., 2018 (Co-teaching); `asymmetric_cifar10` that of
Patrini et al., 2017: truck to automobile, bird to airplane, deer to horse, cat
and dog to each other; the other classes keep their labels. Noise that depends
on the example is in `instance_noise.py`.

`mode="exact"` selects `round(ratio * n_i)` examples of class i. Of them
uniform noise gives each class as many as any other (a remainder goes to
classes drawn at random), `flip_random` draws each target by itself, and an
array T gets its counts by largest remainder. `mode="iid"` draws every label
from its row of T. `T[i, j] = p(noisy = j | clean = i)` throughout.
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
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_seed
from mlc_tf.errors import unknown_name

KINDS = ("uniform", "flip_random", "flip_to_one", "pair", "asymmetric_cifar10")
MODES = ("exact", "iid")
# Truck (9), bird (2), deer (4), cat (3) and dog (5) in CIFAR-10's order.
_CIFAR10_TARGETS = (0, 1, 0, 5, 7, 3, 6, 7, 8, 1)
# Exact uniform counts are refused where more than this share of the selected
# examples of a class would be such a remainder.
MAX_UNIFORM_REMAINDER = 0.25
# What NumPy raises for files that are no array, or a broken one.
_UNREADABLE = (
    EOFError,
    OSError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Corruption:
    """What `corrupt` did.

    Attributes:
        labels: The noisy labels, `(examples,)`, with the dtype of the clean.
        expected: The T that was asked for, `(classes, classes)`, rows are
            clean classes.
        empirical: The share of each clean class that got each label, same
            shape; a class without examples has the row of the identity.
    """

    labels: np.ndarray
    expected: np.ndarray
    empirical: np.ndarray


def transition_matrix(
    kind: str, num_classes: int, ratio: float, seed: int = 0
) -> np.ndarray:
    """Returns the T of a noise.

    Args:
        kind: A name of `KINDS`.
        num_classes: At least 2.
        ratio: The share of each class that is selected, in [0, 1].
        seed: Draws the targets of `flip_to_one`, the same for every ratio; two
            classes may share one. Defaults to 0.

    Returns:
        `(classes, classes)` float64, rows are clean classes and sum to 1.

    Raises:
        InputError: for an argument outside what is said above.
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
    """Returns the class that each class flips to, never itself: `(C,)`."""
    rng = np.random.default_rng(check_seed(seed))
    shifts = rng.integers(1, num_classes, num_classes)
    return (np.arange(num_classes) + shifts) % num_classes


def read_transition(path: str | Path) -> np.ndarray:
    """Returns the T in a file, `(classes, classes)`, rows are clean classes.

    Args:
        path: A `.npy` of numbers, or a `.csv` of them without a header.

    Raises:
        InputError: if it cannot be read, or is no transition matrix.
    """
    return transitions.validate(read_matrix("noise.kind", path))


def read_matrix(name: str, path: str | Path) -> np.ndarray:
    """Returns the numbers in a `.npy`, or a `.csv` without a header.

    Args:
        name: Of the setting that names the file, for messages.
        path: The file.

    Raises:
        InputError: if it cannot be read.
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
) -> Corruption:
    """Returns noisy labels for clean ones.

    Args:
        labels: Clean class ids, `(examples,)` integers.
        kind: A name of `KINDS`, or a T `(classes, classes)`, rows are clean
            classes and sum to 1.
        ratio: The share of each class that is selected, in [0, 1]; left out
            with a T.
        seed: An integer. Defaults to 0.
        mode: `"exact"` or `"iid"`. Defaults to "exact".
        num_classes: Defaults to the size of T, or to the largest label + 1.

    Returns:
        A `Corruption`.

    Raises:
        InputError: for bad arguments or labels, and in exact uniform noise
            where a class is too small for equal counts.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise bad_argument(
            "labels",
            "integer class ids of shape (examples,)",
            f"{labels.dtype} of shape {labels.shape}",
        )
    if len(labels) == 0:
        raise bad_argument("labels", "at least one class id", labels)
    expected = _expected_transition(
        kind, ratio, seed, num_classes, int(labels.max()) + 1
    )
    check_countable(labels.dtype, len(expected))
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
        noisy = _corrupt_exactly(labels, kind, ratio, expected, seed)
    return Corruption(
        labels=noisy.astype(labels.dtype),
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
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Returns a transformation for `Dataset.apply` that corrupts the labels.

    The label of an example is a function of (seed, its position in the
    dataset), so apply it before `shuffle` and `batch`: then the same example
    keeps the same wrong label in every epoch, whatever comes after.
    `corrupt` gives the same labels for the same arguments, `mode` among them.

    Args:
        kind: As in `corrupt`.
        ratio: As in `corrupt`.
        seed: An integer. Defaults to 0.
        mode: As in `corrupt`; "exact" reads all labels once. Defaults to
            "iid", which reads none.
        num_classes: As in `corrupt`; needed in mode "iid" unless `kind` is a
            T.

    Returns:
        A function from a dataset of unbatched `(x, label)` to one of
        `(x, noisy_label)`.

    Raises:
        InputError: as `corrupt`; from `apply` if the elements are no unbatched
            `(x, label)`.
    """
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    if mode == "iid":
        if isinstance(kind, str) and num_classes is None:
            raise bad_argument("num_classes", "given in mode 'iid'", None)
        expected = _expected_transition(kind, ratio, seed, num_classes, None)

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
            clean = dataset.map(lambda _, label: label).as_numpy_iterator()
            dtype = labels.dtype.as_numpy_dtype
            noisy = tf.constant(
                corrupt(
                    np.fromiter(clean, dtype),
                    kind,
                    ratio,
                    seed,
                    num_classes=num_classes,
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
        num_classes: C.

    Returns:
        `(classes, classes)` float64, rows are clean classes; a class without
        examples has the row of the identity.
    """
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (clean, noisy), 1)
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(
        totals > 0, counts / np.maximum(totals, 1), np.eye(num_classes)
    )


def check_ratio(ratio: Any) -> None:
    """Raises unless `ratio` is a number in [0, 1]."""
    number = isinstance(ratio, (int, float, np.number))
    if not number or isinstance(ratio, bool) or not 0 <= ratio <= 1:
        raise bad_argument("ratio", "in [0, 1]", ratio)


def check_num_classes(num_classes: Any) -> None:
    """Raises unless `num_classes` is an integer that leaves a wrong class."""
    if not isinstance(num_classes, (int, np.integer)) or num_classes < 2:
        raise bad_argument("num_classes", "an integer >= 2", num_classes)


def check_countable(dtype: np.dtype[Any], num_classes: int) -> None:
    """Raises if labels of `dtype` cannot hold every class."""
    if num_classes - 1 > np.iinfo(dtype).max:
        raise bad_argument(
            "num_classes", f"within what {dtype} labels can count", num_classes
        )


def _expected_transition(
    kind: Any,
    ratio: Any,
    seed: int,
    num_classes: Any,
    observed_classes: Any,
) -> np.ndarray:
    check_seed(seed)
    if isinstance(kind, str):
        size = num_classes if num_classes is not None else observed_classes
        return transition_matrix(kind, size, ratio, seed)
    if ratio is not None:
        raise bad_argument("ratio", "left out with a T", ratio)
    return transitions.validate(kind, num_classes)


def _corrupt_exactly(
    labels: np.ndarray,
    kind: Any,
    ratio: Any,
    expected: np.ndarray,
    seed: int,
) -> np.ndarray:
    rng = np.random.default_rng([seed, 1])  # the seed alone draws flip targets
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
            targets = _targets(kind, num_classes, seed)[label]
        noisy[members] = targets
    return noisy


def _targets(kind: str, num_classes: int, seed: int) -> np.ndarray:
    """Returns the class that each class flips to, `(C,)`."""
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
    shares = row / row.sum() * count
    counts = np.floor(shares + 1e-9).astype(int)
    missing = count - counts.sum()
    counts[np.argsort(counts - shares, kind="stable")[:missing]] += 1
    return np.repeat(np.arange(len(row)), counts)


def _draw(
    index: tf.Tensor, label: tf.Tensor, cumulative: tf.Tensor, seed: int
) -> tf.Tensor:
    """Returns the noisy label of one example, a function of (seed, index)."""
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(index, tf.int64)])
    uniform = tf.random.stateless_uniform([], key, dtype=cumulative.dtype)
    # Rounding may leave the last sum below 1, so that it is not compared.
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
