"""Methods side by side: results averaged over seeds, as a Markdown table."""

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlc_tf.errors import InputError
from mlc_tf.run import methods
from mlc_tf.run.results import Result


@dataclass(frozen=True)
class Row:
    """One method under one noise, over its seeds.

    Attributes:
        method: Its name in `METHODS`.
        oracle: What the method knows that no user knows; "" for nothing.
        seeds: How many runs.
        accuracy: Test accuracy after the last epoch, in %, mean.
        deviation: Its standard deviation over the seeds (n - 1), or None for
            one seed.
        best_clean: Test accuracy of the epoch that is best on the clean set,
            in %, mean.
        best_test: The best test accuracy of any epoch, in %, mean; it is
            chosen on the test set, and so no result.
        transition_l1: Mean L1 distance of a row of T from the true row, mean
            over the seeds; None for a method without a T.
    """

    method: str
    oracle: str
    seeds: int
    accuracy: float
    deviation: float | None
    best_clean: float
    best_test: float
    transition_l1: float | None


def summarize(
    results: Iterable[Result],
    dataset: str,
    noise: str,
    ratio: float | None,
    evaluated_on: str = "test",
) -> list[Row]:
    """Returns one row per method, in the order of `METHODS`.

    Args:
        results: Results of runs. Results of another dataset, noise, ratio or
            evaluation set are passed over.
        dataset: Name of the dataset.
        noise: Kind of the noise.
        ratio: Its ratio; None for a noise that has none.
        evaluated_on: "test" or "validation". Defaults to "test".

    Raises:
        InputError: if two results have one method and seed.
    """
    by_method: dict[str, dict[int, Result]] = defaultdict(dict)
    for result in results:
        where = result["dataset"], result["noise"], result["ratio"]
        if where != (dataset, noise, ratio):
            continue
        if result["evaluated_on"] != evaluated_on:
            continue
        seeds = by_method[result["method"]]
        if result["seed"] in seeds:
            raise InputError(
                "There should be one result per method and seed. Received: "
                f"two of {result['method']} with seed {result['seed']}."
            )
        seeds[result["seed"]] = result
    return [
        _row(method, list(by_method[method].values()))
        for method in methods.METHODS
        if method in by_method
    ]


def markdown_table(
    rows: Sequence[Row],
    beside: Mapping[str, Mapping[str, float | None]] | None = None,
) -> str:
    """Returns the rows as a Markdown table, with footnotes.

    Args:
        rows: As `summarize` returns them.
        beside: Accuracies from elsewhere, in %, by method, by the header of
            their column. Defaults to none.
    """
    beside = beside or {}
    lines = [
        "| method | test accuracy, % | best on clean set | best on test* "
        "| distance of T | seeds |" + "".join(f" {name} |" for name in beside),
        "|---|---|---|---|---|---|" + "---|" * len(beside),
    ]
    for row in rows:
        cells = [
            method_cell(row.method, row.oracle),
            mean_cell(row.accuracy, row.deviation),
            f"{row.best_clean:.2f}",
            f"{row.best_test:.2f}",
            distance_cell(row.transition_l1),
            str(row.seeds),
            *(
                mean_cell(each.get(row.method), None)
                for each in beside.values()
            ),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    notes = (
        "Last epoch, mean ± standard deviation over the seeds. "
        "\\* Chosen on the test set: shown because the authors' code reports "
        "it, not a result."
    )
    notes += oracle_note({row.method: row.oracle for row in rows})
    return "\n".join([*lines, "", notes, ""])


def method_cell(method: str, oracle: str) -> str:
    """Returns the name of a method, with a dagger if it has an oracle."""
    return f"`{method}`" + (" †" if oracle else "")


def oracle_note(oracles: Mapping[str, str]) -> str:
    """Returns a footnote on the methods that have an oracle; "" for none."""
    knows = [f"`{name}` {what}" for name, what in oracles.items() if what]
    if not knows:
        return ""
    return f" † Uses knowledge that no user has: {', '.join(knows)}."


def mean_cell(mean: float | None, deviation: float | None) -> str:
    """Returns "mean ± deviation" with two digits, or a dash for no mean."""
    if _is_missing(mean):
        return "–"
    spread = "" if _is_missing(deviation) else f" ± {deviation:.2f}"
    return f"{mean:.2f}{spread}"


def distance_cell(distance: float | None) -> str:
    """Returns the distance of a T from the true T, or a dash for no T."""
    return "–" if _is_missing(distance) else f"{distance:.3f}"


def _is_missing(value: float | None) -> bool:
    return value is None or bool(np.isnan(value))


def _row(method: str, results: Sequence[Result]) -> Row:
    def percent(name: str) -> np.ndarray:
        return 100 * np.array([result[name] for result in results])

    distances = [result["transition_l1"] for result in results]
    accuracy = percent("test_accuracy")
    several = len(results) > 1
    return Row(
        method=method,
        oracle=methods.get(method).oracle if results[0]["oracle"] else "",
        seeds=len(results),
        accuracy=float(accuracy.mean()),
        deviation=float(accuracy.std(ddof=1)) if several else None,
        best_clean=float(percent("best_clean_accuracy_test_accuracy").mean()),
        best_test=float(percent("best_test_accuracy").mean()),
        transition_l1=None if None in distances else float(np.mean(distances)),
    )
