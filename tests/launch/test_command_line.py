"""Tests the command `mlc_tf`, its help, and `--config`, in an empty folder."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from mlc_tf.launch import main
from mlc_tf.run import settings
from tests.processes import launch
from tests.support import ROOT


def errors(answer):
    """Returns the exit status of a launcher, and its error lines."""
    status, _, stderr = answer
    assert "Traceback" not in stderr, stderr
    lines = stderr.splitlines()
    return status, [line for line in lines if line.startswith("error: ")]


def mlc_tf(*arguments):
    """Returns status, stdout and stderr of the command."""
    completed = subprocess.run(
        [sys.executable, "-m", "mlc_tf.launch.main", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return completed.returncode, completed.stdout, completed.stderr


@pytest.mark.parametrize("ask", ["--help", "-h", "help"])
def test_help_has_a_line_for_each_command(ask):
    status, stdout, _ = mlc_tf(ask)
    assert status == 0
    listed = stdout.partition("Commands:")[2].split("\n")
    names = [line.split()[0] for line in listed if line.strip()]
    assert names == list(main.COMMANDS)
    assert "    train          Trains a method on a noisy dataset" in stdout


@pytest.mark.parametrize(
    "arguments, end",
    [
        (["trian"], "Received: `command` = 'trian'. Did you mean 'train'?"),
        ([], "Received: `command` = ''."),
        (["command_line"], "Received: `command` = 'command_line'."),
    ],
)
def test_another_command_is_refused(arguments, end):
    status, (line,) = errors(mlc_tf(*arguments))
    assert status == 2
    assert line.startswith("error: `command` should be one of describe, train")
    assert end in line


HELPS = {
    command: ("main.py", command, "--help") for command in main.COMMANDS
} | {
    "full": ("main.py", "train", "--helpfull"),
    "script": ("train.py", "--help"),
}
# All ways to name a config. The invalid noise ratio stops each before training.
FORMS = (
    (),
    ("--config=digits",),
    ("--config", "digits"),
    ("-config=digits",),
    ("--config=digits:smoke",),
    ("--config=mine.py",),
    ("--config", "./mine.py:smoke"),
    (f"--config={ROOT}/configs/digits.py:smoke",),
)
MISTAKES = {
    ("--config=digts",): "`config` = 'digts'. Did you mean 'digits'?",
    ("--config=digts:smoke",): "`config` = 'digts'. Did you mean 'digits'?",
    ("--config=digits:smok",): "`variant` = 'smok'. Did you mean 'smoke'?",
    ("--config=no.py",): "`config` should be a config file that exists.",
    ("--config.noise.ration=1",): "Did you mean 'config.noise.ratio'?",
    ("--config=digits", "--config.noise.ration=1"): "'config.noise.ratio'?",
    ("--config.learning_rate=1",): "'config.optimizer.learning_rate'?",
    ("--config.noise.ratio=x",): "could not convert string to float",
    ("--config.seed=4294967296",): "an integer in [0, 2**32).",
    ("--config.network.weight_decay=inf",): "a finite float >= 0.",
    ("--config.network.mlp.hidden_units=(0,)",): "integers >= 1, one per layer",
    ("--join_timeout=0", "--config.train.strategy=multi_worker"): "seconds > 0",
}
# Config files that cannot be used: their code, and the end of the sentence.
BROKEN_CONFIGS = {
    "def get_config(:": "raises SyntaxError: invalid syntax",
    "import no_such_module": "line 1 raises ModuleNotFoundError: No module",
    "x = 1": "which does not.",
    "def get_config(variant=''):\n    return {}": "which returns a dict.",
    "def get_config(variant=''):\n    return None": "returns a NoneType.",
    "def get_config(variant=''):\n    raise RuntimeError('boom')": (
        "line 2 raises RuntimeError: boom"
    ),
    "def get_config(variant=''):\n    return 1 / 0": "ZeroDivisionError",
    "import ml_collections\n"
    "def get_config(variant=''):\n"
    "    return ml_collections.ConfigDict({'seed': 0})": (
        "a config without clean.batch_size"
    ),
    **{
        "from mlc_tf.run import settings\n"
        "def get_config(variant=''):\n"
        "    config = settings.default_config()\n"
        f"    {line}\n"
        "    return config": end
        for line, end in {
            "config.train.epoch = 99": "line 4). Did you mean 'epochs'?",
            "config.train.epochs = 'many'": "line 4 raises TypeError",
            "config.train.epochs = None": "should be of type int",
            "config.network = {'name': 'mlp', 'depht': 3}": "depth'?",
            "config.unlock(); config.train.epoch = 9": "'config.train.epochs'?",
        }.items()
    },
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Returns the answers of all commands, by command, form or mistake."""
    folder = tmp_path_factory.mktemp("empty")
    shutil.copy(ROOT / "configs" / "digits.py", folder / "mine.py")
    for number, code in enumerate(BROKEN_CONFIGS):
        (folder / f"broken{number}.py").write_text(code)
    ratio = "--config.noise.ratio=1.4"
    commands = HELPS | {
        form: ("main.py", "train", *form, ratio) for form in FORMS
    }
    commands |= {wrong: ("main.py", "train", *wrong) for wrong in MISTAKES}
    commands |= {
        code: ("main.py", "train", f"--config=broken{number}.py")
        for number, code in enumerate(BROKEN_CONFIGS)
    }
    commands["by script"] = ("train.py", "--config=digits", ratio)
    return dict(zip(commands, launch(folder, *commands.values())))


@pytest.mark.parametrize("command", main.COMMANDS)
def test_each_command_shows_its_own_flags(command, answers):
    status, stdout, stderr = answers[command]
    assert status == 0 and "Traceback" not in stderr, stderr
    assert stdout.splitlines()[0] in main.help_text()
    own = stdout.partition("\nFlags:\n")[2]
    assert "  --config: " in own or "  --workdir: " in own
    assert "--pdb" not in own and "--verbosity" not in own


def test_full_help_has_the_flags_of_libraries_below_its_own(answers):
    status, stdout, _ = answers["full"]
    assert status == 0
    own = answers["train"][1].partition("--helpfull")[0]
    assert stdout.startswith(own) and "--verbosity" in stdout


def test_a_script_has_the_help_of_its_command(answers):
    assert answers["script"][:2] == answers["train"][:2]


@pytest.mark.parametrize("form", [*FORMS, "by script"])
def test_config_is_a_name_or_a_path_and_takes_overrides(form, answers):
    status, (line,) = errors(answers[form])
    assert status == 2 and "`noise.ratio` = 1.4" in line


@pytest.mark.parametrize("wrong", MISTAKES)
def test_a_wrong_config_is_one_sentence(wrong, answers):
    status, (line,) = errors(answers[wrong])
    assert status == 2 and MISTAKES[wrong] in line


@pytest.mark.parametrize("code", BROKEN_CONFIGS)
def test_a_config_file_that_cannot_be_used_is_one_sentence(code, answers):
    status, (line,) = errors(answers[code])
    assert status == 2 and BROKEN_CONFIGS[code] in line


def test_help_shows_the_settings_and_the_names_of_datasets(answers):
    shown = answers["train"][1]
    for name in settings.flat(settings.default_config()):
        assert f"  --config.{name}=" in shown
    for scheme in ("npz:PATH", "folder:PATH", "csv:PATH", "tfds:NAME"):
        assert scheme in shown
    assert "--config." not in answers["audit"][1]


def shell(line, folder):
    """Returns the status and the error lines of a shell's last command."""
    completed = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
    )
    return errors((completed.returncode, "", completed.stderr))


def test_an_output_that_nobody_reads_ends_in_one_sentence(tmp_path):
    command = f"{sys.executable} -m mlc_tf.launch.main train --config=digits"
    # The pipe is closed before the first line, and within the first epoch.
    for reader in ("true", "head -c 300 > /dev/null"):
        status, (line,) = shell(f"{command} | {reader}", tmp_path)
        assert status == 128 + signal.SIGPIPE
        assert line.startswith("error: The output was closed before the comm")


def test_a_command_runs_without_an_output(tmp_path):
    command = (
        f"{sys.executable} -m mlc_tf.launch.main describe --config=digits "
        "--output=here"
    )
    status, lines = shell(f"{command} >&-", tmp_path)
    assert (status, lines) == (0, [])
    assert (tmp_path / "here" / "noise.json").exists()


def test_a_launcher_is_a_module_of_the_checkout_too():
    completed = subprocess.run(
        [sys.executable, "-m", "launch.train", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert "  --config: The experiment" in completed.stdout
