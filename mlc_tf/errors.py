"""The package's errors, and the checks that several modules share."""

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
    """A mistake in the user's arguments or data, described in one sentence.

    Launchers print it without a traceback. Any other error is a bug and keeps
    its traceback.

    Attributes:
        argument: Name of the argument that has a bad value, as the message
            begins; None if the message names none.
    """

    def __init__(self, message: str, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class DivergedError(ArithmeticError):
    """Training cannot continue, because the loss or a weight is not finite."""


class InterruptedRunError(RuntimeError):
    """A run was stopped from outside (a signal, a full disk, a lost worker).

    The files that the run saved stay; the same command resumes the run.

    Attributes:
        status: Exit status of the launcher. Defaults to 1.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def check_backend(name: str) -> None:
    """Raises an `InputError` unless Keras runs on TensorFlow.

    Args:
        name: The name of the backend.
    """
    if name != "tensorflow":
        raise InputError(
            "Keras should run on TensorFlow, whose gradient tapes mlc_tf uses. "
            f"Received: the backend {name!r}; set KERAS_BACKEND=tensorflow "
            "before Keras is imported."
        )


def bad_argument(name: str, expectation: str, received: Any) -> InputError:
    """Returns the error "`name` should be EXPECTATION. Received: ...".

    Args:
        name: Name of the argument.
        expectation: Description of the valid values, as it follows "should be".
        received: The invalid value; its `repr` is cut to 120 characters.

    Example:

    >>> print(bad_argument("rate", "a finite float >= 0", -1))
    `rate` should be a finite float >= 0. Received: `rate` = -1.
    """
    return InputError(
        f"`{name}` should be {expectation}. "
        f"Received: `{name}` = {_short(received)}.",
        argument=name,
    )


def unknown_name(name: str, value: Any, known: Iterable[str]) -> InputError:
    """Returns the error for a name that is not in `known`.

    The message lists the known names and suggests the most similar name,
    whatever its case.

    Args:
        name: Name of the argument.
        value: The unknown name that the argument has.
        known: The valid names.
    """
    known = list(known)
    return InputError(
        f"`{name}` should be one of {', '.join(known)}. "
        f"Received: `{name}` = {value!r}.{hint(value, known)}",
        argument=name,
    )


def hint(value: Any, known: Iterable[str]) -> str:
    """Returns " Did you mean 'NAME'?", or "" if no known name is similar.

    Args:
        value: The unknown name.
        known: The valid names. Upper and lower case are the same.

    Example:

    >>> hint("CAT", ["bird", "cat"])
    " Did you mean 'cat'?"
    """
    lower = {name.lower(): name for name in known}
    nearest = difflib.get_close_matches(str(value).lower(), lower, n=1)
    return f" Did you mean {lower[nearest[0]]!r}?" if nearest else ""


def is_misspelt(name: str, known: str) -> bool:
    """Returns whether a name has the letters of a known name, or nearly so.

    Unlike `hint`, which looks for what a user may have meant, this is strict
    enough to refuse a name for it. Upper and lower case are the same.

    Args:
        name: A name of the user's.
        known: The name that the program knows, in lower case.

    Example:

    >>> is_misspelt("tset", "test"), is_misspelt("rest", "test")
    (True, False)
    """
    name = name.casefold()
    if sorted(name) == sorted(known):
        return True
    likeness = difflib.SequenceMatcher(None, name, known).ratio()
    return name.isalpha() and likeness > 0.85


@contextmanager
def in_section(section: str, names: Iterable[str]) -> Iterator[None]:
    """Names bad arguments by the settings of a config that give them.

    Args:
        section: The dotted name of a section of the config: "method.mlc".
        names: Names of the arguments that are settings of the section.
    """
    try:
        yield
    except InputError as error:
        name = error.argument
        if name is None or name not in names:
            raise
        setting = f"{section}.{name}"
        message = str(error).replace(f"`{name}`", f"`{setting}`")
        raise InputError(message, setting) from None


def first_line(message: str) -> str:
    """Returns the first line of a library's message, for one sentence.

    Args:
        message: The message. Of an empty one nothing is known.
    """
    lines = message.strip().splitlines()
    return lines[0] if lines else "no reason given"


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
    """Turns an `OSError` into an `InputError`: the path cannot be written.

    Args:
        name: Name of the argument that holds the path.
        path: The path to write.
        kind: The kind of path, for the message: "folder" or "file". Defaults to
            "folder".
    """
    try:
        yield
    except OSError as error:
        expectation = f"a {kind} that can be written ({error.strerror})"
        raise bad_argument(name, expectation, str(path)) from None


def check_rate(name: str, value: Any) -> float:
    """Returns a learning rate as a float, after checking it.

    Args:
        name: Name of the argument, for messages.
        value: The learning rate.

    Raises:
        InputError: unless `value` is a finite number >= 0.
    """
    if not is_number(value) or not math.isfinite(value) or value < 0:
        raise bad_argument(name, "a finite float >= 0", value)
    return float(value)


def check_fraction(name: str, value: Any, interval: str = "[0, 1]") -> float:
    """Returns a number between 0 and 1 as a float, after checking it.

    Args:
        name: Name of the argument, for messages.
        value: The number.
        interval: "[0, 1]", "[0, 1)" or "(0, 1]"; a parenthesis excludes its
            end. Defaults to "[0, 1]".

    Raises:
        InputError: unless `value` is a number in the interval.

    Example:

    >>> check_fraction("momentum", 0.9, "[0, 1)")
    0.9
    """
    excluded = {end for end, sign in ((0, "("), (1, ")")) if sign in interval}
    if not is_number(value) or not 0 <= value <= 1 or value in excluded:
        raise bad_argument(name, f"in {interval}", value)
    return float(value)


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Returns a count as an int, after checking it.

    Args:
        name: Name of the argument, for messages.
        value: The count, of any integer type.
        least: The smallest valid count. Defaults to 1.

    Raises:
        InputError: unless `value` is an integer >= `least`.
    """
    if not is_integer(value) or value < least:
        raise bad_argument(name, f"an integer >= {least}", value)
    return int(value)


def is_number(value: Any) -> bool:
    """Returns whether a value is a real number of any type, and no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """Returns whether a value is an integer of any type, and no bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_seed(seed: Any, name: str = "seed") -> int:
    """Returns `seed` as an int; raises an `InputError` unless it is a seed.

    Args:
        seed: An integer in [0, 2**32), the seeds that Keras takes.
        name: The name of the argument, for the message. Defaults to "seed".
    """
    if not is_integer(seed) or not 0 <= seed < 2**32:
        raise bad_argument(name, "an integer in [0, 2**32)", seed)
    return int(seed)


def _short(value: Any, limit: int = 120) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[:limit] + "..."
