"""The one way in which the package refuses what a user hands it."""

import difflib
import importlib
import math
import numbers
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """A mistake in the arguments or the data, told in one sentence.

    Launchers print it without a traceback; everything else is a bug and keeps
    its traceback.
    """


class DivergedError(ArithmeticError):
    """Training cannot go on: the loss is no number any more."""


class InterruptedRunError(RuntimeError):
    """A run was ended from outside (a signal, a full disk, a lost worker).

    Nothing that it saved is lost: the same command resumes it.

    Attributes:
        status: With which a launcher exits. Defaults to 1.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def bad_argument(name: str, expectation: str, received: Any) -> InputError:
    """Returns the error "`name` should be <expectation>. Received: ..."."""
    return InputError(
        f"`{name}` should be {expectation}. "
        f"Received: `{name}` = {_short(received)}."
    )


def unknown_name(name: str, value: Any, known: Iterable[str]) -> InputError:
    """Returns the error for a name outside `known`, with the nearest one."""
    known = list(known)
    nearest = difflib.get_close_matches(str(value), known, n=1, cutoff=0.4)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return InputError(
        f"`{name}` should be one of {', '.join(known)}. "
        f"Received: `{name}` = {value!r}.{hint}"
    )


def import_optional(name: str, extra: str) -> Any:
    """Returns a module of a library that the core of `mlc_tf` does not need.

    Args:
        name: The module, as "matplotlib.figure".
        extra: The extra of `mlc_tf` that installs the library.

    Raises:
        InputError: if the library, or a library that it needs, is missing.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"`{error.name}` should be installed for this: "
            f"pip install 'mlc_tf[{extra}]'. It is not."
        ) from None


@contextmanager
def writable_or_error(
    name: str, path: str | Path, kind: str = "folder"
) -> Iterator[None]:
    """Turns an `OSError` into the error that a path cannot be written.

    Args:
        name: Of the argument that names it.
        path: What it names.
        kind: What the path is of. Defaults to "folder".
    """
    try:
        yield
    except OSError as error:
        expectation = f"a {kind} that can be written ({error.strerror})"
        raise bad_argument(name, expectation, str(path)) from None


def check_rate(name: str, value: Any) -> float:
    """Returns a learning rate as a float, after checking it."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise bad_argument(name, "a finite float >= 0", value)
    return float(value)


def check_seed(seed: Any) -> int:
    """Returns `seed`, an integer >= 0, else raises."""
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise bad_argument("seed", "an integer >= 0", seed)
    return int(seed)


def _short(value: Any, limit: int = 120) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[:limit] + "..."
