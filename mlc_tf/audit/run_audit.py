"""Audits the training labels of a finished run."""

from mlc_tf.audit.label_audit import Audit
from mlc_tf.audit.label_audit import audit_labels
from mlc_tf.run import methods
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem


def fits_clean(run: FinishedRun) -> bool:
    """Returns whether the run's network was fitted to the trusted labels.

    Args:
        run: The finished run.
    """
    method = methods.get(run.result["method"])
    return method.fits_clean(run.result["options"])


def audit_run(
    run: FinishedRun, problem: Problem, batch_size: int = 256, verbose: int = 0
) -> Audit:
    """Returns the audit of a run's noisy set, by its network and learned T.

    The network is calibrated on the trusted set, unless the method fitted the
    network to that set.

    Args:
        run: The finished run.
        problem: The data of the run.
        batch_size: Examples in a forward pass. Defaults to 256.
        verbose: 1 shows a progress bar. Defaults to 0.

    Raises:
        InputError: if a label is not a class id of the network.
    """
    return audit_labels(
        run.network,
        problem.noisy,
        transition=run.transition,
        clean=None if fits_clean(run) else problem.clean,
        batch_size=batch_size,
        verbose=verbose,
    )
