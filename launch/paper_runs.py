"""What the launchers of the paper's tables and figures share.

Their flags, the configs of `configs/`, and how the runs of a plan are done, or
only told of.
"""

import importlib.util
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import command_line
import ml_collections
import pandas as pd
from absl import flags
from matplotlib.figure import Figure

from mlc_tf import experiments
from mlc_tf import report
from mlc_tf.errors import bad_argument
from mlc_tf.errors import told_if_unwritable
from mlc_tf.errors import unknown_name
from mlc_tf.studies import table1

# Of CIFAR-100 the Table 1 has no uniform noise; Clothing1M has its own.
DATASETS = ("digits", "mnist", "twitter", "cifar10")
_BY_HAND = ("twitter", "clothing1m")
_CONFIGS = Path(__file__).parents[1] / "configs"
SEEDS = flags.DEFINE_list("seeds", "0,1,2", "Seeds.")
_RUNS = flags.DEFINE_string("runs", "runs", "Where the runs' directories go.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")
_VARIANT = flags.DEFINE_string(
    "variant", "", "Of the config, as smoke; gets a folder of its own."
)
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time.")
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir", "", f"Where the files of {' or '.join(_BY_HAND)} lie."
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Only tell what would be run.")


def config_of(
    dataset: str, known: Sequence[str] = DATASETS
) -> ml_collections.ConfigDict:
    """Returns the config of a dataset, as `configs/DATASET.py` has it.

    It is the variant of it that `--variant` names.

    Args:
        dataset: Its name.
        known: Those that the launcher knows. Defaults to `DATASETS`.

    Raises:
        InputError: for a dataset that is not known to the launcher.
    """
    if dataset not in known:
        raise unknown_name("dataset", dataset, known)
    spec = importlib.util.spec_from_file_location(
        dataset, _CONFIGS / f"{dataset}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(_VARIANT.value)
    if dataset in _BY_HAND:
        config.dataset.manual_dir = _MANUAL_DIR.value
    return config


def runs_of(under: str = "") -> Path:
    """Returns the folder of the runs of this variant, or one in it."""
    return Path(_RUNS.value) / _VARIANT.value / under


def results_in(under: str = "") -> Path:
    """Returns the folder of the results of this variant, or one in it."""
    return Path(_RESULTS.value) / _VARIANT.value / under


def title_of(dataset: str) -> str:
    """Returns the name of a dataset, with that of the variant."""
    return f"{dataset}, {_VARIANT.value}" if _VARIANT.value else dataset


def ratios(flag: flags.FlagHolder[list[str]]) -> list[float]:
    """Returns the numbers that a list flag names.

    Raises:
        InputError: if it names anything else.
    """
    try:
        return [float(text) for text in flag.value]
    except ValueError:
        raise bad_argument(
            flag.name, "numbers, with commas between", ",".join(flag.value)
        ) from None


def do(
    configs: Mapping[str, ml_collections.ConfigDict], under: str = ""
) -> bool:
    """Does the runs of a plan that are missing, or tells which they are.

    Args:
        configs: By name, as `experiments.do` takes them.
        under: The folder of these runs in those of the flags. Defaults to none.

    Returns:
        Whether they are done; False where they were only told of.
    """
    runs, results = runs_of(under), results_in(under)
    if not _DRY_RUN.value:
        experiments.do(configs, runs, results, _JOBS.value)
        return True
    if _JOBS.value < 1:
        raise bad_argument("jobs", "an integer >= 1", _JOBS.value)
    experiments.check(configs, runs, results)
    _tell(configs, runs, results)
    return False


def results_of(
    configs: Mapping[str, ml_collections.ConfigDict], under: str = ""
) -> list[dict[str, object]]:
    """Returns what the runs of a plan came to; of one that diverged nothing."""
    folder = results_in(under)
    return report.read_results(folder / f"{name}.json" for name in configs)


def table_of(dataset: str, names: Sequence[str]) -> pd.DataFrame | None:
    """Does what is missing of the Table 1 of a dataset, for some methods.

    Args:
        dataset: Its name.
        names: Of the methods.

    Returns:
        As `report.by_condition`; None where the runs were only told of.
    """
    configs = table1.plan(
        config_of(dataset), names, command_line.integers(SEEDS)
    )
    if not do(configs):
        return None
    return report.by_condition(results_of(configs), dataset)


def write(name: str, text: str, table: pd.DataFrame, figure: Figure) -> None:
    """Writes `NAME.md`, `.csv` and `.png` to the folder of the results."""
    path = results_in(name)
    with told_if_unwritable("results", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".md").write_text(text)
        table.to_csv(path.with_suffix(".csv"), index=False)
        figure.savefig(path.with_suffix(".png"), dpi=120)
    print(text)
    print(path.with_suffix(".md"))


def _tell(
    configs: Mapping[str, ml_collections.ConfigDict], runs: Path, results: Path
) -> None:
    """Prints which runs are missing, and what they cost."""
    before = report.load_results(results)
    seconds, unknown, missing = 0.0, 0, 0
    for name, config in configs.items():
        if experiments.is_done(name, config, runs, results):
            continue
        took = experiments.seconds_before(config, before)
        cost = "?" if took is None else experiments.duration(took)
        print(f"{name}: {cost}")
        missing += 1
        unknown += took is None
        seconds += took or 0.0
    cost = experiments.duration(seconds / _JOBS.value)
    print(
        f"{missing} of {len(configs)} runs are missing, about {cost}"
        + (f" and {unknown} of unknown cost" if unknown else "")
    )
