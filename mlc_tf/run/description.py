"""A description of the data of a run, before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ml_collections
import numpy as np

from mlc_tf.data import checks
from mlc_tf.data.examples import Examples
from mlc_tf.errors import import_optional
from mlc_tf.run import figures
from mlc_tf.run import problems
from mlc_tf.run.problems import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PICTURES = 32


@dataclass(frozen=True)
class Description:
    """A description of a run's data.

    Attributes:
        text: Shapes, counts per split and class, and the noise.
        figure: Training images with their given labels. Where true labels are
            known, they are shown too, and up to half of the images have a wrong
            label. None if the inputs are not images.
        noise_report: The injected noise, as in `Problem`, or None.
    """

    text: str
    figure: Figure | None
    noise_report: dict[str, object] | None


def describe(config: ml_collections.ConfigDict) -> Description:
    """Returns the description of the data that a config trains on.

    Args:
        config: As `settings.default_config` returns it.

    Raises:
        InputError: for a bad setting of the data, or data that cannot be read.
    """
    problem, true_labels = problems.load_with_truth(config)
    spec = problem.noisy.input_spec
    lines = [
        f"dataset {config.dataset.name}: inputs {tuple(spec.shape)} "
        f"{spec.dtype.name}, {len(problem.class_names)} classes",
        _counts(problem, true_labels),
        _noise(config, problem),
        *problem.notes,
    ]
    return Description(
        "\n\n".join(lines),
        _pictures(config, problem, true_labels),
        problem.noise_report,
    )


def _counts(problem: Problem, true_labels: np.ndarray | None) -> str:
    size = len(problem.class_names)
    columns = {
        "train, as given": problem.noisy.labels,
        "train, true": true_labels,
        "clean": None if problem.clean is None else problem.clean.labels,
        "test": problem.test.labels,
    }
    pd = import_optional("pandas", "figures")
    table = pd.DataFrame(
        {
            name: np.bincount(labels, minlength=size)
            for name, labels in columns.items()
            if labels is not None
        },
        index=list(problem.class_names),
    )
    table.loc["all"] = table.sum()
    return table.to_string()


def _noise(config: ml_collections.ConfigDict, problem: Problem) -> str:
    report = problem.noise_report
    if report is None:
        return "noise: none injected, the labels of the dataset are noisy"
    ratio = "" if report["ratio"] is None else f" {report['ratio']:g}"
    return (
        f"noise {report['kind']}{ratio}, seed {report['seed']}: "
        f"{report['changed']:,} of {report['examples']:,} labels changed "
        f"({report['changed_share']:.1%}); their empirical T is "
        f"{report['empirical_l1']:.4f} from the expected T (mean L1 distance "
        "of a row)"
    )


def _pictures(
    config: ml_collections.ConfigDict,
    problem: Problem,
    true_labels: np.ndarray | None,
) -> Figure | None:
    if not figures.is_image(problem.noisy.input_spec.shape):
        return None
    chosen = _chosen(problem.noisy, true_labels, config.seed)
    names, given = problem.class_names, problem.noisy.labels[chosen]
    titles = [names[label] for label in given]
    wrong = np.zeros(len(chosen), bool)
    if true_labels is not None:
        wrong = given != true_labels[chosen]
        titles = [
            f"{names[true]}\ngiven: {names[label]}"
            for true, label in zip(true_labels[chosen], given)
        ]
    batches = problem.noisy.take(chosen).batches(len(chosen))
    with checks.plain_errors():
        ((images, _),) = batches.as_numpy_iterator()
    return figures.samples_figure(images, titles, wrong)


def _chosen(
    noisy: Examples, true_labels: np.ndarray | None, seed: int
) -> np.ndarray:
    """Returns indices of examples to show, up to half of them mislabelled.

    Without true labels, the examples are drawn at random.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(noisy))
    if true_labels is not None:
        wrong = noisy.labels[order] != true_labels[order]
        half = order[wrong][: _PICTURES // 2]
        order = np.concatenate([half, order[~wrong]])
    return np.sort(order[:_PICTURES])
