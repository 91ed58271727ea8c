"""Draws a run's T beside the true T, and the training curves, as PNG.

    mlc_tf plot --workdir=runs/digits

The pictures are `curves.png` and, of a method with a T, `transition.png`. The
run need not be finished: a whole epoch is enough.
"""

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from mlc_tf.errors import InputError
from mlc_tf.errors import writable_or_error
from mlc_tf.launch import command_line
from mlc_tf.run import callbacks
from mlc_tf.run import data_identity
from mlc_tf.run import figures
from mlc_tf.run import finished_run
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
    config = finished_run.config_of(workdir)
    learned, true = callbacks.read_history(workdir / "transition.npz")
    pictures = {"curves.png": figures.curves_figure(metrics, _title(config))}
    if learned:
        last = finished_run.as_rows(learned[max(learned)])
        pictures["transition.png"] = figures.transition_figure(
            last, true, data_identity.class_names(workdir)
        )
    with writable_or_error("output", output):
        output.mkdir(parents=True, exist_ok=True)
        for name, figure in pictures.items():
            figure.savefig(output / name, dpi=120)
            print(output / name)


def _title(config: ConfigDict) -> str:
    noise = config.noise
    ratio = f" {noise.ratio:g}" if problems.has_ratio(noise.kind) else ""
    return (
        f"{config.method.name} on {config.dataset.name}, {noise.kind}{ratio}, "
        f"seed {config.seed}"
    )


if __name__ == "__main__":
    command_line.run(main)
