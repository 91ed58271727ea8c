"""Makes the paper's Figure 5: MLC, the noise layer (FC), and cross-entropy.

    python launch/figure5.py --dataset=digits

Is it the meta-gradient, or the trusted set alone? FC has the same trusted set,
and learns T by plain gradient descent; the paper does not say where its layer
stands, so both forms are here. The runs are those of the Table 1
(`launch/table1.py`): those that are missing are done. Goes to
`results/figure5/DATASET.md`, `.csv` and `.png`.
"""

from absl import flags

from mlc_tf.launch import command_line
from mlc_tf.launch import paper_files
from mlc_tf.launch import paper_runs
from mlc_tf.launch.paper import report
from mlc_tf.run import figures

_METHODS = ("mlc", "noise_layer", "noise_layer_logits", "cross_entropy")
_DATASET = flags.DEFINE_string(
    "dataset", "digits", f"Of {', '.join(paper_files.DATASETS)}."
)


def main(argv: list[str]) -> None:
    del argv
    table = paper_runs.table_of(_DATASET.value, _METHODS)
    if table is None:
        return
    text = f"# {_DATASET.value}\n\n{report.conditions_table(table)}"
    figure = figures.conditions_figure(table, _DATASET.value)
    paper_files.write(f"figure5/{_DATASET.value}", text, table, figure)


if __name__ == "__main__":
    command_line.run(main)
