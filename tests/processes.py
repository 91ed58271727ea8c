"""Runs programs in forks of a process that has imported TensorFlow.

The import takes longer than most programs that a test starts. The forked
process has computed nothing.
"""

import gc
import importlib
import json
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path

from tests.support import ROOT

# The slow imports of the programs.
_IMPORTED = (
    "jinja2",
    "keras_tuner",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "ml_collections.config_flags",
    "pandas",
    "sklearn.datasets",
    "tensorboard",
    "mlc_tf.audit.label_audit",
    "mlc_tf.audit.review",
    "mlc_tf.run.description",
    "mlc_tf.run.figures",
    "mlc_tf.run.training",
    "mlc_tf.run.tuning",
)


@cache
def _server():
    """Starts the process that forks; that process ends with this process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.processes"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def run(program, *arguments, cwd=ROOT, environment=None):
    """Runs a program, like `subprocess.run` with captured text output.

    Args:
        program: The path of a script (.py), or the name of a module.
        *arguments: The arguments of the command line.
        cwd: The working directory. Defaults to the checkout.
        environment: The environment. Defaults to the environment of the tests.

    Returns:
        A `subprocess.CompletedProcess`.
    """
    command = [str(part) for part in (program, *arguments)]
    environment = os.environ if environment is None else environment
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("stdout", "stderr")]
        for stream in streams:
            stream.touch()
        asked = {
            "command": command,
            "streams": [str(stream) for stream in streams],
            "cwd": str(cwd),
            "environment": {**environment, "PYTHONPATH": str(ROOT)},
        }
        server = _server()
        server.stdin.write(f"{json.dumps(asked)}\n")
        server.stdin.flush()
        status = server.stdout.readline()
        assert status, "the process that forks has ended"
        return subprocess.CompletedProcess(
            command, int(status), *(stream.read_text() for stream in streams)
        )


def launch(cwd, *commands):
    """Returns (status, stdout, stderr) of each (launcher, *arguments)."""
    answers = [
        run(ROOT / "launch" / script, *arguments, cwd=cwd)
        for script, *arguments in commands
    ]
    return [
        (answer.returncode, answer.stdout, answer.stderr) for answer in answers
    ]


def _become(asked):
    """Runs a program in this process, and ends the process."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in enumerate(asked["streams"], 1):
        os.dup2(os.open(path, os.O_WRONLY), stream)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["command"]
    name, status = sys.argv[0], 1
    try:
        if name.endswith(".py"):
            sys.path[0] = str(Path(name).parent)
            runpy.run_path(name, run_name="__main__")
        else:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


def _serve():
    for name in _IMPORTED:
        importlib.import_module(name)
    # A launcher forks its runs from itself: it has computed nothing either.
    # (tests/run/test_experiments.py has those that start as users have them.)
    experiments = importlib.import_module("mlc_tf.run.experiments")
    experiments._PROCESSES = multiprocessing.get_context("fork")
    # A child shares the memory of imported modules until something scans it. So
    # the garbage collector skips it, and `os._exit` ends the child.
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(json.loads(line))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


if __name__ == "__main__":
    _serve()
