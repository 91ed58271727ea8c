"""Loads the config, the network, T and the result of a finished run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import ml_collections
import numpy as np

from mlc_tf import networks
from mlc_tf import transitions
from mlc_tf.datasets import columns
from mlc_tf.datasets.columns import Column
from mlc_tf.errors import InputError
from mlc_tf.run import callbacks
from mlc_tf.run import data_identity
from mlc_tf.run import directory
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run.problems import Problem


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
        columns: The columns of the table from which the inputs were made.
            Defaults to `()`: the inputs come from no table.
    """

    workdir: Path
    config: ml_collections.ConfigDict
    result: dict[str, Any]
    network: keras.Model
    transition: np.ndarray | None
    columns: tuple[Column, ...] = ()

    @property
    def row_transition(self) -> np.ndarray | None:
        """T with rows that sum to 1, `(classes, classes)`, or None without T.

        A column-normalised T is converted by `transitions.to_rows`.
        """
        return None if self.transition is None else as_rows(self.transition)


def as_rows(transition: np.ndarray) -> np.ndarray:
    """Returns a T whose rows sum to 1.

    Args:
        transition: T, `(classes, classes)`, rows are clean classes; its rows or
            its columns sum to 1.
    """
    # Inferred from T: the method's options need not name the normalisation.
    rows_sum_to_one = np.allclose(transition.sum(axis=1), 1, atol=1e-3)
    return transitions.to_rows(
        transition, "rows" if rows_sum_to_one else "columns"
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
    directory.check_seal(workdir)
    config = config_of(workdir)
    if not {"epochs", "method", "test_accuracy"} <= result.keys():
        raise directory.damaged(workdir / "result.json", "it lacks entries")
    networks.register_layers(config.network.name)
    try:
        network = keras.models.load_model(
            workdir / "model.keras", compile=False, safe_mode=True
        )
    # Keras raises many errors for a file that it did not write.
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise directory.damaged(workdir / "model.keras", reason) from None
    # A T of an earlier phase does not belong to the final network.
    history = callbacks.read_history(workdir / "transition.npz")
    return FinishedRun(
        workdir,
        config,
        result,
        network,
        history.learned.get(result["epochs"]),
        _columns(workdir / "columns.json"),
    )


def _columns(path: Path) -> tuple[Column, ...]:
    if not path.exists():
        return ()
    try:
        return columns.from_json(directory.read_json(path)["columns"])
    except (KeyError, TypeError):
        raise directory.damaged(path, "it lacks entries") from None


def config_of(workdir: Path) -> ml_collections.ConfigDict:
    """Returns the config of a run, with defaults for newer settings.

    Args:
        workdir: The directory of the run, which need not be finished.

    Raises:
        InputError: if `config.json` is missing or damaged.
    """
    path = workdir / "config.json"
    config, given = settings.default_config(), directory.read_json(path)
    if {"seed", "dataset", "noise", "method"} - given.keys():
        raise directory.damaged(path, "it lacks entries")
    with config.unlocked():
        config.update(given)
    return config


def data_of(run: FinishedRun) -> tuple[Problem, np.ndarray | None]:
    """Returns the data of a run, and the true labels of its noisy examples.

    Args:
        run: The finished run.

    Returns:
        As `problems.load_with_truth`.

    Raises:
        InputError: if the data cannot be read, or are not what the run was
            trained on.
    """
    problem, true_labels = problems.load_with_truth(run.config)
    data_identity.check(run.workdir, problem)
    return problem, true_labels
