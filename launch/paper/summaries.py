"""Results of the paper's experiments as pandas tables, with its numbers."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import pandas as pd

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.launch.paper import published
from mlc_tf.run import comparison
from mlc_tf.run.results import Result


def with_paper(
    rows: Sequence[comparison.Row],
    dataset: str,
    noise: str,
    ratio: float | None,
) -> pd.DataFrame:
    """Returns rows of `comparison.summarize` with a column `paper`, in %."""
    return pd.DataFrame(
        {
            **dataclasses.asdict(row),
            "seeds": row.seeds,
            "paper": published.accuracy(dataset, noise, ratio, row.method),
        }
        for row in rows
    )


def by_condition(results: Iterable[Result], dataset: str) -> pd.DataFrame:
    """Returns the accuracy of each method under each noise of Table 1.

    Args:
        results: Results of runs. Results of other datasets, and results
            on held-out training data, are skipped.
        dataset: Name of the dataset.

    Returns:
        One row per noise, ratio and method, in the order of the paper's table
        and of `METHODS`, with the fields of `comparison.Row` and `paper`.

    Raises:
        InputError: if there is no such result.
    """
    results = list(results)
    parts = [
        with_paper(rows, dataset, noise, ratio).assign(noise=noise, ratio=ratio)
        for noise in published.NOISES
        for ratio in published.RATIOS
        if (rows := comparison.summarize(results, dataset, noise, ratio))
    ]
    if not parts:
        raise bad_argument("results", f"found for {dataset}", "none")
    numbers = dict.fromkeys(["deviation", "transition_l1", "paper"], float)
    table = pd.concat(
        [part.astype(numbers) for part in parts], ignore_index=True
    )
    first = ["noise", "ratio"]
    return table[first + [name for name in table if name not in first]]


def means_by_seed(
    conditions: pd.DataFrame,
) -> dict[str, dict[int, float]]:
    """Returns the mean accuracy over all conditions, by method and seed.

    Args:
        conditions: As `by_condition` returns it.

    Returns:
        The mean in % of each seed that a method has under all conditions.
        Methods without such a seed are left out.
    """
    count = len(conditions.groupby(["noise", "ratio"]))
    means = {}
    for method, rows in conditions.groupby("method", sort=False):
        by_seed = pd.DataFrame(rows["accuracies"].tolist())
        whole = by_seed.columns[by_seed.notna().sum() == count]
        if len(whole):
            means[str(method)] = by_seed[whole].mean().to_dict()
    return means


def of_variants(results: Mapping[str, Result], ratio: float) -> pd.DataFrame:
    """Returns the accuracy of each variant of a study under each noise.

    Args:
        results: Results by the names of the runs,
            VARIANT/NOISE/METHOD-seedSEED.
        ratio: The noise ratio.

    Returns:
        One row per variant and noise, with the columns variant, noise,
        accuracies (in %, by seed), accuracy, deviation (NaN for one seed) and
        transition_l1 (NaN without a T).

    Raises:
        InputError: if there is no such result.
    """
    rows = [
        {
            "variant": run.partition("/")[0],
            "noise": result["noise"],
            "seed": result["seed"],
            "accuracy": 100 * result["test_accuracy"],
            "transition_l1": result["transition_l1"],
        }
        for run, result in results.items()
        if result["ratio"] == ratio
    ]
    if not rows:
        raise bad_argument("results", f"found for the ratio {ratio}", "none")
    table = pd.DataFrame(rows).astype({"transition_l1": float})
    groups = table.groupby(["variant", "noise"], sort=False)
    return pd.DataFrame(
        {
            "variant": variant,
            "noise": noise,
            "accuracies": dict(zip(group["seed"], group["accuracy"])),
            "accuracy": group["accuracy"].mean(),
            "deviation": group["accuracy"].std(),
            "transition_l1": group["transition_l1"].mean(),
        }
        for (variant, noise), group in groups
    )


def by_clean_examples(
    results: Iterable[Result],
    dataset: str,
    noise: str,
    ratio: float | None,
    evaluated_on: str = "test",
) -> pd.DataFrame:
    """Returns the accuracy of each method with each size of the trusted set.

    Args:
        results: Results of runs. Results of another dataset, noise, ratio or
            evaluation set are skipped.
        dataset: The name of the dataset.
        noise: The kind of the noise.
        ratio: The noise ratio; None for a noise without a ratio.
        evaluated_on: A name of `problems.EVALUATION_SETS`. Defaults to "test".

    Returns:
        One row per method and size, with the columns method, clean_examples,
        accuracy and deviation (in %, mean and standard deviation over the
        seeds; NaN for one seed), transition_l1 (NaN without a T) and seeds.

    Raises:
        InputError: if there is no such result, or two results have the same
            method, size and seed.
    """
    where = dataset, noise, ratio, evaluated_on
    rows = [
        {
            **{
                key: result[key] for key in ("method", "clean_examples", "seed")
            },
            "accuracy": 100 * result["test_accuracy"],
            "transition_l1": result["transition_l1"],
        }
        for result in results
        if where
        == tuple(
            result[key] for key in ("dataset", "noise", "ratio", "evaluated_on")
        )
    ]
    if not rows:
        raise bad_argument("results", f"found for {where[:3]}", "none")
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
