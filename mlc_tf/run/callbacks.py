"""What a run records as it goes, one file each."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import transitions
from mlc_tf.models import prediction
from mlc_tf.run import directory
from mlc_tf.run import figures


class CleanAccuracy(keras.callbacks.Callback):
    """Adds `clean_accuracy`, that on the clean set, to the logs of an epoch.

    Args:
        clean: A dataset of batches `(x, class ids)`.
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
    """Adds the time of an epoch to its logs.

    `seconds` is all of it, evaluation included; `seconds_per_step` is the mean
    of its training steps but the first, which may have to trace; with one step
    it is left out.

    Args:
        seconds: That the first epoch took before, if it was begun. Defaults to
            0.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self._before = seconds

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        self._begin = time.perf_counter() - self._before
        self._before = 0.0
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
        path: The file.
        true_transition: Where given, `transition_l1` is the distance of the
            model's T from it. Defaults to None.
        normalization: What the model's T is normalised by. Defaults to "rows".
        initial_epoch: Lines of this epoch and later, of a run that was cut
            off, are dropped. Defaults to 0.
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
        directory.write_atomically(
            self.path,
            "".join(json.dumps(row) + "\n" for row in self.rows).encode(),
        )


class TransitionHistory(keras.callbacks.Callback):
    """Writes T after each epoch to an `.npz`: `learned`, `epochs` and `true`.

    `learned` is `(entries, classes, classes)`, the T to start from first;
    `epochs` says after how many epochs of the run each was what it is.

    Args:
        path: The file.
        true_transition: The true T, or None where it is not known.
        initial_epoch: Entries of an existing file that are of later epochs, of
            a run that was cut off, are dropped. Defaults to 0.
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
        self.learned: dict[int, np.ndarray] = {}
        if self.path.exists():
            with np.load(self.path, allow_pickle=False) as archive:
                self.learned = {
                    int(epoch): matrix
                    for epoch, matrix in zip(
                        archive["epochs"], archive["learned"]
                    )
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
        true_transition: Drawn beside T where it is known. Defaults to None.
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
    """Returns the rows of a `metrics.jsonl`, none if there is no such file."""
    path = Path(path)
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
