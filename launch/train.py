"""Trains one method on one noisy dataset, and prints the result as JSON.

    python launch/train.py --config=configs/digits.py
    python launch/train.py --config=configs/mnist.py --workdir=runs/mine \\
        --config.method.name=cross_entropy --config.noise.ratio=0.2

The same command again resumes a run that was cut off, and does nothing for one
that is finished.
"""

import json
import sys

from absl import app
from absl import flags
from ml_collections import config_flags

from mlc_tf import training
from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment, configs/<dataset>.py[:smoke]."
)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "The run's directory. Defaults to runs/<dataset>/<noise>/<method>-<seed>.",
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    workdir = _WORKDIR.value or f"runs/{training.run_name(_CONFIG.value)}"
    try:
        finished = training.finished_result(workdir) is not None
        result = training.run(_CONFIG.value, workdir)
    except (InputError, DivergedError) as error:
        sys.exit(f"error: {error}")
    if finished:
        print(f"{workdir} is finished; its result is:")
    print(json.dumps(result))


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main)
