"""Applies decisions on labels, and writes a new dataset.

    mlc_tf review --workdir=runs/mine
    # In a browser, decide in runs/mine/review.html, and download decisions.csv.
    mlc_tf relabel --workdir=runs/mine --decisions=decisions.csv \\
        --output=mended.npz

The workdir is the directory of the reviewed run, on an "npz:", "folder:" or
"csv:" dataset. The command prints the command that trains on the new dataset.
"""

from pathlib import Path

from absl import flags

from mlc_tf.audit import relabel
from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.run import data_identity
from mlc_tf.run import finished_run

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The directory of a finished run."
)
_DECISIONS = flags.DEFINE_string(
    "decisions", None, "The CSV file that the review page saved."
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The new dataset: an .npz file, a .csv file for images, or a table.",
)


def main(argv: list[str]) -> None:
    del argv
    for flag, expected in (
        (_WORKDIR, "the directory of a finished run"),
        (_DECISIONS, "a CSV file that the review page saved"),
        (_OUTPUT, "a new file"),
    ):
        if flag.value is None:
            raise bad_argument(flag.name, expected, None)
    run = finished_run.load(_WORKDIR.value)
    config = run.config
    applied = relabel.apply(
        config,
        _DECISIONS.value,
        _OUTPUT.value,
        data_identity.class_names(_WORKDIR.value),
    )
    print(
        f"{applied.relabelled} labels changed, {applied.dropped} examples "
        f"dropped, {applied.kept} left as they were; {_OUTPUT.value} is the "
        "new dataset."
    )
    scheme = config.dataset.name.partition(":")[0]
    if scheme == "folder":
        config.dataset.labels = _OUTPUT.value
        if run.result["clean_examples"]:
            config.dataset.clean = "split:clean"
    else:
        config.dataset.name = f"{scheme}:{_OUTPUT.value}"
    command_line.print_next(
        [
            "train",
            *command_line.flags_for(config),
            f"--workdir={_new_folder(_WORKDIR.value)}",
        ]
    )


def _new_folder(workdir: str) -> Path:
    """Returns a directory beside the run that does not exist."""
    run = Path(workdir)
    number = 1
    while True:
        ending = "-relabelled" if number == 1 else f"-relabelled-{number}"
        folder = run.with_name(f"{run.name}{ending}")
        if not folder.exists():
            return folder
        number += 1


if __name__ == "__main__":
    command_line.run(main)
