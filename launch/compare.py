"""Runs several methods and seeds of one config, and prints their tables.

    python launch/compare.py --config=configs/digits.py
    python launch/compare.py --config=configs/mnist.py --seeds=0 \\
        --methods=mlc,cross_entropy --noise=flip_to_one,uniform

Each run is what `launch/train.py` does, in a process of its own. What is done
is not run again. Results are copied to `results/`, from which the tables in
README.md are made (`launch/report.py`).
"""

import itertools
from pathlib import Path

import ml_collections
from absl import flags
from ml_collections import config_flags

from mlc_tf.launch import command_line
from mlc_tf.launch.paper import report
from mlc_tf.run import directory
from mlc_tf.run import experiments
from mlc_tf.run import problems
from mlc_tf.run import settings

_CONFIG = config_flags.DEFINE_config_file(
    "config", "configs/digits.py", "The experiment, configs/DATASET.py."
)
_METHODS = flags.DEFINE_list(
    "methods", "all", "Names of methods, or all of them."
)
_NOISE = flags.DEFINE_list(
    "noise", None, "Kinds of noise. Defaults to that of the config."
)
_SEEDS = flags.DEFINE_list("seeds", "0,1,2", "Seeds.")
_RUNS = flags.DEFINE_string("runs", "runs", "Where the runs' directories go.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time.")


def main(argv: list[str]) -> None:
    del argv
    config = _CONFIG.value
    names = command_line.method_names(_METHODS)
    seeds = command_line.integers(_SEEDS)
    kinds = _NOISE.value or [config.noise.kind]
    configs = {}
    for kind, seed, method in itertools.product(kinds, seeds, names):
        config.noise.kind, config.seed = kind, seed
        config.method.name = method
        name = directory.name_of(config)
        configs[name] = config.copy_and_resolve_references()
    experiments.run_all(configs, _RUNS.value, _RESULTS.value, _JOBS.value)
    for config.noise.kind in kinds:
        print(report.markdown_table(_rows(config, names, seeds)), flush=True)


def _rows(
    config: ml_collections.ConfigDict, names: list[str], seeds: list[int]
) -> list[report.Row]:
    results = [
        result
        for result in report.load_results(
            Path(_RESULTS.value) / Path(directory.name_of(config)).parts[0]
        )
        if result["method"] in names and result["seed"] in seeds
    ]
    noise = config.noise
    return report.summarize(
        results,
        config.dataset.name,
        noise.kind,
        noise.ratio if problems.has_ratio(noise.kind) else None,
        settings.evaluated_on(config),
    )


if __name__ == "__main__":
    command_line.run(main)
