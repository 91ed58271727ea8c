"""What a run learns from: splits, a clean set, and noise, as a config says."""

import hashlib
from dataclasses import dataclass
from typing import Any

import ml_collections
import numpy as np

from mlc_tf import datasets
from mlc_tf import transitions
from mlc_tf.data import checks
from mlc_tf.data import instance_noise
from mlc_tf.data import noise
from mlc_tf.data.examples import Examples
from mlc_tf.datasets.options import Options
from mlc_tf.errors import InputError
from mlc_tf.errors import unknown_name

_LOADING_BATCH_SIZE = 500


@dataclass(frozen=True)
class Problem:
    """What a run learns from. True labels of noisy examples are not in it.

    Attributes:
        noisy: The training set, labelled as it is given.
        clean: The trusted set.
        test: The test set, or the validation set in its place.
        class_names: One name per class.
        true_transition: The T behind the injected noise, `(classes, classes)`,
            rows are clean classes; of human labels, the share that they show.
            None where the noise is not known.
        noise_report: What was injected, for a JSON file; None likewise.
        notes: What a user should know of this data, a sentence each.
    """

    noisy: Examples
    clean: Examples
    test: Examples
    class_names: tuple[str, ...]
    true_transition: np.ndarray | None = None
    noise_report: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


def load(config: ml_collections.ConfigDict) -> Problem:
    """Returns the data of a run: splits, clean set drawn, noise injected."""
    return load_with_truth(config)[0]


def load_with_truth(
    config: ml_collections.ConfigDict,
) -> tuple[Problem, np.ndarray | None]:
    """Returns the data of a run, and the true labels of its noisy examples.

    Nothing that trains may see these; they are None where they are not known.
    """
    splits = datasets.load(
        config.dataset.name, Options.from_config(config.dataset)
    )
    kind = config.noise.kind
    if kind == "none" and config.dataset.validation:
        raise InputError(
            "`dataset.validation` should be 0 where the training labels are "
            "noisy as they come: accuracy would be measured on them. Received: "
            f"`dataset.validation` = {config.dataset.validation}."
        )
    if kind != "none" and splits.clean is not None:
        raise InputError(
            "`noise.kind` should be 'none' for a dataset that brings a clean "
            "set of its own: its labels are noisy as they come. Received: "
            f"`noise.kind` = {kind!r}."
        )
    if config.dataset.validation:
        splits = splits.hold_out(config.dataset.validation, config.seed)
    if splits.clean is None:
        if kind == "none":
            raise InputError(
                "A dataset whose labels are noisy as they come should bring a "
                "clean set of its own (`dataset.clean` names one). Received: "
                f"`dataset.name` = {config.dataset.name!r} without one."
            )
        splits = splits.draw_clean(
            config.clean.per_class, config.seed, config.clean.fewer_if_rare
        )
    if kind == "none":
        return _problem(splits, splits.train, None, None), None
    corruption = _corrupt(config, splits)
    report = _report(config, splits, corruption)
    noisy = splits.train.relabel(corruption.labels)
    problem = _problem(splits, noisy, corruption.expected, report)
    return problem, splits.train.labels


def _problem(
    splits: datasets.Splits,
    noisy: Examples,
    true_transition: np.ndarray | None,
    report: dict[str, Any] | None,
) -> Problem:
    assert splits.clean is not None  # noqa: S101, seen to above
    return Problem(
        noisy=noisy,
        clean=splits.clean,
        test=splits.test,
        class_names=splits.class_names,
        true_transition=true_transition,
        noise_report=report,
        notes=splits.notes,
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
        shown = noise.empirical_transition(labels, human, num_classes)
        return noise.Corruption(human, shown, shown)
    if kind == instance_noise.KIND:
        batches = splits.train.batches(_LOADING_BATCH_SIZE)
        with checks.plain_errors():
            return instance_noise.corrupt(
                batches.as_numpy_iterator(), num_classes, ratio, seed
            )
    if scheme == "file":
        kind, ratio = noise.read_transition(argument), None
    return noise.corrupt(
        labels, kind, ratio, seed, config.noise.mode, num_classes=num_classes
    )


def has_ratio(kind: str) -> bool:
    """Returns whether `noise.ratio` has a say in a noise."""
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
        # Two runs with this digest had the same wrong labels.
        "labels_digest": hashlib.blake2b(
            given.astype("<i8").tobytes(), digest_size=16
        ).hexdigest(),
    }
