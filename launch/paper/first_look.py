"""Draws the picture of README.md from a finished run on images.

    python launch/train.py --config=configs/digits.py --workdir=runs/digits
    python launch/paper/first_look.py --workdir=runs/digits

The picture shows the T that the run learned beside the true T. Beside them is,
for each class that the audit suggests, the image with the most suspicious
label: green where the suggestion is the true class, red where it is not.
It goes to `results/first_look/DATASET.png`.
"""

from pathlib import Path

from absl import flags

from mlc_tf.audit import run_audit
from mlc_tf.errors import bad_argument
from mlc_tf.errors import writable_or_error
from mlc_tf.launch import command_line
from mlc_tf.launch.paper import charts
from mlc_tf.run import figures
from mlc_tf.run import finished_run

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The directory of a finished run with injected noise."
)
_RESULTS = flags.DEFINE_string("results", "results", "The folder for results.")


def main(argv: list[str]) -> None:
    del argv
    expected = "the directory of a finished run on images, with injected noise"
    if _WORKDIR.value is None:
        raise bad_argument("workdir", expected, None)
    run = finished_run.load(_WORKDIR.value)
    problem, labels = finished_run.data_of(run)
    learned, true = run.row_transition, problem.true_transition
    is_image = figures.is_image(run.network.input_shape[1:])
    if labels is None or learned is None or true is None or not is_image:
        raise bad_argument("workdir", expected, _WORKDIR.value)
    issues = run_audit.audit_run(run, problem).label_issues
    ordered = issues[issues["is_label_issue"]].sort_values("label_quality")
    first = ordered.groupby("predicted_label").head(1).sort_index()
    chosen = problem.noisy.take(first.index.to_numpy())
    ((images, _),) = chosen.batches(len(first)).as_numpy_iterator()
    names = problem.class_names
    figure = charts.first_look_figure(
        {"T, learned": learned, "T, true": true},
        [
            charts.Suspect(
                image=image,
                given=names[given],
                suggested=names[suggested],
                right=bool(suggested == label),
            )
            for image, given, suggested, label in zip(
                images,
                first["given_label"],
                first["predicted_label"],
                labels[first.index],
            )
        ],
    )
    path = Path(_RESULTS.value) / f"first_look/{run.config.dataset.name}.png"
    with writable_or_error("results", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)
    print(path)


if __name__ == "__main__":
    command_line.run(main)
