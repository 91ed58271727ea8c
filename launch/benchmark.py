"""Measures this machine, and writes the ratios as JSON.

    python launch/benchmark.py --what=input --config=configs/cifar10.py \\
        --config.train.augment=crop_and_flip

`--what=input`: what the input pipeline supplies against what the model takes,
and what pairing and noise add to a step. Nothing else should run meanwhile.
"""

import json
from pathlib import Path

import command_line
from absl import flags
from ml_collections import config_flags

from mlc_tf import benchmark
from mlc_tf import run_directory
from mlc_tf import settings
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name

_CONFIG = config_flags.DEFINE_config_file(
    "config", "configs/cifar10.py", "The experiment: configs/DATASET.py."
)
_WHAT = flags.DEFINE_string("what", "input", "What to measure: input.")
_ROUNDS = flags.DEFINE_integer("rounds", 50, "Times that all is measured.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The file. Defaults to results/benchmark/WHAT-DATASET-NETWORK.json.",
)


def main(argv: list[str]) -> None:
    del argv
    config, what = _CONFIG.value, _WHAT.value
    if what not in benchmark.BENCHMARKS:
        raise unknown_name("what", what, benchmark.BENCHMARKS)
    if _ROUNDS.value < 1:
        raise bad_argument("rounds", "an integer >= 1", _ROUNDS.value)
    settings.check(config)
    measured = benchmark.BENCHMARKS[what](config, _ROUNDS.value)
    name = f"{what}-{config.dataset.name}-{config.network.name}.json"
    output = Path(_OUTPUT.value or Path("results/benchmark") / name)
    output.parent.mkdir(parents=True, exist_ok=True)
    run_directory.write_json(output, measured)
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    command_line.run(main)
