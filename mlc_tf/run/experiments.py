"""Trains a batch of runs, each in its own process, and skips finished runs.

The results go to one result file, the source of tables and figures.
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

# Each run is forked from a process that has only imported TensorFlow, since the
# import takes longer than a small run.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["mlc_tf.run.training"])


def run_all(
    configs: Mapping[str, ml_collections.ConfigDict],
    runs: str | Path,
    results: str | Path,
    jobs: int = 1,
) -> list[str]:
    """Runs each config, and copies its result to the result file.

    Interrupted runs resume. Results of finished runs are copied to `results`,
    unless the file already has them, as in a fresh clone. If the loss of a run
    diverges, or if a run is rejected, this function reports the run and
    continues with the others. If the first run to end is rejected, no other run
    starts.

    Args:
        configs: Configs for `training.run` by the names of the runs. These are
            the names in `results`, and the paths of the directories in `runs`.
        runs: The folder of the runs' directories.
        results: The result file, as `results.read` reads it.
        jobs: The number of runs at the same time. Defaults to 1.

    Returns:
        The names of the runs that diverged.

    Raises:
        InputError: before the first run, as `check`; or after the last run, as
            `training.run` for the first rejected run.
        InterruptedRunError: as `training.run`, or if this process receives
            SIGTERM or SIGINT. The current runs then save their state.
    """
    if not isinstance(jobs, int) or jobs < 1:
        raise bad_argument("jobs", "an integer >= 1", jobs)
    runs, results = Path(runs), Path(results)
    check(configs, runs, results)
    recorded = result_files.read(results)
    finished, num_recorded, missing = [], 0, []
    for name, config in configs.items():
        if directory.finished_result(runs / name) is not None:
            finished.append(name)
        elif is_done(name, config, runs, recorded):
            num_recorded += 1
        else:
            missing.append(name)
    _copy(finished, configs, runs, results)
    if num_recorded:
        print(f"{num_recorded} results are in '{results}' already.", flush=True)
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
    """Checks all configs, and all existing runs and results of these names.

    Args:
        configs: As `run_all` takes them.
        runs: The folder of the runs' directories.
        results: The result file.

    Raises:
        InputError: as `settings.check` for any config, or if a directory or a
            result of the same name has other settings.
    """
    recorded = result_files.read(results)
    for name, config in configs.items():
        settings.check(config)
        directory.check(Path(runs) / name, config)
        _check_settings(name, _settings_of(config), recorded, results)


def is_done(
    name: str,
    config: ml_collections.ConfigDict,
    runs: str | Path,
    recorded: Mapping[str, Result],
) -> bool:
    """Returns whether a run is finished, or has a result with its settings.

    Args:
        name: The name of the run.
        config: The config of the run.
        runs: The folder of the runs' directories.
        recorded: The results, as `results.read` returns them.
    """
    if directory.finished_result(Path(runs) / name) is not None:
        return True
    return name in recorded and not _differing(
        recorded[name], _settings_of(config)
    )


def seconds_before(
    config: ml_collections.ConfigDict, results: Iterable[Result]
) -> float | None:
    """Returns the median duration of similar runs in seconds, or None.

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
    """Prints a line for each run that ends, with the remaining time."""

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

    Each run has its own process, since TensorFlow does not free its memory, and
    a run should not depend on earlier runs. When a run fails, or when this
    process receives a signal to end, no other run starts, and the current runs
    save their state. When a run is rejected before any run has finished, no
    other run starts unless a current run finishes, since all runs may be
    rejected.
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
    """Starts a run; returns the connection for its answer, and its process."""
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    # A process cannot be sent the references between settings.
    config = config.copy_and_resolve_references()
    process = _PROCESSES.Process(target=_run, args=(sender, config, workdir))
    with _interrupts_ignored():
        process.start()
    sender.close()  # so that the end of the process closes the pipe
    return receiver, process


def _terminate(running: Mapping[Any, tuple[str, Any, float]]) -> None:
    for _, process, _ in running.values():
        process.terminate()


def _run(answer: Any, config: ml_collections.ConfigDict, workdir: Path) -> None:
    try:
        answer.send(training.run(config, workdir, verbose=0))
    except (InputError, DivergedError, InterruptedRunError) as error:
        answer.send(error)


def _received(answer: Any, process: Any, name: str) -> Any:
    """Returns the result of a run, or an error if its process sent none."""
    try:
        outcome = answer.recv()
    except EOFError:
        outcome = None
    process.join()
    return outcome or InterruptedRunError(
        f"The run {name} ended with status {process.exitcode} before its "
        "result. Repeat the command to resume the run."
    )


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Makes a new process ignore Ctrl-C until it sets its own handler.

    A terminal sends Ctrl-C to all processes, and a process that is still
    importing TensorFlow would end with a traceback.
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
    """Copies results of finished runs to the result file, with their settings.

    The directory of a run has no settings in its result, but the whole config.

    Raises:
        InputError: if the file has a result of a run with other settings.
    """
    if not names:
        return
    recorded, copied = result_files.read(results), []
    for name in names:
        result = directory.finished_result(runs / name) or {}
        expected = _settings_of(configs[name])
        length = {key: result.get(key) for key in ("epochs", "train_steps")}
        _check_settings(name, {**expected, **length}, recorded, results)
        copied.append({"run": name, **result, "training": expected["training"]})
    result_files.write(results, copied)


def _settings_of(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns the settings that a result records."""
    return {
        "network": config.network.name,
        "options": settings.method_options(config),
        "training": settings.of_training(config),
    }


def _check_settings(
    name: str,
    expected: Mapping[str, Any],
    recorded: Mapping[str, Result],
    results: str | Path,
) -> None:
    """Raises an error if the run has a result with other settings."""
    differing = _differing(recorded[name], expected) if name in recorded else []
    if differing:
        raise InputError(
            "`results` should be results with the same settings. Received: "
            f"{name} in {results}, which differs in {', '.join(differing)}; "
            "give another folder, or remove this line."
        )


def _differing(recorded: Result, expected: Mapping[str, Any]) -> list[str]:
    """Returns the names of the settings in which a result differs.

    A training setting that the result does not record counts as the default.
    """
    differing = [
        name
        for name, value in expected.items()
        if name != "training" and recorded.get(name) != value
    ]
    defaults = settings.of_training(settings.default_config())
    training = {**defaults, **recorded["training"]}
    return differing + [
        name
        for name, value in expected["training"].items()
        if training.get(name) != value
    ]
