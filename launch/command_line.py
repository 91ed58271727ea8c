"""Starts every launcher: parses flags, and prints mistakes in one line."""

import difflib
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
from mlc_tf.run import settings

# Help for the flags of a launcher, or of all modules. The help of absl would
# exit with status 1.
_HELP = {"--help", "-help", "-h", "-?", "--helpshort"}
_FULL_HELP = {"--helpfull", "-helpfull"}

# `--config` counts as a flag of the launcher, not of this module.
flags.disclaim_key_flags()


def define_config(
    default: str | None = "digits",
) -> flags.FlagHolder[ConfigDict]:
    """Defines `--config`, a name in `mlc_tf.configs` or a path, and overrides.

    `run` sets the default of the flag when it parses the flags. It then checks
    the overrides, and prints a mistake in them in one line.

    Args:
        default: The config to use if the flag is missing, as a name or path;
            None for no config. Defaults to "digits".
    """
    config = config_flags.DEFINE_config_file(
        "config",
        None,
        "The experiment: a dataset (digits), a dataset and a variant "
        "(digits:smoke), or the path of a config file. The datasets are "
        f"{', '.join(_config_names())}. --config.KEY=VALUE changes a setting.",
    )
    flag = flags.FLAGS[config.name]
    flag.parser = _ConfigParser(config.name)
    flag.parser.default = default
    flag.default_as_str = repr(default)
    return config


def run(main: Callable[[list[str]], None]) -> None:
    """Parses the flags and calls `main`.

    The exit status is 0 after `--help`, which shows the launcher's own flags;
    2 after a user's mistake; and the status of the interruption if a run was
    interrupted. Other exceptions are bugs, and keep their traceback.
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
            print(file=sys.stderr)  # leaves the line of the progress bar
            _exit(str(error), error.status)
        except KeyboardInterrupt:
            _exit("Ended by SIGINT.", 130)

    app.run(guarded, flags_parser=_parse)


def integers(flag: flags.FlagHolder[list[str]]) -> list[int]:
    """Returns the integers of a list flag, at least one integer >= 0.

    Raises:
        InputError: if the flag is empty or holds anything else.
    """
    if not flag.value or not all(
        re.fullmatch("[0-9]+", text) for text in flag.value
    ):
        raise bad_argument(
            flag.name, "integers separated by commas", ",".join(flag.value)
        )
    return [int(text) for text in flag.value]


def method_names(
    flag: flags.FlagHolder[list[str]], oracles: bool = True
) -> list[str]:
    """Returns the methods that a list flag names, or all of them.

    Args:
        flag: A flag whose value is a list of names, or "all".
        oracles: Whether "all" includes the methods with knowledge that no user
            has. Defaults to true.

    Raises:
        InputError: for an unknown name, or an empty list.
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
    # The first line of absl's help is the name of the module.
    own = flags.FLAGS.module_help(launcher).strip().partition("\n")[2]
    rest = "--helpfull also shows the flags of the libraries."
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
            # TFDS logs every file that it opens. --verbosity=0 shows the logs.
            flags.FLAGS.verbosity = logging.ERROR
        if "config" in flags.FLAGS and flags.FLAGS["config"].value is not None:
            flags.FLAGS["config"].value.is_locked  # noqa: B018, the access loads the file
        return rest
    except flags.Error as error:
        cause = error.__context__
        section = re.search(r"--(config\.\S+?)=(.*): .* as a Conf", str(error))
        if section is not None:
            _exit(
                f"`{section[1]}` should be set by its keys, as "
                f"--{section[1]}.KEY=VALUE. Received: `{section[1]}` = "
                f"{section[2]!r}."
            )
        own = isinstance(cause, InputError)
        _exit(_sentence(str(cause if own else error)))
    except (AttributeError, KeyError) as error:  # ml_collections: unknown key
        nearest = re.search(r'mean "(.+)" instead of "(.+)"', str(error))
        key = nearest[2] if nearest else _sentence(str(error)).strip("'\"")
        hint = nearest[1] if nearest else _nearest_setting(key)
        question = f" Did you mean {hint!r}?" if hint else ""
        _exit(f"`config` has no key {key!r}.{question}")
    except (OSError, ImportError, SyntaxError, ValueError) as error:
        _exit(f"`config` cannot be loaded: {_sentence(str(error))}")


def _nearest_setting(key: str) -> str | None:
    """Returns the dotted name of the setting most like a key, if any is.

    The setting is in the section in which the command line has the key.
    """
    given = re.search(
        rf"--config\.(\S+)\.{re.escape(key)}\b", " ".join(sys.argv)
    )
    section = f"{given[1]}." if given else ""
    names: dict[str, str] = {}
    for name in settings.flat(settings.default_config()):
        if not name.startswith(section):
            continue
        *outer, last = name.split(".")
        names.setdefault(last, name)
        names.setdefault("_".join([*outer[-1:], last]), name)
    found = difflib.get_close_matches(key, names, n=1, cutoff=0.75)
    return names[found[0]] if found else None


def _sentence(text: str) -> str:
    """Returns the sentence about the mistake, without a traceback."""
    if "InputError: " in text:
        text = text.split("InputError: ")[1].strip().splitlines()[0]
    if "[Errno" in text:
        text = text[text.index("[Errno") :]
    return " ".join(text.split())


def _exit(message: str, status: int = 2) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)
