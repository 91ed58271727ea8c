"""Several runs: in processes of their own, and those that are done not again.

Each ends in a result file of its own under a folder of results, from which
tables and figures are made.
"""

import json
import multiprocessing
import signal
import statistics
import threading
import time
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
from mlc_tf.errors import writable_or_error
from mlc_tf.run import directory
from mlc_tf.run import settings
from mlc_tf.run import training
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
    """Runs each config, and copies its result to the folder of results.

    One that was cut off goes on; one that is done is only copied, and not even
    that if the folder has its result, as a fresh clone does: another folder of
    results has it run anew. One whose loss diverges is told of, and the others
    go on; so too where one is refused, as for what its method should be told,
    unless none has come to an end before.

    Args:
        configs: As `training.run` takes them, by the names that the runs'
            directories have in `runs` and their results in `results`.
        runs: The folder of the runs' directories.
        results: The folder of the results.
        jobs: Runs at a time. Defaults to 1.

    Returns:
        The names of the runs that diverged.

    Raises:
        InputError: as `settings.check` of any config, or if the results hold
            one of other settings: before the first run; or as `training.run`,
            after the last one.
        InterruptedRunError: as `training.run`, or if this process is asked to
            end by SIGTERM or SIGINT: then runs under way save their state.
    """
    if not isinstance(jobs, int) or jobs < 1:
        raise bad_argument("jobs", "an integer >= 1", jobs)
    runs, results = Path(runs), Path(results)
    check(configs, runs, results)
    missing, there = [], 0
    for name, config in configs.items():
        if directory.finished_result(runs / name) is not None:
            _copy(name, config, runs, results)
        elif is_done(name, config, runs, results):
            there += 1
        else:
            missing.append(name)
    if there:
        print(f"{there} results are in '{results}' already.", flush=True)
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
            _copy(name, configs[name], runs, results)
            progress.tell(name, seconds, outcome["test_accuracy"])
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
        configs: As in `do`.
        runs: As in `do`.
        results: As in `do`.

    Raises:
        InputError: as `settings.check` of any config, or if a directory or a
            result is of other settings.
    """
    for name, config in configs.items():
        settings.check(config)
        directory.check(Path(runs) / name, config)
        _check_settings(Path(results) / f"{name}.json", _settings_of(config))


def is_done(
    name: str,
    config: ml_collections.ConfigDict,
    runs: str | Path,
    results: str | Path,
) -> bool:
    """Returns whether a run is finished, or has a result of these settings.

    Args:
        name: Of the run.
        config: Its config.
        runs: As in `do`.
        results: As in `do`.
    """
    if directory.finished_result(Path(runs) / name) is not None:
        return True
    path = Path(results) / f"{name}.json"
    if not path.exists():
        return False
    there, expected = json.loads(path.read_text()), _settings_of(config)
    # Older ones do not tell how they were trained.
    return "training" in there and not _differing(there, expected)


def seconds_before(
    config: ml_collections.ConfigDict, results: Sequence[dict[str, Any]]
) -> float | None:
    """Returns the seconds that runs like one took, the median; None of none.

    Args:
        config: Of the run.
        results: Those of runs that are done; like it are those of its dataset,
            network, method, batch size and epochs.
    """
    names = (config.dataset.name, config.network.name, config.method.name)
    length = ("train.batch_size", "train.epochs", "train.steps_per_epoch")
    own = settings.of_training(config)
    like = [
        result["seconds"]
        for result in results
        if (result["dataset"], result["network"], result["method"]) == names
        and all(
            result.get("training", {}).get(name) == own[name] for name in length
        )
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


def _outcomes(
    tasks: Mapping[str, tuple[ml_collections.ConfigDict, Path]],
    jobs: int,
    any_done: bool,
) -> Iterator[tuple[str, float, Any]]:
    """Yields (name, seconds, result or what refused it) as runs end.

    A process a run: TensorFlow returns no memory, and a run should not depend
    on those before it. When one fails, or this process is asked to end, no
    other begins, and those under way save their state. When one is refused
    before any is done, no other begins unless one that is under way comes to an
    end: else all may be refused.
    """
    waiting = list(tasks)
    running: dict[Any, tuple[str, Any, float]] = {}
    failure: Exception | None = None
    told = False
    doubted: list[tuple[str, float, Any]] = []
    with Termination(with_others=True).listening() as termination:
        try:
            while running or (
                waiting and not (failure or doubted or termination.asked)
            ):
                if failure or termination.asked:
                    if not told:
                        print(f"Ending {len(running)} runs.", flush=True)
                        _terminate(running)
                    told = True
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
    """Returns what a run came to; of one that says nothing, an error."""
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
    """Lets a process that is started ignore Ctrl-C, until it listens itself.

    A terminal sends it to all; in its imports it would end with a traceback.
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
    name: str, config: ml_collections.ConfigDict, runs: Path, results: Path
) -> None:
    """Copies a result, with how it was trained; not over one of other settings.

    A run's own directory has its config instead.
    """
    copy = results / f"{name}.json"
    result = json.loads((runs / name / "result.json").read_text())
    known = {key: result.get(key) for key in ("epochs", "train_steps")}
    _check_settings(copy, {**_settings_of(config), **known})
    with writable_or_error("results", results):
        copy.parent.mkdir(parents=True, exist_ok=True)
        training_settings = settings.of_training(config)
        directory.write_json(copy, {**result, "training": training_settings})


def _settings_of(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns what a result tells of the settings that it was made with."""
    return {
        "network": config.network.name,
        "options": settings.method_options(config),
        "evaluated_on": settings.evaluated_on(config),
        "training": settings.of_training(config),
    }


def _check_settings(path: Path, expected: Mapping[str, Any]) -> None:
    """Refuses a result file, if it is there, of other settings."""
    if not path.exists():
        return
    other = _differing(json.loads(path.read_text()), expected)
    if other:
        raise InputError(
            "`results` should be a folder of results with the same settings. "
            f"Received: {path}, which differs in {', '.join(other)}; give "
            "another folder, or remove it."
        )


def _differing(
    there: Mapping[str, Any], expected: Mapping[str, Any]
) -> list[str]:
    """Returns the settings that a result differs in.

    One of the training that it does not tell of came later, and had its
    default then.
    """
    differing = [
        name
        for name, value in expected.items()
        if name != "training" and there.get(name) != value
    ]
    if "training" in there:  # not yet told of by the oldest
        defaults = settings.of_training(settings.default_config())
        training = {**defaults, **there["training"]}
        differing += [
            name
            for name, value in expected["training"].items()
            if training.get(name) != value
        ]
    return differing
