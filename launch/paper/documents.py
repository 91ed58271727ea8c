"""Renews the tables of a document, between marks, from the result files.

A mark is `<!-- KIND: ARGUMENTS -->`. New text replaces the old text between the
mark and the next `<!-- end of KIND -->` or `<!-- end of table -->`. `RENEWERS`
has all kinds.
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
from mlc_tf.launch.paper import studies
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


def with_marks(folder: Path) -> list[Path]:
    """Returns the Markdown files of a folder and of its docs/ that have marks.

    Args:
        folder: The folder, such as the checkout.
    """
    paths = [*folder.glob("*.md"), *(folder / "docs").rglob("*.md")]
    return sorted(path for path in paths if _MARKED.search(path.read_text()))


def fill_tables(document: str, folder: str | Path) -> str:
    """Returns a document with the text after each mark renewed.

    Args:
        document: The text of the document.
        folder: The folder of the results.

    Raises:
        InputError: for an unknown mark, or a mark without a result.
    """

    def renew(match: re.Match[str]) -> str:
        kind, arguments = match["kind"], match["arguments"].split()
        if kind not in RENEWERS:
            raise unknown_name("mark", kind, RENEWERS)
        try:
            inspect.signature(RENEWERS[kind]).bind(folder, *arguments)
        except TypeError:
            raise InputError(
                f"The mark of {kind} should have all of its arguments, and no "
                f"others. Received: {match['mark'].strip()}."
            ) from None
        new = RENEWERS[kind](Path(folder), *arguments)
        if callable(new):  # replaces only the last column
            return match["mark"] + _METHOD_ROW.sub(new, match["old"])
        return f"{match['mark']}\n{new}\n"

    return _MARKED.sub(renew, document)


def _table(folder: Path, path: str, noise: str, ratio: str) -> str:
    where = Path(path).name, noise, _ratio(ratio)
    rows = comparison.summarize(_read(folder, path).values(), *where)
    if not rows:
        raise bad_argument("results", f"found for {where}", "none")
    return comparison.markdown_table(rows)


def _study(folder: Path, name: str) -> str:
    if name not in studies.STUDIES:
        raise unknown_name("study", name, studies.STUDIES)
    study = studies.STUDIES[name]
    recorded = _read(folder, f"studies/{name}")
    return tables.study_table(
        summaries.of_variants(recorded, study.ratio), study.variants
    )


def _choices(folder: Path, dataset: str, noise: str, ratio: str) -> str:
    recorded = _read(folder, f"choices/{dataset}")
    return tables.choices_table(recorded, dataset, noise, _ratio(ratio))


def _clean_budget(folder: Path, dataset: str, noise: str, ratio: str) -> str:
    recorded = _read(folder, f"clean_budget/{dataset}").values()
    return tables.clean_budget_table(
        summaries.by_clean_examples(recorded, dataset, noise, _ratio(ratio))
    )


def _costs(folder: Path, name: str) -> Callable[[re.Match[str]], str]:
    costs = _result(folder, "benchmark", name)["cost"]

    def priced(row: re.Match[str]) -> str:
        if row["name"] not in costs:
            raise bad_argument(f"the cost of {row['name']}", "recorded", "none")
        return f"{row['row']} {costs[row['name']]['median']:.1f} |"

    return priced


def _as_json(folder: Path, path: str, name: str) -> str:
    content = {**_result(folder, path, name)}
    del content["run"]
    return f"```json\n{json.dumps(content, indent=2)}\n```\n"


def _table_1(folder: Path, path: str) -> pd.DataFrame:
    """Returns Table 1 of DATASET, or of VARIANT/DATASET."""
    recorded = _read(folder, path).values()
    return summaries.by_condition(recorded, Path(path).name)


def _read(folder: Path, path: str) -> dict[str, Result]:
    recorded = results.read(folder / f"{path}.jsonl")
    if not recorded:
        expected = f"a folder with results in {path}.jsonl"
        raise bad_argument("results", expected, str(folder))
    return recorded


def _result(folder: Path, path: str, name: str) -> Result:
    recorded = _read(folder, path)
    if name not in recorded:
        raise bad_argument(f"{name} of {path}.jsonl", "recorded", "none")
    return recorded[name]


def _ratio(text: str) -> float | None:
    if text == "-":
        return None
    try:
        return float(text)
    except ValueError:
        raise bad_argument(
            "ratio", "a number, or - for no ratio", text
        ) from None


# Each function takes the folder of the results and the arguments of a mark.
RENEWERS: dict[str, Callable[..., Any]] = {
    # The methods on one dataset and noise; "-" stands for no ratio.
    "table": _table,
    # The variants of a study at its ratio, compared with the first.
    "study": _study,
    # What the first steps of a study's variants do to T.
    "first_steps": lambda folder, study: tables.first_steps_table(
        _read(folder, "studies/first_steps"), study
    ),
    # The paper's algorithm beside the paper's numbers.
    "letter": lambda folder, path: tables.letter_table(_table_1(folder, path)),
    # What choosing the epoch on the test set is worth.
    "best_epoch": lambda folder, path: tables.best_epoch_table(
        _read(folder, path).values(), Path(path).name
    ),
    # A comparison of settings on held-out data.
    "choices": _choices,
    # The values under a key of the benchmarks that match a pattern.
    "benchmark": lambda folder, pattern, key: tables.benchmark_table(
        _read(folder, "benchmark"), pattern, key
    ),
    # How killed runs ended.
    "campaign": lambda folder, path: tables.campaign_table(
        [*_read(folder, path).values()]
    ),
    # Accuracy over the size of the trusted set.
    "clean_budget": _clean_budget,
    # How well wrong labels were found.
    "label_issues": lambda folder, path: tables.label_issues_table(
        [*_read(folder, path).values()]
    ),
    # Table 1 of a dataset; the means of several such tables; the differences
    # of a method from all others, in one table and in several.
    "conditions": lambda folder, path: tables.conditions_table(
        _table_1(folder, path)
    ),
    "means": lambda folder, *paths: tables.means_table(
        {path: _table_1(folder, path) for path in paths}
    ),
    "differences": lambda folder, path, method: tables.differences_table(
        _table_1(folder, path), method
    ),
    "leads": lambda folder, method, *paths: tables.leads_table(
        {path: _table_1(folder, path) for path in paths}, method
    ),
    # The distances of T from the true T, and the differences from the paper's
    # table.
    "distances": lambda folder, path: tables.distances_table(
        _table_1(folder, path)
    ),
    "beside_paper": lambda folder, path: tables.beside_paper_table(
        _table_1(folder, path)
    ),
    # The trials of a search, and the best trials of all methods.
    "tuning": lambda folder, dataset, name: tables.tuning_table(
        _result(folder, f"tuning/{dataset}", name)
    ),
    "own_settings": lambda folder, dataset: tables.own_settings_table(
        _read(folder, f"tuning/{dataset}")
    ),
    # The last column of a table of methods, from a benchmark.
    "costs": _costs,
    # A result as JSON.
    "result": _as_json,
}
