"""The splits of a dataset, held-out examples and the draw of a clean set."""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

import numpy as np

from mlc_tf.data import checks
from mlc_tf.data import inputs
from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import Examples
from mlc_tf.data.examples import Stream
from mlc_tf.datasets.columns import Column
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count
from mlc_tf.errors import check_seed

# Maximum number of pairs of equal examples that a message names.
NAMED = 10


@dataclass(frozen=True)
class Splits:
    """A dataset: its splits, its class names and facts about its examples.

    Attributes:
        train: The training set; its inputs have the dataset's own units.
        test: The test set; None if the data have none, and `hold_out` makes
            one.
        class_names: The name of each class, in the order of the class ids.
        clean: The trusted set. Defaults to None: there is none, and
            `draw_clean` may draw it.
        human_labels: Sets of labels that people gave to the training examples,
            by name; each set is `(examples,)` class ids. Defaults to `{}`.
        groups: `(examples,)` group ids of the training examples. Examples of
            one group, such as the words of one tweet, are held out together.
            Defaults to None: each example is its own group.
        twins_are_one: Whether equal inputs are the same example. This holds for
            images, but not for windows of words. Defaults to True.
        notes: Sentences that a user should know about the data, such as how
            many images were skipped. Defaults to `()`.
        columns: The columns of a table from which the inputs were made, for
            serving. Defaults to `()`: the inputs come from no table.
    """

    train: Examples
    test: Examples | None
    class_names: tuple[str, ...]
    clean: Examples | None = None
    human_labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: np.ndarray | None = None
    twins_are_one: bool = True
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def checked(self) -> "Splits":
        """Returns these splits, after checking those that are not streams.

        Raises:
            InputError: if inputs or labels are invalid, the splits have their
                inputs in other units, the clean set lacks a class, or the clean
                set shares an input with another split. The message names the
                split and the example.
        """
        for which in ("train", "test", "clean"):
            examples = getattr(self, which)
            if examples is not None and not isinstance(examples, Stream):
                # Inputs in files are not checked before they are read.
                x = getattr(examples, "x", examples.labels)
                checks.check_arrays(which, x, examples.labels)
                self._check_labels(which, examples)
        for which in ("test", "clean"):
            self._check_shape(which)
            examples = getattr(self, which)
            if isinstance(self.train, Arrays) and isinstance(examples, Arrays):
                inputs.check_units(("train", self.train.x), (which, examples.x))
        if self.clean is not None and not isinstance(self.clean, Stream):
            _check_every_class("clean", self.clean.labels, self.class_names)
        if self.twins_are_one:
            for which in ("test", "train"):
                _check_disjoint(self.clean, which, getattr(self, which))
        return self

    def hold_out(self, share: float, seed: int) -> "Splits":
        """Returns splits whose test set is a part of the training set.

        The result serves to choose hyperparameters, or where there is no test
        set: it does not contain the test set. A group is held out as a whole.

        Args:
            share: The share of the training examples, or of their groups, that
                is held out, in (0, 1).
            seed: An integer >= 0, which draws the held-out examples.

        Raises:
            InputError: if `share` is invalid or leaves no training examples.
        """
        rng = np.random.default_rng([check_seed(seed), 2])
        groups = self.groups
        if groups is None:
            groups = np.arange(len(self.train))
        order = rng.permutation(np.unique(groups))
        if not 0 < share < 1 or round(share * len(order)) == len(order):
            raise bad_argument(
                "dataset.validation",
                "in (0, 1), with examples left to train on",
                share,
            )
        count = max(1, round(share * len(order)))
        held = np.isin(groups, order[:count])
        return replace(
            self._keep(np.flatnonzero(~held)),
            test=self.train.take(np.flatnonzero(held)),
        )

    def draw_clean(
        self, per_class: int, seed: int, fewer_if_rare: bool = False
    ) -> "Splits":
        """Moves randomly drawn training examples to the clean set.

        Only examples whose input occurs once in the training and test splits
        are drawn (see `twins_are_one`).

        Args:
            per_class: Number of clean examples of each class, at least 1.
            seed: An integer >= 0, which draws the examples.
            fewer_if_rare: Whether a class with at most `per_class` such
                examples gives all but one of them. Defaults to False: such a
                class is an error.

        Returns:
            Splits with the clean set, and without it in the training set.

        Raises:
            InputError: if a class has at most `per_class` such examples.
        """
        check_count("clean.per_class", per_class)
        rng = np.random.default_rng([check_seed(seed), 3])
        unique = self._without_twin()
        drawn = []
        for label, name in enumerate(self.class_names):
            members = np.flatnonzero((self.train.labels == label) & unique)
            count = per_class
            if fewer_if_rare:
                count = min(per_class, len(members) - 1)
            if len(members) <= count or count < 1:
                raise InputError(
                    "`clean.per_class` should be less than the number of "
                    f"training examples of each class. Received: {per_class}, "
                    f"with {len(members)} of class {label} ({name})."
                )
            drawn.append(rng.choice(members, count, replace=False))
        indices = np.sort(np.concatenate(drawn))
        return self.set_clean(indices)

    def set_clean(self, indices: np.ndarray) -> "Splits":
        """Moves training examples to the clean set.

        Args:
            indices: Indices of the examples in the training set, ascending.

        Returns:
            Splits with the clean set, and without it in the training set.

        Raises:
            InputError: if no training examples are left, or if the clean set
                fails `checked`.
        """
        kept = np.setdiff1d(np.arange(len(self.train)), indices)
        if len(kept) == 0:
            raise InputError(
                "The clean set should leave examples to train on. Received: "
                "all of the training set."
            )
        clean = self.train.take(indices)
        return replace(self._keep(kept), clean=clean).checked()

    def with_twin_notes(self) -> "Splits":
        """Returns splits with notes on equal inputs that are not errors.

        A note counts the test inputs that are training inputs too, or the
        training inputs that have several labels.
        """
        if not self.twins_are_one:
            return self
        notes = []
        shared = [] if self.test is None else _twins(self.train, self.test)
        if self.test is not None and shared:
            first, second = shared[0]
            notes.append(
                f"{len(shared)} of {len(self.test)} test inputs are training "
                f"inputs too, such as test {self.test.name_of(second)} and "
                f"train {self.train.name_of(first)}."
            )
        notes.extend(self._conflicts())
        return replace(self, notes=(*self.notes, *notes))

    def _conflicts(self) -> Iterator[str]:
        """Yields a note on equal training inputs that have several labels."""
        rows, labels = self.train.fingerprints(), self.train.labels
        if rows is None:
            return
        first: dict[Any, int] = {}
        pairs = [
            (twin, index)
            for index, row in enumerate(rows)
            for twin in [first.setdefault(row, index)]
            if labels[twin] != labels[index]
        ]
        if pairs:
            twin, index = (
                f"{self.train.name_of(index)} "
                f"({self.class_names[labels[index]]})"
                for index in pairs[0]
            )
            yield (
                f"{len(pairs)} of {len(labels)} training inputs equal another "
                f"training input of another class, such as {index} and {twin}."
            )

    def _keep(self, kept: np.ndarray) -> "Splits":
        """Returns splits with the training examples at the indices `kept`."""
        return replace(
            self,
            train=self.train.take(kept),
            groups=None if self.groups is None else self.groups[kept],
            human_labels={
                name: labels[kept] for name, labels in self.human_labels.items()
            },
        )

    def _without_twin(self) -> np.ndarray:
        """Returns which training inputs occur only once, `(examples,)` bool.

        An input that equals a clean input must be neither in the training set
        nor in the test set.
        """
        train = self.train.fingerprints()
        test = None if self.test is None else self.test.fingerprints()
        if not self.twins_are_one or train is None:
            return np.ones(len(self.train), bool)
        counts = Counter(train)
        counts.update(set(test or ()))
        return np.array([counts[row] == 1 for row in train])

    def _check_shape(self, which: str) -> None:
        examples: Examples | None = getattr(self, which)
        if examples is None:
            return
        expected, shape = self.train.input_spec.shape, examples.input_spec.shape
        if shape != expected:
            raise InputError(
                f"The {which} set should have inputs of shape "
                f"{tuple(expected)}, like the train set. Received: "
                f"{tuple(shape)}."
            )

    def _check_labels(self, which: str, examples: Examples) -> None:
        labels = examples.labels
        if labels.ndim != 1:
            raise InputError(
                f"The {which} set should have class ids of shape (examples,) "
                f"as labels. Received: labels of shape {labels.shape}."
            )
        if labels.max() >= self.num_classes:
            index = int(np.argmax(labels >= self.num_classes))
            raise InputError(
                f"The {which} set should have labels in "
                f"[0, {self.num_classes}). Received: label {labels[index]} at "
                f"{examples.name_of(index)}."
            )


def _check_every_class(
    which: str, labels: np.ndarray, class_names: tuple[str, ...]
) -> None:
    counts = np.bincount(labels, minlength=len(class_names))
    if not counts.all():
        label = int(np.argmin(counts))
        raise InputError(
            f"The {which} set should hold every class. Received: no example "
            f"of class {label} ({class_names[label]})."
        )


def _check_disjoint(
    clean: Examples | None, which: str, examples: Examples | None
) -> None:
    """Raises if the clean set shares an input with the examples of a split."""
    if clean is None or examples is None:
        return
    pairs = _twins(clean, examples)
    if pairs:
        named = [
            f"clean {clean.name_of(one)} and {which} {examples.name_of(other)}"
            for one, other in pairs[:NAMED]
        ]
        raise InputError(
            f"The clean set should not overlap the {which} set. Received: "
            f"{len(pairs)} inputs of {which} that are clean inputs too, the "
            f"same input as {'; '.join(named)}."
        )


def _twins(first: Examples, second: Examples) -> list[tuple[int, int]]:
    """Returns the `overlap` of the inputs of two sets.

    It is empty if the inputs cannot be compared.
    """
    if type(first) is not type(second):
        return []
    compared: tuple[Examples, Examples] = (first, second)
    if isinstance(first, Arrays) and isinstance(second, Arrays):
        dtype = np.result_type(first.x, second.x)
        compared = (
            Arrays(first.x.astype(dtype, copy=False), first.labels),
            Arrays(second.x.astype(dtype, copy=False), second.labels),
        )
    rows, others = (part.fingerprints() for part in compared)
    if rows is None or others is None:
        return []
    return overlap(rows, others)


def overlap(
    first: Sequence[Any], second: Sequence[Any]
) -> list[tuple[int, int]]:
    """Returns which values of `second` are in `first` too.

    Args:
        first: Hashable values, such as `Examples.fingerprints` returns them.
        second: As `first`.

    Returns:
        (index in `first`, index in `second`) of each, by the second index.
    """
    seen: dict[Any, int] = {}
    for index, value in enumerate(first):
        seen.setdefault(value, index)
    return [
        (seen[value], index)
        for index, value in enumerate(second)
        if value in seen
    ]
