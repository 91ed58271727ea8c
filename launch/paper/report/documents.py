"""A document's tables, renewed between their marks.

A mark is `<!-- KIND: ARGUMENTS -->`; what it asks for stands between it and
`<!-- end of KIND -->`, or `<!-- end of table -->`. Kinds are those of
`RENEWERS`.
"""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch.paper.report import tables
from mlc_tf.launch.paper.report.results import by_clean_examples
from mlc_tf.launch.paper.report.results import by_condition
from mlc_tf.launch.paper.report.results import load_results
from mlc_tf.launch.paper.report.results import summarize
from mlc_tf.run import methods

_MARKED = re.compile(
    r"(?P<mark><!-- (?P<kind>\w+): (?P<arguments>[^>]+) -->\n)"
    r"(?P<old>.*?)(?=<!-- end of \w+ -->)",
    re.DOTALL,
)
_METHOD_ROW = re.compile(
    r"^(?P<row>\| `(?P<name>\w+)` \|.*\|)[^|]*\|$", re.MULTILINE
)


def fill_tables(document: str, folder: str | Path) -> str:
    """Returns a document with what stands at each mark renewed.

    Args:
        document: The text.
        folder: That of the results.

    Raises:
        InputError: for an unknown mark, or one that there is no result for.
    """

    def renew(match: re.Match[str]) -> str:
        kind = match["kind"]
        if kind not in RENEWERS:
            raise unknown_name("mark", kind, RENEWERS)
        old, arguments = match["old"], match["arguments"].split()
        try:
            inspect.signature(RENEWERS[kind]).bind(old, folder, *arguments)
        except TypeError:
            raise InputError(
                f"The mark of {kind} should have all of its arguments, and no "
                f"other. Received: {match['mark'].strip()}."
            ) from None
        return f"{match['mark']}{RENEWERS[kind](old, Path(folder), *arguments)}"

    return _MARKED.sub(renew, document)


def _table(old: str, folder: Path, dataset: str, noise: str, ratio: str) -> str:
    """The methods on one dataset and noise; of no ratio, "-"."""
    where = dataset, noise, _ratio(ratio)
    rows = summarize(load_results(folder / dataset), *where)
    if not rows:
        raise bad_argument("results", f"found for {where}", "none")
    return f"\n{tables.markdown_table(rows)}\n"


def _choices(
    old: str, folder: Path, dataset: str, noise: str, ratio: str
) -> str:
    """The settings that were chosen between on held-out data."""
    table = tables.choices_table(folder, dataset, noise, _ratio(ratio))
    return f"\n{table}\n"


def _benchmark(old: str, folder: Path, pattern: str, key: str) -> str:
    """What benchmarks measured: of the files of a pattern, what has a key."""
    return f"\n{tables.benchmark_table(folder, pattern, key)}\n"


def _campaign(old: str, folder: Path, path: str) -> str:
    """What killed runs came to."""
    return f"\n{tables.campaign_table(folder / path)}\n"


def _clean_budget(
    old: str, folder: Path, path: str, dataset: str, noise: str, ratio: str
) -> str:
    """What trusted sets of several sizes came to."""
    results = load_results(folder / path)
    sizes = by_clean_examples(results, dataset, noise, _ratio(ratio))
    return f"\n{tables.clean_budget_table(sizes)}\n"


def _label_issues(old: str, folder: Path, path: str) -> str:
    """How wrong labels were found."""
    contents = [
        json.loads(file.read_text())
        for file in sorted((folder / path).rglob("*.json"))
    ]
    if not contents:
        raise bad_argument("results", f"a folder with {path}", str(folder))
    return f"\n{tables.label_issues_table(contents)}\n"


def _conditions(old: str, folder: Path, path: str) -> str:
    """The Table 1 of a dataset."""
    return f"\n{tables.conditions_table(_table_1(folder, path))}\n"


def _means(old: str, folder: Path, *paths: str) -> str:
    """The means of several of them."""
    by_path = {path: _table_1(folder, path) for path in paths}
    return f"\n{tables.means_table(by_path)}\n"


def _distances(old: str, folder: Path, path: str) -> str:
    """How far each T of it is from the true one."""
    return f"\n{tables.distances_table(_table_1(folder, path))}\n"


def _beside_paper(old: str, folder: Path, path: str) -> str:
    """Where it agrees with the paper."""
    return f"\n{tables.beside_paper_table(_table_1(folder, path))}\n"


def _tuning(old: str, folder: Path, path: str) -> str:
    """What a search tried."""
    return f"\n{tables.tuning_table(_content(folder, path, 'tried'))}\n"


def _own_settings(old: str, folder: Path, path: str) -> str:
    """What the searches of each method's own settings came to."""
    contents = {
        name: _content(folder, f"{path}/{name}.json", "trials")
        for name in methods.METHODS
        if (folder / path / f"{name}.json").is_file()
    }
    if not contents:
        raise bad_argument("results", f"a folder with {path}", str(folder))
    return f"\n{tables.own_settings_table(contents)}\n"


def _table_1(folder: Path, path: str) -> pd.DataFrame:
    """Reads DATASET, or VARIANT/DATASET."""
    return by_condition(load_results(folder / path), Path(path).name)


def _costs(old: str, folder: Path, path: str) -> str:
    """A table of methods as it is, its last column that of a benchmark."""
    costs = _content(folder, path, "cost")["cost"]

    def priced(row: re.Match[str]) -> str:
        if row["name"] not in costs:
            raise bad_argument(f"the cost of {row['name']}", "there", "none")
        return f"{row['row']} {costs[row['name']]['median']:.1f} |"

    return _METHOD_ROW.sub(priced, old)


def _file(old: str, folder: Path, path: str) -> str:
    """A result file as it is."""
    return f"\n```json\n{_text(folder, path)}```\n\n"


def _content(folder: Path, path: str, key: str) -> Any:
    content = json.loads(_text(folder, path))
    if key not in content:
        raise bad_argument(f"{key} of {path}", "there", "none")
    return content


def _text(folder: Path, path: str) -> str:
    if not (folder / path).is_file():
        name = Path(path).name
        raise bad_argument("results", f"a folder with {name}", str(folder))
    return (folder / path).read_text()


def _ratio(text: str) -> float | None:
    if text == "-":
        return None
    try:
        return float(text)
    except ValueError:
        raise bad_argument("ratio", "a number, or - for none", text) from None


RENEWERS: dict[str, Callable[..., str]] = {
    "table": _table,
    "choices": _choices,
    "benchmark": _benchmark,
    "campaign": _campaign,
    "clean_budget": _clean_budget,
    "label_issues": _label_issues,
    "conditions": _conditions,
    "means": _means,
    "distances": _distances,
    "beside_paper": _beside_paper,
    "tuning": _tuning,
    "own_settings": _own_settings,
    "costs": _costs,
    "file": _file,
}
