"""Trains a method on a noisy dataset, and prints the result.

    mlc_tf train --config=digits
    mlc_tf train --config=my_config.py --workdir=runs/mine \\
        --config.method.name=cross_entropy --config.noise.ratio=0.2

The last line is the result as JSON. Repeat the command to resume an interrupted
run, or to print the result of a finished run.
"""

import json

from absl import flags

from mlc_tf.launch import command_line
from mlc_tf.run import directory
from mlc_tf.run import training

_CONFIG = command_line.define_config()
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "The run's directory. Defaults to runs/DATASET/NOISE/METHOD-SEED.",
)


def main(argv: list[str]) -> None:
    del argv
    config = _CONFIG.value
    workdir = _WORKDIR.value or f"runs/{directory.name_of(config)}"
    finished = directory.finished_result(workdir) is not None
    result = training.run(config, workdir)
    if finished:
        print(f"{workdir} is finished; its result is:")
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    command_line.run(main)
