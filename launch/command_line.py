"""How every launcher starts: flags in, and a mistake told in one sentence."""

import re
import sys
from collections.abc import Callable
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging

from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from mlc_tf.errors import bad_argument
from mlc_tf.run import methods


def run(main: Callable[[list[str]], None]) -> None:
    """Parses the flags and calls `main`; exits with 2 after a user's mistake.

    And with the status of what ended a run. Other exceptions are bugs, and keep
    their traceback.
    """

    def guarded(argv: list[str]) -> None:
        try:
            if len(argv) > 1:
                raise InputError(f"Unknown arguments: {' '.join(argv[1:])}.")
            main(argv)
        except (InputError, DivergedError) as error:
            _exit(str(error))
        except InterruptedRunError as error:
            print(file=sys.stderr)  # below a progress bar
            _exit(str(error), error.status)
        except KeyboardInterrupt:
            _exit("Ended by SIGINT.", 130)

    app.run(guarded, flags_parser=_parse)


def integers(flag: flags.FlagHolder[list[str]]) -> list[int]:
    """Returns the integers >= 0 that a list flag names, at least one.

    Raises:
        InputError: if it names anything else.
    """
    if not flag.value or not all(
        re.fullmatch("[0-9]+", text) for text in flag.value
    ):
        raise bad_argument(
            flag.name, "integers, with commas between", ",".join(flag.value)
        )
    return [int(text) for text in flag.value]


def method_names(
    flag: flags.FlagHolder[list[str]], oracles: bool = True
) -> list[str]:
    """Returns the methods that a list flag names, or all of them.

    Args:
        flag: Of their names, or "all".
        oracles: Whether `all` has those that are told what no user knows.
            Defaults to true.

    Raises:
        InputError: for an unknown one, or none.
    """
    if flag.value == ["all"]:
        known = methods.METHODS.items()
        return [name for name, it in known if oracles or not it.oracle]
    for name in flag.value or [""]:
        methods.get(name)
    return flag.value


def _parse(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
        if flags.FLAGS["verbosity"].using_default_value:
            # TFDS tells of every file that it opens; --verbosity=0 lets it.
            flags.FLAGS.verbosity = logging.ERROR
        if "config" in flags.FLAGS and flags.FLAGS["config"].value is not None:
            flags.FLAGS["config"].value.is_locked  # noqa: B018, loads the file
        return rest
    except flags.Error as error:
        _exit(_sentence(str(error)))
    except (AttributeError, KeyError) as error:  # ml_collections' unknown key
        nearest = re.search(r'mean "(.+)" instead of "(.+)"', str(error))
        if nearest is None:
            _exit(f"`config` has no key {_sentence(str(error))}.")
        _exit(
            f"`config` has no key {nearest[2]!r}. Did you mean {nearest[1]!r}?"
        )
    except (OSError, ImportError, SyntaxError, ValueError) as error:
        _exit(f"`config` cannot be loaded: {_sentence(str(error))}")


def _sentence(text: str) -> str:
    """Returns what was wrong, of a message that may hold a traceback."""
    if "InputError: " in text:
        text = text.split("InputError: ")[1].strip().splitlines()[0]
    if "[Errno" in text:
        text = text[text.index("[Errno") :]
    return " ".join(text.split())


def _exit(message: str, status: int = 2) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)
