"""The splits of a dataset, and the clean set that is drawn from one of them."""

from collections import Counter
from dataclasses import dataclass
from dataclasses import replace

import numpy as np

from mlc_tf import data_checks
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_seed


@dataclass(frozen=True)
class Splits:
    """A dataset as arrays.

    Attributes:
        x_train: `(examples, ...)` inputs, in the dataset's own units.
        y_train: `(examples,)` class ids.
        x_test: As `x_train`.
        y_test: As `y_train`.
        class_names: One name per class.
        x_clean: The trusted set, as `x_train`; None until one is drawn.
        y_clean: Its class ids.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    x_clean: np.ndarray | None = None
    y_clean: np.ndarray | None = None

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def clean(self) -> tuple[np.ndarray, np.ndarray]:
        """The trusted set, `(x, labels)`.

        Raises:
            InputError: if there is none yet.
        """
        if self.x_clean is None or self.y_clean is None:
            raise InputError(
                "The dataset should have a clean set. Received: none."
            )
        return self.x_clean, self.y_clean

    def checked(self) -> "Splits":
        """Returns itself, after checking every split.

        Raises:
            InputError: with the split, the index and what is wrong there.
        """
        for which in ("train", "test", "clean"):
            x = getattr(self, f"x_{which}")
            labels = getattr(self, f"y_{which}")
            if x is None and labels is None and which == "clean":
                continue
            data_checks.check_arrays(which, x, labels)
            self._check_split(which, x, labels)
        if self.x_clean is not None:
            x, labels = self.clean
            _check_every_class("clean", labels, self.class_names)
            _check_disjoint("clean", x, "test", self.x_test)
            _check_disjoint("clean", x, "train", self.x_train)
        return self

    def hold_out(self, share: float, seed: int) -> "Splits":
        """Returns splits whose test set is a share of the training set.

        For choosing hyperparameters without the test set, which leaves.

        Args:
            share: Of the training examples, in (0, 1).
            seed: Draws them.
        """
        rng = np.random.default_rng([check_seed(seed), 2])
        order = rng.permutation(len(self.x_train))
        if not 0 < share < 1 or round(share * len(order)) == len(order):
            raise bad_argument(
                "validation",
                "in (0, 1), with an example left to train on",
                share,
            )
        count = max(1, round(share * len(order)))
        held, kept = np.sort(order[:count]), np.sort(order[count:])
        return replace(
            self,
            x_train=self.x_train[kept],
            y_train=self.y_train[kept],
            x_test=self.x_train[held],
            y_test=self.y_train[held],
        )

    def draw_clean(self, per_class: int, seed: int) -> "Splits":
        """Returns splits with a clean set that has left the training set.

        Args:
            per_class: Examples of each class.
            seed: Draws them.

        Raises:
            InputError: if a class has no more than `per_class` examples whose
                input occurs but once in the training and test splits.
        """
        if not isinstance(per_class, (int, np.integer)) or per_class < 1:
            raise bad_argument("clean.per_class", "an integer >= 1", per_class)
        rng = np.random.default_rng([check_seed(seed), 3])
        # A twin of a drawn example must not stay behind, nor be tested on.
        inputs = [row.tobytes() for row in self.x_train]
        twice = Counter(inputs)
        twice.update({row.tobytes() for row in self.x_test})
        alone = np.array([twice[row] == 1 for row in inputs])
        drawn = []
        for label, name in enumerate(self.class_names):
            members = np.flatnonzero((self.y_train == label) & alone)
            if len(members) <= per_class:
                raise InputError(
                    "`clean.per_class` should be less than the number of "
                    f"training examples of each class. Received: {per_class}, "
                    f"with {len(members)} of class {label} ({name})."
                )
            drawn.append(rng.choice(members, per_class, replace=False))
        indices = np.sort(np.concatenate(drawn))
        kept = np.setdiff1d(np.arange(len(self.y_train)), indices)
        return replace(
            self,
            x_train=self.x_train[kept],
            y_train=self.y_train[kept],
            x_clean=self.x_train[indices],
            y_clean=self.y_train[indices],
        ).checked()

    def _check_split(self, which: str, x: np.ndarray, y: np.ndarray) -> None:
        if x.shape[1:] != self.x_train.shape[1:]:
            raise InputError(
                f"The {which} set should have inputs of shape "
                f"{self.x_train.shape[1:]}, as the train set. Received: "
                f"{x.shape[1:]}."
            )
        if y.ndim != 1:
            raise InputError(
                f"The {which} set should have class ids of shape (examples,) "
                f"as labels. Received: labels of shape {y.shape}."
            )
        if y.max() >= self.num_classes:
            index = int(np.argmax(y >= self.num_classes))
            raise InputError(
                f"The {which} set should have labels in "
                f"[0, {self.num_classes}). Received: label {y[index]} at "
                f"example {index}."
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
    which: str, x: np.ndarray, other: str, x_other: np.ndarray
) -> None:
    dtype = np.result_type(x, x_other)
    seen = {row.astype(dtype).tobytes(): index for index, row in enumerate(x)}
    for index, row in enumerate(x_other.astype(dtype, copy=False)):
        if row.tobytes() in seen:
            raise InputError(
                f"The {which} set should not overlap the {other} set. "
                f"Received: the same input as {which} example "
                f"{seen[row.tobytes()]} and {other} example {index}."
            )
