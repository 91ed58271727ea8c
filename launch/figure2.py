"""Makes the paper's Figure 2: the true T of its three noises at 30 %.

    python launch/figure2.py --dataset=mnist

Of the first four classes, as there; which class flips to which is drawn with
`--seed`. Nothing is trained. Goes to `results/figure2/DATASET.md`, `.csv` and
`.png`.
"""

import pandas as pd
from absl import flags

from mlc_tf.launch import command_line
from mlc_tf.launch import paper_files
from mlc_tf.launch.paper import paper_results
from mlc_tf.launch.paper import report
from mlc_tf.run import figures
from mlc_tf.run import problems

_RATIO = 0.3  # paper
_CLASSES = 4  # paper
_DATASET = flags.DEFINE_string(
    "dataset", "digits", f"Of {', '.join(paper_files.DATASETS)}."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the noise.", lower_bound=0)


def main(argv: list[str]) -> None:
    del argv
    config = paper_files.config_of(_DATASET.value)
    config.noise.ratio = _RATIO
    config.seed = _SEED.value
    corners = {}
    for config.noise.kind in paper_results.NOISES:
        transition = problems.load(config).true_transition
        corners[config.noise.kind] = transition[:_CLASSES, :_CLASSES]
    title = f"{_DATASET.value}, seed {config.seed}, ratio {_RATIO:g}"
    text = f"# True T: {title}\n"
    for noise, corner in corners.items():
        text += f"\n{noise}:\n\n{report.matrix_table(corner)}"
    values = pd.DataFrame(
        [
            {"noise": noise, "clean": i, "noisy": j, "T": corner[i, j]}
            for noise, corner in corners.items()
            for i in range(_CLASSES)
            for j in range(_CLASSES)
        ]
    )
    figure = figures.matrices_figure(corners, title=title)
    paper_files.write(f"figure2/{_DATASET.value}", text, values, figure)


if __name__ == "__main__":
    command_line.run(main)
