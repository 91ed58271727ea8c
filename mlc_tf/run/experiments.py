"""A batch of runs: each in a process of its own, finished runs not again.

The results go to one result file, from which tables and figures are made.
"""

import multiprocessing
import signal
import statistics
import threading
import time
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path
from typing import Any

import ml_collections

from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from mlc_tf.errors import bad_argument
from mlc_tf.run import directory
from mlc_tf.run import results as result_files
from mlc_tf.run import settings
from mlc_tf.run import training
from mlc_tf.run.results import Result
from mlc_tf.run.termination import Termination

# Each run is forked from a process that has imported TensorFlow, and computed
# nothing: the import takes longer than a small run.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["mlc_tf.run.training"])


def run_all(
    configs: Mapping[str, ml_collections.ConfigDict],
    runs: str | Path,
    results: str | Path,
    jobs: int = 1,
) -> list[str]:
    """Runs each config, and copies its result to the result file.

    Interrupted runs resume. Finished runs are copied to `results`, unless the
    file has their result already, as in a fresh clone. Runs whose loss diverges
    and runs that are refused are reported, and the others continue; but if the
    first run to end is refused, no other run starts.

    Args:
        configs: As `training.run` takes them, by the names that the runs have
            in `results` and their directories in `runs`.
        runs: The folder of the runs' directories.
        results: The result file, as `results.read` reads it.
        jobs: Runs at a time. Defaults to 1.

    Returns:
        The names of the runs that diverged.

    Raises:
        InputError: before the first run, as `check`; or after the last run, as
            `training.run` for a run that was refused.
        InterruptedRunError: as `training.run`, or if this process is asked to
            end by SIGTERM or SIGINT: then runs under way save their state.
    """
    if not isinstance(jobs, int) or jobs < 1:
        raise bad_argument("jobs", "an integer >= 1", jobs)
    runs, results = Path(runs), Path(results)
    check(configs, runs, results)
    there = result_files.read(results)
    finished, recorded, missing = [], 0, []
    for name, config in configs.items():
        if directory.finished_result(runs / name) is not None:
            finished.append(name)
        elif is_done(name, config, runs, there):
            recorded += 1
        else:
            missing.append(name)
    _copy(finished, configs, runs, results)
    if recorded:
        print(f"{recorded} results are in '{results}' already.", flush=True)
    progress, diverged, refused = _Progress(len(missing), jobs), [], None
    for name, seconds, outcome in _outcomes(
        {name: (configs[name], runs / name) for name in missing},
        jobs,
        any_done=len(missing) < len(configs),
    ):
        if isinstance(outcome, DivergedError | InputError):
            print(f"{name} is left out: {outcome}", flush=True)
            if isinstance(outcome, DivergedError):
                diverged.append(name)
            else:
                refused = refused or outcome
        else:
            _copy([name], configs, runs, results)
            progress.report(name, seconds, outcome["test_accuracy"])
    if refused is not None:
        raise refused
    return diverged


def check(
    configs: Mapping[str, ml_collections.ConfigDict],
    runs: str | Path,
    results: str | Path,
) -> None:
    """Refuses what can be known to be wrong before the first run.

    Args:
        configs: As `run_all` takes them.
        runs: The folder of the runs' directories.
        results: The result file.

    Raises:
        InputError: as `settings.check` of any config, or if a directory or a
            result has other settings.
    """
    there = result_files.read(results)
    for name, config in configs.items():
        settings.check(config)
        directory.check(Path(runs) / name, config)
        _check_settings(name, _settings_of(config), there, results)


def is_done(
    name: str,
    config: ml_collections.ConfigDict,
    runs: str | Path,
    there: Mapping[str, Result],
) -> bool:
    """Returns whether a run is finished, or has a result of these settings.

    Args:
        name: The name of the run.
        config: The config of the run.
        runs: The folder of the runs' directories.
        there: The results, as `results.read` returns them.
    """
    if directory.finished_result(Path(runs) / name) is not None:
        return True
    return name in there and not _differing(there[name], _settings_of(config))


def seconds_before(
    config: ml_collections.ConfigDict, results: Iterable[Result]
) -> float | None:
    """Returns the median of the seconds that similar runs took, or None.

    Args:
        config: The config of a run.
        results: Results of finished runs. A run is similar if it has the same
            dataset, network, method, batch size and number of epochs.
    """
    names = (config.dataset.name, config.network.name, config.method.name)
    length = ("train.batch_size", "train.epochs", "train.steps_per_epoch")
    own = settings.of_training(config)
    like = [
        result["seconds"]
        for result in results
        if (result["dataset"], result["network"], result["method"]) == names
        and all(result["training"][name] == own[name] for name in length)
    ]
    return statistics.median(like) if like else None


def duration(seconds: float) -> str:
    """Returns "1 h 05 min", "3 min" or "20 s"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


class _Progress:
    """Prints a line for each run that ends, with the time that is left."""

    def __init__(self, runs: int, jobs: int) -> None:
        self._runs, self._jobs = runs, jobs
        self._took: list[float] = []

    def report(self, name: str, seconds: float, accuracy: float) -> None:
        self._took.append(seconds)
        left = (self._runs - len(self._took)) * statistics.mean(self._took)
        print(
            f"[{len(self._took)}/{self._runs}] {name}: {100 * accuracy:.2f} % "
            f"in {duration(seconds)}; about {duration(left / self._jobs)} left",
            flush=True,
        )


def _outcomes(
    tasks: Mapping[str, tuple[ml_collections.ConfigDict, Path]],
    jobs: int,
    any_done: bool,
) -> Iterator[tuple[str, float, Any]]:
    """Yields (name, seconds, result or error) as runs end.

    Each run has a process of its own: TensorFlow returns no memory, and a run
    should not depend on the runs before it. When a run fails, or this process
    is asked to end, no other run starts, and the runs under way save their
    state. When a run is refused before any run is done, no other run starts
    unless a run that is under way ends well: all runs may be refused.
    """
    waiting = list(tasks)
    running: dict[Any, tuple[str, Any, float]] = {}
    failure: Exception | None = None
    announced = False
    doubted: list[tuple[str, float, Any]] = []
    with Termination(with_others=True).listening() as termination:
        try:
            while running or (
                waiting and not (failure or doubted or termination.asked)
            ):
                if failure or termination.asked:
                    if not announced:
                        print(f"Ending {len(running)} runs.", flush=True)
                        _terminate(running)
                    announced = True
                elif waiting and len(running) < jobs and not doubted:
                    name = waiting.pop(0)
                    answer, process = _started(*tasks[name])
                    running[answer] = name, process, time.monotonic()
                    continue
                for ended in connection.wait([*running], timeout=0.5):
                    name, process, begin = running.pop(ended)
                    outcome = _received(ended, process, name)
                    if isinstance(outcome, InterruptedRunError):
                        failure = failure or outcome
                        continue
                    any_done |= not isinstance(outcome, InputError)
                    doubted.append((name, time.monotonic() - begin, outcome))
                    if any_done:
                        yield from doubted
                        doubted = []
        finally:
            _terminate(running)
    if termination.asked and (waiting or failure):
        termination.end(saved=True)
    if failure or doubted:
        raise failure or doubted[0][2]


def _started(
    config: ml_collections.ConfigDict, workdir: Path
) -> tuple[Any, Any]:
    """Starts a run; returns where its answer comes from, and its process."""
    ours, theirs = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_run, args=(theirs, config, workdir))
    with _interrupts_ignored():
        process.start()
    theirs.close()  # else nobody sees that its other end is closed
    return ours, process


def _terminate(running: Mapping[Any, tuple[str, Any, float]]) -> None:
    for _, process, _ in running.values():
        process.terminate()


def _run(answer: Any, config: ml_collections.ConfigDict, workdir: Path) -> None:
    try:
        answer.send(training.run(config, workdir, verbose=0))
    except (InputError, DivergedError, InterruptedRunError) as error:
        answer.send(error)


def _received(answer: Any, process: Any, name: str) -> Any:
    """Returns the result of a run; an error if its process sent none."""
    try:
        outcome = answer.recv()
    except EOFError:
        outcome = None
    process.join()
    return outcome or InterruptedRunError(
        f"The run {name} ended with status {process.exitcode} before its "
        "result. The same command again resumes it."
    )


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Lets a new process ignore Ctrl-C until it has its own handler.

    A terminal sends Ctrl-C to all processes, and a process that still imports
    TensorFlow would end with a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _copy(
    names: Sequence[str],
    configs: Mapping[str, ml_collections.ConfigDict],
    runs: Path,
    results: Path,
) -> None:
    """Copies results with their settings, not over results of other settings.

    The directory of a run has its config instead.
    """
    if not names:
        return
    there, copied = result_files.read(results), []
    for name in names:
        result = directory.finished_result(runs / name) or {}
        expected = _settings_of(configs[name])
        length = {key: result.get(key) for key in ("epochs", "train_steps")}
        _check_settings(name, {**expected, **length}, there, results)
        copied.append({"run": name, **result, "training": expected["training"]})
    result_files.write(results, copied)


def _settings_of(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns the settings that a result records."""
    return {
        "network": config.network.name,
        "options": settings.method_options(config),
        "evaluated_on": settings.evaluated_on(config),
        "training": settings.of_training(config),
    }


def _check_settings(
    name: str,
    expected: Mapping[str, Any],
    there: Mapping[str, Result],
    results: str | Path,
) -> None:
    """Refuses a result of the run, if there is one, that has other settings."""
    other = _differing(there[name], expected) if name in there else []
    if other:
        raise InputError(
            "`results` should be results with the same settings. Received: "
            f"{name} in {results}, which differs in {', '.join(other)}; give "
            "another folder, or remove its line."
        )


def _differing(there: Result, expected: Mapping[str, Any]) -> list[str]:
    """Returns the settings that a result differs in.

    A setting of the training that is missing in it counts as its default.
    """
    differing = [
        name
        for name, value in expected.items()
        if name != "training" and there.get(name) != value
    ]
    defaults = settings.of_training(settings.default_config())
    training = {**defaults, **there["training"]}
    return differing + [
        name
        for name, value in expected["training"].items()
        if training.get(name) != value
    ]
