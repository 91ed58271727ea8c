"""Makes the paper's Figure 4: MLC under all noises and ratios, and the others.

    python launch/figure4.py --dataset=digits

The runs are those of the Table 1 (`launch/table1.py`): those that are missing
are done. Goes to `results/figure4/DATASET.md`, `.csv` and `.png`.
"""

from absl import flags

from mlc_tf.launch import command_line
from mlc_tf.launch import paper_files
from mlc_tf.launch import paper_runs
from mlc_tf.launch.paper import report
from mlc_tf.run import figures

_DATASET = flags.DEFINE_string(
    "dataset", "digits", f"Of {', '.join(paper_files.DATASETS)}."
)
_METHODS = flags.DEFINE_list(
    "methods",
    "mlc,cross_entropy,confusion,forward,glc,lre",
    "Names of methods, or all; mlc and cross_entropy are always drawn.",
)


def main(argv: list[str]) -> None:
    del argv
    two = ("mlc", "cross_entropy")
    names = list(dict.fromkeys([*two, *command_line.method_names(_METHODS)]))
    table = paper_runs.table_of(_DATASET.value, names)
    if table is None:
        return
    text = f"# {_DATASET.value}\n\n{report.conditions_table(table)}"
    figure = figures.robustness_figure(table, two, _DATASET.value)
    paper_files.write(f"figure4/{_DATASET.value}", text, table, figure)


if __name__ == "__main__":
    command_line.run(main)
