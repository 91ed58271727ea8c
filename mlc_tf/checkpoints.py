"""The state of training on disk: whole, verified when read, or not believed."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from mlc_tf import run_directory
from mlc_tf.errors import InputError


class EpochCheckpoint(keras.callbacks.Callback):
    """Saves the state of training after each epoch, and keeps the last two.

    Those of later epochs, damaged or they would have been gone on from, go too.

    The state is that of `save_weights`: weights, T and the optimizer.

    Args:
        folder: The folder, made if missing.
    """

    KEEP = 2
    _NAME = "epoch-{:05d}.weights.h5"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = Path(folder)

    def latest(self) -> tuple[int, Path | None]:
        """Returns (epochs done, file) of the last valid one, or (0, None).

        One whose size or checksum is not that of its saving is passed over,
        and a line printed that says so.
        """
        for file in reversed(self._files()):
            if is_whole(file):
                return _epochs_of(file), file
            print(f"{file} is damaged; it is passed over.", flush=True)
        return 0, None

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        save(self.model, self.folder / self._NAME.format(epoch + 1))
        for file in self._files():
            if not 0 <= epoch + 1 - _epochs_of(file) < self.KEEP:
                file.unlink()
                _seal_of(file).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*.weights.h5"))


def _epochs_of(file: Path) -> int:
    return int(file.name.split("-")[1].split(".")[0])


def save(model: keras.Model, path: Path) -> None:
    """Saves a model's state, and beside it its size and checksum.

    The file gets its name only when it is whole, and its seal before that: what
    has a name and no matching seal was damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    model.save_weights(part, overwrite=True)
    run_directory.write_json(_seal_of(path), _measure(part))
    os.replace(part, path)


def is_whole(path: Path) -> bool:
    """Returns whether a file is what `save` wrote."""
    try:
        seal = json.loads(_seal_of(path).read_text())
        return seal == _measure(path)
    except (OSError, ValueError):
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


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _measure(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": checksum}
