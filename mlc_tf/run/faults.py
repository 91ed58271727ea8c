"""Translates faults of disks and workers into one-sentence errors."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from mlc_tf import distribution
from mlc_tf.errors import InterruptedRunError
from mlc_tf.errors import first_line

# The errors of an operating system for files that cannot be read or written.
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
    """Raises an `InterruptedRunError` for faults outside of the run.

    Args:
        workdir: The directory of the run, for the message.

    Raises:
        InterruptedRunError: if a file cannot be read or written, or another
            worker of the run is lost.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE and not _inside(error, workdir):
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
            f"which does not answer ({_shortened(error.message)}). Start all "
            "workers again with the same command: they resume from the last "
            f"checkpoint in {workdir}."
        ) from None


def _inside(error: OSError, workdir: Path) -> bool:
    """Returns whether an error concerns a file of the run's directory.

    Such a file is missing, for example, if the directory was moved.
    """
    name = error.filename
    return isinstance(name, (str, os.PathLike)) and Path(name).is_relative_to(
        workdir
    )


def _shortened(message: str, limit: int = 120) -> str:
    first = first_line(message)
    return first if len(first) <= limit else f"{first[:limit]}..."


def _unwritable(workdir: Path, reason: str) -> InterruptedRunError:
    return InterruptedRunError(
        f"A file of the run in {workdir} could not be read or written "
        f"({reason}). When this is fixed, the same command resumes the run "
        "from the last checkpoint."
    )
