"""Keras callbacks that record a run: metrics, times and T."""

import json
import time
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import transitions
from mlc_tf.datasets import npz
from mlc_tf.models import prediction
from mlc_tf.run import directory
from mlc_tf.run import figures


class CleanAccuracy(keras.callbacks.Callback):
    """Adds `clean_accuracy`, the accuracy on the clean set, to the epoch logs.

    Args:
        clean: A `tf.data.Dataset` of batches `(x, class ids)`.
    """

    def __init__(self, clean: tf.data.Dataset) -> None:
        super().__init__()
        self.clean = clean

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._forward = prediction.forward_pass(self.model)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        correct = [
            np.argmax(logits, axis=-1) == labels
            for logits, labels in prediction.logits(self._forward, self.clean)
        ]
        if logs is not None:
            logs["clean_accuracy"] = float(np.concatenate(correct).mean())


class StepTimer(keras.callbacks.Callback):
    """Adds the times of an epoch to its logs, in seconds.

    `seconds` is the duration of the whole epoch with its evaluation.
    `seconds_per_step` is the mean duration of a training step, without the
    first step, which may include tracing. An epoch of a single step has no
    `seconds_per_step`.

    Args:
        seconds: How long the resumed part of the first epoch took before the
            interruption. Defaults to 0, nothing is resumed.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self._resumed_seconds = seconds

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        self._begin = time.perf_counter() - self._resumed_seconds
        self._resumed_seconds = 0.0
        self._ends: list[float] = []
        self._last_batch = self._first_batch = 0

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        now = time.perf_counter()
        if not self._ends:
            self._ends, self._first_batch = [now, now], batch
        self._ends[1], self._last_batch = now, batch

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if logs is None:
            return
        logs["seconds"] = time.perf_counter() - self._begin
        steps = self._last_batch - self._first_batch
        first, last = self._ends or (0.0, 0.0)
        if steps:
            logs["seconds_per_step"] = (last - first) / steps


class MetricsLog(keras.callbacks.Callback):
    """Writes one JSON line per epoch, under the names of a result.

    Args:
        path: The file, `metrics.jsonl`. Its lines are kept up to
            `initial_epoch`.
        true_transition: The true T, `(classes, classes)`, rows are clean
            classes; `transition_l1` is its distance from the model's T.
            Defaults to None: `transition_l1` is null.
        normalization: Whether "rows" or "columns" of the model's T sum to 1.
            Defaults to "rows".
        initial_epoch: How many epochs are done when training starts. Defaults
            to 0.
    """

    _NAMES = {
        "val_accuracy": "test_accuracy",
        "val_loss": "test_loss",
        "accuracy": "noisy_accuracy",
    }

    def __init__(
        self,
        path: Path,
        true_transition: np.ndarray | None = None,
        normalization: str = "rows",
        initial_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.true_transition = true_transition
        self.normalization = normalization
        self.rows = read_metrics(self.path)[:initial_epoch]

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        row: dict[str, Any] = {"epoch": epoch + 1}
        for name, value in (logs or {}).items():
            row[self._NAMES.get(name, name)] = float(value)
        row["transition_l1"] = None
        matrix = getattr(self.model, "transition_matrix", None)
        if matrix is not None and self.true_transition is not None:
            row["transition_l1"] = transitions.distance(
                matrix, self.true_transition, self.normalization
            )
        self.rows.append(row)
        write_rows(self.path, self.rows)


class TransitionHistory(keras.callbacks.Callback):
    """Writes T after each epoch to an `.npz` with `learned`, `epochs`, `true`.

    `learned` is `(entries, classes, classes)`, rows are clean classes; its
    first entry is the initial T. `epochs` is `(entries,)`: `learned[i]` is the
    T after `epochs[i]` epochs.

    Args:
        path: The file. Its entries are kept up to `initial_epoch`.
        true_transition: The true T, `(classes, classes)`, rows are clean
            classes. Defaults to None, not known: the file has no `true`.
        initial_epoch: How many epochs are done when training starts. Defaults
            to 0.
    """

    def __init__(
        self,
        path: Path,
        true_transition: np.ndarray | None = None,
        initial_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.true_transition = true_transition
        self.initial_epoch = initial_epoch
        self.learned = {
            epoch: matrix
            for epoch, matrix in read_history(self.path).learned.items()
            if epoch <= initial_epoch
        }

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if not self.learned:
            self._add(self.initial_epoch)

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        self._add(epoch + 1)

    def _add(self, epochs: int) -> None:
        matrix = getattr(self.model, "transition_matrix", None)
        if matrix is None:
            return
        self.learned[epochs] = np.asarray(matrix)
        arrays: dict[str, Any] = {
            "learned": np.stack([*self.learned.values()]),
            "epochs": np.array([*self.learned]),
        }
        if self.true_transition is not None:
            arrays["true"] = self.true_transition
        directory.save_arrays(self.path, arrays)


class TransitionImages(keras.callbacks.Callback):
    """Writes a heat map of T to TensorBoard after each epoch.

    Args:
        folder: The folder of the event files.
        true_transition: The true T, `(classes, classes)`, rows are clean
            classes, drawn beside the model's T. Defaults to None, not known.
    """

    def __init__(
        self, folder: Path, true_transition: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.folder = str(folder)
        self.true_transition = true_transition

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._writer = tf.summary.create_file_writer(self.folder)

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        matrix = getattr(self.model, "transition_matrix", None)
        if matrix is None:
            return
        pixels = figures.heat_map_pixels(matrix, self.true_transition)
        with self._writer.as_default():
            tf.summary.image(
                "transition_matrix",
                pixels[np.newaxis],
                step=epoch + 1,
            )

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._writer.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a `metrics.jsonl`, one mapping per epoch.

    Args:
        path: The file. If it does not exist, there are no rows.

    Raises:
        InputError: if the file is damaged.
    """
    path = Path(path)
    if not path.exists():
        return []
    try:
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    except OSError as error:
        raise directory.damaged(path, error.strerror or str(error)) from None
    except ValueError:
        raise directory.damaged(path, "a line is not JSON") from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or row.get("epoch") != number:
            raise directory.damaged(path, f"line {number} is not of an epoch")
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a `metrics.jsonl`, one line per epoch."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    directory.write_atomically(path, text.encode())


class History(NamedTuple):
    """The content of a `transition.npz`.

    Attributes:
        learned: The T after each epoch, `(classes, classes)`, by epoch.
        true: The true T; None if it is not known.
    """

    learned: dict[int, np.ndarray]
    true: np.ndarray | None


def read_history(path: Path) -> History:
    """Returns the history of T.

    Args:
        path: A `transition.npz`. If it does not exist, nothing was learned.

    Raises:
        InputError: if the file is damaged.
    """
    path = Path(path)
    if not path.exists():
        return History({}, None)
    try:
        with np.load(path, allow_pickle=False) as archive:
            epochs, learned = archive["epochs"], archive["learned"]
            if learned.ndim != 3 or learned.dtype.kind != "f":
                raise ValueError
            by_epoch = dict(zip(epochs.tolist(), learned, strict=True))
            return History(by_epoch, archive.get("true"))
    except npz.UNREADABLE:
        raise directory.damaged(path, "it is not an archive of T") from None
