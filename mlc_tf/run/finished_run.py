"""What a run left: its config, network and T, for those who use them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import ml_collections
import numpy as np

from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.run import directory


@dataclass(frozen=True)
class FinishedRun:
    """A run that has a result.

    Attributes:
        workdir: Its directory.
        config: Its settings.
        result: The content of its `result.json`.
        network: The trained base, from inputs to logits.
        transition: The T of its last epoch, `(classes, classes)`, rows are
            clean classes; None for a method without one.
    """

    workdir: Path
    config: ml_collections.ConfigDict
    result: dict[str, Any]
    network: keras.Model
    transition: np.ndarray | None

    @property
    def transition_of_rows(self) -> np.ndarray | None:
        """T with rows that sum to 1, whatever it was normalised by."""
        if self.transition is None:
            return None
        # Not by the options: the class of a method may have one of its own.
        of_rows = np.allclose(self.transition.sum(axis=1), 1, atol=1e-3)
        return transitions.of_rows(
            self.transition, "rows" if of_rows else "columns"
        )


def load(workdir: str | Path) -> FinishedRun:
    """Returns what the run in a directory came to.

    The network is loaded in Keras' safe mode: nothing in it is executed.

    Raises:
        InputError: if there is no finished run in the directory.
    """
    workdir = Path(workdir)
    result = directory.finished_result(workdir)
    if result is None:
        raise InputError(
            "`workdir` should be the directory of a finished run of "
            f"launch/train.py. Received: `workdir` = '{workdir}', without a "
            "result.json."
        )
    try:
        settings = json.loads((workdir / "config.json").read_text())
        network = keras.models.load_model(
            workdir / "model.keras", compile=False, safe_mode=True
        )
    except (OSError, ValueError) as error:
        raise InputError(
            "`workdir` should hold config.json and model.keras as they were "
            f"written. Received: `workdir` = '{workdir}' "
            f"({' '.join(str(error).split())[:120]})."
        ) from None
    return FinishedRun(
        workdir,
        ml_collections.ConfigDict(settings),
        result,
        network,
        _last_transition(workdir / "transition.npz", result["epochs"]),
    )


def _last_transition(path: Path, epochs: int) -> np.ndarray | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as archive:
        # One of a phase before the last tells nothing of the network.
        last = archive["epochs"][-1] == epochs
        return archive["learned"][-1] if last else None
