"""Starts every launcher: parses flags, and prints mistakes in one line."""

import importlib
import os
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging
from ml_collections import ConfigDict
from ml_collections import config_flags

from mlc_tf import configs
from mlc_tf import datasets
from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.run import directory
from mlc_tf.run import methods
from mlc_tf.run import settings

# Help for the flags of a launcher, or of all modules. The help of absl would
# exit with status 1.
_HELP = {"--help", "-help", "-h", "-?", "--helpshort"}
_FULL_HELP = {"--helpfull", "-helpfull"}

# The variants of configs that are worth naming in a command.
_VARIANTS = ((), ("images",))

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
        f"{', '.join(_config_names())}; `own` is for your own data. "
        "--config.KEY=VALUE changes a setting.",
    )
    flag = flags.FLAGS[config.name]
    flag.parser = _ConfigParser(config.name)
    flag.parser.default = default
    flag.default_as_str = repr(default)
    return config


def define_workdir() -> flags.FlagHolder[str | None]:
    """Defines `--workdir`, the directory of the run that a config describes."""
    return flags.DEFINE_string(
        "workdir",
        None,
        "The run's directory. Defaults to runs/DATASET/NOISE/METHOD-SEED-DIGEST"
        ", where DIGEST stands for all other settings.",
    )


def workdir_of(
    config: flags.FlagHolder[ConfigDict], workdir: flags.FlagHolder[str | None]
) -> Path:
    """Returns the directory of the run that the flags describe.

    Args:
        config: The flag of `define_config`. Its settings are checked.
        workdir: The flag of `define_workdir`.

    Raises:
        InputError: for a bad setting.
    """
    settings.check(config.value)
    if workdir.value:
        return Path(workdir.value)
    return directory.default_workdir(config.value)


def flags_without(*names: str) -> list[str]:
    """Returns the flags of the command line, in their order.

    Args:
        *names: Names of the flags to leave out.
    """
    rest, skip = [], False
    for argument in sys.argv[1:]:
        name, given, _ = argument.lstrip("-").partition("=")
        if skip or name in names:
            skip = not skip and not given
        else:
            rest.append(argument)
    return rest


def print_next(*commands: list[str]) -> None:
    """Prints the commands that a user is likely to need next.

    Args:
        *commands: For each command of `mlc_tf` its name and its flags. They run
            from the same folder.
    """
    print("Next:")
    for command in commands:
        print(f"    {shlex.join(['mlc_tf', *command])}")


def flags_for(config: ConfigDict) -> list[str]:
    """Returns the flags with which a command gets a config.

    The flags begin with the named config that is nearest, and then set whatever
    differs.

    Args:
        config: The configuration of a run.
    """
    wanted = settings.flat(config)
    nearest: list[str] | None = None
    for name in _config_names():
        module = importlib.import_module(f"mlc_tf.configs.{name}")
        for variant in _VARIANTS:
            try:
                known = settings.flat(module.get_config(*variant))
            except InputError:  # the config has no such variant
                continue
            # The config of an older version may have other settings.
            changed = [key for key in known if wanted[key] != known[key]]
            if any(wanted[key] is None for key in changed):
                continue  # no flag sets a value back to none
            found = [
                f"--config={':'.join((name, *variant))}",
                *(f"--config.{key}={wanted[key]}" for key in changed),
            ]
            if nearest is None or len(found) < len(nearest):
                nearest = found
    assert nearest is not None  # noqa: S101, `own` sets fewest settings
    return nearest


def run(main: Callable[[list[str]], None]) -> None:
    """Parses the flags and calls `main`.

    The exit status is 0 after `--help`, which shows the launcher's own flags;
    2 after a user's mistake; and the status of the interruption if a run was
    interrupted, or if the output was closed. Other exceptions are bugs, and
    keep their traceback.
    """
    _open_missing_outputs()
    asked = {*sys.argv[1:]}
    if asked & (_HELP | _FULL_HELP):
        with _closed_output():
            full = bool(asked & _FULL_HELP)
            print(_help(sys.modules[main.__module__], full), flush=True)
        sys.exit()

    def guarded(argv: list[str]) -> None:
        try:
            if len(argv) > 1:
                raise InputError(f"Unknown arguments: {' '.join(argv[1:])}.")
            with _closed_output():
                main(argv)
                sys.stdout.flush()
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
        elif not Path(name).is_file():
            raise bad_argument("config", "a config file that exists", name)
        path = text.partition(":")[0]
        try:
            config = super().parse(text)
        except Exception as error:  # a config file is code: it may raise any
            raise _broken_config(path, error) from None
        if not isinstance(config, ConfigDict):
            raise InputError(
                "`config` should be a file whose get_config() returns a "
                "ConfigDict, as mlc_tf.run.settings.default_config() does. "
                f"Received: {path}, which returns a {type(config).__name__}."
            )
        return config


def _broken_config(path: str, error: Exception) -> InputError:
    """Returns the error for a config file that raises an error."""
    if isinstance(error.__context__, (TypeError, ValueError)):
        # ml_collections puts the traceback of such an error into a new error.
        error = error.__context__
    if isinstance(error, InputError):
        return error
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == path
    ]
    place = f"{path}, line {lines[-1]}" if lines else path
    missing = re.search(r'Key "(\w+)" does not exist', str(error))
    if missing:
        nearest = re.search(r'mean "(.+)" instead of', str(error))
        hint = f" Did you mean {nearest[1]!r}?" if nearest else ""
        return InputError(
            f"`config` has no setting {missing[1]!r} in that section ({place})."
            f"{hint}"
        )
    if isinstance(error, AttributeError) and "'get_config'" in str(error):
        return InputError(
            "`config` should be a file that defines get_config(variant=''). "
            f"Received: {path}, which does not."
        )
    reason = " ".join(str(error).split())
    return InputError(
        f"`config` cannot be loaded: {place} raises {type(error).__name__}"
        f"{f': {reason}' if reason else ''}"
    )


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
            *([_settings_help()] if "config" in flags.FLAGS else []),
            flags.FLAGS.get_help().strip() if full else rest,
        ]
    )


def _settings_help() -> str:
    """Returns the settings of `--config`, with the defaults of all configs."""
    names = [*datasets.DATASETS]
    own = ["npz:PATH", "folder:PATH", "csv:PATH", "tfds:NAME"]
    return "\n".join(
        [
            "Settings, each with the value that a config may change:\n",
            *(
                f"  --config.{name}={'' if value is None else value}"
                for name, value in settings.flat(
                    settings.default_config()
                ).items()
            ),
            f"\n`dataset.name` is one of {', '.join(names)}; or your own data: "
            f"{', '.join(own)}.",
            f"`method.name` is one of {', '.join(methods.METHODS)}.",
            "mlc_tf/run/settings.py describes the settings.\n",
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
        key = re.search(r'instead of "(\w+)"|[Kk]ey "(\w+)"', str(error))
        name = (key[1] or key[2]) if key else str(error).strip("'\"")
        _exit(str(settings.unknown_setting(_given_setting(name))))
    except ValueError as error:
        _exit(f"`config` cannot be loaded: {_sentence(str(error))}")


def _given_setting(key: str) -> str:
    """Returns the dotted name with which the command line sets a key."""
    given = re.search(
        rf"--config\.(\S+\.)?{re.escape(key)}\b", " ".join(sys.argv)
    )
    return f"{(given[1] or '') if given else ''}{key}"


def _open_missing_outputs() -> None:
    """Lets a process run whose outputs were closed by whoever started it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, stays open


@contextmanager
def _closed_output() -> Iterator[None]:
    """Ends the process in one sentence if nobody reads its output any more."""
    try:
        yield
    except BrokenPipeError:
        # Otherwise Python fails once more when it flushes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _exit(
            "The output was closed before the command ended, as `| head` does. "
            "Start the same command again.",
            128 + signal.SIGPIPE,
        )


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
