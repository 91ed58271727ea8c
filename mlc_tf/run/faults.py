"""What the world does to a run, told in one sentence each."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from mlc_tf import distribution
from mlc_tf.errors import InterruptedRunError

# What an operating system says of a place that cannot be written or read.
_UNWRITABLE = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENOLCK,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
    errno.ESTALE,
)
_LOST_WORKER = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


@contextmanager
def translate_faults(workdir: Path) -> Iterator[None]:
    """Turns what ends a run from outside into an `InterruptedRunError`.

    Args:
        workdir: The run's directory.

    Raises:
        InterruptedRunError: if a file cannot be written, or another worker of
            this run was lost.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise _unwritable(workdir, error.strerror or str(error)) from None
    except tf.errors.ResourceExhaustedError as error:
        if "No space left" not in error.message:
            raise
        raise _unwritable(workdir, "No space left on device") from None
    except _LOST_WORKER as error:
        if not distribution.has_workers():
            raise
        raise InterruptedRunError(
            f"Worker {distribution.worker()} lost another worker of this run, "
            f"which does not answer ({_first_line(error.message)}). Start all "
            "workers again, with the same command: they go on from the last "
            f"checkpoint in {workdir}."
        ) from None


def _first_line(message: str, limit: int = 120) -> str:
    first = (message.splitlines() or [""])[0]
    return first if len(first) <= limit else f"{first[:limit]}..."


def _unwritable(workdir: Path, reason: str) -> InterruptedRunError:
    return InterruptedRunError(
        f"A file of the run in {workdir} could not be read or written "
        f"({reason}). When it can, the same command goes on from the last "
        "checkpoint."
    )
