"""An HTML page to review a finished run and to decide on suspicious labels.

The page is a single file and loads nothing from a server. The decisions stay in
the user's browser until the user saves them as `decisions.csv`, with the
columns

* `index`: the index of the example in the noisy set, as in `audit.Audit`;
* `example`: the name of the example, as `Examples.name_of` returns it;
* `identity`: what identifies the example, whatever its index
  (`mlc_tf.data.identity`); decisions are applied by it;
* `given_label`: a class id;
* `decision`: "keep", "relabel" or "drop";
* `label`: the new class id if the decision is "relabel", else empty.

A text that a spreadsheet would run as a formula has a single quote in front
(`tables.safe_cell`).
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
from mlc_tf.audit import relabel
from mlc_tf.audit.label_audit import Audit
from mlc_tf.audit.review import pictures
from mlc_tf.audit.review import tables
from mlc_tf.data import checks
from mlc_tf.data import identity
from mlc_tf.data.examples import Examples
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional
from mlc_tf.models import prediction
from mlc_tf.run import callbacks
from mlc_tf.run import figures
from mlc_tf.run import problems
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem

if TYPE_CHECKING:
    import pandas as pd


def confusion(
    network: keras.Model, labelled: Examples, batch_size: int = 256
) -> np.ndarray:
    """Returns counts of (label, predicted class), `(classes, classes)`.

    Args:
        network: A model from inputs to logits `(batch, classes)`.
        labelled: The examples; their labels are class ids.
        batch_size: Examples in a forward pass. Defaults to 256.

    Returns:
        Integers; rows are labels, columns are predicted classes.

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
    """Returns the rows of suspicious labels, the lowest quality first.

    Args:
        found: The audit.
        most: The maximum number of rows.

    Returns:
        Rows of `found.label_issues`.
    """
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
    """Returns the review page of a run, as HTML.

    The same run always gives the same page, byte for byte.

    Args:
        run: The finished run.
        problem: The data of the run.
        found: The audit of `problem.noisy` by the run.
        confused: The result of `confusion` on `problem.test`,
            `(classes, classes)`, rows are labels.
        most: The maximum number of suspicious labels on the page, at least 1.
            Defaults to 200.
    """
    names = [str(name) for name in problem.class_names]
    metrics = callbacks.read_metrics(run.workdir / "metrics.jsonl")
    listed = suspects(found, most)
    evaluated_on = problems.EVALUATION_SETS[run.result["evaluated_on"]]
    return _template().render(
        result=run.result,
        evaluated_on=evaluated_on,
        classes=names,
        page=_digest(run, problem),
        noise=_noise(run.result),
        epochs=tables.count(run.result["epochs"], "epoch"),
        notes=(*problem.notes, *_cannot_apply(run)),
        noise_rate=tables.percent(found.noise_rate),
        test_accuracy=tables.percent(run.result["test_accuracy"]),
        labels=len(found.label_issues),
        issues=int(found.label_issues["is_label_issue"].sum()),
        curves=_curves(metrics),
        transition=_transition(run, problem.true_transition, names),
        class_table=tables.class_table(found.classes, names),
        confusion=tables.matrix_table(
            f"Examples of the {evaluated_on}, by label and predicted class",
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
        # Names of classes and examples come from the user and may contain HTML.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _digest(run: FinishedRun, problem: Problem) -> str:
    """Returns a digest that is equal for pages about the same labels."""
    config = json.dumps(run.config.to_dict(), sort_keys=True)
    digest = hashlib.blake2b(config.encode(), digest_size=16)
    digest.update(problem.noisy.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def _cannot_apply(run: FinishedRun) -> tuple[str, ...]:
    """Returns a sentence if decisions cannot be applied to the dataset."""
    try:
        relabel.check_source(run.config)
    except InputError as error:
        return (f"Decisions on this page cannot be applied. {error}",)
    return ()


def _noise(result: Mapping[str, Any]) -> str:
    if result["noise"] == "none":
        return "labels noisy as they come"
    ratio = "" if result["ratio"] is None else f" {result['ratio']:g}"
    return f"noise {result['noise']}{ratio}"


def _curves(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not metrics:
        return None
    recorded = figures.recorded_accuracies(metrics)
    changes = [
        f"on the {label} from {tables.percent(metrics[0][name])} to "
        f"{tables.percent(metrics[-1][name])}"
        for name, label in recorded.items()
    ]
    distance = metrics[-1]["transition_l1"]
    if distance is not None:
        changes.append(
            "the mean L1 distance of a row of T from the true T to "
            f"{distance:.2f}"
        )
    return {
        "alternative": f"Curves over {tables.count(len(metrics), 'epoch')}. "
        f"Accuracy {'; '.join(changes)}.",
        "sources": pictures.figure_uris(lambda: figures.curves_figure(metrics)),
        "table": tables.epoch_table(metrics, recorded),
    }


def _transition(
    run: FinishedRun, true: np.ndarray | None, names: list[str]
) -> dict[str, Any] | None:
    learned = run.row_transition
    if learned is None:
        return None
    diagonal = np.diag(learned)
    alternative = (
        f"Heat map of the learned T, {len(names)} by {len(names)} classes. Its "
        "diagonal, the share of a class that keeps its label, ranges from "
        f"{diagonal.min():.2f} to {diagonal.max():.2f}"
    )
    matrices = {"The learned T": learned}
    if true is not None:
        matrices["The true T"] = true
        alternative += (
            "; the diagonal of the true T, beside it, ranges from "
            f"{np.diag(true).min():.2f} to {np.diag(true).max():.2f}. The mean "
            "L1 distance between their rows is "
            f"{transitions.distance(learned, true):.2f}"
        )
    return {
        "alternative": f"{alternative}.",
        "sources": pictures.figure_uris(
            lambda: figures.transition_figure(learned, true, names)
        ),
        "tables": [
            tables.matrix_table(
                f"{caption}: p(given label | clean class)",
                matrix,
                names,
                ("clean", "given"),
                "{:.2f}",
            )
            for caption, matrix in matrices.items()
        ],
    }


def _cards(
    noisy: Examples, listed: pd.DataFrame, names: list[str]
) -> list[dict[str, Any]]:
    """Returns the content of the card of each suspicious label."""
    inputs = _inputs(noisy, listed.index.to_numpy())
    known = identity.identities(noisy)
    return [
        {
            "index": index,
            "name": noisy.name_of(index),
            "identity": known[index] if known else "",
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
    with checks.plain_errors():
        inputs = np.concatenate([x for x, _ in rows])
    return dict(zip(ascending.tolist(), inputs))


def _content(text: str | None, x: np.ndarray) -> dict[str, Any]:
    """Returns an input for a human reader: as picture, text or numbers."""
    picture = figures.is_image(x.shape) and text is None
    return {
        "picture": pictures.image_uri(x) if picture else None,
        "size": f"{x.shape[1]} by {x.shape[0]} pixels" if picture else None,
        "enlarged": picture and max(x.shape) <= pictures.SMALL,
        "text": text if picture or text is not None else tables.numbers(x),
    }
