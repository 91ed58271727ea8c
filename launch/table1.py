"""Makes the paper's Table 1: methods under three noises at four ratios.

    python launch/table1.py --dataset=digits
    python launch/table1.py --dataset=mnist --methods=mlc,cross_entropy \\
        --seeds=0 --dry_run

Each dataset is run as `configs/DATASET.py` has it. What is done is not run
again, so the same command goes on with a table that was cut off; `--dry_run`
tells what it would do, and how long that takes by the results that are there.
A result file a run goes to `results/DATASET/`; the table of all that are there,
with the paper's values, to `results/table1/DATASET.md`, `.csv` and `.png`. What
is of a variant of the configs goes to `results/VARIANT/`, in the same order:

    python launch/table1.py --dataset=cifar10 --variant=reduced
"""

from absl import flags

from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.launch import paper_files
from mlc_tf.launch import paper_runs
from mlc_tf.launch.paper import paper_results
from mlc_tf.launch.paper import report
from mlc_tf.launch.paper.studies import table1
from mlc_tf.run import figures

_DATASET = flags.DEFINE_list(
    "dataset", "mnist", f"Of {', '.join(paper_files.DATASETS)}."
)
_METHODS = flags.DEFINE_list("methods", "all", "Names of methods, or all.")
_NOISES = flags.DEFINE_list(
    "noises", ",".join(paper_results.NOISES), "Kinds of noise."
)
_RATIOS = flags.DEFINE_list(
    "ratios", ",".join(map(str, paper_results.RATIOS)), "Ratios."
)


def main(argv: list[str]) -> None:
    del argv
    if not _DATASET.value:
        raise bad_argument(
            "dataset", f"of {', '.join(paper_files.DATASETS)}", "none"
        )
    ratios = paper_runs.ratios(_RATIOS)
    for flag, values, known in (
        ("noises", _NOISES.value, paper_results.NOISES),
        ("ratios", ratios, paper_results.RATIOS),
    ):
        if not values or not {*values} <= {*known}:
            expected = f"of {', '.join(map(str, known))}"
            raise bad_argument(flag, expected, values)
    plans = {
        dataset: table1.plan(
            paper_files.config_of(dataset),
            command_line.method_names(_METHODS),
            command_line.integers(paper_runs.SEEDS),
            _NOISES.value,
            ratios,
        )
        for dataset in _DATASET.value
    }
    for dataset, configs in plans.items():
        if paper_runs.do(configs):
            _write(dataset)


def _write(dataset: str) -> None:
    """Writes the table of all results of a dataset that are there."""
    results = report.load_results(paper_files.results_in(dataset))
    conditions = report.by_condition(results, dataset)
    title = paper_files.title_of(dataset)
    text = (
        f"# {title}\n\n{report.conditions_table(conditions)}\n"
        "The mean L1 distance of a row of T:\n\n"
        f"{report.distances_table(conditions)}"
    )
    figure = figures.conditions_figure(conditions, title)
    paper_files.write(f"table1/{dataset}", text, conditions, figure)


if __name__ == "__main__":
    command_line.run(main)
