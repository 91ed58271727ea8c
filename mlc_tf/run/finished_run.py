"""Loads the config, the network, T and the result of a finished run."""

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
        workdir: The directory of the run.
        config: The configuration of the run.
        result: The content of `result.json`.
        network: The trained base, from inputs to logits `(batch, classes)`.
        transition: The T after the last epoch, `(classes, classes)`, rows are
            clean classes; its rows or its columns sum to 1. None for a method
            without a T.
    """

    workdir: Path
    config: ml_collections.ConfigDict
    result: dict[str, Any]
    network: keras.Model
    transition: np.ndarray | None

    @property
    def row_transition(self) -> np.ndarray | None:
        """T with rows that sum to 1, `(classes, classes)`, or None without T.

        A column-normalised T is converted by `transitions.to_rows`.
        """
        if self.transition is None:
            return None
        # Inferred from T: the method's options need not name the
        # normalisation.
        rows_sum_to_one = np.allclose(self.transition.sum(axis=1), 1, atol=1e-3)
        return transitions.to_rows(
            self.transition, "rows" if rows_sum_to_one else "columns"
        )


def load(workdir: str | Path) -> FinishedRun:
    """Returns the finished run in a directory.

    The network is loaded in Keras' safe mode, which executes no code from the
    file.

    Args:
        workdir: The directory of the run.

    Raises:
        InputError: if the directory has no result, or its files are missing or
            damaged.
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
        # A T of an earlier phase does not belong to the final network.
        is_final = archive["epochs"][-1] == epochs
        return archive["learned"][-1] if is_final else None
