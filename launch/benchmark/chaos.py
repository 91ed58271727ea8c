"""Kills runs at random moments, damages checkpoints, and compares the results.

    python launch/benchmark/chaos.py --methods=mlc --kills=20 --damages=10
    python launch/benchmark/chaos.py --methods=all --kills=5

A run is killed (SIGKILL, at a moment drawn from the length of the whole run)
and started again until it ends; then the next run begins, until the number of
kills is reached. Each run should end with the bits of a run that nobody
disturbed: weights, optimizer, T of each epoch, metrics of each epoch. After
some kills the last checkpoint is cut off or has a bit flipped before the run is
started again. `results/chaos.jsonl` gets a result for each method; a method
that has a result is not run again.
"""

import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from absl import flags

from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.run import callbacks
from mlc_tf.run import checkpoints
from mlc_tf.run import directory
from mlc_tf.run import methods
from mlc_tf.run import results

_METHODS = flags.DEFINE_list("methods", "mlc", "Names, or all.")
_KILLS = flags.DEFINE_integer("kills", 5, "Kills of each method's runs.")
_DAMAGES = flags.DEFINE_integer(
    "damages", 0, "Further kills, each with a damaged checkpoint."
)
_INTERVAL = flags.DEFINE_integer("interval", 7, "Steps between checkpoints.")
_SEED = flags.DEFINE_integer("seed", 0, "The seed of the kills and damages.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")

_CONFIG = "configs/digits.py"
_TRAIN = Path(__file__).parents[1] / "train.py"


def main(argv: list[str]) -> None:
    del argv
    for flag in (_KILLS, _DAMAGES, _SEED):
        if flag.value < 0:
            raise bad_argument(flag.name, "an integer >= 0", flag.value)
    if _INTERVAL.value < 1:
        raise bad_argument("interval", "an integer >= 1", _INTERVAL.value)
    names = _METHODS.value
    if names == ["all"]:
        names = list(methods.METHODS)
    for name in names:
        methods.get(name)
    file = Path(_RESULTS.value) / "chaos.jsonl"
    for name in names:
        if name in results.read(file):
            print(f"{name} is in {file} already.", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            report = _campaign(name, Path(folder))
        results.write(file, [{"run": name, **report}])
        print(
            f"{name}: {len(report['kills'])} kills, {len(report['damages'])} "
            f"damages, {report['runs']} runs, of which "
            f"{report['runs_with_other_bits']} ended with other bits.",
            flush=True,
        )


def _campaign(method: str, folder: Path) -> dict[str, Any]:
    draw = random.Random(_SEED.value)  # noqa: S311, no secret
    undisturbed, begin = folder / "undisturbed", time.monotonic()
    _finish(_start(method, undisturbed))
    seconds = time.monotonic() - begin
    expected = _digest(undisturbed)
    report: dict[str, Any] = {
        "method": method,
        "config": _CONFIG,
        "interval": _INTERVAL.value,
        "seed": _SEED.value,
        "seconds": round(seconds, 1),
        "digest": expected,
        "runs": 0,
        "runs_with_other_bits": 0,
        "kills": [],
        "damages": [],
    }
    steps = _steps_of_an_epoch(undisturbed)
    while not _is_done(report):
        workdir = folder / f"run-{report['runs']}"
        damaged = None
        while True:
            process = _start(method, workdir)
            if not _is_done(report):
                moment = draw.uniform(0, seconds)
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    process.kill()
            output = _finish(process)
            resumed = _resumed_at(output)
            if damaged is not None and resumed is not None:
                report["damages"].append(
                    {
                        **damaged,
                        "resumed_at": resumed,
                        "steps_lost": _steps(damaged["checkpoint"], steps)
                        - _steps(resumed, steps),
                    }
                )
                damaged = None
            if process.returncode == 0:
                break
            if damaged is not None:
                continue  # killed before it looked at the checkpoints
            if (workdir / "result.json").exists():
                break  # killed while it ended, with nothing left to do
            newest = _newest(workdir)
            if len(report["kills"]) < _KILLS.value:
                report["kills"].append(
                    {
                        "after_seconds": round(moment, 2),
                        "checkpoint": newest and _position(newest),
                    }
                )
            elif newest is not None and checkpoints.is_whole(newest):
                damaged = {
                    "damage": _damage(newest, draw),
                    "checkpoint": _position(newest),
                }
        report["runs"] += 1
        report["runs_with_other_bits"] += _digest(workdir) != expected
        shutil.rmtree(workdir)
    return report


def _is_done(report: dict[str, Any]) -> bool:
    return (
        len(report["kills"]) >= _KILLS.value
        and len(report["damages"]) >= _DAMAGES.value
    )


def _start(method: str, workdir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            str(_TRAIN),
            f"--config={_CONFIG}",
            f"--config.method.name={method}",
            f"--config.train.checkpoint_every={_INTERVAL.value} steps",
            f"--workdir={workdir}",
        ],
        stdout=open(workdir.with_suffix(".log"), "w"),  # noqa: SIM115
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> str:
    """Waits for a run, and returns what it printed.

    Raises:
        RuntimeError: if it ended by itself, but not well.
    """
    process.wait()
    output = Path(process.args[-1].partition("=")[2]).with_suffix(".log")
    text = output.read_text(errors="replace")
    if process.returncode not in (0, -9):
        raise RuntimeError(text[-2000:])
    return text


def _newest(workdir: Path) -> Path | None:
    files = sorted((workdir / "checkpoints").glob("epoch-*.h5"))
    return files[-1] if files else None


def _damage(file: Path, draw: random.Random) -> str:
    content = bytearray(file.read_bytes())
    place = draw.randrange(len(content))
    if draw.random() < 0.5:
        file.write_bytes(content[:place])
        return f"cut off after {place} of {len(content)} bytes"
    bit = draw.randrange(8)
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {place} flipped"


def _position(file: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", file.stem)]


def _resumed_at(output: str) -> list[int] | None:
    found = re.search(r"Resuming from epoch (\d+), step (\d+)", output)
    return [int(number) for number in found.groups()] if found else None


def _steps(position: list[int], steps_of_an_epoch: int) -> int:
    return position[0] * steps_of_an_epoch + position[1]


def _steps_of_an_epoch(workdir: Path) -> int:
    result = directory.finished_result(workdir)
    return result["train_steps"] // result["epochs"]


def _digest(workdir: Path) -> str:
    """Returns a checksum of all that a run computed, but not of its times."""
    _, file = checkpoints.Checkpoints(workdir / "checkpoints").latest()
    digest = hashlib.sha256()

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            digest.update(name.encode() + np.asarray(item).tobytes())

    with h5py.File(file) as state:
        state.visititems(add)
    history = workdir / "transition.npz"
    if history.exists():
        with np.load(history, allow_pickle=False) as archive:
            digest.update(archive["learned"].tobytes())
    for row in callbacks.read_metrics(workdir / "metrics.jsonl"):
        computed = {k: v for k, v in row.items() if "seconds" not in k}
        digest.update(json.dumps(computed, sort_keys=True).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    command_line.run(main)
