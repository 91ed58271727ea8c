"""Tables from result files: the only way a number gets into a document."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlc_tf import methods
from mlc_tf import paper_results
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

# Results of settings that were chosen between, one folder a setting.
CHOICES = "choices"
_MARKED = re.compile(
    r"(<!-- (?P<what>table|choices): "
    r"(?P<dataset>\S+) (?P<noise>\S+) (?P<ratio>\S+) -->\n)"
    r".*?(?=<!-- end of table -->)",
    re.DOTALL,
)
_BENCHMARK = re.compile(
    r"(<!-- benchmark: (?P<pattern>\S+) (?P<key>\S+) -->\n)"
    r".*?(?=<!-- end of table -->)",
    re.DOTALL,
)
_COSTS = re.compile(
    r"<!-- costs: (?P<path>\S+) -->\n.*?(?=<!-- end of table -->)", re.DOTALL
)
_CAMPAIGN = re.compile(
    r"(<!-- campaign: (?P<path>\S+) -->\n).*?(?=<!-- end of table -->)",
    re.DOTALL,
)
_METHOD_ROW = re.compile(
    r"^(?P<row>\| `(?P<name>\w+)` \|.*\|)[^|]*\|$", re.MULTILINE
)
_FILE = re.compile(
    r"(<!-- file: (?P<path>\S+) -->\n).*?(?=<!-- end of file -->)", re.DOTALL
)


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
    contents = (
        json.loads(path.read_text())
        for path in sorted(Path(folder).rglob("*.json"))
    )
    return [content for content in contents if "test_accuracy" in content]


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


def _ratio(text: str) -> float | None:
    return None if text == "-" else float(text)


def markdown_table(rows: Sequence[Row]) -> str:
    """Returns the rows as a Markdown table, with footnotes."""
    lines = [
        "| method | test accuracy, % | best on clean set | best on test* "
        "| distance of T | seeds | paper |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        spread = "" if row.deviation is None else f" ± {row.deviation:.2f}"
        distance = row.transition_l1
        cells = [
            f"`{row.method}`" + (" †" if row.oracle else ""),
            f"{row.accuracy:.2f}{spread}",
            f"{row.best_clean:.2f}",
            f"{row.best_test:.2f}",
            "–" if distance is None else f"{distance:.3f}",
            str(row.seeds),
            "–" if row.paper is None else f"{row.paper:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    notes = (
        "Last epoch, mean ± standard deviation over the seeds. "
        "\\* Chosen on the test set: shown because the authors' code reports "
        "it, not a result."
    )
    if any(row.oracle for row in rows):
        told = ", ".join(
            f"`{row.method}` {row.oracle}" for row in rows if row.oracle
        )
        notes += f" † Is told what no user knows: {told}."
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
    lines = [
        "| setting | validation accuracy, % | distance of T | seeds |",
        "|---|---|---|---|",
    ]
    for setting in sorted((Path(folder) / CHOICES).iterdir()):
        for row in summarize(
            load_results(setting), dataset, noise, ratio, "validation"
        ):
            spread = f" ± {row.deviation:.2f}" if row.deviation else ""
            lines.append(
                f"| `{setting.name}` | {row.accuracy:.2f}{spread} | "
                f"{row.transition_l1:.3f} | {row.seeds} |"
            )
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
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


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
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _ratio_cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        spread = f"{value['quartile_1']:.2f}–{value['quartile_3']:.2f}"
        return f"{value['median']:.2f} ({spread})"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def fill_tables(document: str, folder: str | Path) -> str:
    """Returns a document with the table between each pair of marks renewed.

    A table of methods stands between `<!-- table: DATASET NOISE RATIO -->` and
    `<!-- end of table -->`, one of settings between `<!-- choices: ... -->`
    and the same, one of ratios between `<!-- benchmark: FILES KEY -->` and the
    same. After `<!-- costs: PATH -->` the last column of a table of methods is
    that of a benchmark of methods. What killed runs came to stands after
    `<!-- campaign: FOLDER -->`. A result file as it is stands between
    `<!-- file: PATH -->`, in the folder of results, and `<!-- end of file -->`.

    Args:
        document: The text.
        folder: That of the results.

    Raises:
        InputError: if there is no result for a mark.
    """

    def fill(match: re.Match[str]) -> str:
        where = match["dataset"], match["noise"], _ratio(match["ratio"])
        if match["what"] == "choices":
            table = choices_table(folder, *where)
        else:
            rows = summarize(load_results(folder), *where)
            if not rows:
                raise bad_argument("results", f"found for {where}", "none")
            table = markdown_table(rows)
        return f"{match[1]}\n{table}\n"

    def quote(match: re.Match[str]) -> str:
        path = Path(folder) / match["path"]
        if not path.is_file():
            raise bad_argument("results", f"a folder with {path.name}", folder)
        return f"{match[1]}\n```json\n{path.read_text()}```\n\n"

    def measure(match: re.Match[str]) -> str:
        table = benchmark_table(folder, match["pattern"], match["key"])
        return f"{match[1]}\n{table}\n"

    def survive(match: re.Match[str]) -> str:
        table = campaign_table(Path(folder) / match["path"])
        return f"{match[1]}\n{table}\n"

    def price(match: re.Match[str]) -> str:
        path = Path(folder) / match["path"]
        if not path.is_file():
            raise bad_argument("results", f"a folder with {path.name}", folder)
        costs = json.loads(path.read_text())["cost"]

        def priced(row: re.Match[str]) -> str:
            if row["name"] not in costs:
                raise bad_argument(
                    f"the cost of {row['name']}", f"in {path.name}", "none"
                )
            return f"{row['row']} {costs[row['name']]['median']:.1f} |"

        return _METHOD_ROW.sub(priced, match[0])

    for pattern, renew in (
        (_MARKED, fill),
        (_BENCHMARK, measure),
        (_COSTS, price),
        (_CAMPAIGN, survive),
        (_FILE, quote),
    ):
        document = pattern.sub(renew, document)
    return document


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
