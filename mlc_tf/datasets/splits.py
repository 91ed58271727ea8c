"""The splits of a dataset, and the clean set that is drawn from one of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

import numpy as np

from mlc_tf.data import checks
from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import Examples
from mlc_tf.data.examples import Stream
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_seed


@dataclass(frozen=True)
class Splits:
    """A dataset: labelled examples under names.

    Attributes:
        train: The training set, inputs in the dataset's own units.
        test: The test set.
        class_names: One name per class.
        clean: The trusted set; None until one is drawn.
        human_labels: Labels that people gave to the training set, ids
            `(examples,)`, by the name of each set of them. Defaults to none.
        groups: Which training examples are held out together, as the words of
            one tweet: an id of its group for each, `(examples,)`. Defaults to
            None, each by itself.
        twins_are_one: Whether equal inputs are the same example, as images
            are; a window of words is not. Defaults to True.
        notes: What a user should know of this data, a sentence each.
    """

    train: Examples
    test: Examples
    class_names: tuple[str, ...]
    clean: Examples | None = None
    human_labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: np.ndarray | None = None
    twins_are_one: bool = True
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def checked(self) -> "Splits":
        """Returns itself, after checking what of every split is at hand.

        Raises:
            InputError: with the split, the index and what is wrong there.
        """
        for which in ("train", "test", "clean"):
            examples = getattr(self, which)
            if examples is not None and not isinstance(examples, Stream):
                # Inputs that lie elsewhere are looked at as they are read.
                x = getattr(examples, "x", examples.labels)
                checks.check_arrays(which, x, examples.labels)
                self._check_labels(which, examples)
        for which in ("test", "clean"):
            self._check_shape(which)
        if self.clean is not None and not isinstance(self.clean, Stream):
            _check_every_class("clean", self.clean.labels, self.class_names)
        if self.twins_are_one:
            for which in ("test", "train"):
                _check_disjoint(self.clean, which, getattr(self, which))
        return self

    def hold_out(self, share: float, seed: int) -> "Splits":
        """Returns splits whose test set is a share of the training set.

        For choosing hyperparameters without the test set, which leaves.
        Groups are held out as a whole.

        Args:
            share: Of the training examples, or of their groups, in (0, 1).
            seed: Draws them.
        """
        rng = np.random.default_rng([check_seed(seed), 2])
        groups = self.groups
        if groups is None:
            groups = np.arange(len(self.train))
        order = rng.permutation(np.unique(groups))
        if not 0 < share < 1 or round(share * len(order)) == len(order):
            raise bad_argument(
                "validation",
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
        """Returns splits with a clean set that has left the training set.

        Args:
            per_class: Examples of each class.
            seed: Draws them.
            fewer_if_rare: Whether a class with no more than `per_class`
                examples gives all but one of them. Defaults to False: it is
                an error.

        Raises:
            InputError: if a class has no more than `per_class` examples whose
                input occurs but once in the training and test splits.
        """
        if not isinstance(per_class, (int, np.integer)) or per_class < 1:
            raise bad_argument("clean.per_class", "an integer >= 1", per_class)
        rng = np.random.default_rng([check_seed(seed), 3])
        alone = self._without_twin()
        drawn = []
        for label, name in enumerate(self.class_names):
            members = np.flatnonzero((self.train.labels == label) & alone)
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
        """Returns splits whose clean set left the training set.

        Args:
            indices: Of the training set, ascending.
        """
        kept = np.setdiff1d(np.arange(len(self.train)), indices)
        if len(kept) == 0:
            raise InputError(
                "The clean set should leave examples to train on. Received: "
                "all of the training set."
            )
        clean = self.train.take(indices)
        return replace(self._keep(kept), clean=clean).checked()

    def _keep(self, kept: np.ndarray) -> "Splits":
        return replace(
            self,
            train=self.train.take(kept),
            groups=None if self.groups is None else self.groups[kept],
            human_labels={
                name: labels[kept] for name, labels in self.human_labels.items()
            },
        )

    def _without_twin(self) -> np.ndarray:
        """Returns which training inputs occur nowhere else, `(examples,)`.

        A twin of a drawn example must not stay behind, nor be tested on.
        """
        train, test = self.train.fingerprints(), self.test.fingerprints()
        if not self.twins_are_one or train is None:
            return np.ones(len(self.train), bool)
        twice = Counter(train)
        twice.update(set(test or ()))
        return np.array([twice[row] == 1 for row in train])

    def _check_shape(self, which: str) -> None:
        examples: Examples | None = getattr(self, which)
        if examples is None:
            return
        ours, theirs = self.train.input_spec.shape, examples.input_spec.shape
        if ours != theirs:
            raise InputError(
                f"The {which} set should have inputs of shape {tuple(ours)}, "
                f"as the train set. Received: {tuple(theirs)}."
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
    clean: Examples | None, which: str, other: Examples
) -> None:
    if clean is None or type(clean) is not type(other):
        return
    ours, theirs = clean, other
    if isinstance(clean, Arrays) and isinstance(other, Arrays):
        dtype = np.result_type(clean.x, other.x)
        ours = Arrays(clean.x.astype(dtype, copy=False), clean.labels)
        theirs = Arrays(other.x.astype(dtype, copy=False), other.labels)
    mine, yours = ours.fingerprints(), theirs.fingerprints()
    if mine is None or yours is None:
        return
    seen = {row: index for index, row in enumerate(mine)}
    for index, row in enumerate(yours):
        if row in seen:
            raise InputError(
                f"The clean set should not overlap the {which} set. Received: "
                f"the same input as clean {clean.name_of(seen[row])} and "
                f"{which} {other.name_of(index)}."
            )
