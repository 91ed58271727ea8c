"""How every launcher starts: flags in, and a mistake printed in one line."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging
from ml_collections import ConfigDict
from ml_collections import config_flags

from mlc_tf import configs
from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.run import methods

# Flags of a launcher, or of all modules; absl's own would exit with 1.
_HELP = {"--help", "-help", "-h", "-?", "--helpshort"}
_FULL_HELP = {"--helpfull", "-helpfull"}

flags.disclaim_key_flags()  # `--config` is a flag of the launcher, not of ours


def define_config(
    default: str | None = "digits",
) -> flags.FlagHolder[ConfigDict]:
    """Defines `--config`, a name in `mlc_tf.configs` or a path, and overrides.

    `run` sets its default when the flags are parsed: the overrides are checked
    then, and a mistake in them is printed in one line.

    Args:
        default: The name or path without the flag; None for no config. Defaults
            to "digits".
    """
    config = config_flags.DEFINE_config_file(
        "config",
        None,
        "The experiment: a dataset, as digits, a dataset and a variant, as "
        f"digits:smoke, or a path. Names: {', '.join(_config_names())}. "
        "--config.KEY=VALUE changes a setting.",
    )
    flag = flags.FLAGS[config.name]
    flag.parser = _ConfigParser(config.name)
    flag.parser.default = default
    flag.default_as_str = repr(default)
    return config


def run(main: Callable[[list[str]], None]) -> None:
    """Parses the flags and calls `main`.

    Exits with 0 after `--help`, which shows the launcher's own flags, with 2
    after a user's mistake, and with the status of what ended a run. Other
    exceptions are bugs, and keep their traceback.
    """
    asked = {*sys.argv[1:]}
    if asked & (_HELP | _FULL_HELP):
        print(_help(sys.modules[main.__module__], bool(asked & _FULL_HELP)))
        sys.exit()

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
        flag: The flag, whose value is names or "all".
        oracles: Whether `all` has the methods that know what no user knows.
            Defaults to true.

    Raises:
        InputError: for an unknown name, or no name.
    """
    if flag.value == ["all"]:
        known = methods.METHODS.items()
        return [name for name, method in known if oracles or not method.oracle]
    for name in flag.value or [""]:
        methods.get(name)
    return flag.value


class _ConfigParser(config_flags.config_flags.ConfigFileFlagParser):
    """Loads a config by its name, or by its path."""

    default: str | None = None

    def parse(self, text: str) -> ConfigDict:
        name, colon, variant = text.partition(":")
        if name in _config_names():
            text = f"{_config_folder() / name}.py{colon}{variant}"
        elif not name.endswith(".py"):
            raise unknown_name(
                "config", name, [*_config_names(), "a path that ends in .py"]
            )
        return super().parse(text)


def _config_folder() -> Path:
    return Path(configs.__path__[0])


def _config_names() -> list[str]:
    return sorted(path.stem for path in _config_folder().glob("[!_]*.py"))


def _help(launcher: ModuleType, full: bool) -> str:
    # Its first line is the name of the module.
    own = flags.FLAGS.module_help(launcher).strip().partition("\n")[2]
    rest = "--helpfull shows the flags of the libraries as well."
    return "\n".join(
        [
            (launcher.__doc__ or "").strip(),
            "\nFlags:",
            f"{own}\n",
            flags.FLAGS.get_help().strip() if full else rest,
        ]
    )


def _parse(argv: list[str]) -> list[str]:
    try:
        if "config" in flags.FLAGS:
            default = flags.FLAGS["config"].parser.default
            flags.FLAGS.set_default("config", default)
        rest = flags.FLAGS(argv)
        if flags.FLAGS["verbosity"].using_default_value:
            # TFDS logs every file that it opens; --verbosity=0 shows that.
            flags.FLAGS.verbosity = logging.ERROR
        if "config" in flags.FLAGS and flags.FLAGS["config"].value is not None:
            flags.FLAGS["config"].value.is_locked  # noqa: B018, loads the file
        return rest
    except flags.Error as error:
        cause = error.__context__
        own = isinstance(cause, InputError)
        _exit(_sentence(str(cause if own else error)))
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
    """Returns the mistake in a message that may hold a traceback."""
    if "InputError: " in text:
        text = text.split("InputError: ")[1].strip().splitlines()[0]
    if "[Errno" in text:
        text = text[text.index("[Errno") :]
    return " ".join(text.split())


def _exit(message: str, status: int = 2) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)
