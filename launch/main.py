"""Trains networks on noisy labels, and finds and corrects wrong labels.

Usage:
    mlc_tf COMMAND --FLAG=VALUE ...
    mlc_tf COMMAND --help
"""

import ast
import importlib
import os
import signal
import sys
from pathlib import Path

from mlc_tf.errors import InputError
from mlc_tf.errors import check_backend
from mlc_tf.errors import unknown_name

COMMANDS = (
    "describe",
    "train",
    "train_cluster",
    "compare",
    "tune",
    "plot",
    "audit",
    "review",
    "relabel",
    "export",
)


def main() -> None:
    """Runs the launcher that the first argument names.

    The launcher gets the remaining arguments. No other launcher is imported,
    since launchers define flags of the same name.
    """
    command, *rest = sys.argv[1:] or [""]
    if command in ("--help", "-h", "help"):
        # `| head` may close the output: the process then ends without a word.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        print(help_text())
        return
    try:
        if command not in COMMANDS:
            raise unknown_name("command", command, COMMANDS)
        # Before Keras is imported, which may lack the package of its backend.
        check_backend(os.environ.get("KERAS_BACKEND") or "tensorflow")
        sys.argv = [f"mlc_tf {command}", *rest]
        launcher = importlib.import_module(f"mlc_tf.launch.{command}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    launcher.command_line.run(launcher.main)


def help_text() -> str:
    """Returns the usage, with one line for each command."""
    width = max(map(len, COMMANDS))
    lines = [f"    {name:{width}}  {_summary(name)}" for name in COMMANDS]
    return "\n".join([(__doc__ or "").strip(), "\nCommands:\n", *lines])


def _summary(command: str) -> str:
    """Returns the first docstring line of a launcher, without importing it."""
    source = Path(__file__).with_name(f"{command}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]


if __name__ == "__main__":
    main()
