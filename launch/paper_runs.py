"""What the launchers of the paper's tables and figures share: their runs.

How the runs of a plan are done, or only told of.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import ml_collections
import pandas as pd
from absl import flags

from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.launch import paper_files
from mlc_tf.launch.paper import report
from mlc_tf.launch.paper.studies import table1
from mlc_tf.run import experiments

SEEDS = flags.DEFINE_list("seeds", "0,1,2", "Seeds.")
_RUNS = flags.DEFINE_string("runs", "runs", "Where the runs' directories go.")
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Only tell what would be run.")


def runs_of(under: str = "") -> Path:
    """Returns the folder of the runs of this variant, or one in it."""
    return Path(_RUNS.value) / paper_files.VARIANT.value / under


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
        configs: By name, as `experiments.run_all` takes them.
        under: The folder of these runs in those of the flags. Defaults to none.

    Returns:
        Whether they are done; False where they were only told of.
    """
    runs, results = runs_of(under), paper_files.results_in(under)
    if not _DRY_RUN.value:
        experiments.run_all(configs, runs, results, _JOBS.value)
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
    folder = paper_files.results_in(under)
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
        paper_files.config_of(dataset), names, command_line.integers(SEEDS)
    )
    if not do(configs):
        return None
    return report.by_condition(results_of(configs), dataset)


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
    costs = []
    if missing > unknown:
        costs.append(f"about {experiments.duration(seconds / _JOBS.value)}")
    if unknown:
        costs.append(f"{unknown} of unknown cost")
    print(
        f"{missing} of {len(configs)} runs are missing"
        + (f", {' and '.join(costs)}" if costs else "")
    )
