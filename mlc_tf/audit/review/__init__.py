"""One HTML page of a finished run: what it found, and labels to decide about.

The page is one file and asks nothing of a network. What a user decides stays in
their browser until they save it as `decisions.csv`, with the columns

* `index`: the example's place in the noisy set, as in `audit.Audit`;
* `example`: its name, as `Examples.name_of` tells it;
* `given_label`: a class id;
* `decision`: "keep", "relabel" or "drop";
* `label`: the class id to relabel it to; empty for the other two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from mlc_tf import transitions
from mlc_tf.audit.label_audit import Audit
from mlc_tf.audit.review import pictures
from mlc_tf.audit.review import tables
from mlc_tf.data.examples import Examples
from mlc_tf.errors import import_optional
from mlc_tf.models import prediction
from mlc_tf.run import callbacks
from mlc_tf.run import figures
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem

if TYPE_CHECKING:
    import pandas as pd

_CURVES = {
    "test_accuracy": "held-out set, true labels",
    "clean_accuracy": "clean set",
    "noisy_accuracy": "training set, given labels",
}


def confusion(
    network: keras.Model, labelled: Examples, batch_size: int = 256
) -> np.ndarray:
    """Returns counts of (label, predicted class), `(classes, classes)`.

    Args:
        network: From inputs to logits.
        labelled: Labels are class ids.
        batch_size: Defaults to 256.

    Raises:
        InputError: if an input cannot be read.
    """
    size = int(network.output_shape[-1])
    counts = np.zeros((size, size), int)
    for logits, labels in prediction.logits(
        prediction.forward_pass(network), labelled.batches(batch_size)
    ):
        np.add.at(counts, (labels, logits.argmax(axis=-1)), 1)
    return counts


def suspects(found: Audit, most: int) -> pd.DataFrame:
    """Returns rows of `label_issues` of suspicious labels, the worst first."""
    issues = found.label_issues
    suspected = issues[issues["is_label_issue"]]
    return suspected.sort_values("label_quality", kind="stable").head(most)


def page(
    run: FinishedRun,
    problem: Problem,
    found: Audit,
    confused: np.ndarray,
    most: int = 200,
) -> str:
    """Returns the page, HTML.

    The same run gives the same page, to the byte.

    Args:
        run: What it is about.
        problem: What the run learned from.
        found: What the run says of `problem.noisy`.
        confused: What `confusion` says of `problem.test`.
        most: How many suspicious labels are shown, at least 1. Defaults to
            200.
    """
    names = [str(name) for name in problem.class_names]
    metrics = callbacks.read_metrics(run.workdir / "metrics.jsonl")
    listed = suspects(found, most)
    return _template().render(
        result=run.result,
        classes=names,
        identity=_identity(run, problem),
        noise=_noise(run.result),
        epochs=tables.count(run.result["epochs"], "epoch"),
        notes=problem.notes,
        noise_rate=tables.percent(found.noise_rate),
        test_accuracy=tables.percent(run.result["test_accuracy"]),
        labels=len(found.label_issues),
        issues=int(found.label_issues["is_label_issue"].sum()),
        curves=_curves(metrics),
        transition=_transition(run, problem.true_transition, names),
        class_table=tables.of_classes(found.classes, names),
        confusion=tables.of_matrix(
            f"Examples of the {run.result['evaluated_on']} set, by label and "
            "predicted class",
            confused,
            names,
            ("label", "predicted"),
            "{:,d}",
        ),
        examples=_cards(problem.noisy, listed, names),
        light=pictures.LIGHT,
        dark=pictures.DARK,
    )


def _template() -> Any:
    jinja2 = import_optional("jinja2", "audit")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlc_tf.audit.review", "."),
        # Names of classes and of examples are the user's, and may hold
        # anything.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _identity(run: FinishedRun, problem: Problem) -> str:
    """Returns what pages about the same labels have in common."""
    config = json.dumps(run.config.to_dict(), sort_keys=True)
    digest = hashlib.blake2b(config.encode(), digest_size=16)
    digest.update(problem.noisy.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def _noise(result: Mapping[str, Any]) -> str:
    if result["noise"] == "none":
        return "labels noisy as they come"
    ratio = "" if result["ratio"] is None else f" {result['ratio']:g}"
    return f"noise {result['noise']}{ratio}"


def _curves(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not metrics:
        return None
    told = [
        f"on the {what} from {tables.percent(metrics[0][name])} to "
        f"{tables.percent(metrics[-1][name])}"
        for name, what in _CURVES.items()
    ]
    distance = metrics[-1]["transition_l1"]
    if distance is not None:
        told.append(
            f"the mean L1 distance of a row of T from the true one, to "
            f"{distance:.2f}"
        )
    return {
        "alternative": f"Curves over {tables.count(len(metrics), 'epoch')}. "
        f"Accuracy {'; '.join(told)}.",
        "sources": pictures.of_figure(lambda: figures.curves_figure(metrics)),
        "table": tables.of_epochs(metrics, _CURVES),
    }


def _transition(
    run: FinishedRun, true: np.ndarray | None, names: list[str]
) -> dict[str, Any] | None:
    learned = run.row_transition
    if learned is None:
        return None
    kept = np.diag(learned)
    told = (
        f"Heat map of the learned T, {len(names)} by {len(names)} classes. Its "
        f"diagonal, the share of a class that keeps its label, is from "
        f"{kept.min():.2f} to {kept.max():.2f}"
    )
    matrices = {"The T that was learned": learned}
    if true is not None:
        matrices["The true T"] = true
        told += (
            f"; that of the true T, beside it, from {np.diag(true).min():.2f} "
            f"to {np.diag(true).max():.2f}. A row of the two is "
            f"{transitions.distance(learned, true):.2f} apart in the mean (L1)"
        )
    return {
        "alternative": f"{told}.",
        "sources": pictures.of_figure(
            lambda: figures.transition_figure(learned, true, names)
        ),
        "tables": [
            tables.of_matrix(
                f"{what}: p(given label | clean class)",
                matrix,
                names,
                ("clean", "given"),
                "{:.2f}",
            )
            for what, matrix in matrices.items()
        ],
    }


def _cards(
    noisy: Examples, listed: pd.DataFrame, names: list[str]
) -> list[dict[str, Any]]:
    """Returns what is shown of each suspicious label."""
    inputs = _inputs(noisy, listed.index.to_numpy())
    return [
        {
            "index": index,
            "name": noisy.name_of(index),
            "given": int(row.given_label),
            "suggested": int(row.predicted_label),
            "quality": tables.percent(row.label_quality),
            **_content(noisy.text_of(index), inputs[index]),
        }
        for index, row in zip(listed.index.tolist(), listed.itertuples())
    ]


def _inputs(noisy: Examples, indices: np.ndarray) -> dict[int, np.ndarray]:
    """Returns the inputs at indices, read in one pass."""
    if not len(indices):
        return {}
    ascending = np.sort(indices)
    rows = noisy.take(ascending).batches(len(ascending)).as_numpy_iterator()
    return dict(zip(ascending.tolist(), np.concatenate([x for x, _ in rows])))


def _content(text: str | None, x: np.ndarray) -> dict[str, Any]:
    """Returns what a person sees of an input: picture, text or numbers."""
    picture = figures.is_image(x.shape) and text is None
    return {
        "picture": pictures.of_input(x) if picture else None,
        "size": f"{x.shape[1]} by {x.shape[0]} pixels" if picture else None,
        "enlarged": picture and max(x.shape) <= pictures.SMALL,
        "text": text if picture or text is not None else tables.numbers(x),
    }
