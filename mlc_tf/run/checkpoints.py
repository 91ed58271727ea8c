"""The state of training on disk: whole, verified when read, or not believed."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from mlc_tf import distribution
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.run import directory
from mlc_tf.run import divergence
from mlc_tf.run.termination import Termination

KEEP = 2
# Of a number, and of HDF5 around each variable.
_MOST_BYTES, _OVERHEAD = 8, 4096
_NAME = "epoch-{:05d}-step-{:08d}.weights.h5"


class Position(NamedTuple):
    """How far a run has come: whole epochs, and steps of the one after."""

    epochs: int
    steps: int = 0


class Interval(NamedTuple):
    """How often to save within an epoch: the one that is not 0, if any."""

    steps: int = 0
    seconds: int = 0

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Returns what "500 steps", "60 seconds" or "epoch" means.

        Raises:
            InputError: for another text.
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
    """Saves the state of training, and keeps the last two.

    It is that of `save_weights` (weights, T, what else a method keeps, the
    optimizer, the state of random layers) and that of the metrics. Files of
    later positions, damaged or they would have been gone on from, go too.

    Args:
        folder: The folder, made if missing.
        interval: When to save, beside the end of each epoch. Defaults to then
            only.
        termination: Tells whether the process was asked to end; it then does
            so after a step, with all that it did saved. Defaults to none.
    """

    def __init__(
        self,
        folder: Path,
        interval: Interval = Interval(),  # noqa: B008, immutable
        termination: Termination | None = None,
    ) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.interval = interval
        self.termination = termination or Termination()
        self._begin = Position(0)
        self._progress: dict[str, Any] = {}

    @property
    def advice(self) -> str:
        """What to tell a user whose training went astray."""
        return (
            f"Checkpoints from before are in {self.folder}; try a lower "
            "learning rate in a new workdir."
        )

    def latest(self) -> tuple[Position, Path | None]:
        """Returns (position, file) of the last valid one, or the begin, None.

        One whose size or checksum is not that of its saving is passed over,
        and a line printed that says so.
        """
        for file in reversed(self._files()):
            if is_whole(file):
                return _position_of(file), file
            print(f"{file} is damaged; it is passed over.", flush=True)
        return Position(0), None

    def resume_from(self, position: Position, file: Path | None) -> float:
        """Tells where `fit` begins; returns the seconds that its epoch took.

        Args:
            position: Where.
            file: The checkpoint of it, if that is within an epoch.
        """
        self._begin = position
        self._progress = _progress_of(file) if file and position.steps else {}
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
        begun = epoch == self._begin.epochs
        self._first_step = self._begin.steps if begun else 0
        self._saved_step = self._first_step
        self._epoch_began = time.monotonic()
        if begun and self._progress:
            self._epoch_began -= self._progress["seconds"]
            states = self._progress["metrics"]
            for variable, state in zip(_metric_variables(self.model), states):
                variable.assign(np.array(state))

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        steps = self._first_step + batch + 1
        if batch + 1 >= self.params["steps"]:
            return  # the end of the epoch saves
        asked, due = distribution.agreed(
            [self.termination.asked, self._is_due(steps)]
        )
        if asked or due:
            self._save(Position(self._epoch, steps))
        if asked:
            # The one who saves may be the slowest: nobody leaves before.
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
        # Not by a remainder: an execution of several steps may pass over it.
        passed = steps - self._saved_step
        return 0 < self.interval.steps <= passed

    def _save(self, position: Position) -> None:
        divergence.check_weights(self.model, self._epoch, self.advice)
        save(
            self.model,
            self.folder / _NAME.format(*position),
            seconds=time.monotonic() - self._epoch_began,
            metrics=[
                keras.ops.convert_to_numpy(variable).tolist()
                for variable in _metric_variables(self.model)
            ],
        )
        self._saved_at, self._saved_step = time.monotonic(), position.steps
        older = [f for f in self._files() if _position_of(f) <= position]
        for file in {*self._files()} - {*older[-KEEP:]}:
            file.unlink()
            _seal_of(file).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*.weights.h5"))


def save(model: keras.Model, path: Path, **progress: Any) -> None:
    """Saves a model's state, and beside it its size and checksum.

    The file gets its name only when it is whole, and its seal before that: what
    has a name and no matching seal was damaged.

    Args:
        model: The model.
        path: The file, of suffix ".weights.h5".
        **progress: What else to keep with it, as JSON takes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    try:
        _ask_for_space(part, model)
        model.save_weights(part, overwrite=True)
        seal = {**_measure(part, progress), "progress": progress}
        directory.write_json(_seal_of(path), seal)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _ask_for_space(path: Path, model: keras.Model) -> None:
    """Raises an `OSError` if there is no place for a model's state.

    HDF5 must not find that out: what it cannot write ends the process.
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
    """Returns whether a file and what is kept with it are what `save` wrote.

    Raises:
        OSError: if that cannot be told, as a disk does not answer.
    """
    try:
        seal = json.loads(_seal_of(path).read_bytes())
        progress = seal.pop("progress")
        return seal == _measure(path, progress)
    except (FileNotFoundError, ValueError, KeyError, AttributeError):
        return False


def load(model: keras.Model, path: Path) -> None:
    """Loads what `save` wrote.

    Raises:
        InputError: if the file is missing or not what was written.
    """
    if not is_whole(path):
        raise InputError(
            f"`workdir` should hold {path.name} as it was saved, from which "
            f"this run goes on. Received: '{path}', missing or damaged; start "
            "again in a new `workdir`."
        )
    model.load_weights(path)


def _position_of(file: Path) -> Position:
    return Position(*(int(digits) for digits in re.findall(r"\d+", file.stem)))


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _progress_of(path: Path) -> dict[str, Any]:
    return json.loads(_seal_of(path).read_text())["progress"]


def _measure(path: Path, progress: dict[str, Any]) -> dict[str, Any]:
    with open(path, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256")
    checksum.update(json.dumps(progress, sort_keys=True).encode())
    return {"size": path.stat().st_size, "sha256": checksum.hexdigest()}


def _metric_variables(model: keras.Model) -> list[keras.Variable]:
    return [v for metric in model.metrics for v in metric.variables]
