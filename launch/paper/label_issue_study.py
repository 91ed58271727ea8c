"""How well an audit finds wrong labels, and the gain of correcting them.

cleanlab finds wrong labels from the out-of-sample probabilities of a network.
This study trains that network with plain cross-entropy, once per fold.
"""

import dataclasses
import hashlib
import importlib.util
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np
import pandas as pd
from sklearn import model_selection

from mlc_tf import audit
from mlc_tf.audit import run_audit
from mlc_tf.data import noise
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.run import finished_run
from mlc_tf.run import methods
from mlc_tf.run import training
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem

# The number of folds, as in cleanlab's own examples.
_FOLDS = 5
# The fraction of clean labels that the study replaces by wrong labels.
_PLANTED = 0.1
_BATCH_SIZE = 500


def check(run: FinishedRun) -> None:
    """Checks that a run can be measured, before any training.

    Raises:
        InputError: if the run has no T, if its true labels are not known, or if
            cleanlab is missing.
    """
    if run.transition is None:
        raise bad_argument(
            "workdirs",
            "the directories of runs of a method that learns T",
            f"{run.workdir}, of {run.result['method']}",
        )
    if run.config.noise.kind == "none":
        raise InputError(
            "`noise.kind` should be injected noise, so that the wrong labels "
            f"are known. Received: 'none' in {run.workdir}."
        )
    if importlib.util.find_spec("cleanlab") is None:
        raise InputError(
            "cleanlab should be installed for the comparison, with "
            "`pip install 'mlc_tf[test]'`. Received: no cleanlab."
        )


def settings_digest(config: ml_collections.ConfigDict) -> str:
    """Returns a digest of the settings of a run."""
    text = config.to_json(sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def measure(
    run: FinishedRun, report: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measures a finished run's audit, and cleanlab, on the same labels.

    Args:
        run: A finished run that passes `check`.
        report: A function that receives a line for each training. Defaults to
            no reports.

    Returns:
        `auroc` and `average_precision` for each way to find wrong labels:
        `audit`, the audited network without T (`network_alone`) and `cleanlab`.
        Test accuracies of cross-entropy on the given labels, on the labels that
        `audit` corrects and on the labels that `cleanlab` corrects. The scores
        on the clean set with planted errors, None for a run that was fitted to
        the clean labels.

    Raises:
        InputError: as `check`.
    """
    check(run)
    import cleanlab.filter
    import cleanlab.rank

    config = run.config
    problem, true_labels = finished_run.data_of(run)
    given = np.asarray(problem.noisy.labels)
    wrong = given != true_labels

    found = run_audit.audit_run(run, problem, _BATCH_SIZE)
    label_issues = found.label_issues
    alone = audit.find_label_issues(
        run.network, problem.noisy, transition=None, batch_size=_BATCH_SIZE
    )
    probabilities = _out_of_sample(config, problem, report)
    quality = cleanlab.rank.get_label_quality_scores(given, probabilities)
    issues = cleanlab.filter.find_label_issues(given, probabilities)

    accuracies = {}
    for name, labels in {
        "given": given,
        "audit": label_issues["predicted_label"].to_numpy(),
        "cleanlab": np.where(issues, probabilities.argmax(axis=1), given),
    }.items():
        report(f"cross-entropy on the labels of {name}")
        relabelled = dataclasses.replace(
            problem, noisy=problem.noisy.relabel(labels.astype(given.dtype))
        )
        _, result = training.network_of(
            _with_method(config, "cross_entropy"), relabelled
        )
        accuracies[name] = {
            "labels_right": float(np.mean(labels == true_labels)),
            "test_accuracy": result["test_accuracy"],
        }
    fitted = run_audit.fits_clean(run)
    if not fitted:
        report("a clean set with planted errors")
    return {
        **{
            name: run.result[name]
            for name in ("dataset", "network", "noise", "ratio", "seed")
        },
        "method": run.result["method"],
        "config": settings_digest(config),
        "examples": len(given),
        "folds": _FOLDS,
        "temperature": found.temperature,
        "audit": audit.scores(wrong, label_issues["label_quality"]),
        "network_alone": audit.scores(wrong, alone["label_quality"]),
        "cleanlab": audit.scores(wrong, quality),
        "cross_entropy": accuracies,
        "clean_set": None if fitted else _planted(config, problem),
    }


def _out_of_sample(
    config: ml_collections.ConfigDict,
    problem: Problem,
    report: Callable[[str], None],
) -> np.ndarray:
    """Returns class probabilities from networks not trained on the example."""
    folds = model_selection.StratifiedKFold(
        _FOLDS, shuffle=True, random_state=config.seed
    )
    given = problem.noisy.labels
    found = np.zeros((len(given), len(problem.class_names)))
    for number, (seen, unseen) in enumerate(folds.split(given, given), start=1):
        report(f"cross-entropy for cleanlab, fold {number} of {_FOLDS}")
        part = dataclasses.replace(problem, noisy=problem.noisy.take(seen))
        network, _ = training.network_of(
            _with_method(config, "cross_entropy"), part
        )
        found[unseen] = methods.probabilities(
            network, problem.noisy.take(unseen)
        )
    return found


def _planted(
    config: ml_collections.ConfigDict, problem: Problem
) -> dict[str, Any]:
    """Returns the scores of an audit of the clean set with planted errors."""
    size = len(problem.class_names)
    planted_noise = np.full((size, size), _PLANTED / (size - 1))
    np.fill_diagonal(planted_noise, 1 - _PLANTED)
    corruption = noise.corrupt(
        problem.clean.labels, planted_noise, seed=config.seed, mode="iid"
    )
    planted = corruption.labels != problem.clean.labels
    if not planted.any():
        raise bad_argument(
            "clean.per_class",
            "so large that a tenth of the trusted labels can be made wrong",
            f"{len(planted)} trusted examples, of which none was",
        )
    clean = problem.clean.relabel(corruption.labels)
    network, result = training.network_of(
        config, dataclasses.replace(problem, clean=clean)
    )
    issues: pd.DataFrame = audit.check_clean_set(network, clean)
    return {
        "examples": len(clean),
        "planted": int(planted.sum()),
        **audit.scores(planted, issues["label_quality"]),
        "test_accuracy": result["test_accuracy"],
    }


def _with_method(
    config: ml_collections.ConfigDict, method: str
) -> ml_collections.ConfigDict:
    config = config.copy_and_resolve_references()
    config.method.name = method
    return config
