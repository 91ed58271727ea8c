"""The tables of a document, renewed from the result files between marks.

A mark is `<!-- KIND: ARGUMENTS -->`. The text between it and the next
`<!-- end of KIND -->` or `<!-- end of table -->` is replaced. `RENEWERS` has
the kinds.
"""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch.paper import summaries
from mlc_tf.launch.paper import tables
from mlc_tf.run import comparison
from mlc_tf.run import results
from mlc_tf.run.results import Result

_MARKED = re.compile(
    r"(?P<mark><!-- (?P<kind>\w+): (?P<arguments>[^>]+) -->\n)"
    r"(?P<old>.*?)(?=<!-- end of \w+ -->)",
    re.DOTALL,
)
_METHOD_ROW = re.compile(
    r"^(?P<row>\| `(?P<name>\w+)` \|.*\|)[^|]*\|$", re.MULTILINE
)


def fill_tables(document: str, folder: str | Path) -> str:
    """Returns a document with the text after each mark renewed.

    Args:
        document: The text.
        folder: The folder of the results.

    Raises:
        InputError: for an unknown mark, or a mark without a result.
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
        return match["mark"] + RENEWERS[kind](old, Path(folder), *arguments)

    return _MARKED.sub(renew, document)


def _table(old: str, folder: Path, path: str, noise: str, ratio: str) -> str:
    """The methods on one dataset and noise; "-" is no ratio."""
    where = Path(path).name, noise, _ratio(ratio)
    rows = comparison.summarize(_read(folder, path).values(), *where)
    if not rows:
        raise bad_argument("results", f"found for {where}", "none")
    return f"\n{tables.methods_table(rows, *where)}\n"


def _choices(
    old: str, folder: Path, dataset: str, noise: str, ratio: str
) -> str:
    """The settings that were compared on held-out data."""
    there = _read(folder, f"choices/{dataset}")
    table = tables.choices_table(there, dataset, noise, _ratio(ratio))
    return f"\n{table}\n"


def _benchmark(old: str, folder: Path, pattern: str, key: str) -> str:
    """The values under a key of the benchmarks that match a pattern."""
    there = _read(folder, "benchmark")
    return f"\n{tables.benchmark_table(there, pattern, key)}\n"


def _campaign(old: str, folder: Path, path: str) -> str:
    """How killed runs ended."""
    return f"\n{tables.campaign_table([*_read(folder, path).values()])}\n"


def _clean_budget(
    old: str, folder: Path, dataset: str, noise: str, ratio: str
) -> str:
    """Accuracy over the size of the trusted set."""
    there = _read(folder, f"clean_budget/{dataset}").values()
    sizes = summaries.by_clean_examples(there, dataset, noise, _ratio(ratio))
    return f"\n{tables.clean_budget_table(sizes)}\n"


def _label_issues(old: str, folder: Path, path: str) -> str:
    """How well wrong labels were found."""
    return f"\n{tables.label_issues_table([*_read(folder, path).values()])}\n"


def _conditions(old: str, folder: Path, path: str) -> str:
    """Table 1 of a dataset."""
    return f"\n{tables.conditions_table(_table_1(folder, path))}\n"


def _means(old: str, folder: Path, *paths: str) -> str:
    """The means of Table 1, for several datasets."""
    by_path = {path: _table_1(folder, path) for path in paths}
    return f"\n{tables.means_table(by_path)}\n"


def _distances(old: str, folder: Path, path: str) -> str:
    """The distance of each T of Table 1 from the true T."""
    return f"\n{tables.distances_table(_table_1(folder, path))}\n"


def _beside_paper(old: str, folder: Path, path: str) -> str:
    """The differences of Table 1 from the paper's."""
    return f"\n{tables.beside_paper_table(_table_1(folder, path))}\n"


def _tuning(old: str, folder: Path, dataset: str, name: str) -> str:
    """The trials of a search."""
    found = _result(folder, f"tuning/{dataset}", name)
    return f"\n{tables.tuning_table(found)}\n"


def _own_settings(old: str, folder: Path, dataset: str) -> str:
    """The best of the searches of the methods' own settings."""
    return (
        f"\n{tables.own_settings_table(_read(folder, f'tuning/{dataset}'))}\n"
    )


def _costs(old: str, folder: Path, name: str) -> str:
    """A table of methods, with its last column from a benchmark."""
    costs = _result(folder, "benchmark", name)["cost"]

    def priced(row: re.Match[str]) -> str:
        if row["name"] not in costs:
            raise bad_argument(f"the cost of {row['name']}", "there", "none")
        return f"{row['row']} {costs[row['name']]['median']:.1f} |"

    return _METHOD_ROW.sub(priced, old)


def _result_as_json(old: str, folder: Path, path: str, name: str) -> str:
    """A result as it is."""
    content = {**_result(folder, path, name)}
    del content["run"]
    return f"\n```json\n{json.dumps(content, indent=2)}\n```\n\n"


def _table_1(folder: Path, path: str) -> pd.DataFrame:
    """Returns Table 1 of DATASET, or of VARIANT/DATASET."""
    there = _read(folder, path).values()
    return summaries.by_condition(there, Path(path).name)


def _read(folder: Path, path: str) -> dict[str, Result]:
    there = results.read(folder / f"{path}.jsonl")
    if not there:
        expected = f"a folder with results in {path}.jsonl"
        raise bad_argument("results", expected, str(folder))
    return there


def _result(folder: Path, path: str, name: str) -> Result:
    there = _read(folder, path)
    if name not in there:
        raise bad_argument(f"{name} of {path}.jsonl", "there", "none")
    return there[name]


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
    "result": _result_as_json,
}
