"""What a finished run says of the labels that it learned from."""

from mlc_tf import audit
from mlc_tf import methods
from mlc_tf.audit import Audit
from mlc_tf.finished_run import FinishedRun
from mlc_tf.problems import Problem


def of(
    run: FinishedRun, problem: Problem, batch_size: int = 256, verbose: int = 0
) -> Audit:
    """Returns the audit of a run's noisy set, with the T that it learned.

    Its network is calibrated on the trusted set, if the method was not fitted
    to that.

    Args:
        run: The run.
        problem: What it learned from.
        batch_size: Defaults to 256.
        verbose: 1 shows a progress bar. Defaults to 0.

    Raises:
        InputError: as `audit.audit`.
    """
    fitted = methods.get(run.result["method"]).fits_clean
    return audit.audit(
        run.network,
        problem.noisy,
        transition=run.transition,
        clean=None if fitted else problem.clean,
        batch_size=batch_size,
        verbose=verbose,
    )
