"""Markdown tables of results."""

import fnmatch
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlc_tf.errors import bad_argument
from mlc_tf.launch.paper import published
from mlc_tf.run import comparison
from mlc_tf.run import methods
from mlc_tf.run.comparison import distance_cell
from mlc_tf.run.comparison import mean_cell
from mlc_tf.run.comparison import method_cell
from mlc_tf.run.comparison import oracle_note
from mlc_tf.run.results import Result

# Short names of the noises, for the many columns of Table 1.
_SHORT = {"uniform": "U", "flip_random": "R", "flip_to_one": "O"}


def methods_table(
    rows: Sequence[comparison.Row],
    dataset: str,
    noise: str,
    ratio: float | None,
) -> str:
    """Returns rows of `comparison.summarize`, with the paper's numbers."""
    where = dataset, noise, ratio
    paper = {row.method: published.accuracy(*where, row.method) for row in rows}
    return comparison.markdown_table(rows, {"paper": paper})


def choices_table(
    results: Mapping[str, Result],
    dataset: str,
    noise: str,
    ratio: float | None,
) -> str:
    """Returns the validation results of each setting, as Markdown.

    Args:
        results: By the names of the runs, SETTING/NOISE/METHOD-seedSEED.
        dataset: Name of the dataset.
        noise: Kind of the noise.
        ratio: Its ratio.
    """
    where = dataset, noise, ratio
    settings: dict[str, list[Result]] = {}
    for run in sorted(results):
        settings.setdefault(run.split("/")[0], []).append(results[run])
    lines = [
        "| setting | validation accuracy, % | distance of T | seeds |",
        "|---|---|---|---|",
    ]
    for name, runs in settings.items():
        for row in comparison.summarize(runs, *where, "validation"):
            accuracy = mean_cell(row.accuracy, row.deviation)
            distance = distance_cell(row.transition_l1)
            lines.append(
                f"| `{name}` | {accuracy} | {distance} | {row.seeds} |"
            )
    if len(lines) == 2:
        raise bad_argument("choices", f"found for {where}", "none")
    return "\n".join([*lines, ""])


def benchmark_table(
    results: Mapping[str, Result], pattern: str, key: str
) -> str:
    """Returns what benchmarks measured, as a Markdown table.

    Args:
        results: By their names.
        pattern: Matches the names of the results to show, with `*`.
        key: What to show of each result: columns by name, so that the result
            is a row; or such mappings by the names of rows.

    Raises:
        InputError: if no name matches.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name in fnmatch.filter(sorted(results), pattern):
        if key not in results[name]:
            raise bad_argument(f"{key} of {name}", "there", "none")
        measured = results[name][key]
        if all("median" in value for value in measured.values()):
            measured = {results[name]["network"]: measured}
        if rows.keys() & measured:
            raise bad_argument(
                f"rows of {pattern}", "named once", list(rows.keys() & measured)
            )
        rows |= measured
    if not rows:
        raise bad_argument("benchmark", "the name of a result", pattern)
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    for name, row in rows.items():
        cells = [_ratio_cell(row.get(column)) for column in columns]
        lines.append([name, *cells])
    return _markdown(lines)


def campaign_table(contents: Sequence[Result]) -> str:
    """Returns how killed runs ended, as a Markdown table.

    Args:
        contents: Results of `launch/benchmark/chaos.py`, one a method.
    """
    ours = [each for each in contents if each["method"] == "mlc"]
    others = [each for each in contents if each["method"] != "mlc"]
    lines = [
        ["", "kills", "damaged checkpoints", "most steps lost by one"]
        + ["runs that ended with other bits"],
        ["---"] * 5,
    ]
    for name, group in (
        ("`mlc`", ours),
        (f"the other {len(others)} methods", others),
    ):
        damages = [damage for each in group for damage in each["damages"]]
        lost = [damage["steps_lost"] for damage in damages]
        runs = sum(each["runs"] for each in group)
        other_bits = sum(each["runs_with_other_bits"] for each in group)
        lines.append(
            [
                name,
                str(sum(len(each["kills"]) for each in group)),
                str(len(damages)),
                f"{max(lost)} of {group[0]['interval']}" if lost else "–",
                f"{other_bits} of {runs}",
            ]
        )
    return _markdown(lines)


def conditions_table(conditions: pd.DataFrame) -> str:
    """Returns Table 1 of one dataset, with the paper's numbers in brackets.

    The best of a column without oracle knowledge is in bold; a dagger marks
    methods with an oracle. Methods with all conditions have a mean.

    Args:
        conditions: As `summaries.by_condition` returns it.
    """
    columns = list(dict.fromkeys(zip(conditions["noise"], conditions["ratio"])))
    by_method = {
        method: rows.set_index(["noise", "ratio"])
        for method, rows in conditions.groupby("method", sort=False)
    }
    fair = conditions[conditions["oracle"] == ""]
    best = fair.groupby(["noise", "ratio"])["accuracy"].max()
    means = _means(conditions)
    lines = [["method", *_headers(columns), "mean", "seeds"]]
    lines.append(["---"] * len(lines[0]))
    for method, rows in by_method.items():
        cells = [_condition_cell(rows, column, best) for column in columns]
        mean = "–"
        if method in means:
            mean = means[method]
            if rows["paper"].notna().all():
                mean = f"{mean} ({rows['paper'].mean():.2f})"
        seeds = sorted({*rows["seeds"]})
        several = "–".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
        name = method_cell(method, rows["oracle"].iloc[0])
        lines.append([name, *cells, mean, several])
    oracles = {
        method: rows["oracle"].iloc[0] for method, rows in by_method.items()
    }
    return (
        f"{_markdown(lines)}\nTest accuracy after the last epoch, %, mean ± "
        "standard deviation over the seeds; in brackets the paper's. Bold: the "
        f"best without oracle knowledge.{oracle_note(oracles)}\n"
    )


def means_table(tables: Mapping[str, pd.DataFrame]) -> str:
    """Returns the mean of each method over the conditions of some Table 1.

    Args:
        tables: By the header of their column, as `summaries.by_condition`
            returns them.
    """
    columns = {header: _means(table) for header, table in tables.items()}
    lines = [["method", *columns], ["---"] * (len(columns) + 1)]
    oracles = {
        row["method"]: row["oracle"]
        for table in tables.values()
        for _, row in table.iterrows()
        if any(row["method"] in means for means in columns.values())
    }
    for method in (name for name in methods.METHODS if name in oracles):
        cells = [means.get(method, "–") for means in columns.values()]
        lines.append([method_cell(method, oracles[method]), *cells])
    return (
        f"{_markdown(lines)}\nTest accuracy after the last epoch, %, mean over "
        "the conditions. Bold: the best without oracle knowledge."
        f"{oracle_note(oracles)}\n"
    )


def _means(conditions: pd.DataFrame) -> dict[str, str]:
    """Returns the mean of each method that has all conditions, as a cell."""
    groups = conditions.groupby("method", sort=False)
    count = len(conditions.groupby(["noise", "ratio"]))
    whole = groups["accuracy"].mean()[groups.size() == count]
    fair = groups["oracle"].first() == ""
    best = whole[fair].max()
    return {
        method: f"**{mean:.2f}**"
        if fair[method] and f"{mean:.2f}" == f"{best:.2f}"
        else f"{mean:.2f}"
        for method, mean in whole.items()
    }


def distances_table(conditions: pd.DataFrame) -> str:
    """Returns how far the T of each method is from the true one.

    Args:
        conditions: As `summaries.by_condition` returns it.
    """
    with_t = conditions[conditions["transition_l1"].notna()]
    table = with_t.pivot_table(
        index="method",
        columns=["noise", "ratio"],
        values="transition_l1",
        sort=False,
    )
    lines = [["method", *_headers(table.columns), "mean"]]
    lines.append(["---"] * len(lines[0]))
    for method, row in table.iterrows():
        cells = [distance_cell(value) for value in row]
        mean = distance_cell(row.mean(skipna=False))
        lines.append([f"`{method}`", *cells, mean])
    return _markdown(lines)


def beside_paper_table(conditions: pd.DataFrame) -> str:
    """Returns how our numbers differ from the paper's, a row a method.

    Args:
        conditions: As `summaries.by_condition` returns it; conditions that the
            paper has no number for are passed over.
    """
    both = conditions[conditions["paper"].notna()]
    lines = [
        ["method", "conditions", "ours, mean", "paper's, mean"]
        + ["ours less the paper's: mean", "least", "most"]
    ]
    lines.append(["---"] * len(lines[0]))
    for method, rows in both.groupby("method", sort=False):
        differences = rows["accuracy"] - rows["paper"]
        least, most = differences.idxmin(), differences.idxmax()
        ends = (
            f"{differences[row]:+.2f} "
            f"({_headers([(rows['noise'][row], rows['ratio'][row])])[0]})"
            for row in (least, most)
        )
        means = f"{rows['accuracy'].mean():.2f}", f"{rows['paper'].mean():.2f}"
        lines.append(
            [f"`{method}`", str(len(rows)), *means]
            + [f"{differences.mean():+.2f}", *ends]
        )
    return _markdown(lines)


def tuning_table(content: Result) -> str:
    """Returns the trials of a search, the best first.

    Args:
        content: As `tuning.search` returns it.
    """
    names = list(content["tried"])
    short = [f"`{name.rpartition('.')[2]}`" for name in names]
    lines = [[*short, "held-out accuracy, %"], ["---"] * (len(names) + 1)]
    for trial in sorted(
        content["trials"], key=lambda trial: -trial["accuracy"]
    ):
        values = [f"{trial['values'][name]}" for name in names]
        lines.append([*values, f"{100 * trial['accuracy']:.2f}"])
    return _markdown(lines)


def own_settings_table(found: Mapping[str, Result]) -> str:
    """Returns the best of the searches of methods' own settings.

    Args:
        found: As `tuning.search` returns them, by the names of the methods.
    """
    began, best = "began at, %", "best, %"
    lines = [["method", "trials", began, best, "what it changed"], ["---"] * 5]
    for method in (name for name in methods.METHODS if name in found):
        content = found[method]
        first, *_ = trials = content["trials"]
        changed = [
            f"`{name.removeprefix(f'method.{method}.')}={value}`"
            for name, value in content["best"].items()
            if value != first["values"][name]
        ]
        lines.append(
            [
                f"`{method}`",
                str(len(trials)),
                f"{100 * first['accuracy']:.2f}",
                f"{100 * max(trial['accuracy'] for trial in trials):.2f}",
                ", ".join(changed) or "–",
            ]
        )
    return _markdown(lines)


def clean_budget_table(sizes: pd.DataFrame) -> str:
    """Returns accuracy and distance of T per size of the trusted set.

    Args:
        sizes: As `summaries.by_clean_examples` returns it.
    """
    methods = list(sizes["method"].unique())
    with_distance = [
        method
        for method in methods
        if sizes.loc[sizes["method"] == method, "transition_l1"].notna().any()
    ]
    columns = [f"`{method}`, %" for method in methods]
    columns += [f"distance of T, `{method}`" for method in with_distance]
    lines = [["trusted examples", *columns], ["---"] * (len(columns) + 1)]
    for size, rows in sizes.groupby("clean_examples"):
        by_method = rows.set_index("method")
        cells = []
        for method in methods:
            accuracy = by_method["accuracy"].get(method)
            deviation = by_method["deviation"].get(method)
            cells.append(mean_cell(accuracy, deviation))
        for method in with_distance:
            distance = by_method["transition_l1"].get(method)
            cells.append(distance_cell(distance))
        lines.append([str(size), *cells])
    return _markdown(lines)


def label_issues_table(contents: Sequence[Result]) -> str:
    """Returns how well wrong labels were found, and the gain of mending them.

    A dash stands for the trusted set where runs were fitted to it.

    Args:
        contents: Results of `launch/paper/label_issues.py`.
    """
    ways = ("audit", "network_alone", "cleanlab")
    table = pd.DataFrame(
        [
            {
                "where": _where(each),
                **{
                    f"{way} {score}": each[way][score]
                    for way in ways
                    for score in ("auroc", "average_precision")
                },
                "clean_set auroc": (each["clean_set"] or {}).get("auroc"),
                **{
                    f"ce {labels}": 100 * trained["test_accuracy"]
                    for labels, trained in each["cross_entropy"].items()
                },
            }
            for each in contents
        ]
    )
    lines = [
        ["", "AUROC of the audit", "of its network alone", "of cleanlab"]
        + ["average precision of the audit", "of cleanlab"]
        + ["CE on labels as given, %", "as the audit says", "as cleanlab says"]
        + ["AUROC in the trusted set", "seeds"],
        ["---"] * 11,
    ]
    for where, rows in table.groupby("where", sort=False):
        scores = [
            f"{rows[name].mean():.4f}"
            for name in (
                *(f"{way} auroc" for way in ways),
                "audit average_precision",
                "cleanlab average_precision",
            )
        ]
        trained = [
            mean_cell(rows[name].mean(), rows[name].std())
            for name in ("ce given", "ce audit", "ce cleanlab")
        ]
        auroc = rows["clean_set auroc"].mean()
        clean = "–" if pd.isna(auroc) else f"{auroc:.4f}"
        lines.append([where, *scores, *trained, clean, str(len(rows))])
    return _markdown(lines)


def _where(content: Result) -> str:
    ratio = "" if content["ratio"] is None else f" {content['ratio']:g}"
    noise = f"{content['noise']}{ratio}"
    return f"{content['dataset']}, {noise}, `{content['method']}`"


def matrix_table(matrix: np.ndarray) -> str:
    """Returns a T as a Markdown table, `T[i, j]` in row i and column j."""
    classes = [str(label) for label in range(len(matrix))]
    lines = [["clean \\\\ noisy", *classes], ["---"] * (len(classes) + 1)]
    for label, row in zip(classes, matrix):
        lines.append([label, *(f"{value:.3f}" for value in row)])
    return _markdown(lines)


def _headers(columns: Iterable[tuple[str, float]]) -> list[str]:
    return [f"{_SHORT[noise]} {ratio:g}" for noise, ratio in columns]


def _condition_cell(
    rows: pd.DataFrame, column: tuple[str, float], best: pd.Series
) -> str:
    """Returns ours and the paper's, for the rows of one method."""
    if column not in rows.index:
        return "–"
    row = rows.loc[column]
    cell = mean_cell(row["accuracy"], row["deviation"])
    shown = f"{row['accuracy']:.2f}", f"{best[column]:.2f}"
    if not row["oracle"] and shown[0] == shown[1]:
        cell = f"**{cell}**"
    return cell if pd.isna(row["paper"]) else f"{cell} ({row['paper']:.2f})"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _ratio_cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        spread = f"{value['quartile_1']:.2f}–{value['quartile_3']:.2f}"
        return f"{value['median']:.2f} ({spread})"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
