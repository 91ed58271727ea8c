"""Checkpoints: the state of training on disk, verified when it is read."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from mlc_tf import distribution
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import first_line
from mlc_tf.run import callbacks
from mlc_tf.run import directory
from mlc_tf.run import divergence
from mlc_tf.run.termination import Termination

KEEP = 2
# Upper bounds in bytes: of a number, and of HDF5's overhead per variable.
_MOST_BYTES, _OVERHEAD = 8, 4096
_NAME = "epoch-{:05d}-step-{:08d}.weights.h5"
# What a seal says beside size and checksum.
_SAID = ("run", "position", "progress")
_FOREIGN = "belongs to another run"
_NAMED = re.compile(r"epoch-(\d{5,})-step-(\d{8,})\.weights\.h5")


class Position(NamedTuple):
    """How far a run has come.

    Attributes:
        epochs: The number of whole epochs.
        steps: The number of steps of the next epoch. Defaults to 0.
    """

    epochs: int
    steps: int = 0


class Interval(NamedTuple):
    """How often to save within an epoch; by default, never.

    Attributes:
        steps: Save after this many steps; 0 for an interval in seconds.
        seconds: Save after this many seconds; 0 for an interval in steps.
    """

    steps: int = 0
    seconds: int = 0

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Returns the interval that a setting names.

        Args:
            text: "N steps", "N seconds", or "epoch" to save only at the end of
                each epoch.

        Raises:
            InputError: for any other text.
        """
        if text == "epoch":
            return cls()
        parts = re.fullmatch(r"([1-9][0-9]*) (steps|seconds)", text)
        if parts is None:
            raise bad_argument(
                "train.checkpoint_every",
                "'epoch', 'N steps' or 'N seconds'",
                text,
            )
        return cls(**{parts[2]: int(parts[1])})


class Checkpoints(keras.callbacks.Callback):
    """Saves the state of training, and keeps the last two checkpoints.

    The state is what `save_weights` saves (weights, T, other state of the
    method, the optimizer, the state of random layers) and the state of the
    metrics. Each save removes older checkpoints, and checkpoints of later
    positions: these are damaged, or training would have resumed from them.
    Checkpoints of other runs stay.

    Args:
        folder: The folder of the checkpoints. It is created if missing.
        interval: How often to save within an epoch. Defaults to never: the end
            of each epoch is always saved.
        termination: Whether the process was asked to end. If so, the state is
            saved after the current step, and the run ends. Defaults to None,
            a `Termination` that nothing asks to end.
        run: The digest of the run, `directory.run_digest`. Checkpoints of other
            runs are skipped. Defaults to None, any run.

    Attributes:
        rows: The rows of `metrics.jsonl` so far, which are saved too.
        learned: The history of T so far, by epoch, whose digest is saved.
    """

    def __init__(
        self,
        folder: Path,
        interval: Interval = Interval(),  # noqa: B008, immutable
        termination: Termination | None = None,
        run: str | None = None,
    ) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.run = run
        self.rows: list[dict[str, Any]] = []
        self.learned: dict[int, np.ndarray] = {}
        self.interval = interval
        self.termination = termination or Termination()
        self._start = Position(0)
        self._foreign: set[Path] = set()  # never removed
        self._progress: dict[str, Any] = {}

    @property
    def advice(self) -> str:
        """The advice to a user whose training diverged, for error messages."""
        return (
            f"Earlier checkpoints are in {self.folder}; try a lower learning "
            "rate in a new workdir."
        )

    def latest(self) -> tuple[Position, Path | None]:
        """Returns the position and the file of the last valid checkpoint.

        A checkpoint is skipped with a printed line if its size or checksum is
        wrong, or if it belongs to another run or position. Without a
        valid checkpoint, the position is the start of the run and the file is
        None.

        Raises:
            OSError: if the disk does not answer.
        """
        for file in reversed(self._files()):
            fault = _fault(file, self.run, _position(file))
            if not fault:
                return _position(file), file
            print(f"{file} {fault}; it is skipped.", flush=True)
            if fault == _FOREIGN:
                self._foreign.add(file)
        return Position(0), None

    def restore(self, file: Path, metrics: Path, history: Path) -> None:
        """Restores the records of the epochs before a checkpoint.

        `metrics.jsonl` gets the rows that the checkpoint has. The history of T
        is kept if it has not changed; otherwise it starts again. A printed line
        reports each change.

        Args:
            file: The checkpoint.
            metrics: The file `metrics.jsonl`.
            history: The file `transition.npz`.
        """
        progress = _progress(file)
        if "rows" not in progress:  # an older version wrote it
            return
        rows = progress["rows"]
        if _or(callbacks.read_metrics, metrics, [])[: len(rows)] != rows:
            print(f"{metrics} is written again from {file.name}.", flush=True)
            callbacks.write_rows(metrics, rows)
        nothing = callbacks.History({}, None)
        learned, _ = _or(callbacks.read_history, history, nothing)
        epochs = _position(file).epochs
        if _history_digest(learned, epochs) != progress["history"]:
            print(
                f"{history} is not as {file.name} knows it; the history of T "
                f"starts again after epoch {epochs}.",
                flush=True,
            )
            history.unlink(missing_ok=True)

    def resume_from(self, position: Position, file: Path | None) -> float:
        """Sets the position from which the next `fit` trains.

        Args:
            position: Where training resumes.
            file: The checkpoint of that position. It is used within an epoch
                only, and may be None at the start of an epoch.

        Returns:
            How many seconds the steps of the epoch before `position` took; 0
            at the start of an epoch.
        """
        self._start = position
        self._progress = _progress(file) if file and position.steps else {}
        return self._progress.get("seconds", 0.0)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.termination.deferred = True
        self._saved_at = time.monotonic()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.termination.deferred = self.termination.with_others

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        self._epoch = epoch
        resumed = epoch == self._start.epochs
        self._first_step = self._start.steps if resumed else 0
        self._saved_step = self._first_step
        self._epoch_began = time.monotonic()
        if resumed and self._progress:
            self._epoch_began -= self._progress["seconds"]
            states = self._progress["metrics"]
            for variable, state in zip(_metric_variables(self.model), states):
                variable.assign(np.array(state))

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        steps = self._first_step + batch + 1
        if batch + 1 >= self.params["steps"]:
            return  # `on_epoch_end` saves
        asked, due = distribution.agreed(
            [self.termination.asked, self._is_due(steps)]
        )
        if asked or due:
            self._save(Position(self._epoch, steps))
        if asked:
            # No worker ends before the slowest worker has saved.
            distribution.barrier()
            self.termination.end(saved=True)

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        self._save(Position(epoch + 1))
        (asked,) = distribution.agreed([self.termination.asked])
        if asked:
            self.termination.end(saved=True)

    def _is_due(self, steps: int) -> bool:
        if self.interval.seconds:
            return time.monotonic() - self._saved_at >= self.interval.seconds
        # Not `steps % interval == 0`: with several steps per execution, this
        # method does not see every step.
        steps_since_save = steps - self._saved_step
        return 0 < self.interval.steps <= steps_since_save

    def _save(self, position: Position) -> None:
        divergence.check_weights(self.model, self._epoch, self.advice)
        save(
            self.model,
            self.folder / _NAME.format(*position),
            self.run,
            position,
            rows=self.rows[: position.epochs],
            history=_history_digest(self.learned, position.epochs),
            seconds=time.monotonic() - self._epoch_began,
            metrics=[
                keras.ops.convert_to_numpy(variable).tolist()
                for variable in _metric_variables(self.model)
            ],
        )
        self._saved_at, self._saved_step = time.monotonic(), position.steps
        files = [file for file in self._files() if file not in self._foreign]
        not_later = [file for file in files if _position(file) <= position]
        for file in {*files} - {*not_later[-KEEP:]}:
            file.unlink()
            _seal(file).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        # A user may keep copies of checkpoints beside them, by other names.
        return sorted(
            file
            for file in self.folder.glob("epoch-*.weights.h5")
            if _NAMED.fullmatch(file.name)
        )


def save(
    model: keras.Model,
    path: Path,
    run: str | None = None,
    position: Position | None = None,
    **progress: Any,
) -> None:
    """Saves a model's state, and a seal: a JSON file with size and checksum.

    The state is written under a temporary name, then its seal is written, then
    the file gets its name. So a file without a matching seal is damaged.

    Args:
        model: The model; its optimizer is saved too, if it has one.
        path: The file, with the suffix ".weights.h5".
        run: The digest of the run, which the seal contains. Defaults to None.
        position: How far the run has come, which the seal contains. Defaults to
            None.
        **progress: Further JSON values to store in the seal.

    Raises:
        OSError: if the file cannot be written, for example on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    try:
        _reserve_space(part, model)
        model.save_weights(part, overwrite=True)
        said = {"run": run, "position": position, "progress": progress}
        seal = {**_measure(part, said), **said}
        directory.write_json(_seal(path), seal)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _reserve_space(path: Path, model: keras.Model) -> None:
    """Raises an `OSError` if there is no space for a model's state.

    The space is reserved before HDF5 writes, because a failed write of HDF5
    ends the process.
    """
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer else [])]
    size = sum(math.prod(variable.shape) for variable in variables)
    size = size * _MOST_BYTES + _OVERHEAD * (1 + len(variables))
    with open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        elif shutil.disk_usage(path.parent).free < size:  # as on macOS
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def is_whole(path: Path) -> bool:
    """Returns whether a file and its seal are as `save` wrote them.

    Raises:
        OSError: if the file cannot be read, for example because the disk does
            not answer.
    """
    return not _fault(path)


def _fault(
    path: Path, run: str | None = None, position: Position | None = None
) -> str:
    """Returns what is wrong with a checkpoint; "" for nothing.

    Args:
        path: The file.
        run: The run that the checkpoint should be of; None for any run.
        position: The position that the checkpoint should have; None for any.
    """
    try:
        seal = json.loads(_seal(path).read_bytes())
        if "run" not in seal:  # an older version wrote it
            progress = seal.pop("progress")
            if run is not None and (path.parents[1] / "data.json").exists():
                return _FOREIGN  # this version began the run
            return "" if seal == _measure(path, progress) else "is damaged"
        said = {name: seal.pop(name) for name in _SAID}
        if seal != _measure(path, said):
            return "is damaged"
    except (FileNotFoundError, IsADirectoryError):
        return "is damaged"
    except (ValueError, KeyError, AttributeError, TypeError):
        return "is damaged"
    if run is not None and said["run"] != run:
        return _FOREIGN
    if position is not None and said["position"] != list(position):
        return "has the name of another checkpoint"
    return ""


def load(model: keras.Model, path: Path, run: str | None = None) -> None:
    """Loads a model's state from a file that `save` wrote.

    Args:
        model: A model with the variables of the saved model.
        path: The file, with the suffix ".weights.h5".
        run: The run that the file should be of. Defaults to None, any run.

    Raises:
        InputError: if the file is missing, damaged, of another run, or of a
            model with other variables.
    """
    fault = _fault(path, run)
    if fault:
        raise InputError(
            f"`workdir` should hold {path.name} as it was saved: this run "
            f"resumes from it. Received: '{path}', which {fault}; start "
            "again in a new `workdir`."
        )
    try:
        model.load_weights(path)
    except ValueError as error:
        raise InputError(
            "`workdir` should hold a run of this version of mlc_tf. Received: "
            f"'{path}', whose model has other variables "
            f"({first_line(str(error))}); start again in a new `workdir`."
        ) from None


def _or(read: Callable[[Path], Any], path: Path, instead: Any) -> Any:
    """Returns what a function reads from a file, or `instead` if damaged."""
    try:
        return read(path)
    except InputError:
        return instead


def _history_digest(learned: Mapping[int, np.ndarray], epochs: int) -> str:
    """Returns a digest of the history of T up to an epoch."""
    content = hashlib.sha256()
    for epoch in sorted(learned):
        if epoch <= epochs:
            content.update(str(epoch).encode())
            content.update(np.asarray(learned[epoch], np.float64).tobytes())
    return content.hexdigest()


def _position(file: Path) -> Position:
    return Position(*(int(digits) for digits in re.findall(r"\d+", file.stem)))


def _seal(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _progress(path: Path) -> dict[str, Any]:
    return json.loads(_seal(path).read_text())["progress"]


def _measure(path: Path, said: dict[str, Any]) -> dict[str, Any]:
    """Returns size and checksum of a file and of what its seal says."""
    with open(path, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256")
    checksum.update(json.dumps(said, sort_keys=True).encode())
    return {"size": path.stat().st_size, "sha256": checksum.hexdigest()}


def _metric_variables(model: keras.Model) -> list[keras.Variable]:
    return [v for metric in model.metrics for v in metric.variables]
