"""Makes the paper's tables and figures, and trains the missing runs.

    python launch/paper/tables_and_figures.py --what=table1 --dataset=digits
    python launch/paper/tables_and_figures.py --what=figure3 --dataset=digits \\
        --sizes=2,5,10,20
    python launch/paper/tables_and_figures.py --what=clean_budget \\
        --config=configs/digits.py

`--what` is one of

    table1        methods under three noises at four ratios (`--noises`,
                  `--ratios`), with the paper's values
    table2        Clothing1M, whose labels have natural noise; without
                  Masking, since nobody knows the structure of this noise
    figure2       the true T of the three noises at 30 %, for the first four
                  classes; needs no runs
    figure3       accuracy over the size of the trusted set (`--sizes`), under
                  the three noises at 30 %
    figure4       mlc and cross_entropy under all noises, and all methods under
                  each noise; from the runs of table1
    figure5       mlc, the noise layer (FC) in both forms and cross_entropy,
                  from the runs of table1
    clean_budget  accuracy and distance of T over the size of the trusted set,
                  with the noise of `configs/DATASET.py`, or of a `--config`

The runs have the settings of `configs/DATASET.py`. Finished runs are not
repeated, so the same command resumes. `--dry_run` shows the missing runs, and
estimates their time from similar results. The results go to
`results/DATASET.jsonl`, or to `results/WHAT/DATASET.jsonl` for figure3 and
clean_budget; the table or figure goes to `results/WHAT/DATASET.md`, `.csv` and
`.png`. A `--variant` of the configs has its own folder, `results/VARIANT/`.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import ml_collections
import pandas as pd
from absl import flags
from matplotlib.figure import Figure

from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.errors import writable_or_error
from mlc_tf.launch import command_line
from mlc_tf.launch.paper import charts
from mlc_tf.launch.paper import plans
from mlc_tf.launch.paper import published
from mlc_tf.launch.paper import summaries
from mlc_tf.launch.paper import tables
from mlc_tf.run import comparison
from mlc_tf.run import directory
from mlc_tf.run import experiments
from mlc_tf.run import figures
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import results
from mlc_tf.run import settings
from mlc_tf.run.results import Result

_RATIO = 0.3  # paper, Figures 2 and 3
_CLASSES = 4  # paper, Figure 2
_TWO = ("mlc", "cross_entropy")  # paper, Figure 4
# The methods of each table or figure, unless `--methods` names others.
_DEFAULT_METHODS = {
    "table1": tuple(methods.METHODS),
    "table2": tuple(
        name for name in published.TABLE_2 if not methods.get(name).oracle
    ),
    "figure3": ("mlc", "glc"),
    "figure4": ("confusion", "forward", "glc", "lre"),
    "figure5": ("mlc", "noise_layer", "noise_layer_logits", "cross_entropy"),
    "clean_budget": ("mlc", "glc", "fine_tune"),
}
_DEFAULT_SIZES = {
    "figure3": (10, 20, 50, 100),
    "clean_budget": (1, 2, 5, 10, 20, 50),
}
# The flags that only some tables or figures take.
_OWN_FLAGS = {
    "table1": ("methods", "noises", "ratios"),
    "table2": ("methods",),
    "figure2": ("seed",),
    "figure3": ("methods", "sizes"),
    "figure4": ("methods",),
    "figure5": (),
    "clean_budget": ("methods", "sizes", "config"),
}

_WHAT = flags.DEFINE_string(
    "what", "table1", f"The table or figure: {', '.join(_OWN_FLAGS)}."
)
_DATASET = flags.DEFINE_list(
    "dataset",
    None,
    f"The datasets, from {', '.join(plans.DATASETS)}. Defaults to digits, for "
    "table2 to clothing1m.",
)
# For clean_budget, --config can replace --dataset.
_CONFIG = command_line.define_config(default=None)
_METHODS = flags.DEFINE_list(
    "methods",
    None,
    "The methods, separated by commas, or all. The default depends on --what.",
)
_SEEDS = flags.DEFINE_list("seeds", "0,1,2", "The seeds of the runs.")
_SEED = flags.DEFINE_integer(
    "seed", 0, "The seed of the noise of figure2.", lower_bound=0
)
_NOISES = flags.DEFINE_list(
    "noises", list(published.NOISES), "The kinds of noise."
)
_RATIOS = flags.DEFINE_list(
    "ratios", list(map(str, published.RATIOS)), "The noise ratios."
)
_SIZES = flags.DEFINE_list(
    "sizes",
    None,
    "The numbers of trusted examples per class. The default depends on --what.",
)
_VARIANT = flags.DEFINE_string(
    "variant", "", "The variant of the configs, such as smoke."
)
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir",
    "",
    f"The folder of the files of {' or '.join(plans.BY_HAND)}.",
)
_RUNS = flags.DEFINE_string(
    "runs", "runs", "The folder for the directories of the runs."
)
_RESULTS = flags.DEFINE_string("results", "results", "The folder for results.")
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "The number of runs that train at the same time."
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Whether to show the missing runs without training."
)


def main(argv: list[str]) -> None:
    del argv
    target = _WHAT.value
    if target not in _OWN_FLAGS:
        raise unknown_name("what", target, _OWN_FLAGS)
    for name in sorted({*itertools.chain(*_OWN_FLAGS.values())}):
        if flags.FLAGS[name].present and name not in _OWN_FLAGS[target]:
            raise bad_argument(name, f"left out with --what={target}", "given")
    if _JOBS.value < 1:
        raise bad_argument("jobs", "an integer >= 1", _JOBS.value)
    for config in _configs(target):
        MAKERS[target](config)


def _configs(target: str) -> list[ml_collections.ConfigDict]:
    """Returns the configs of the datasets, after checking all of them."""
    if _CONFIG.value is not None:
        if _DATASET.value is not None:
            expected = "left out when --config is given"
            raise bad_argument("dataset", expected, _DATASET.value)
        return [_CONFIG.value]
    known = ("clothing1m",) if target == "table2" else plans.DATASETS
    names = [known[0]] if _DATASET.value is None else _DATASET.value
    if not names:
        raise bad_argument("dataset", f"among {', '.join(known)}", "none")
    return [
        plans.config_of(name, known, _VARIANT.value, _MANUAL_DIR.value)
        for name in names
    ]


def _table1(config: ml_collections.ConfigDict) -> None:
    """Writes the table of all results for the dataset."""
    dataset = config.dataset.name
    ratios = _numbers(_RATIOS)
    for flag, values, known in (
        ("noises", _NOISES.value, published.NOISES),
        ("ratios", ratios, published.RATIOS),
    ):
        if not values or not {*values} <= {*known}:
            expected = f"among {', '.join(map(str, known))}"
            raise bad_argument(flag, expected, values)
    plan = plans.conditions(
        config, _methods("table1"), _seeds(), _NOISES.value, ratios
    )
    recorded = _run(plan, dataset)
    if recorded is None:
        return
    table = summaries.by_condition(recorded.values(), dataset)
    text = (
        f"{tables.conditions_table(table)}\n"
        "The mean L1 distance of a row of T:\n\n"
        f"{tables.distances_table(table)}"
    )
    figure = charts.conditions_figure(table, _title(dataset))
    _write(f"table1/{dataset}", _title(dataset), text, table, figure)


def _table2(config: ml_collections.ConfigDict) -> None:
    dataset = config.dataset.name
    plan = plans.conditions(config, _methods("table2"), _seeds(), ["none"], [0])
    recorded = _run(plan, dataset)
    if recorded is None:
        return
    where = dataset, "none", None
    rows = comparison.summarize(_results_of(plan, recorded), *where)
    table = summaries.with_paper(rows, *where)
    accuracy = table.set_index("method")[["accuracy", "paper"]]
    figure = charts.bars_figure(
        accuracy["accuracy"].to_dict(),
        accuracy["paper"].dropna().to_dict(),
        "test accuracy, %",
    )
    text = tables.methods_table(rows, *where)
    _write(f"table2/{dataset}", "Clothing1M", text, table, figure)


def _figure2(config: ml_collections.ConfigDict) -> None:
    dataset = config.dataset.name
    config.noise.ratio = _RATIO
    config.seed = config.noise.target_seed = _SEED.value
    corners = {}
    for config.noise.kind in published.NOISES:
        transition = problems.load(config).true_transition
        corners[config.noise.kind] = transition[:_CLASSES, :_CLASSES]
    text = "\n".join(
        f"{noise}:\n\n{tables.matrix_table(corner)}"
        for noise, corner in corners.items()
    )
    table = pd.DataFrame(
        [
            {"noise": noise, "clean": i, "noisy": j, "T": corner[i, j]}
            for noise, corner in corners.items()
            for i in range(_CLASSES)
            for j in range(_CLASSES)
        ]
    )
    title = f"{dataset}, seed {config.seed}, ratio {_RATIO:g}"
    figure = figures.matrices_figure(corners, title=title)
    _write(f"figure2/{dataset}", f"True T: {title}", text, table, figure)


def _figure3(config: ml_collections.ConfigDict) -> None:
    dataset = config.dataset.name
    config.noise.ratio = _RATIO
    plan = {}
    for config.noise.kind in published.NOISES:
        plan |= _sizes_plan("figure3", config)
    recorded = _run(plan, f"figure3/{dataset}")
    if recorded is None:
        return
    by_noise = {
        noise: summaries.by_clean_examples(
            _results_of(plan, recorded), dataset, noise, _RATIO
        )
        for noise in published.NOISES
    }
    text = "\n".join(
        f"{noise}:\n\n{tables.clean_budget_table(sizes)}"
        for noise, sizes in by_noise.items()
    )
    table = pd.concat(
        [sizes.assign(noise=noise) for noise, sizes in by_noise.items()]
    )
    figure = charts.conditions_figure(table, _title(dataset), "clean_examples")
    title = f"{_title(dataset)}, {_RATIO:g} of the labels selected"
    _write(f"figure3/{dataset}", title, text, table, figure)


def _clean_budget(config: ml_collections.ConfigDict) -> None:
    kind = config.noise.kind
    if kind == "none":
        raise bad_argument(
            "noise.kind",
            "injected noise, since other trusted sets are fixed",
            "none",
        )
    plan = _sizes_plan("clean_budget", config)
    if not _DRY_RUN.value:  # checks that the dataset has enough examples
        problems.load(max(plan.values(), key=lambda run: run.clean.per_class))
    dataset, noise, _ = directory.name_of(config).split("/")
    recorded = _run(plan, f"clean_budget/{dataset}")
    if recorded is None:
        return
    sizes = summaries.by_clean_examples(
        _results_of(plan, recorded),
        config.dataset.name,
        kind,
        config.noise.ratio if problems.has_ratio(kind) else None,
        settings.evaluated_on(config),
    )
    title = _title(f"{config.dataset.name}, {noise}")
    figure = charts.clean_budget_figure(sizes, title)
    text = tables.clean_budget_table(sizes)
    _write(f"clean_budget/{dataset}-{noise}", title, text, sizes, figure)


def _figure4(config: ml_collections.ConfigDict) -> None:
    names = list(dict.fromkeys([*_TWO, *_methods("figure4")]))
    _from_table_1(
        "figure4",
        config,
        names,
        lambda table, title: charts.robustness_figure(table, _TWO, title),
    )


def _figure5(config: ml_collections.ConfigDict) -> None:
    names = _methods("figure5")
    _from_table_1("figure5", config, names, charts.conditions_figure)


def _from_table_1(
    target: str,
    config: ml_collections.ConfigDict,
    names: list[str],
    draw: Callable[[pd.DataFrame, str], Figure],
) -> None:
    """Writes a figure of the methods under all conditions of Table 1."""
    dataset = config.dataset.name
    plan = plans.conditions(
        config, names, _seeds(), published.NOISES, published.RATIOS
    )
    recorded = _run(plan, dataset)
    if recorded is None:
        return
    table = summaries.by_condition(_results_of(plan, recorded), dataset)
    figure = draw(table, _title(dataset))
    text = tables.conditions_table(table)
    _write(f"{target}/{dataset}", _title(dataset), text, table, figure)


MAKERS: dict[str, Callable[[ml_collections.ConfigDict], None]] = {
    "table1": _table1,
    "table2": _table2,
    "figure2": _figure2,
    "figure3": _figure3,
    "figure4": _figure4,
    "figure5": _figure5,
    "clean_budget": _clean_budget,
}


def _methods(target: str) -> list[str]:
    if _METHODS.value is None:
        return list(_DEFAULT_METHODS[target])
    return command_line.method_names(_METHODS, oracles=target != "table2")


def _seeds() -> list[int]:
    return command_line.integers(_SEEDS)


def _sizes_plan(target: str, config: ml_collections.ConfigDict) -> plans.Plan:
    given = _SIZES.value is not None
    sizes = command_line.integers(_SIZES) if given else _DEFAULT_SIZES[target]
    return plans.trusted_sizes(config, sizes, _methods(target), _seeds())


def _numbers(flag: flags.FlagHolder[list[str]]) -> list[float]:
    try:
        return [float(text) for text in flag.value]
    except ValueError:
        raise bad_argument(
            flag.name, "numbers separated by commas", ",".join(flag.value)
        ) from None


def _run(plan: plans.Plan, part: str) -> dict[str, Result] | None:
    """Trains the missing runs of a plan, or shows the missing runs.

    Args:
        plan: Configs by the names of the runs.
        part: The path of runs and results in the folders --runs and --results.

    Returns:
        All results in the result file; None with --dry_run.
    """
    runs = Path(_RUNS.value) / _VARIANT.value / part
    file = Path(_RESULTS.value) / _VARIANT.value / f"{part}.jsonl"
    if not _DRY_RUN.value:
        experiments.run_all(plan, runs, file, _JOBS.value)
        return results.read(file)
    experiments.check(plan, runs, file)
    _show_missing(plan, part, runs, results.read(file))
    return None


def _show_missing(
    plan: plans.Plan, part: str, runs: Path, recorded: dict[str, Result]
) -> None:
    """Prints the missing runs and an estimate of their time."""
    costs = {
        name: experiments.seconds_before(config, recorded.values())
        for name, config in plan.items()
        if not experiments.is_done(name, config, runs, recorded)
    }
    for name, cost in costs.items():
        shown = "?" if cost is None else experiments.duration(cost)
        print(f"{part}/{name}: {shown}")
    known = [cost for cost in costs.values() if cost is not None]
    line = f"{len(costs)} of {len(plan)} runs are missing"
    if known:
        line += f", about {experiments.duration(sum(known) / _JOBS.value)}"
    if len(known) < len(costs):
        line += " and" if known else ","
        line += f" {len(costs) - len(known)} of unknown cost"
    print(line)


def _results_of(plan: plans.Plan, recorded: dict[str, Result]) -> list[Result]:
    """Returns the results of a plan; a run that diverged has no result."""
    return [recorded[name] for name in plan if name in recorded]


def _title(text: str) -> str:
    return f"{text}, {_VARIANT.value}" if _VARIANT.value else text


def _write(
    name: str, title: str, text: str, table: pd.DataFrame, figure: Figure
) -> None:
    """Writes `NAME.md`, `.csv` and `.png` to the folder of the results."""
    path = Path(_RESULTS.value) / _VARIANT.value / name
    text = f"# {title}\n\n{text}"
    markdown, csv, png = (
        path.with_name(f"{path.name}{suffix}")
        for suffix in (".md", ".csv", ".png")
    )
    with writable_or_error("results", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text(text)
        # Only means and deviations have a cell each.
        table.drop(columns="accuracies", errors="ignore").to_csv(
            csv, index=False
        )
        figure.savefig(png, dpi=120)
    print(text)
    print(markdown)


if __name__ == "__main__":
    command_line.run(main)
