"""Writes a finished run's network as a SavedModel for serving.

    python launch/export.py --workdir=runs/digits/flip_to_one-0.4/mlc-seed0 \\
        --output=served/digits

Each call adds a version, `served/digits/1/`, `2/`, ... It needs no `mlc_tf` to
load, and has class names and, if the method learned one, T inside.
"""

import command_line
from absl import flags

from mlc_tf import export
from mlc_tf import finished_run
from mlc_tf import problems
from mlc_tf.errors import bad_argument

_WORKDIR = flags.DEFINE_string("workdir", None, "That of a finished run.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder of the versions.")


def main(argv: list[str]) -> None:
    del argv
    for flag, what in (
        (_WORKDIR, "that of a finished run"),
        (_OUTPUT, "the folder of the versions"),
    ):
        if flag.value is None:
            raise bad_argument(flag.name, what, None)
    run = finished_run.load(_WORKDIR.value)
    problem = problems.load(run.config)
    transition = run.transition_of_rows
    version = export.saved_model(
        run.network, _OUTPUT.value, problem.class_names, transition
    )
    print(version)


if __name__ == "__main__":
    command_line.run(main)
