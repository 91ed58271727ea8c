"""Trains several methods and seeds of one config, and prints tables.

    python launch/compare.py --config=configs/digits.py
    python launch/compare.py --config=configs/mnist.py --seeds=0 \\
        --methods=mlc,cross_entropy --noise=flip_to_one,uniform

Each run trains as `launch/train.py` does, in its own process. Finished runs are
not repeated. The command copies the results to `results/DATASET.jsonl`, and
`launch/paper/report.py` makes the tables of docs/results/ from this file. Name
a change of settings with `--setting=NAME`, and the results go to
`results/choices/DATASET.jsonl` instead:

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

_CONFIG = command_line.define_config()
_METHODS = flags.DEFINE_list(
    "methods", "all", "The methods, separated by commas, or all."
)
_NOISE = flags.DEFINE_list(
    "noise", None, "The kinds of noise. Defaults to the kind in the config."
)
_SEEDS = flags.DEFINE_list("seeds", "0,1,2", "The seeds of the runs.")
_RUNS = flags.DEFINE_string(
    "runs", "runs", "The folder for the directories of the runs."
)
_RESULTS = flags.DEFINE_string("results", "results", "The folder for results.")
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "The number of runs that train at the same time."
)
_SETTING = flags.DEFINE_string(
    "setting",
    "",
    "A name for changed settings, whose results go to a separate file.",
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
    recorded = results.read(file)
    compared = [recorded[name] for name in configs if name in recorded]
    for kind in kinds:
        of_kind = [row for row in compared if row["noise"] == kind]
        evaluated_on = of_kind[0]["evaluated_on"] if of_kind else "test"
        rows = comparison.summarize(
            compared,
            config.dataset.name,
            kind,
            config.noise.ratio if problems.has_ratio(kind) else None,
            evaluated_on,
        )
        table = comparison.markdown_table(rows, evaluated_on=evaluated_on)
        print(table, flush=True)


if __name__ == "__main__":
    command_line.run(main)
