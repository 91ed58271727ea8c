"""Runs several methods and seeds of one config, and prints their tables.

    python launch/compare.py --config=configs/digits.py
    python launch/compare.py --config=configs/mnist.py --seeds=0 \\
        --methods=mlc,cross_entropy --noise=flip_to_one,uniform

Each run is what `launch/train.py` does, in a process of its own. Finished runs
are not run again. Results are copied to `results/DATASET.jsonl`, from which the
tables in README.md are made (`launch/paper/report.py`). With `--setting=NAME`
they go to `results/choices/DATASET.jsonl`, as the results of changed settings:

    python launch/compare.py --config=configs/digits.py --methods=mlc \\
        --config.dataset.validation=0.25 --setting=exact \\
        --config.method.mlc.meta_gradient=exact
"""

import itertools
from pathlib import Path

from absl import flags

from mlc_tf.launch import command_line
from mlc_tf.run import comparison
from mlc_tf.run import directory
from mlc_tf.run import experiments
from mlc_tf.run import problems
from mlc_tf.run import results
from mlc_tf.run import settings

_CONFIG = command_line.define_config()
_METHODS = flags.DEFINE_list(
    "methods", "all", "Names of methods, or all of them."
)
_NOISE = flags.DEFINE_list(
    "noise", None, "Kinds of noise. Defaults to the kind of the config."
)
_SEEDS = flags.DEFINE_list("seeds", "0,1,2", "Seeds.")
_RUNS = flags.DEFINE_string("runs", "runs", "Where the runs' directories go.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time.")
_SETTING = flags.DEFINE_string(
    "setting", "", "A name for changed settings; their results are kept apart."
)


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
        dataset, _, name = directory.name_of(config).partition("/")
        name = f"{_SETTING.value}/{name}" if _SETTING.value else name
        configs[name] = config.copy_and_resolve_references()
    part = f"choices/{dataset}" if _SETTING.value else dataset
    runs = Path(_RUNS.value) / part
    file = Path(_RESULTS.value) / f"{part}.jsonl"
    experiments.run_all(configs, runs, file, _JOBS.value)
    there = results.read(file)
    compared = [there[name] for name in configs if name in there]
    for kind in kinds:
        rows = comparison.summarize(
            compared,
            config.dataset.name,
            kind,
            config.noise.ratio if problems.has_ratio(kind) else None,
            settings.evaluated_on(config),
        )
        print(comparison.markdown_table(rows), flush=True)


if __name__ == "__main__":
    command_line.run(main)
