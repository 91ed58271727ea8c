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
from mlc_tf.launch.paper import summaries
from mlc_tf.run import comparison
from mlc_tf.run import methods
from mlc_tf.run import paired
from mlc_tf.run.comparison import distance_cell
from mlc_tf.run.comparison import mean_cell
from mlc_tf.run.comparison import method_cell
from mlc_tf.run.comparison import oracle_note
from mlc_tf.run.results import Result

_ONE_SEED = "A method with one seed has no interval, and is not bold."
# Short names of the noises, since Table 1 has many columns.
_SHORT = {
    "uniform": "U",
    "flip_random": "R",
    "flip_to_one": "O",
    "instance": "I",
}


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
        results: Results by the names of the runs,
            SETTING/NOISE/METHOD-seedSEED.
        dataset: The name of the dataset.
        noise: The kind of the noise.
        ratio: The noise ratio; None for a noise without a ratio.
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
    """Returns the measurements of benchmarks, as a Markdown table.

    Args:
        results: Results by their names.
        pattern: The names of the results to show, with `*` for any text.
        key: The part of each result to show: either a mapping of columns, which
            becomes one row; or such mappings by the names of rows.

    Raises:
        InputError: if no name matches.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name in fnmatch.filter(sorted(results), pattern):
        if key not in results[name]:
            raise bad_argument(f"{key} of {name}", "recorded", "none")
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
        contents: Results of `launch/benchmark/chaos.py`, one for each method.
    """
    mlc_campaigns = [
        campaign for campaign in contents if campaign["method"] == "mlc"
    ]
    other_campaigns = [
        campaign for campaign in contents if campaign["method"] != "mlc"
    ]
    lines = [
        ["", "kills", "damaged checkpoints", "most steps lost by one"]
        + ["runs that ended with other bits"],
        ["---"] * 5,
    ]
    for name, group in (
        ("`mlc`", mlc_campaigns),
        (f"{len(other_campaigns)} other methods", other_campaigns),
    ):
        damages = [
            damage for campaign in group for damage in campaign["damages"]
        ]
        lost = [damage["steps_lost"] for damage in damages]
        runs = sum(campaign["runs"] for campaign in group)
        other_bits = sum(campaign["runs_with_other_bits"] for campaign in group)
        lines.append(
            [
                name,
                str(sum(len(campaign["kills"]) for campaign in group)),
                str(len(damages)),
                f"{max(lost)} of {group[0]['interval']}" if lost else "–",
                f"{other_bits} of {runs}",
            ]
        )
    return _markdown(lines)


def versions_table(contents: Sequence[Result]) -> str:
    """Returns the versions that were tested, as a Markdown table.

    Args:
        contents: What `noxfile.py` recorded, one result for each combination.
    """
    lines = [
        ["Python", "TensorFlow", "Keras", "passed", "failed", "skipped"]
        + ["date"],
        ["---"] * 7,
    ]
    for content in contents:
        least = "at least " if content["stopped"] else ""
        versions = [content[name] for name in ("python", "tensorflow", "keras")]
        passed, skipped = (
            "–" if least else f"{content[name]:,}"
            for name in ("passed", "skipped")
        )
        failed = f"{least}{content['failed']:,}"
        lines.append([*versions, passed, failed, skipped, content["date"]])
    return _markdown(lines)


def coverage_table(contents: Sequence[Result]) -> str:
    """Returns the shares of lines that tests run, as a Markdown table.

    Args:
        contents: What `noxfile.py` recorded, one result for each package.
    """
    lines = [["package", "lines", "run by the tests, %"], ["---"] * 3]
    for content in contents:
        percent = f"{100 * content['covered'] / content['lines']:.1f}"
        lines.append([f"`{content['run']}`", f"{content['lines']:,}", percent])
    return _markdown(lines)


def conditions_table(conditions: pd.DataFrame) -> str:
    """Returns Table 1 of one dataset.

    A dagger marks methods with an oracle. Methods with all conditions have a
    mean; bold marks the means that are not worse than the best.

    Args:
        conditions: As `summaries.by_condition` returns it.
    """
    columns = list(dict.fromkeys(zip(conditions["noise"], conditions["ratio"])))
    means = summaries.means_by_seed(conditions)
    oracles = _oracles(conditions)
    best = comparison.best_of(
        {name: each for name, each in means.items() if not oracles[name]}
    )
    lines = [
        ["method", *_headers(columns), "mean", "less the best mean", "seeds"]
    ]
    lines.append(["---"] * len(lines[0]))
    for method, rows in conditions.groupby("method", sort=False):
        by_condition = rows.set_index(["noise", "ratio"])
        cells = [_condition_cell(by_condition, column) for column in columns]
        own = means.get(str(method), {})
        seeds = sorted({*rows["seeds"]})
        several = "–".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
        lines.append(
            [
                method_cell(str(method), oracles[str(method)]),
                *cells,
                _mean_of_means(own, best, oracles[str(method)]),
                comparison.difference_cell(own, best),
                several,
            ]
        )
    return (
        f"{_markdown(lines)}\nTest accuracy after the last epoch, %, mean ± "
        "standard deviation over the seeds. Less the best mean: the paired "
        "difference of the means over all conditions, with its 95 % interval. "
        "Bold: not shown to be worse than the best at that level, without "
        f"oracle knowledge. {_ONE_SEED}{oracle_note(oracles)}\n"
    )


def means_table(tables: Mapping[str, pd.DataFrame]) -> str:
    """Returns the means of each method over the conditions of some tables.

    Args:
        tables: Tables of `summaries.by_condition`, by the headers of their
            columns.
    """
    columns = {
        header: summaries.means_by_seed(table)
        for header, table in tables.items()
    }
    oracles = {
        method: oracle
        for table in tables.values()
        for method, oracle in _oracles(table).items()
        if any(method in means for means in columns.values())
    }
    best = {
        header: comparison.best_of(
            {name: each for name, each in means.items() if not oracles[name]}
        )
        for header, means in columns.items()
    }
    lines = [["method", *columns], ["---"] * (len(columns) + 1)]
    for method in (name for name in methods.METHODS if name in oracles):
        cells = [
            _mean_of_means(means.get(method, {}), best[header], oracles[method])
            for header, means in columns.items()
        ]
        lines.append([method_cell(method, oracles[method]), *cells])
    return (
        f"{_markdown(lines)}\nTest accuracy after the last epoch, %, mean over "
        "the conditions. Bold: not shown to be worse than the best of the "
        "column, by the 95 % interval of the paired difference over the seeds, "
        f"without oracle knowledge. {_ONE_SEED}{oracle_note(oracles)}\n"
    )


def differences_table(conditions: pd.DataFrame, method: str) -> str:
    """Returns how far a method is ahead of all others, by the kind of noise.

    Args:
        conditions: As `summaries.by_condition` returns it.
        method: The name of the method.

    Raises:
        InputError: if the method has no result.
    """
    if method not in {*conditions["method"]}:
        raise bad_argument(f"results of {method}", "recorded", "none")
    noises = list(dict.fromkeys(conditions["noise"]))
    groups = [conditions[conditions["noise"] == noise] for noise in noises]
    means = [summaries.means_by_seed(group) for group in (*groups, conditions)]
    lines = [[f"`{method}` less", *(_SHORT[noise] for noise in noises), "mean"]]
    lines.append(["---"] * len(lines[0]))
    for other, oracle in _oracles(conditions).items():
        found = [
            paired.difference(each.get(method, {}), each.get(other, {}))
            for each in means
        ]
        if other != method and any(found):
            cells = ["–" if each is None else str(each) for each in found]
            lines.append([method_cell(other, oracle), *cells])
    return (
        f"{_markdown(lines)}\nIn points, the mean over the ratios, with 95 % "
        "intervals over the seeds that have all of them; no interval for one "
        "seed. The intervals are not corrected for the number of methods.\n"
    )


def leads_table(tables: Mapping[str, pd.DataFrame], method: str) -> str:
    """Returns how far a method is ahead of all others, by the dataset.

    Args:
        tables: Tables of `summaries.by_condition`, by the headers of their
            columns.
        method: The name of the method.

    Raises:
        InputError: if the method has no mean over all conditions of a table.
    """
    columns = {
        header: summaries.means_by_seed(table)
        for header, table in tables.items()
    }
    for header, means in columns.items():
        if not means.get(method):
            raise bad_argument(
                f"means of {method} on {header}", "known", "none"
            )
    oracles = {
        other: oracle
        for table in tables.values()
        for other, oracle in _oracles(table).items()
    }
    lines = [[f"`{method}` less", *columns], ["---"] * (len(columns) + 1)]
    shown = {}
    for other in (name for name in methods.METHODS if name in oracles):
        found = [
            paired.difference(means[method], means.get(other, {}))
            for means in columns.values()
        ]
        if other != method and any(found):
            cells = ["–" if each is None else str(each) for each in found]
            lines.append([method_cell(other, oracles[other]), *cells])
            shown[other] = oracles[other]
    return (
        f"{_markdown(lines)}\nIn points of test accuracy, the mean over the "
        "conditions, with 95 % intervals of the paired difference over the "
        "seeds; no interval for one seed. The intervals are not corrected for "
        f"the number of methods.{oracle_note(shown)}\n"
    )


def _oracles(conditions: pd.DataFrame) -> dict[str, str]:
    """Returns the oracle knowledge of each method, in the table's order."""
    first = conditions.groupby("method", sort=False)["oracle"].first()
    return {str(method): oracle for method, oracle in first.items()}


def _mean_of_means(
    own: Mapping[int, float], best: Mapping[int, float], oracle: str
) -> str:
    """Returns a cell with the mean over the seeds; bold if it is as good."""
    if not own:
        return "–"
    mean = f"{np.mean([*own.values()]):.2f}"
    as_good = not oracle and paired.is_as_good(own, best)
    return f"**{mean}**" if as_good else mean


def study_table(variants: pd.DataFrame, order: Iterable[str]) -> str:
    """Returns a study: the variants of a config, compared with the first.

    Args:
        variants: As `summaries.of_variants` returns it.
        order: The names of the variants, in the order of the rows. The text
            below the table names variants without a result.

    Raises:
        InputError: if the first variant has no result.
    """
    reference, *_ = order = list(order)
    by_variant = {
        name: variants[variants["variant"] == name].set_index("noise")
        for name in order
        if name in {*variants["variant"]}
    }
    if reference not in by_variant:
        raise bad_argument(f"results of {reference}", "recorded", "none")
    noises = [noise for noise in _SHORT if noise in {*variants["noise"]}]
    against = by_variant[reference]
    lines = [
        [
            "variant",
            *(f"{_SHORT[noise]}, %" for noise in noises),
            *(f"{_SHORT[noise]} less `{reference}`" for noise in noises),
            "distance of T",
        ]
    ]
    lines.append(["---"] * len(lines[0]))
    for name, rows in by_variant.items():
        cells, differences = [], []
        for noise in noises:
            if noise not in rows.index:
                cells.append("–")
                differences.append("–")
                continue
            row = rows.loc[noise]
            cells.append(mean_cell(row["accuracy"], row["deviation"]))
            found = paired.difference(
                row["accuracies"], against.loc[noise, "accuracies"]
            )
            shown = "–" if found is None or name == reference else str(found)
            if found is not None and found.excludes_zero:
                shown = f"**{shown}**"
            differences.append(shown)
        distance = distance_cell(rows["transition_l1"].mean())
        lines.append([f"`{name}`", *cells, *differences, distance])
    counts = [len(seeds) for seeds in variants["accuracies"]]
    over = f"mean ± standard deviation over {max(counts)} seeds"
    if max(counts) == 1:
        over = "one seed"
    elif min(counts) < max(counts):
        over += f" (in some cells fewer, at least {min(counts)})"
    absent = ", ".join(f"`{name}`" for name in order if name not in by_variant)
    return (
        f"{_markdown(lines)}\nAccuracy on held-out examples after the last "
        f"epoch, {over}. The differences from "
        f"`{reference}` are paired, with 95 % intervals; bold if the interval "
        "excludes 0. The intervals are not corrected for the number of "
        "variants. The distance of T is the mean over the noises."
        f"{f' Not run: {absent}.' if absent else ''}\n"
    )


def best_epoch_table(results: Iterable[Result], dataset: str) -> str:
    """Returns what it is worth to choose the epoch on the test set.

    Args:
        results: Results of runs. Results of other datasets, and on held-out
            training data, are skipped.
        dataset: The name of the dataset.

    Raises:
        InputError: if there is no such result.
    """
    kept = [
        result
        for result in results
        if (result["dataset"], result["evaluated_on"]) == (dataset, "test")
    ]
    if not kept:
        raise bad_argument("results", f"found for {dataset}", "none")
    table = pd.DataFrame(kept)
    lines = [
        ["method", "last epoch, %", "best epoch on the test set, %"]
        + ["what that is worth", "runs"]
    ]
    lines.append(["---"] * len(lines[0]))
    for method in (name for name in methods.METHODS if name in {*table.method}):
        rows = table[table.method == method]
        by_seed = (
            100
            * rows.groupby("seed")[
                ["test_accuracy", "best_test_accuracy"]
            ].mean()
        )
        last, best = (by_seed[name].to_dict() for name in by_seed)
        lines.append(
            [
                f"`{method}`",
                f"{np.mean([*last.values()]):.2f}",
                f"{np.mean([*best.values()]):.2f}",
                str(paired.difference(best, last)),
                str(len(rows)),
            ]
        )
    return (
        f"{_markdown(lines)}\nMean over all conditions and seeds that were "
        "run; the interval, 95 %, is over the seeds.\n"
    )


def first_steps_table(measured: Mapping[str, Result], study: str) -> str:
    """Returns what the first steps of the variants of a study do to T.

    Args:
        measured: Results of `launch/paper/first_steps.py` by the names of the
            runs, STUDY/VARIANT/NOISE/METHOD-seedSEED.
        study: The name of the study.

    Raises:
        InputError: if there is no such result.
    """
    by_variant: dict[str, list[Result]] = {}
    for run, result in measured.items():
        name, variant, *_ = run.split("/")
        if name == study:
            by_variant.setdefault(variant, []).append(result)
    if not by_variant:
        raise bad_argument("results", f"found for the study {study}", "none")
    lines = [
        ["variant", "longest G", "smallest f(label)", "longest change of T"]
        + ["exchanged columns of T after the first step", "at the end"]
        + ["accuracy, %", "runs"]
    ]
    lines.append(["---"] * len(lines[0]))
    for variant, runs in by_variant.items():
        first, last = (
            np.mean([run["exchanged"][step] for run in runs])
            for step in (0, -1)
        )
        lines.append(
            [
                f"`{variant}`",
                f"{np.median([max(run['gradient']) for run in runs]):.2g}",
                f"{np.median([min(run['probability']) for run in runs]):.2g}",
                f"{np.median([max(run['change']) for run in runs]):.2g}",
                f"{first:.1f}",
                f"{last:.1f}",
                f"{100 * np.mean([run['accuracy'] for run in runs]):.1f}",
                str(len(runs)),
            ]
        )
    steps = runs[0]["steps"]
    return (
        f"{_markdown(lines)}\nThe first {steps} steps. Medians over the runs "
        "of the extreme of each run. The exchanged columns, of ten, and the "
        "accuracy on held-out images after these steps are means. A column of "
        "T is exchanged if its largest entry is another class's.\n"
    )


def letter_table(conditions: pd.DataFrame) -> str:
    """Returns the paper's algorithm beside the paper's numbers.

    Args:
        conditions: As `summaries.by_condition` returns it, with rows of
            `mlc_paper`.

    Raises:
        InputError: if there are none.
    """
    rows = conditions[conditions["method"] == "mlc_paper"]
    if rows.empty:
        raise bad_argument("results of mlc_paper", "recorded", "none")
    lines = [
        ["noise", "`mlc_paper`, %", "the paper's MLC, %", "difference", "seeds"]
    ]
    lines.append(["---"] * len(lines[0]))
    for _, row in rows.iterrows():
        paper = row["paper"]
        found = paired.difference(
            row["accuracies"], dict.fromkeys(row["accuracies"], paper)
        )
        lines.append(
            [
                _headers([(row["noise"], row["ratio"])])[0],
                mean_cell(row["accuracy"], row["deviation"]),
                f"{paper:.2f}",
                str(found),
                str(row["seeds"]),
            ]
        )
    near = int(sum(rows["accuracy"] >= rows["paper"] - 1))
    return (
        f"{_markdown(lines)}\n{near} of {len(rows)} conditions are at least "
        "the paper's number minus 1 point. The interval is of our mean; "
        "the paper gives one number without a spread.\n"
    )


def distances_table(conditions: pd.DataFrame) -> str:
    """Returns the distance of the T of each method from the true T.

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
    """Returns the differences of our numbers from the paper's, by method.

    Args:
        conditions: As `summaries.by_condition` returns it. Conditions without a
            number in the paper are skipped.
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
    """Returns the trials of a search, from the best to the worst.

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
    """Returns the best trial of each method's search of own settings.

    A search that the trusted set decided also shows what held-out true labels
    would have chosen, if it measured them.

    Args:
        found: Results of `tuning.search`, by the names of the methods.
    """
    both = any(content.get("best_held_out") for content in found.values())
    header = ["method", "trials", "began at, %", "best, %", "what it changed"]
    if both:
        header += ["held-out, %", "best held-out, %"]
        header += ["what held-out labels would have changed"]
    lines = [header, ["---"] * len(header)]
    for method in (name for name in methods.METHODS if name in found):
        content = found[method]
        first, *_ = trials = content["trials"]
        cells = [
            f"`{method}`",
            str(len(trials)),
            f"{100 * first['accuracy']:.2f}",
            f"{100 * max(trial['accuracy'] for trial in trials):.2f}",
            _changed(method, content["best"], first["values"]),
        ]
        if both:
            (chosen,) = [
                trial["held_out_accuracy"]
                for trial in trials
                if trial["values"] == content["best"]
            ]
            best = max(trial["held_out_accuracy"] for trial in trials)
            cells += [
                f"{100 * chosen:.2f}",
                f"{100 * best:.2f}",
                _changed(method, content["best_held_out"], first["values"]),
            ]
        lines.append(cells)
    return _markdown(lines)


def _changed(
    method: str, best: Mapping[str, Any], first: Mapping[str, Any]
) -> str:
    """Returns the settings of a trial that differ from the first trial's."""
    changed = [
        f"`{name.removeprefix(f'method.{method}.')}={value}`"
        for name, value in best.items()
        if value != first[name]
    ]
    return ", ".join(changed) or "–"


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
    """Returns how well audits find wrong labels, and the gain of correction.

    A dash in the column of the trusted set marks runs that were fitted to it.

    Args:
        contents: Results of `launch/paper/label_issues.py`.
    """
    ways = ("audit", "network_alone", "cleanlab")
    table = pd.DataFrame(
        [
            {
                "where": _where(study),
                **{
                    f"{way} {score}": study[way][score]
                    for way in ways
                    for score in ("auroc", "average_precision")
                },
                "clean_set auroc": (study["clean_set"] or {}).get("auroc"),
                **{
                    f"ce {labels}": 100 * trained["test_accuracy"]
                    for labels, trained in study["cross_entropy"].items()
                },
            }
            for study in contents
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


def _condition_cell(rows: pd.DataFrame, column: tuple[str, float]) -> str:
    """Returns the accuracy of one method under one condition."""
    if column not in rows.index:
        return "–"
    row = rows.loc[column]
    return mean_cell(row["accuracy"], row["deviation"])


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _ratio_cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        spread = f"{value['quartile_1']:.2f}–{value['quartile_3']:.2f}"
        return f"{value['median']:.2f} ({spread})"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
