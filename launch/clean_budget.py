"""Tells how many clean labels a dataset needs (the paper's Figure 3).

    python launch/clean_budget.py --config=configs/digits.py

Trains with trusted sets of several sizes; what is done is not run again.
Results go to `results/clean_budget/`, one JSON file a run, and beside them, of
this dataset and noise, a CSV and a PNG: accuracy and the distance of T over the
size.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.launch.paper import report
from mlc_tf.launch.paper.studies import clean_budget
from mlc_tf.run import experiments
from mlc_tf.run import figures
from mlc_tf.run import problems
from mlc_tf.run import settings

_CONFIG = config_flags.DEFINE_config_file(
    "config", "configs/digits.py", "The experiment, configs/DATASET.py."
)
_SIZES = flags.DEFINE_list(
    "sizes", "1,2,5,10,20,50", "Trusted examples of each class."
)
_METHODS = flags.DEFINE_list("methods", "mlc,glc,fine_tune", "Their names.")
_SEEDS = flags.DEFINE_list("seeds", "0,1,2", "Seeds.")
_RUNS = flags.DEFINE_string("runs", "runs", "Where the runs' directories go.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time.")


def main(argv: list[str]) -> None:
    del argv
    config = _CONFIG.value
    names = command_line.method_names(_METHODS)
    if config.noise.kind == "none":
        raise bad_argument(
            "noise.kind", "injected: else the trusted set is given", "none"
        )
    folder = Path(_RESULTS.value) / "clean_budget"
    configs = clean_budget.plan(
        config,
        command_line.integers(_SIZES),
        names,
        command_line.integers(_SEEDS),
    )
    problems.load(max(configs.values(), key=lambda one: one.clean.per_class))
    experiments.run_all(
        configs, Path(_RUNS.value) / "clean_budget", folder, _JOBS.value
    )
    noise = config.noise.kind
    ratio = config.noise.ratio if problems.has_ratio(noise) else None
    sizes = report.by_clean_examples(
        report.read_results(folder / f"{name}.json" for name in configs),
        config.dataset.name,
        noise,
        ratio,
        settings.evaluated_on(config),
    )
    _, dataset, named_noise, _ = Path(next(iter(configs))).parts
    name = f"{dataset}-{named_noise}"
    sizes.to_csv(folder / f"{name}.csv", index=False)
    title = f"{config.dataset.name}, {named_noise}"
    figures.clean_budget_figure(sizes, title).savefig(
        folder / f"{name}.png", dpi=120
    )
    print(report.clean_budget_table(sizes))
    print(folder / f"{name}.png")


if __name__ == "__main__":
    command_line.run(main)
