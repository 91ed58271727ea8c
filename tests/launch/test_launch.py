"""The launchers, as a user starts them: in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def launch(script, *arguments, cwd):
    return subprocess.run(
        [sys.executable, ROOT / "launch" / script, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def config(name="digits", variant=":smoke"):
    return f"--config={ROOT}/configs/{name}.py{variant}"


def test_train_plot_and_train_again(tmp_path):
    first = launch("train.py", config(), "--workdir=run", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    result = json.loads(first.stdout.splitlines()[-1])
    assert (result["dataset"], result["method"]) == ("digits", "mlc")
    assert "Epoch 2/2" in first.stdout

    plot = launch("plot.py", "--workdir=run", cwd=tmp_path)
    assert plot.stdout.split() == ["run/curves.png", "run/transition.png"]
    for name in plot.stdout.split():
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")

    again = launch("train.py", config(), "--workdir=run", cwd=tmp_path)
    assert "run is finished; its result is:" in again.stdout
    assert json.loads(again.stdout.splitlines()[-1]) == result


def test_compare_runs_what_is_missing_and_prints_the_table(tmp_path):
    arguments = [
        config(),
        "--config.train.epochs=1",
        "--methods=cross_entropy",
        "--seeds=3",
    ]
    completed = launch("compare.py", *arguments, cwd=tmp_path)
    assert completed.returncode == 0, completed.stderr
    assert "| `cross_entropy` |" in completed.stdout
    name = "digits/flip_to_one-0.4/cross_entropy-seed3"
    result = json.loads((tmp_path / f"results/{name}.json").read_text())
    assert (result["epochs"], result["seed"]) == (1, 3)
    again = launch("compare.py", *arguments, cwd=tmp_path)
    assert "running" not in again.stdout and "`cross_entropy`" in again.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--config.noise.ration=0.2"],
            "no key 'ration'. Did you mean 'ratio'",
        ),
        (["--config.noise.ratio=1.4"], "`ratio` should be in [0, 1]"),
        (["extra"], "Unknown arguments: extra."),
    ],
)
def test_a_wrong_value_gets_one_sentence(arguments, message, tmp_path):
    completed = launch("train.py", config(), *arguments, cwd=tmp_path)
    assert completed.returncode == 2
    errors = [
        line
        for line in completed.stderr.splitlines()
        if line.startswith("error: ")
    ]
    assert len(errors) == 1 and message in errors[0]
    assert "Traceback" not in completed.stderr


@pytest.mark.parametrize(
    "script, arguments, message",
    [
        ("train.py", ["--config=configs/none.py"], "`config` cannot be loaded"),
        ("plot.py", ["--workdir=nowhere"], "`workdir` should be the directory"),
        ("compare.py", ["--seeds=x"], "`seeds` should be integers"),
        ("report.py", ["--document=none.md"], "`document` should be a file"),
    ],
)
def test_a_missing_file_gets_one_sentence(script, arguments, message, tmp_path):
    default = [config()] if script == "compare.py" else []
    completed = launch(script, *default, *arguments, cwd=tmp_path)
    assert completed.returncode == 2
    assert f"error: {message}" in completed.stderr
    assert "Traceback" not in completed.stderr
