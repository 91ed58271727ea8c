"""Tests the command `mlc_tf`, its help, and `--config`, in an empty folder."""

import shutil
import subprocess
import sys

import pytest

from mlc_tf.launch import main
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
    ("--config=no.py",): "`config` cannot be loaded: [Errno 2]",
    ("--config=broken.py",): "`config` cannot be loaded: ",
    ("--config.noise.ration=1",): "Did you mean 'ratio'?",
    ("--config=digits", "--config.noise.ration=1"): "Did you mean 'ratio'?",
    ("--config.noise.ratio=x",): "could not convert string to float",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Returns the answers of all commands, by command, form or mistake."""
    folder = tmp_path_factory.mktemp("empty")
    shutil.copy(ROOT / "configs" / "digits.py", folder / "mine.py")
    (folder / "broken.py").write_text("def get_config(:")
    ratio = "--config.noise.ratio=1.4"
    commands = HELPS | {
        form: ("main.py", "train", *form, ratio) for form in FORMS
    }
    commands |= {wrong: ("main.py", "train", *wrong) for wrong in MISTAKES}
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
    assert status == 2 and "`ratio` = 1.4" in line


@pytest.mark.parametrize("wrong", MISTAKES)
def test_a_wrong_config_is_one_sentence(wrong, answers):
    status, (line,) = errors(answers[wrong])
    assert status == 2 and MISTAKES[wrong] in line


def test_a_launcher_is_a_module_of_the_checkout_too():
    completed = subprocess.run(
        [sys.executable, "-m", "launch.train", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert "  --config: The experiment" in completed.stdout
