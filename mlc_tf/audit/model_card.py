"""Writes the model card of a run, Markdown for the users of its network."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from mlc_tf.audit.label_audit import Audit
from mlc_tf.datasets import columns
from mlc_tf.errors import import_optional
from mlc_tf.run import directory
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem

# How loaders prepare inputs outside of the network, by the dataset's name.
_PREPARATIONS = {
    "folder": (
        "The loader decodes each image to RGB and resizes it bilinearly "
        "(mlc_tf.data.images.read_image); do the same before a request."
    ),
    "twitter": (
        "The loader turns each word into numbers (mlc_tf.datasets.twitter."
        "encode, with tables from the training tweets); the export does not "
        "contain this."
    ),
    "clothing1m": (
        "The loader resizes each image to 256 by 256 pixels and keeps the "
        "central 224 by 224; do the same before a request."
    ),
}
# The most rows of a table. With more classes than this, T is left out.
_MOST_ROWS = 20


def render(run: FinishedRun, problem: Problem, found: Audit) -> str:
    """Returns the model card of a run.

    Args:
        run: The finished run.
        problem: The data of the run.
        found: The audit of the noisy labels by the run's network and T.

    Returns:
        Markdown.

    Raises:
        InputError: if the run's `versions.json` is missing or damaged.
    """
    jinja2 = import_optional("jinja2", "audit")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701, Markdown needs no HTML escapes
    )
    environment.filters.update(cell=_cell, percent=_percent, plain=_plain)
    template = environment.get_template("model_card.md.j2")
    return template.render(_content(run, problem, found))


def _content(
    run: FinishedRun, problem: Problem, found: Audit
) -> dict[str, Any]:
    result, classes = run.result, problem.class_names
    report = problem.noise_report
    (inputs,) = run.network.inputs
    return {
        "dataset": result["dataset"],
        "method": result["method"],
        "classes": classes,
        "shown_classes": classes[:_MOST_ROWS],
        "noisy": len(problem.noisy),
        "clean": 0 if problem.clean is None else len(problem.clean),
        "fewest": 0
        if problem.clean is None
        else int(_counts(problem.clean.labels, len(classes)).min()),
        "tested": len(problem.test),
        "evaluated_on": problems.EVALUATION_SETS[result["evaluated_on"]],
        "origin": "noisy as they come" if report is None else _origin(report),
        "injected": ""
        if report is None
        else f"; {100 * report['changed_share']:.1f} % were made so",
        "notes": problem.notes,
        "settings": _settings(run),
        "accuracy": result["test_accuracy"],
        "noise_rate": found.noise_rate,
        "instance_dependence": ""
        if found.instance_dependence is None
        else found.instance_dependence.sentence(),
        "noise_of_classes": _noise_of_classes(found, classes),
        "transition": run.row_transition,
        "transition_l1": result["transition_l1"],
        "oracle": result["oracle"],
        "columns": [
            {
                "name": column.name,
                "input": name,
                "kind": column.kind,
                "values": column.values,
            }
            for column, name in zip(
                run.columns, columns.serving_names(run.columns).values()
            )
        ],
        "preparation": _PREPARATIONS.get(
            run.config.dataset.name.partition(":")[0], ""
        ),
        "input_shape": inputs.shape[1:],
        "input_dtype": inputs.dtype,
        "versions": directory.read_json(run.workdir / "versions.json"),
    }


def _origin(report: dict[str, Any]) -> str:
    ratio = "" if report["ratio"] is None else f" {report['ratio']}"
    return f"injected noise `{report['kind']}{ratio}`"


def _settings(run: FinishedRun) -> dict[str, Any]:
    result, config = run.result, run.config
    return {
        "method": result["method"],
        **directory.flat(result["options"]),
        **_chosen_rates(result),
        "network": result["network"],
        "optimizer": config.optimizer.name,
        "learning rate": settings.learning_rate(config),
        "batch size": config.train.batch_size,
        "epochs": result["epochs"],
        "seed": result["seed"],
    }


def _chosen_rates(result: dict[str, Any]) -> dict[str, Any]:
    # Results of earlier versions lack the entry.
    chosen = directory.flat(result.get("chosen_rates", {}))
    return {f"{name} (chosen)": rate for name, rate in chosen.items()}


def _noise_of_classes(
    found: Audit, class_names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Returns the rows of the noise table: all classes, or the noisiest."""
    table = found.classes.assign(name=class_names)
    if len(table) > _MOST_ROWS:
        table = table.nlargest(_MOST_ROWS, "noise_rate_in")
    return table.to_dict("records")


def _counts(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return np.bincount(labels, minlength=num_classes)


def _plain(value: Any) -> str:
    """Returns a text in which nothing is Markdown or HTML, on one line."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*\[\]<>|#~])", r"\\\1", text)


def _cell(value: Any) -> str:
    """Returns a value as the text of a table cell, on one line."""
    return _plain(value)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"
