"""Results of runs, read from their files and averaged over seeds."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.launch.paper import paper_results
from mlc_tf.run import methods


@dataclass(frozen=True)
class Row:
    """One method under one noise, over its seeds.

    Attributes:
        method: Its name in `METHODS`.
        oracle: What it was told that no user knows; "" for nothing.
        seeds: How many runs.
        accuracy: Test accuracy after the last epoch, in %, mean.
        deviation: Its standard deviation over the seeds (n - 1), or None for
            one seed.
        best_clean: Test accuracy of the epoch that is best on the clean set,
            in %, mean.
        best_test: The best test accuracy of any epoch, in %, mean; it is
            chosen on the test set, and so no result.
        transition_l1: Mean L1 distance of a row of T from the true one, mean
            over the seeds; None for a method without a T.
        paper: The paper's accuracy, or None.
    """

    method: str
    oracle: str
    seeds: int
    accuracy: float
    deviation: float | None
    best_clean: float
    best_test: float
    transition_l1: float | None
    paper: float | None


def load_results(folder: str | Path) -> list[dict[str, Any]]:
    """Returns the results of all `*.json` under a folder, by path.

    Those of benchmarks and campaigns, which are of no run, are passed over.
    """
    contents = read_results(sorted(Path(folder).rglob("*.json")))
    return [content for content in contents if "test_accuracy" in content]


def read_results(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Returns what is in those files that are there.

    A run whose loss diverged has none.
    """
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def summarize(
    results: Iterable[dict[str, Any]],
    dataset: str,
    noise: str,
    ratio: float | None,
    evaluated_on: str = "test",
) -> list[Row]:
    """Returns one row per method, in the order of `METHODS`.

    Args:
        results: As `load_results` returns them; those of another dataset,
            noise, ratio or evaluation set are passed over.
        dataset: Name of the dataset.
        noise: Kind of the noise.
        ratio: Its ratio; None for a noise that has none.
        evaluated_on: "test" or "validation". Defaults to "test".

    Raises:
        InputError: if two results are of one method and seed.
    """
    by_method: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
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


def by_condition(
    results: Iterable[dict[str, Any]], dataset: str
) -> pd.DataFrame:
    """Returns what each method came to under each noise of the Table 1.

    Args:
        results: As `load_results` returns them; those of other datasets, and
            those on held-out training data, are passed over.
        dataset: Name of the dataset.

    Returns:
        One row per noise, ratio and method, in the table's order and that of
        `METHODS`, with the fields of `Row`.

    Raises:
        InputError: if there is no such result.
    """
    results = list(results)
    rows = [
        {"noise": noise, "ratio": ratio, **dataclasses.asdict(row)}
        for noise in paper_results.NOISES
        for ratio in paper_results.RATIOS
        for row in summarize(results, dataset, noise, ratio)
    ]
    if not rows:
        raise bad_argument("results", f"found for {dataset}", "none")
    numbers = ["deviation", "transition_l1", "paper"]
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, float))


def by_clean_examples(
    results: Iterable[dict[str, Any]],
    dataset: str,
    noise: str,
    ratio: float | None,
    evaluated_on: str = "test",
) -> pd.DataFrame:
    """Returns what runs with trusted sets of several sizes came to.

    Args:
        results: As `load_results` returns them; those of another dataset,
            noise, ratio or evaluation set are passed over.
        dataset: Name of the dataset.
        noise: Kind of the noise.
        ratio: Its ratio; None for a noise that has none.
        evaluated_on: "test" or "validation". Defaults to "test".

    Returns:
        One row per method and size, with the columns method, clean_examples,
        accuracy and deviation (in %, mean and standard deviation over the
        seeds, NaN for one), transition_l1 (NaN without a T) and seeds.

    Raises:
        InputError: if there is no such result, or two of one method, size and
            seed.
    """
    rows = [
        {
            "method": result["method"],
            "clean_examples": result["clean_examples"],
            "seed": result["seed"],
            "accuracy": 100 * result["test_accuracy"],
            "transition_l1": result["transition_l1"],
        }
        for result in results
        if (result["dataset"], result["noise"], result["ratio"])
        == (dataset, noise, ratio)
        and result["evaluated_on"] == evaluated_on
    ]
    if not rows:
        raise bad_argument(
            "results", f"found for {(dataset, noise, ratio)}", "none"
        )
    table = pd.DataFrame(rows).astype({"transition_l1": float})
    twice = table.duplicated(["method", "clean_examples", "seed"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(
            "There should be one result per method, size and seed. Received: "
            f"two of {row['method']} with {row['clean_examples']} trusted "
            f"examples and seed {row['seed']}."
        )
    return (
        table.groupby(["method", "clean_examples"])
        .agg(
            accuracy=("accuracy", "mean"),
            deviation=("accuracy", "std"),
            transition_l1=("transition_l1", "mean"),
            seeds=("accuracy", "size"),
        )
        .reset_index()
    )


def _row(method: str, results: Sequence[dict[str, Any]]) -> Row:
    def percent(name: str) -> np.ndarray:
        return 100 * np.array([result[name] for result in results])

    first = results[0]
    distances = [result["transition_l1"] for result in results]
    accuracy = percent("test_accuracy")
    several = len(results) > 1
    where = first["dataset"], first["noise"], first["ratio"]
    return Row(
        method=method,
        oracle=methods.get(method).oracle if first["oracle"] else "",
        seeds=len(results),
        accuracy=float(accuracy.mean()),
        deviation=float(accuracy.std(ddof=1)) if several else None,
        best_clean=float(percent("best_clean_accuracy_test_accuracy").mean()),
        best_test=float(percent("best_test_accuracy").mean()),
        transition_l1=None if None in distances else float(np.mean(distances)),
        paper=paper_results.accuracy(*where, method),
    )
