"""Audits the training labels of a finished run."""

import dataclasses
import math

import keras
import numpy as np

from mlc_tf.audit.instance_dependence import InstanceDependence
from mlc_tf.audit.instance_dependence import check_instance_dependence
from mlc_tf.audit.label_audit import Audit
from mlc_tf.audit.label_audit import audit_labels
from mlc_tf.data import examples
from mlc_tf.run import methods
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem

# Larger inputs, and texts, are not tested for an influence on the labels.
_MOST_NUMBERS = 4096
_MOST_EXAMPLES = 20_000


def fits_clean(run: FinishedRun) -> bool:
    """Returns whether the run's network was fitted to the trusted labels.

    Args:
        run: The finished run.
    """
    method = methods.get(run.result["method"])
    return method.fits_clean(run.result["options"])


def why_not_checked(run: FinishedRun) -> str:
    """Returns why the trusted labels are not audited, and what would help.

    Args:
        run: A run whose network was fitted to the trusted labels.
    """
    name, options = run.result["method"], run.result["options"]
    sentence = (
        f"{name} was fitted to the trusted labels, so it cannot find wrong "
        "labels among them."
    )
    if methods.get(name).fits_clean({**options, "clean_weight": 0.0}):
        return sentence
    return f"{sentence} A run with --config.method.{name}.clean_weight=0 can."


def audit_run(
    run: FinishedRun, problem: Problem, batch_size: int = 256, verbose: int = 0
) -> Audit:
    """Returns the audit of a run's noisy set, by its network and learned T.

    The network is calibrated on the trusted set, unless the method fitted the
    network to that set. The audit holds the test whether the labels depend on
    more than the class.

    Args:
        run: The finished run.
        problem: The data of the run.
        batch_size: Examples in a forward pass. Defaults to 256.
        verbose: 1 shows a progress bar. Defaults to 0.

    Raises:
        InputError: if a label is not a class id of the network.
    """
    found = audit_labels(
        run.network,
        problem.noisy,
        transition=run.transition,
        clean=None if fits_clean(run) else problem.clean,
        batch_size=batch_size,
        verbose=verbose,
    )
    return dataclasses.replace(
        found, instance_dependence=instance_dependence(run, problem)
    )


def can_test(network: keras.Model) -> bool:
    """Returns whether `instance_dependence` tests inputs of this kind.

    Args:
        network: A network of one input; its inputs say their shape and dtype.
    """
    (spec,) = network.inputs
    numeric = spec.dtype.startswith(("float", "bfloat", "int", "uint"))
    return numeric and math.prod(spec.shape[1:]) <= _MOST_NUMBERS


def instance_dependence(
    run: FinishedRun, problem: Problem
) -> InstanceDependence:
    """Returns whether the noisy labels depend on more than the class.

    At most 20,000 examples are looked at. Texts, and inputs of more than 4096
    numbers, are not tested.

    Args:
        run: The finished run.
        problem: The data of the run.
    """
    if not can_test(run.network):
        return InstanceDependence(0.0, 0.0, 0)
    noisy = problem.noisy
    if len(noisy) > _MOST_EXAMPLES:
        rng = np.random.default_rng(run.config.seed)
        drawn = rng.permutation(len(noisy))[:_MOST_EXAMPLES]
        noisy = noisy.take(np.sort(drawn))
    probs = methods.probabilities(run.network, noisy)
    with np.errstate(divide="ignore"):
        log_probs = np.log(probs)
    x = examples.in_memory(noisy).x
    return check_instance_dependence(
        x, log_probs, noisy.labels, run.config.seed
    )
