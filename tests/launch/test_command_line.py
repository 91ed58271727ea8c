"""The command `mlc_tf`, its help, and `--config`, from an empty folder."""

import shutil
import subprocess
import sys

import pytest

from mlc_tf.launch import main
from tests.launch.test_launch import launch
from tests.support import ROOT


def errors(answer):
    """Returns the status of a launcher, and its error lines."""
    status, _, stderr = answer
    assert "Traceback" not in stderr, stderr
    lines = stderr.splitlines()
    return status, [line for line in lines if line.startswith("error: ")]


def mlc_tf(*arguments):
    """Returns the answer of the command, in a process that loads no library."""
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


def test_each_command_shows_its_own_flags(tmp_path):
    answers = launch(
        tmp_path,
        *(("main.py", command, "--help") for command in main.COMMANDS),
        ("main.py", "train", "--helpfull"),
        ("train.py", "--help"),
    )
    for command, (status, stdout, stderr) in zip(main.COMMANDS, answers):
        assert status == 0, stderr
        assert "Traceback" not in stderr
        summary, own = stdout.splitlines()[0], stdout.partition("\nFlags:\n")[2]
        assert summary in main.help_text()
        flag = "--workdir" if "config" not in own else "--config"
        assert f"  {flag}: " in own, command
        assert "--pdb" not in own and "--verbosity" not in own
    full, script = answers[-2:]
    assert full[0] == script[0] == 0
    train = answers[main.COMMANDS.index("train")][1]
    assert script[1] == train
    own = train.partition("--helpfull")[0]
    assert full[1].startswith(own) and "--verbosity" in full[1]


def test_config_is_a_name_or_a_path(tmp_path):
    shutil.copy(ROOT / "configs" / "digits.py", tmp_path / "mine.py")
    forms = (
        (),
        ("--config=digits",),
        ("--config", "digits"),
        ("-config=digits",),
        ("--config=digits:smoke",),
        ("--config=mine.py",),
        ("--config", "./mine.py:smoke"),
        (f"--config={tmp_path}/mine.py:smoke",),
    )
    answers = launch(
        tmp_path,
        *(
            ("main.py", "describe", *form, "--config.noise.ratio=0.2")
            for form in forms
        ),
        ("describe.py", "--config=digits", "--config.noise.ratio=0.2"),
    )
    for status, stdout, stderr in answers:
        assert status == 0, stderr
        assert "noise flip_to_one 0.2, seed 0" in stdout


@pytest.mark.parametrize("first", [(), ("--config=digits",)])
def test_a_wrong_config_is_one_sentence(first, tmp_path):
    (tmp_path / "broken.py").write_text("def get_config(:")
    cases = {
        ("--config=digts",): "`config` = 'digts'. Did you mean 'digits'?",
        ("--config=digts:smoke",): "`config` = 'digts'. Did you mean",
        ("--config=digits:smok",): "`variant` = 'smok'. Did you mean 'smoke'?",
        ("--config=no.py",): "`config` cannot be loaded: [Errno 2]",
        ("--config=broken.py",): "`config` cannot be loaded: ",
        (*first, "--config.noise.ration=1"): "Did you mean 'ratio'?",
        (*first, "--config.noise.ratio=x"): "--config.noise.ratio=x",
    }
    answers = launch(tmp_path, *(("main.py", "train", *c) for c in cases))
    for answer, expected in zip(answers, cases.values()):
        status, (line,) = errors(answer)
        assert status == 2 and expected in line


def test_a_launcher_is_a_module_of_the_checkout_too():
    completed = subprocess.run(
        [sys.executable, "-m", "launch.train", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert "  --config: The experiment" in completed.stdout
