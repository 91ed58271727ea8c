"""Writes a finished run's network for serving without `mlc_tf`.

    mlc_tf export --workdir=runs/digits \\
        --output=served/digits

Each call adds a version, `served/digits/1/`, `2/`, and so on. A version holds a
SavedModel with the class names and, if the method learned T, with T; and a
`model_card.md`. `launch/serve_example.md` shows how TensorFlow Serving serves
the versions.

With `--format=keras`, `litert` or `onnx` the output is one file that ends in
`.keras`, `.tflite` or `.onnx`.
"""

from pathlib import Path

import keras
from absl import flags

from mlc_tf.audit import model_card
from mlc_tf.audit import run_audit
from mlc_tf.datasets import columns
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.errors import writable_or_error
from mlc_tf.launch import command_line
from mlc_tf.models import export
from mlc_tf.run import finished_run

_FORMATS = ("saved_model", "keras", "litert", "onnx")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The directory of a finished run."
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The folder of the versions, or the file for the other formats.",
)
_FORMAT = flags.DEFINE_string(
    "format", "saved_model", f"The format: one of {', '.join(_FORMATS)}."
)


def main(argv: list[str]) -> None:
    del argv
    if _FORMAT.value not in _FORMATS:
        raise unknown_name("format", _FORMAT.value, _FORMATS)
    for flag, expected in (
        (_WORKDIR, "the directory of a finished run"),
        (_OUTPUT, "the folder of the versions, or a file"),
    ):
        if not flag.value:
            raise bad_argument(flag.name, expected, flag.value)
    output = Path(_OUTPUT.value)
    if _FORMAT.value == "keras" and output.suffix != ".keras":
        raise bad_argument(
            "output",
            "a file that ends in .keras for the format 'keras'",
            output,
        )
    if _FORMAT.value in export.SUFFIXES:
        export.check_path("output", output, _FORMAT.value)
    run = finished_run.load(_WORKDIR.value)
    # A LiteRT or ONNX file cannot look up texts.
    with_columns = run.columns and _FORMAT.value in ("saved_model", "keras")
    network = run.network
    if with_columns:
        network = columns.with_encoder(run.columns, network)
    with writable_or_error("output", output):
        output.parent.mkdir(parents=True, exist_ok=True)
        if _FORMAT.value == "keras":
            network.save(output)
    if _FORMAT.value == "saved_model":
        version = _version(run, network, output)
        print(
            f"{version} is the new version; model_card.md in it says what it "
            "takes and returns."
        )
        return
    if _FORMAT.value != "keras":
        names = finished_run.data_of(run)[0].class_names
        export.write(network, output, _FORMAT.value, names)
    print(f"{output} is the network.")
    if run.columns and not with_columns:
        print(
            "It takes rows of numbers, as the columns become them, in this "
            f"order: {columns.order(run.columns)}."
        )


def _version(
    run: finished_run.FinishedRun, network: keras.Model, output: Path
) -> Path:
    problem, _ = finished_run.data_of(run)
    found = run_audit.audit_run(run, problem, verbose=1)
    return export.saved_model(
        network,
        output,
        problem.class_names,
        run.row_transition,
        model_card.render(run, problem, found),
        columns.signature(run.columns) if run.columns else None,
    )


if __name__ == "__main__":
    command_line.run(main)
