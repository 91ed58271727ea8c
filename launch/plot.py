"""Draws a run's T beside the true T, and the training curves, as PNG.

mlc_tf plot --workdir=runs/digits
"""

import json
from pathlib import Path

import numpy as np
from absl import flags

from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.launch import command_line
from mlc_tf.run import callbacks
from mlc_tf.run import figures
from mlc_tf.run import problems

_WORKDIR = flags.DEFINE_string("workdir", None, "The directory of a run.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "The folder for the pictures. Defaults to the workdir."
)


def main(argv: list[str]) -> None:
    del argv
    workdir = Path(_WORKDIR.value or "")
    metrics = callbacks.read_metrics(workdir / "metrics.jsonl")
    if not _WORKDIR.value or not metrics:
        raise InputError(
            "`workdir` should be the directory of a run with at least one "
            f"whole epoch. Received: `workdir` = {_WORKDIR.value!r}."
        )
    output = Path(_OUTPUT.value or workdir)
    output.mkdir(parents=True, exist_ok=True)
    config = json.loads((workdir / "config.json").read_text())
    pictures = {"curves.png": figures.curves_figure(metrics, _title(config))}
    if (workdir / "transition.npz").exists():
        with np.load(workdir / "transition.npz", allow_pickle=False) as archive:
            learned, true = archive["learned"][-1], archive.get("true")
        if _normalization(config) == "columns":
            learned = transitions.regauge(learned)
        pictures["transition.png"] = figures.transition_figure(learned, true)
    for name, figure in pictures.items():
        figure.savefig(output / name, dpi=120)
        print(output / name)


def _title(config: dict) -> str:
    noise = config["noise"]
    has_ratio = problems.has_ratio(noise["kind"])
    ratio = f" {noise['ratio']:g}" if has_ratio else ""
    return (
        f"{config['method']['name']} on {config['dataset']['name']}, "
        f"{noise['kind']}{ratio}, seed {config['seed']}"
    )


def _normalization(config: dict) -> str:
    method = config["method"]
    return method.get(method["name"], {}).get("normalization", "rows")


if __name__ == "__main__":
    command_line.run(main)
