"""Applies decisions on labels: writes a new dataset.

    mlc_tf review --workdir=runs/mine
    # In a browser, decide in runs/mine/review.html, and download decisions.csv.
    mlc_tf relabel --workdir=runs/mine --decisions=decisions.csv \\
        --output=mended.npz

The workdir is the directory of the finished run that was reviewed, on an "npz:"
or "folder:" dataset. The command prints the settings that train on the new one.
"""

import shlex

from absl import flags

from mlc_tf.audit import relabel
from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.run import finished_run

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The directory of a finished run."
)
_DECISIONS = flags.DEFINE_string("decisions", None, "A CSV of the review page.")
_OUTPUT = flags.DEFINE_string("output", None, "A new .npz, or .csv of images.")


def main(argv: list[str]) -> None:
    del argv
    for flag, what in (
        (_WORKDIR, "the directory of a finished run"),
        (_DECISIONS, "a CSV file that the review page gave"),
        (_OUTPUT, "a new file"),
    ):
        if flag.value is None:
            raise bad_argument(flag.name, what, None)
    config = finished_run.load(_WORKDIR.value).config
    applied = relabel.apply(config, _DECISIONS.value, _OUTPUT.value)
    print(
        f"{applied.relabelled} labels changed, {applied.dropped} examples "
        f"dropped, {applied.kept} as they were. Train on it with"
    )
    flags_to_train = (
        {"name": f"npz:{_OUTPUT.value}"}
        if config.dataset.name.startswith("npz:")
        else {
            "name": config.dataset.name,
            "labels": _OUTPUT.value,
            "clean": "split:clean",
        }
    )
    print(
        "   ",
        shlex.join(
            f"--config.dataset.{name}={value}"
            for name, value in flags_to_train.items()
        ),
    )


if __name__ == "__main__":
    command_line.run(main)
