"""The data of a run: noisy, clean and test set, as its config says."""

import hashlib
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

import ml_collections
import numpy as np

from mlc_tf import datasets
from mlc_tf import transitions
from mlc_tf.data import checks
from mlc_tf.data import instance_noise
from mlc_tf.data import noise
from mlc_tf.data.examples import Examples
from mlc_tf.datasets.columns import Column
from mlc_tf.datasets.options import Options
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import in_section
from mlc_tf.errors import unknown_name

_LOADING_BATCH_SIZE = 500
# What the accuracy of a run is measured on, by `Problem.evaluated_on`.
EVALUATION_SETS = {
    "test": "test set",
    "validation": "held-out set",
    "noisy_validation": "held-out set, with its given labels",
}
# The share of the training set that is held out where there is no test set.
_HELD_OUT = 0.1


@dataclass(frozen=True)
class Problem:
    """The data of a run, without the true labels of the noisy examples.

    Attributes:
        noisy: The training set with its given labels.
        clean: The trusted set; None if there is none.
        test: The test set, or the held-out training examples.
        class_names: One name per class.
        evaluated_on: What `test` is, a name of `EVALUATION_SETS`: "validation"
            is held-out training examples, and "noisy_validation" such examples
            whose labels are noisy as they come. Defaults to "test".
        true_transition: The true T, `(classes, classes)`, rows are clean
            classes and sum to 1: the T of the injected noise, or, for human
            labels, the empirical T. None if no noise was injected.
        noise_report: The injected noise, as JSON values. None if no noise was
            injected.
        notes: Remarks on the data for the user, one sentence each.
        columns: The columns of a table from which the inputs were made.
            Defaults to `()`: the inputs come from no table.
    """

    noisy: Examples
    clean: Examples | None
    test: Examples
    class_names: tuple[str, ...]
    evaluated_on: str = "test"
    true_transition: np.ndarray | None = None
    noise_report: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()

    def folds(self, count: int, seed: int) -> list["Problem"]:
        """Returns problems for a cross-validation on the trusted set.

        Each has a different part of the trusted set as its test set, and the
        rest as its trusted set. The examples of each class are divided
        as equally as possible. The only example of a class stays in the trusted
        set of each problem.

        Args:
            count: The number of problems, at least 2.
            seed: An integer >= 0, which draws the parts.

        Raises:
            InputError: if there is no trusted set, or no class has an example
                for each part.
        """
        clean = self.clean
        if clean is None:
            raise bad_argument(
                "folds",
                "0 without a trusted set (held-out examples then decide)",
                count,
            )
        rng = np.random.default_rng([seed, 4])
        labels = clean.labels
        part_of = np.full(len(labels), -1)
        for label in range(len(self.class_names)):
            members = rng.permutation(np.flatnonzero(labels == label))
            if len(members) > 1:
                part_of[members] = np.arange(len(members)) % count
        if {*range(count)} - {*part_of.tolist()}:
            raise bad_argument(
                "folds",
                "at most the trusted examples of the most frequent class, "
                f"{np.bincount(labels).max()}",
                count,
            )
        return [
            replace(
                self,
                clean=clean.take(np.flatnonzero(part_of != part)),
                test=clean.take(np.flatnonzero(part_of == part)),
                evaluated_on="validation",
            )
            for part in range(count)
        ]


def load(config: ml_collections.ConfigDict) -> Problem:
    """Returns the data of a run, with injected noise.

    The trusted set comes with the dataset, or is drawn from the training set if
    the labels of the dataset are not noisy as they come. Where there is no test
    set, a tenth of the training set is held out.

    Args:
        config: The configuration of the run.

    Raises:
        InputError: for a bad setting of the data, or data that cannot be read.
    """
    return load_with_truth(config)[0]


def load_with_truth(
    config: ml_collections.ConfigDict,
) -> tuple[Problem, np.ndarray | None]:
    """Returns the data of a run, and the true labels of its noisy examples.

    For descriptions and evaluation only: no training may use the true labels.

    Args:
        config: The configuration of the run.

    Returns:
        The problem, and class ids `(examples,)` in the order of
        `problem.noisy`, or None if no noise was injected.

    Raises:
        InputError: for a bad setting of the data, or data that cannot be read.
    """
    splits = datasets.load(
        config.dataset.name, Options.from_config(config.dataset)
    )
    kind = config.noise.kind
    if kind != "none" and splits.clean is not None:
        raise InputError(
            "`noise.kind` should be 'none' for a dataset with its own clean "
            "set: its labels are noisy as they come. Received: `noise.kind` = "
            f"{kind!r}."
        )
    if config.clean.per_class == 0 and splits.clean is not None:
        raise InputError(
            "`clean.per_class` should be left out for a dataset with its own "
            "clean set. Received: `clean.per_class` = 0."
        )
    splits, evaluated_on = _with_test_set(config, splits)
    splits = splits.with_twin_notes()
    if splits.clean is None and kind != "none" and config.clean.per_class != 0:
        splits = splits.draw_clean(
            config.clean.per_class, config.seed, config.clean.fewer_if_rare
        )
    if kind == "none":
        return _problem(splits, evaluated_on, splits.train, None, None), None
    with in_section("noise", ["kind", "mode", "ratio"]):
        corruption = _corrupt(config, splits)
    report = _report(config, splits, corruption)
    noisy = splits.train.relabel(corruption.labels)
    problem = _problem(splits, evaluated_on, noisy, corruption.expected, report)
    return problem, splits.train.labels


def _with_test_set(
    config: ml_collections.ConfigDict, splits: datasets.Splits
) -> tuple[datasets.Splits, str]:
    """Returns splits with a test set, and what it is (`evaluated_on`)."""
    share = config.dataset.validation
    if splits.test is not None and not share:
        return splits, "test"
    held = splits.hold_out(share or _HELD_OUT, config.seed)
    assert held.test is not None  # noqa: S101, for mypy
    count = f"{len(held.test):,} of {len(splits.train):,} training examples"
    notes = []
    if splits.test is None:
        notes = [f"There is no test set: {count} were held out for it."]
    if config.noise.kind != "none":
        return replace(held, notes=(*held.notes, *notes)), "validation"
    notes.append(
        f"The accuracy is measured on {count}, held out, with their given "
        "labels: it is how often the network agrees with these labels, and not "
        "how often it is right."
    )
    return replace(held, notes=(*held.notes, *notes)), "noisy_validation"


def _problem(
    splits: datasets.Splits,
    evaluated_on: str,
    noisy: Examples,
    true_transition: np.ndarray | None,
    report: dict[str, Any] | None,
) -> Problem:
    assert splits.test is not None  # noqa: S101, `_with_test_set` makes one
    return Problem(
        noisy=noisy,
        clean=splits.clean,
        test=splits.test,
        class_names=splits.class_names,
        evaluated_on=evaluated_on,
        true_transition=true_transition,
        noise_report=report,
        notes=splits.notes,
        columns=splits.columns,
    )


def _corrupt(
    config: ml_collections.ConfigDict, splits: datasets.Splits
) -> noise.Corruption:
    kind, ratio, seed = config.noise.kind, config.noise.ratio, config.seed
    labels, num_classes = splits.train.labels, splits.num_classes
    scheme, _, argument = kind.partition(":")
    if scheme == "human":
        if argument not in splits.human_labels:
            known = [f"human:{name}" for name in splits.human_labels]
            raise unknown_name(
                "noise.kind", kind, known or [*noise.KINDS, instance_noise.KIND]
            )
        human = splits.human_labels[argument]
        empirical = noise.empirical_transition(labels, human, num_classes)
        return noise.Corruption(human, empirical, empirical)
    if kind == instance_noise.KIND:
        batches = splits.train.batches(_LOADING_BATCH_SIZE)
        with checks.plain_errors():
            return instance_noise.corrupt(
                batches.as_numpy_iterator(), num_classes, ratio, seed
            )
    if scheme == "file":
        kind, ratio = noise.read_transition(argument), None
    return noise.corrupt(
        labels,
        kind,
        ratio,
        seed,
        config.noise.mode,
        num_classes=num_classes,
        target_seed=config.noise.target_seed,
    )


def has_ratio(kind: str) -> bool:
    """Returns whether a kind of noise uses `noise.ratio`."""
    return kind in (*noise.KINDS, instance_noise.KIND)


def _report(
    config: ml_collections.ConfigDict,
    splits: datasets.Splits,
    corruption: noise.Corruption,
) -> dict[str, Any]:
    true, given = splits.train.labels, corruption.labels
    kind, size = config.noise.kind, splits.num_classes
    by_name = kind in noise.KINDS or kind.startswith("file:")
    return {
        "kind": kind,
        "ratio": config.noise.ratio if has_ratio(kind) else None,
        "mode": config.noise.mode if by_name else None,
        "seed": config.seed,
        "target_seed": (
            config.noise.target_seed if kind == "flip_to_one" else None
        ),
        "examples": len(true),
        "changed": int(np.sum(true != given)),
        "changed_share": float(np.mean(true != given)),
        "class_names": list(splits.class_names),
        "true_counts": np.bincount(true, minlength=size).tolist(),
        "noisy_counts": np.bincount(given, minlength=size).tolist(),
        "expected_transition": corruption.expected.tolist(),
        "empirical_transition": corruption.empirical.tolist(),
        "empirical_l1": transitions.distance(
            corruption.empirical, corruption.expected
        ),
        # Runs with equal digests had equal noisy labels.
        "labels_digest": hashlib.blake2b(
            given.astype("<i8").tobytes(), digest_size=16
        ).hexdigest(),
    }
