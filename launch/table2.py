"""Makes the paper's Table 2: Clothing1M, whose labels are noisy as they come.

    python launch/table2.py --manual_dir=FOLDER
    python launch/table2.py --manual_dir=FOLDER --dry_run

Runs where the data is, as `configs/clothing1m.py` has it, and needs a GPU to
end. What is done is not run again. A result file a run goes to
`results/clothing1m/`; the table, with the paper's values, to
`results/table2/clothing1m.md`, `.csv` and `.png`. Of the paper's methods,
Masking is left out: nobody has told the structure of this noise.
"""

import dataclasses

import pandas as pd
from absl import flags

from mlc_tf.launch import command_line
from mlc_tf.launch import paper_files
from mlc_tf.launch import paper_runs
from mlc_tf.launch.paper import paper_results
from mlc_tf.launch.paper import report
from mlc_tf.launch.paper.studies import table1
from mlc_tf.run import figures
from mlc_tf.run import methods

_DATASET = "clothing1m"
_METHODS = flags.DEFINE_list(
    "methods",
    [name for name in paper_results.TABLE_2 if not methods.get(name).oracle],
    "Names of methods that need no oracle, or all of these.",
)


def main(argv: list[str]) -> None:
    del argv
    configs = table1.plan(
        paper_files.config_of(_DATASET, (_DATASET,)),
        command_line.method_names(_METHODS, oracles=False),
        command_line.integers(paper_runs.SEEDS),
        ["none"],
        [0.0],
    )
    if not paper_runs.do(configs):
        return
    results = paper_runs.results_of(configs)
    rows = report.summarize(results, _DATASET, "none", None)
    text = f"# Clothing1M\n\n{report.markdown_table(rows)}"
    figure = figures.bars_figure(
        {row.method: row.accuracy for row in rows},
        {row.method: row.paper for row in rows if row.paper is not None},
        "test accuracy, %",
    )
    table = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    paper_files.write(f"table2/{_DATASET}", text, table, figure)


if __name__ == "__main__":
    command_line.run(main)
