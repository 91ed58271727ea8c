"""Makes the paper's Table 1: methods under three noises at four ratios.

    python launch/table1.py --dataset=digits
    python launch/table1.py --dataset=mnist --methods=mlc,cross_entropy \\
        --seeds=0 --dry_run

Each dataset is run as `configs/DATASET.py` has it. What is done is not run
again, so the same command goes on with a table that was cut off; `--dry_run`
tells what it would do, and how long that takes by the results that are there.
A result file a run goes to `results/DATASET/`; the table, with the paper's
values, to `results/table1/DATASET.md`, `.csv` and `.png`.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import command_line
import ml_collections
from absl import flags

from mlc_tf import experiments
from mlc_tf import figures
from mlc_tf import methods
from mlc_tf import paper_results
from mlc_tf import report
from mlc_tf import run_directory
from mlc_tf import settings
from mlc_tf.errors import bad_argument
from mlc_tf.errors import told_if_unwritable
from mlc_tf.errors import unknown_name
from mlc_tf.studies import table1

_CONFIGS = Path(__file__).parents[1] / "configs"
# Of CIFAR-100 the table has no uniform noise, of Clothing1M its own.
_DATASETS = ("digits", "mnist", "twitter", "cifar10")
_DATASET = flags.DEFINE_list("dataset", "mnist", f"Of {', '.join(_DATASETS)}.")
_METHODS = flags.DEFINE_list("methods", "all", "Names of methods, or all.")
_NOISES = flags.DEFINE_list(
    "noises", ",".join(paper_results.NOISES), "Kinds of noise."
)
_RATIOS = flags.DEFINE_list(
    "ratios", ",".join(map(str, paper_results.RATIOS)), "Ratios."
)
_SEEDS = flags.DEFINE_list("seeds", "0,1,2", "Seeds.")
_RUNS = flags.DEFINE_string("runs", "runs", "Where the runs' directories go.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time.")
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir", "", "Where the files of twitter lie."
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Only tell what would be run.")


def main(argv: list[str]) -> None:
    del argv
    results = Path(_RESULTS.value)
    plans = {name: _plan(name) for name in _DATASET.value}
    if not plans:
        raise bad_argument("dataset", f"of {', '.join(_DATASETS)}", "none")
    if _JOBS.value < 1:
        raise bad_argument("jobs", "an integer >= 1", _JOBS.value)
    for name, configs in plans.items():
        for config in configs.values():
            settings.check(config)
        if _DRY_RUN.value:
            _tell(name, configs, results)
            continue
        experiments.do(configs, _RUNS.value, results, _JOBS.value)
        with told_if_unwritable("results", results / "table1"):
            _write(name, results)


def _plan(dataset: str) -> dict[str, ml_collections.ConfigDict]:
    if dataset not in _DATASETS:
        raise unknown_name("dataset", dataset, _DATASETS)
    spec = importlib.util.spec_from_file_location(
        dataset, _CONFIGS / f"{dataset}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    if dataset == "twitter":
        config.dataset.manual_dir = _MANUAL_DIR.value
    names = _METHODS.value
    return table1.plan(
        config,
        list(methods.METHODS) if names == ["all"] else names,
        command_line.integers(_SEEDS),
        _NOISES.value,
        [_ratio(text) for text in _RATIOS.value],
    )


def _ratio(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise bad_argument(
            "ratios", "numbers, with commas between", text
        ) from None


def _tell(
    dataset: str,
    configs: Mapping[str, ml_collections.ConfigDict],
    results: Path,
) -> None:
    """Prints which runs are missing, and what they cost."""
    before = report.load_results(results / dataset)
    seconds, unknown, missing = 0.0, 0, 0
    for name, config in configs.items():
        if run_directory.finished_result(Path(_RUNS.value) / name) is not None:
            continue
        took = experiments.seconds_before(config, before)
        cost = "?" if took is None else experiments.duration(took)
        print(f"{name}: {cost}")
        missing += 1
        unknown += took is None
        seconds += took or 0.0
    cost = experiments.duration(seconds / _JOBS.value)
    print(
        f"{dataset}: {missing} of {len(configs)} runs are missing, about "
        f"{cost}" + (f" and {unknown} of unknown cost" if unknown else "")
    )


def _write(dataset: str, results: Path) -> None:
    """Writes the table of all results of a dataset that are there."""
    conditions = report.by_condition(
        report.load_results(results / dataset), dataset
    )
    table = report.conditions_table(conditions)
    folder = results / "table1"
    folder.mkdir(parents=True, exist_ok=True)
    text = f"# {dataset}\n\n{table}\nThe mean L1 distance of a row of T:\n\n"
    text += report.distances_table(conditions)
    (folder / f"{dataset}.md").write_text(text)
    conditions.to_csv(folder / f"{dataset}.csv", index=False)
    figures.conditions_figure(conditions, dataset).savefig(
        folder / f"{dataset}.png", dpi=120
    )
    print(table)
    print(folder / f"{dataset}.md")


if __name__ == "__main__":
    command_line.run(main)
