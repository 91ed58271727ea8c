"""Makes the paper's Figure 3: accuracy over the size of the trusted set.

    python launch/figure3.py --dataset=digits --sizes=2,5,10,20

Under each of the paper's noises at 30 %, as `configs/DATASET.py` has the rest.
What is done is not run again. A result file a run goes to `results/figure3/`,
and there the table, as `DATASET.md`, `.csv` and `.png`. The paper gives the
figure only, no numbers.
"""

import pandas as pd
from absl import flags

from mlc_tf.launch import command_line
from mlc_tf.launch import paper_files
from mlc_tf.launch import paper_runs
from mlc_tf.launch.paper import paper_results
from mlc_tf.launch.paper import report
from mlc_tf.launch.paper.studies import clean_budget
from mlc_tf.run import figures

_RATIO = 0.3  # paper
_DATASET = flags.DEFINE_string(
    "dataset", "digits", f"Of {', '.join(paper_files.DATASETS)}."
)
_METHODS = flags.DEFINE_list("methods", "mlc,glc", "Names of methods, or all.")
_SIZES = flags.DEFINE_list(
    "sizes", "10,20,50,100", "Trusted examples of each class."
)


def main(argv: list[str]) -> None:
    del argv
    dataset = _DATASET.value
    config = paper_files.config_of(dataset)
    config.noise.ratio = _RATIO
    configs = {}
    for config.noise.kind in paper_results.NOISES:
        configs |= clean_budget.plan(
            config,
            command_line.integers(_SIZES),
            command_line.method_names(_METHODS),
            command_line.integers(paper_runs.SEEDS),
        )
    if not paper_runs.do(configs, "figure3"):
        return
    results = paper_runs.results_of(configs, "figure3")
    by_noise = {
        noise: report.by_clean_examples(results, dataset, noise, _RATIO)
        for noise in paper_results.NOISES
    }
    text = f"# {dataset}, {_RATIO:g} of the labels selected\n"
    for noise, sizes in by_noise.items():
        text += f"\n{noise}:\n\n{report.clean_budget_table(sizes)}"
    table = pd.concat(
        [sizes.assign(noise=noise) for noise, sizes in by_noise.items()]
    )
    figure = figures.conditions_figure(table, dataset, "clean_examples")
    paper_files.write(f"figure3/{dataset}", text, table, figure)


if __name__ == "__main__":
    command_line.run(main)
