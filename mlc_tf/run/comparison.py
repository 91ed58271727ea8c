"""Compares methods: averages results over seeds, as a Markdown table."""

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlc_tf.errors import InputError
from mlc_tf.run import methods
from mlc_tf.run import paired
from mlc_tf.run.problems import EVALUATION_SETS
from mlc_tf.run.results import Result


@dataclass(frozen=True)
class Row:
    """The results of one method under one noise, averaged over seeds.

    Attributes:
        method: The name of the method in `METHODS`.
        oracle: The knowledge of the method that no user has; "" for none.
        accuracies: The test accuracy after the last epoch by seed, in %.
        accuracy: The mean test accuracy after the last epoch, in %.
        deviation: The standard deviation of the accuracy over the seeds
            (n - 1), in %; None for one seed.
        best_test: The mean of the best test accuracy of any epoch, in %. This
            number is chosen on the test set, so it is not a result.
        transition_l1: The L1 distance of a row of T from the true row, averaged
            over rows and seeds; None for a method without a T.
    """

    method: str
    oracle: str
    accuracies: Mapping[int, float]
    accuracy: float
    deviation: float | None
    best_test: float
    transition_l1: float | None

    @property
    def seeds(self) -> int:
        return len(self.accuracies)


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
            evaluation set are skipped.
        dataset: The name of the dataset.
        noise: The kind of the noise.
        ratio: The noise ratio; None for a noise without a ratio.
        evaluated_on: A name of `problems.EVALUATION_SETS`. Defaults to "test".

    Raises:
        InputError: if two results have the same method and seed.
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
        _row(method, by_method[method])
        for method in methods.METHODS
        if method in by_method
    ]


def markdown_table(
    rows: Sequence[Row],
    beside: Mapping[str, Mapping[str, float | None]] | None = None,
    evaluated_on: str = "test",
) -> str:
    """Returns the rows as a Markdown table, with footnotes.

    Args:
        rows: As `summarize` returns them.
        beside: Further columns by their headers, each with accuracies in % by
            method. Defaults to none.
        evaluated_on: A name of `problems.EVALUATION_SETS`. Defaults to "test".
    """
    beside = beside or {}
    accuracy_of, best_epoch = "test accuracy", "best on test*"
    reported = ", which the authors' code reports"
    if evaluated_on != "test":
        accuracy_of = f"accuracy on the {EVALUATION_SETS[evaluated_on]}"
        best_epoch, reported = "best epoch*", ""
    lines = [
        f"| method | {accuracy_of}, % | less the best | {best_epoch} "
        "| distance of T | seeds |" + "".join(f" {name} |" for name in beside),
        "|---|---|---|---|---|---|" + "---|" * len(beside),
    ]
    best = best_of(
        {row.method: row.accuracies for row in rows if not row.oracle}
    )
    for row in rows:
        accuracy = mean_cell(row.accuracy, row.deviation)
        if not row.oracle and paired.is_as_good(row.accuracies, best):
            accuracy = f"**{accuracy}**"
        cells = [
            method_cell(row.method, row.oracle),
            accuracy,
            difference_cell(row.accuracies, best),
            f"{row.best_test:.2f}",
            distance_cell(row.transition_l1),
            str(row.seeds),
            *(
                mean_cell(accuracies.get(row.method), None)
                for accuracies in beside.values()
            ),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    notes = (
        "Last epoch, mean ± standard deviation over the seeds. Less the best: "
        "the paired difference with its 95 % interval. Bold: not shown to be "
        "worse than the best at that level, without oracle knowledge. \\* The "
        f"best epoch on the {EVALUATION_SETS[evaluated_on]}{reported}: not a "
        "result."
    )
    notes += oracle_note({row.method: row.oracle for row in rows})
    return "\n".join([*lines, "", notes, ""])


def best_of(
    accuracies: Mapping[str, Mapping[int, float]],
) -> Mapping[int, float]:
    """Returns the accuracies of the method with the best mean, by seed.

    Only methods with the greatest number of seeds are compared.

    Args:
        accuracies: Accuracies by seed, by the names of the methods.
    """
    most = max(map(len, accuracies.values()), default=0)
    whole = [each for each in accuracies.values() if len(each) == most]
    return max(whole, key=lambda each: np.mean([*each.values()]), default={})


def difference_cell(one: Mapping[int, float], best: Mapping[int, float]) -> str:
    """Returns "difference [low, high]", or a dash for the best itself."""
    found = None if one == best else paired.difference(one, best)
    return "–" if found is None else str(found)


def method_cell(method: str, oracle: str) -> str:
    """Returns the name of a method, with a dagger if it has an oracle."""
    return f"`{method}`" + (" †" if oracle else "")


def oracle_note(oracles: Mapping[str, str]) -> str:
    """Returns a footnote on the methods that have an oracle; "" for none."""
    knows = [
        f"`{name}` {knowledge}"
        for name, knowledge in oracles.items()
        if knowledge
    ]
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


def _row(method: str, by_seed: Mapping[int, Result]) -> Row:
    results = list(by_seed.values())

    def percent(name: str) -> np.ndarray:
        return 100 * np.array([result[name] for result in results])

    distances = [result["transition_l1"] for result in results]
    accuracy = percent("test_accuracy")
    several = len(results) > 1
    return Row(
        method=method,
        oracle=methods.get(method).oracle if results[0]["oracle"] else "",
        accuracies=dict(zip(by_seed, accuracy.tolist(), strict=True)),
        accuracy=float(accuracy.mean()),
        deviation=float(accuracy.std(ddof=1)) if several else None,
        best_test=float(percent("best_test_accuracy").mean()),
        transition_l1=None if None in distances else float(np.mean(distances)),
    )
