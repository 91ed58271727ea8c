"""Records a run in MLflow or in Weights & Biases, by their Keras callbacks."""

import hashlib
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import ml_collections

from mlc_tf import distribution
from mlc_tf.errors import InputError
from mlc_tf.errors import first_line
from mlc_tf.errors import import_optional
from mlc_tf.run import directory

_MODULES = {
    "mlflow": ("mlflow", "mlflow.keras"),
    "wandb": ("wandb", "wandb.integration.keras"),
}
TRACKERS = ("none", *_MODULES)
_MLFLOW_TAG = "mlc_tf.run"
Callbacks = Sequence[keras.callbacks.Callback]


def modules(tracker: str) -> list[Any]:
    """Returns the library of a tracker, and its module for Keras.

    Args:
        tracker: A name in `TRACKERS`; "none" has no modules.

    Raises:
        InputError: if the library is not installed.
    """
    names = _MODULES.get(tracker, ())
    return [import_optional(name, "trackers") for name in names]


def tracked(
    config: ml_collections.ConfigDict, workdir: Path, run: str
) -> AbstractContextManager[Callbacks]:
    """Returns a context with the callbacks that record a run in a tracker.

    A run directory has one run in the tracker, and goes on with it when it is
    resumed. The tracker gets all settings, and the metrics of each epoch. The
    environment variables of the library say where it writes
    (MLFLOW_TRACKING_URI, WANDB_MODE and so on). Of several workers, only the
    first records.

    Args:
        config: The configuration of the run. `train.tracker` names the tracker,
            one of `TRACKERS`.
        workdir: The directory of the run, in which W&B keeps its files.
        run: The digest of the run, as `directory.run_digest` returns it.

    Raises:
        InputError: if the library is not installed, or cannot start the run.
    """
    if config.train.tracker == "none" or distribution.worker():
        return nullcontext(())
    # Another directory is another run, even with the same config and data.
    name = f"{run} {workdir.resolve()}".encode()
    identity = hashlib.blake2b(name, digest_size=16).hexdigest()
    start = {"mlflow": _mlflow, "wandb": _wandb}[config.train.tracker]
    return start(config, workdir, identity)


@contextmanager
def _mlflow(
    config: ml_collections.ConfigDict, workdir: Path, identity: str
) -> Iterator[Callbacks]:
    mlflow, callbacks = modules("mlflow")
    callback = callbacks.MlflowCallback

    class Metrics(callback):  # type: ignore[misc, valid-type]
        """MLflow's callback, for the metrics of the epochs alone.

        It would also write the optimizer as parameters, which cannot change
        from phase to phase, and the `val_` metrics a second time.
        """

        def on_train_begin(self, logs: Any = None) -> None:
            pass

        def on_test_end(self, logs: Any = None) -> None:
            pass

    with _starting("mlflow"):
        known = mlflow.search_runs(
            filter_string=f"tags.`{_MLFLOW_TAG}` = '{identity}'",
            output_format="list",
        )
        opened = mlflow.start_run(
            run_id=known[0].info.run_id if known else None,
            run_name=directory.name_of(config),
            tags={_MLFLOW_TAG: identity, "workdir": str(workdir)},
        )
    with _ending("mlflow", opened):
        with _starting("mlflow"):
            if not (known and known[0].data.params):
                mlflow.log_params(directory.flat(config.to_dict()))
        yield [Metrics()]


@contextmanager
def _wandb(
    config: ml_collections.ConfigDict, workdir: Path, identity: str
) -> Iterator[Callbacks]:
    wandb, callbacks = modules("wandb")
    with _starting("wandb"):
        opened = wandb.init(
            id=identity,
            resume="allow",
            name=directory.name_of(config),
            dir=workdir,
            config=config.to_dict(),
        )
    with _ending("wandb", opened):
        yield [callbacks.WandbMetricsLogger()]


@contextmanager
def _starting(tracker: str) -> Iterator[None]:
    """Turns what a library raises as it starts into an `InputError`."""
    try:
        yield
    except Exception as error:
        reason = first_line(str(error))
        raise InputError(
            "`train.tracker` should name a tracker that can start (its "
            "environment variables say where it writes). Received: "
            f"`train.tracker` = {tracker!r}, which raised: {reason}"
        ) from error


@contextmanager
def _ending(
    tracker: str, opened: AbstractContextManager[Any]
) -> Iterator[None]:
    """Ends the tracker's run; the run itself does not fail with it."""
    try:
        yield
    except BaseException as error:
        _close(tracker, opened, type(error), error, error.__traceback__)
        raise
    _close(tracker, opened, None, None, None)


def _close(
    tracker: str, opened: AbstractContextManager[Any], *raised: Any
) -> None:
    try:
        opened.__exit__(*raised)
    except Exception as error:
        print(f"{tracker} could not end its run: {first_line(str(error))}")
