"""Several runs: in processes of their own, and those that are done not again.

Each ends in a result file of its own under a folder of results, from which
tables and figures are made.
"""

import concurrent.futures
import multiprocessing
import shutil
import statistics
import time
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections

from mlc_tf import run_directory
from mlc_tf import settings
from mlc_tf import training
from mlc_tf.errors import DivergedError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import told_if_unwritable


def do(
    configs: Mapping[str, ml_collections.ConfigDict],
    runs: str | Path,
    results: str | Path,
    jobs: int = 1,
) -> list[str]:
    """Runs each config, and copies its result to the folder of results.

    One that was cut off goes on; one that is done is only copied. One whose
    loss diverges is told of, and the others go on.

    Args:
        configs: As `training.run` takes them, by the names that the runs'
            directories have in `runs` and their results in `results`.
        runs: The folder of the runs' directories.
        results: The folder of the results.
        jobs: Runs at a time. Defaults to 1.

    Returns:
        The names of the runs that diverged.

    Raises:
        InputError: for a bad setting of any config, before the first run; or
            as `training.run`.
        InterruptedRunError: as `training.run`.
    """
    if jobs < 1:
        raise bad_argument("jobs", "an integer >= 1", jobs)
    for name, config in configs.items():
        settings.check(config)
        run_directory.check(Path(runs) / name, config)
    missing, diverged = [], []
    for name in configs:
        if run_directory.finished_result(Path(runs) / name) is None:
            missing.append(name)
        else:
            _copy(name, Path(runs), Path(results))
    progress = _Progress(len(missing), jobs)
    # A process a run: TensorFlow returns no memory, and a run should not
    # depend on those before it.
    with concurrent.futures.ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        tasks = {
            pool.submit(_run, configs[name], Path(runs) / name): name
            for name in missing
        }
        try:
            for task in concurrent.futures.as_completed(tasks):
                name = tasks[task]
                try:
                    seconds, accuracy = task.result()
                except DivergedError as error:
                    print(f"{name} is left out: {error}", flush=True)
                    diverged.append(name)
                else:
                    _copy(name, Path(runs), Path(results))
                    progress.tell(name, seconds, accuracy)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return diverged


def seconds_before(
    config: ml_collections.ConfigDict, results: Sequence[dict[str, Any]]
) -> float | None:
    """Returns what runs like one took before, the median; None without any.

    Args:
        config: Of the run.
        results: Those of runs that are done.
    """
    names = (config.dataset.name, config.network.name, config.method.name)
    like = [
        result["seconds"]
        for result in results
        if (result["dataset"], result["network"], result["method"]) == names
    ]
    return statistics.median(like) if like else None


def duration(seconds: float) -> str:
    """Returns "1 h 05 min", "3 min" or "20 s"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


class _Progress:
    """A line for each run that ends, with what is left."""

    def __init__(self, runs: int, jobs: int) -> None:
        self._runs, self._jobs = runs, jobs
        self._took: list[float] = []

    def tell(self, name: str, seconds: float, accuracy: float) -> None:
        self._took.append(seconds)
        left = (self._runs - len(self._took)) * statistics.mean(self._took)
        print(
            f"[{len(self._took)}/{self._runs}] {name}: {100 * accuracy:.2f} % "
            f"in {duration(seconds)}; about {duration(left / self._jobs)} left",
            flush=True,
        )


def _run(
    config: ml_collections.ConfigDict, workdir: Path
) -> tuple[float, float]:
    begin = time.monotonic()
    result = training.run(config, workdir, verbose=0)
    return time.monotonic() - begin, result["test_accuracy"]


def _copy(name: str, runs: Path, results: Path) -> None:
    copy = results / f"{name}.json"
    with told_if_unwritable("results", results):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(runs / name / "result.json", copy)
