"""Markdown tables of what result files say."""

import json
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlc_tf.errors import bad_argument
from mlc_tf.launch.paper.report.results import Row
from mlc_tf.launch.paper.report.results import load_results
from mlc_tf.launch.paper.report.results import summarize
from mlc_tf.run import methods

# Results of settings that were chosen between, one folder a setting.
CHOICES = "choices"
# Of the noises of Table 1, whose columns are many.
_SHORT = {"uniform": "U", "flip_random": "R", "flip_to_one": "O"}


def markdown_table(rows: Sequence[Row]) -> str:
    """Returns the rows as a Markdown table, with footnotes."""
    lines = [
        "| method | test accuracy, % | best on clean set | best on test* "
        "| distance of T | seeds | paper |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            _name(row.method, row.oracle),
            _mean_cell(row.accuracy, row.deviation),
            f"{row.best_clean:.2f}",
            f"{row.best_test:.2f}",
            _distance_cell(row.transition_l1),
            str(row.seeds),
            "–" if row.paper is None else f"{row.paper:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    notes = (
        "Last epoch, mean ± standard deviation over the seeds. "
        "\\* Chosen on the test set: shown because the authors' code reports "
        "it, not a result."
    )
    notes += _oracle_note({row.method: row.oracle for row in rows})
    return "\n".join([*lines, "", notes, ""])


def choices_table(
    folder: str | Path, dataset: str, noise: str, ratio: float | None
) -> str:
    """Returns the validation results of `mlc` per setting, as Markdown.

    Args:
        folder: That of the results; settings are the folders under its
            `CHOICES`.
        dataset: Name of the dataset.
        noise: Kind of the noise.
        ratio: Its ratio.
    """
    where = dataset, noise, ratio
    rows = [
        (setting.name, row)
        for setting in sorted((Path(folder) / CHOICES).glob("*"))
        for row in summarize(load_results(setting), *where, "validation")
    ]
    if not rows:
        raise bad_argument("choices", f"found for {where}", "none")
    lines = [
        "| setting | validation accuracy, % | distance of T | seeds |",
        "|---|---|---|---|",
    ]
    for name, row in rows:
        accuracy = _mean_cell(row.accuracy, row.deviation)
        distance = _distance_cell(row.transition_l1)
        lines.append(f"| `{name}` | {accuracy} | {distance} | {row.seeds} |")
    return "\n".join([*lines, ""])


def benchmark_table(folder: str | Path, pattern: str, key: str) -> str:
    """Returns what benchmarks measured, as a Markdown table.

    Args:
        folder: That of the results.
        pattern: The files in it, as for `Path.glob`.
        key: What to tell of each file. Maps columns to ratios, so that each
            file is a row; or rows to such mappings.

    Raises:
        InputError: if there is no such file.
    """
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(folder).glob(pattern)):
        content = json.loads(path.read_text())
        if key not in content:
            raise bad_argument(f"{key} of {path.name}", "there", "none")
        measured = content[key]
        if all("median" in value for value in measured.values()):
            measured = {content["network"]: measured}
        if rows.keys() & measured:
            raise bad_argument(
                f"rows of {pattern}", "named once", list(rows.keys() & measured)
            )
        rows |= measured
    if not rows:
        raise bad_argument("results", f"a folder with {pattern}", folder)
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    for name, row in rows.items():
        cells = [_ratio_cell(row.get(column)) for column in columns]
        lines.append([name, *cells])
    return _markdown(lines)


def campaign_table(folder: str | Path) -> str:
    """Returns what killed runs came to, as a Markdown table.

    Args:
        folder: The files of `launch/chaos.py`, one a method.

    Raises:
        InputError: if there are none.
    """
    contents = [
        json.loads(path.read_text())
        for path in sorted(Path(folder).glob("*.json"))
    ]
    if not contents:
        raise bad_argument("results", "a folder of a campaign", folder)
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
    """Returns the Table 1 of one dataset, ours with the paper's in brackets.

    The best of a column without oracle knowledge is in bold; a dagger marks
    what an oracle told. The mean is there for methods with all conditions.

    Args:
        conditions: As `results.by_condition` returns it.
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
        name = _name(method, rows["oracle"].iloc[0])
        lines.append([name, *cells, mean, several])
    oracles = {
        method: rows["oracle"].iloc[0] for method, rows in by_method.items()
    }
    return (
        f"{_markdown(lines)}\nTest accuracy after the last epoch, %, mean ± "
        "standard deviation over the seeds; in brackets the paper's. Bold: the "
        f"best without oracle knowledge.{_oracle_note(oracles)}\n"
    )


def means_table(tables: Mapping[str, pd.DataFrame]) -> str:
    """Returns the mean of each method over the conditions of some Table 1.

    Args:
        tables: By the header of their column, as `results.by_condition`
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
        lines.append([_name(method, oracles[method]), *cells])
    return (
        f"{_markdown(lines)}\nTest accuracy after the last epoch, %, mean over "
        "the conditions. Bold: the best without oracle knowledge."
        f"{_oracle_note(oracles)}\n"
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
        conditions: As `results.by_condition` returns it.
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
        cells = [_distance_cell(value) for value in row]
        mean = _distance_cell(row.mean(skipna=False))
        lines.append([f"`{method}`", *cells, mean])
    return _markdown(lines)


def beside_paper_table(conditions: pd.DataFrame) -> str:
    """Returns how our numbers differ from the paper's, a row a method.

    Args:
        conditions: As `results.by_condition` returns it; conditions that the
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


def tuning_table(content: Mapping[str, Any]) -> str:
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


def own_settings_table(contents: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns what searches of methods' own settings came to, a row a method.

    Args:
        contents: As `tuning.search` returns them, by the names of the methods.
    """
    began, best = "began at, %", "best, %"
    lines = [["method", "trials", began, best, "what it changed"], ["---"] * 5]
    for method, content in contents.items():
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
        sizes: As `results.by_clean_examples` returns it.
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
            cells.append(_mean_cell(accuracy, deviation))
        for method in with_distance:
            distance = by_method["transition_l1"].get(method)
            cells.append(_distance_cell(distance))
        lines.append([str(size), *cells])
    return _markdown(lines)


def label_issues_table(contents: Sequence[dict[str, Any]]) -> str:
    """Returns how wrong labels were found, and what mending them is worth.

    A dash stands for the trusted set where runs were fitted to it.

    Args:
        contents: Of the files of `launch/label_issues.py`.
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
            _mean_cell(rows[name].mean(), rows[name].std())
            for name in ("ce given", "ce audit", "ce cleanlab")
        ]
        auroc = rows["clean_set auroc"].mean()
        clean = "–" if pd.isna(auroc) else f"{auroc:.4f}"
        lines.append([where, *scores, *trained, clean, str(len(rows))])
    return _markdown(lines)


def _where(content: dict[str, Any]) -> str:
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


def _name(method: str, oracle: str) -> str:
    return f"`{method}`" + (" †" if oracle else "")


def _oracle_note(oracles: Mapping[str, str]) -> str:
    """Returns what each method was told, of those that were told anything."""
    knows = [f"`{name}` {what}" for name, what in oracles.items() if what]
    if not knows:
        return ""
    return f" † Is told what no user knows: {', '.join(knows)}."


def _condition_cell(
    rows: pd.DataFrame, column: tuple[str, float], best: pd.Series
) -> str:
    """Returns ours and the paper's, for the rows of one method."""
    if column not in rows.index:
        return "–"
    row = rows.loc[column]
    cell = _mean_cell(row["accuracy"], row["deviation"])
    shown = f"{row['accuracy']:.2f}", f"{best[column]:.2f}"
    if not row["oracle"] and shown[0] == shown[1]:
        cell = f"**{cell}**"
    return cell if pd.isna(row["paper"]) else f"{cell} ({row['paper']:.2f})"


def _mean_cell(mean: float | None, deviation: float | None) -> str:
    if mean is None or pd.isna(mean):
        return "–"
    spread = "" if pd.isna(deviation) else f" ± {deviation:.2f}"
    return f"{mean:.2f}{spread}"


def _distance_cell(distance: float | None) -> str:
    """Returns how far a T is from the true one; "–" of a method without."""
    return "–" if pd.isna(distance) else f"{distance:.3f}"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _ratio_cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        spread = f"{value['quartile_1']:.2f}–{value['quartile_3']:.2f}"
        return f"{value['median']:.2f} ({spread})"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
