"""One run, from a config to a result: the room that sees all the others."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import ml_collections
import numpy as np

from mlc_tf import callbacks
from mlc_tf import data
from mlc_tf import data_checks
from mlc_tf import datasets
from mlc_tf import methods
from mlc_tf import networks
from mlc_tf import noise
from mlc_tf import run_directory
from mlc_tf import settings
from mlc_tf.errors import InputError
from mlc_tf.pair_model import PairModel

EVALUATION_BATCH_SIZE = 500


@dataclass(frozen=True)
class Problem:
    """What a run learns from. True labels of noisy examples are not in it.

    Attributes:
        noisy: `(x, labels)`, the training set as it is given.
        clean: `(x, labels)`, the trusted set.
        test: `(x, labels)`, or the validation set in its place.
        class_names: One name per class.
        true_transition: The T behind the injected noise, `(classes, classes)`,
            rows are clean classes; None where the noise is real.
        empirical_transition: The T that the injected labels show.
    """

    noisy: tuple[np.ndarray, np.ndarray]
    clean: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    class_names: tuple[str, ...]
    true_transition: np.ndarray | None = None
    empirical_transition: np.ndarray | None = None


def run(
    config: ml_collections.ConfigDict, workdir: str | Path, verbose: int = 1
) -> dict[str, Any]:
    """Trains as the config says, and returns the result.

    `workdir` then holds `config.json`, `versions.json`, `metrics.jsonl`,
    `transition.npz`, `checkpoints/`, `tensorboard/`, `model.keras` (the base)
    and `result.json`. A run that was cut off is resumed from its last epoch; a
    finished one is not run again.

    Args:
        config: As `settings.default_config` returns it.
        workdir: The run's own directory.
        verbose: As in `keras.Model.fit`. Defaults to 1, a progress bar.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: for a bad setting or bad data, or if `workdir` belongs to a
            run with another config.
        DivergedError: if the loss becomes NaN or infinite.
    """
    workdir = Path(workdir)
    run_directory.check(workdir, config)
    finished = run_directory.finished_result(workdir)
    if finished is not None:
        return finished
    settings.check(config)
    keras.config.set_dtype_policy(config.train.dtype)
    keras.utils.set_random_seed(config.seed)
    problem = load_problem(config)
    training_set = _training_set(config, problem)
    steps = _steps_per_epoch(config, training_set)
    base = build_base(config, problem)
    build_model(config, base, problem)  # refuses bad options now
    run_directory.claim(workdir, config)
    checkpoints = callbacks.EpochCheckpoint(workdir / "checkpoints")
    done, checkpoint = checkpoints.latest()
    warmup, total = config.train.warmup_epochs, config.train.epochs
    metrics: list[dict[str, Any]] = callbacks.read_metrics(
        workdir / "metrics.jsonl"
    )
    for first, last in ((0, warmup), (warmup, total)):
        if last < done or first == last:
            continue
        model = build_model(config, base, problem, warmup=last <= warmup)
        _compile(config, model, steps, warmup=last <= warmup)
        if first < done:
            model.optimizer.build(model.trainable_variables)
            model.load_weights(checkpoint)
        if last == done:  # the next phase starts from these weights
            continue
        start = max(first, done)
        log = callbacks.MetricsLog(
            workdir / "metrics.jsonl",
            problem.true_transition,
            _normalization(model),
            initial_epoch=start,
        )
        model.fit(
            data.pair(
                training_set,
                problem.clean,
                config.train.batch_size,
                min(config.clean.batch_size, len(problem.clean[1])),
                seed=config.seed,
                epochs=range(start, last),
            ),
            validation_data=problem.test,
            validation_batch_size=EVALUATION_BATCH_SIZE,
            initial_epoch=start,
            epochs=last,
            steps_per_epoch=steps,
            verbose=verbose,
            callbacks=[
                callbacks.StopOnNonFiniteLoss(
                    f"Checkpoints of whole epochs are in {checkpoints.folder}; "
                    "try a lower learning rate in a new workdir."
                ),
                callbacks.CleanAccuracy(*problem.clean),
                callbacks.StepTimer(),
                log,
                callbacks.TransitionHistory(
                    workdir / "transition.npz", problem.true_transition, start
                ),
                keras.callbacks.TensorBoard(
                    workdir / "tensorboard", write_graph=False
                ),
                callbacks.TransitionImages(
                    workdir / "tensorboard" / "train", problem.true_transition
                ),
                checkpoints,
            ],
        )
        metrics = log.rows
    base.save(workdir / "model.keras")
    result = _result(config, metrics, steps)
    run_directory.write_json(workdir / "result.json", result)
    return result


def load_problem(config: ml_collections.ConfigDict) -> Problem:
    """Returns the data of a run: splits, clean set drawn, noise injected."""
    splits = datasets.load(config.dataset.name, config.dataset.data_dir or None)
    if config.noise.kind == "none" and config.dataset.validation:
        raise InputError(
            "`dataset.validation` should be 0 where the training labels are "
            "noisy as they come: accuracy would be measured on them. Received: "
            f"`dataset.validation` = {config.dataset.validation}."
        )
    if config.noise.kind != "none" and splits.x_clean is not None:
        raise InputError(
            "`noise.kind` should be 'none' for a dataset that brings a clean "
            "set of its own: its labels are noisy as they come. Received: "
            f"`noise.kind` = {config.noise.kind!r}."
        )
    if config.dataset.validation:
        splits = splits.hold_out(config.dataset.validation, config.seed)
    if splits.x_clean is None:
        if config.noise.kind == "none":
            raise InputError(
                "A dataset whose labels are noisy as they come should bring a "
                "clean set of its own. Received: "
                f"`dataset.name` = {config.dataset.name!r} without one."
            )
        splits = splits.draw_clean(config.clean.per_class, config.seed)
    corruption = None
    labels = splits.y_train
    if config.noise.kind != "none":
        corruption = noise.corrupt(
            splits.y_train,
            config.noise.kind,
            config.noise.ratio,
            config.seed,
            config.noise.mode,
            num_classes=splits.num_classes,
        )
        labels = corruption.labels
    return Problem(
        noisy=(splits.x_train, labels),
        clean=splits.clean,
        test=(splits.x_test, splits.y_test),
        class_names=splits.class_names,
        true_transition=corruption.expected if corruption else None,
        empirical_transition=corruption.empirical if corruption else None,
    )


def build_base(
    config: ml_collections.ConfigDict, problem: Problem
) -> keras.Model:
    """Returns the network of a run, its inputs standardised per channel."""
    x = problem.noisy[0]
    axes = tuple(range(x.ndim - 1))
    mean = np.mean(x, axis=axes, dtype=np.float64)
    variance = np.var(x, axis=axes, dtype=np.float64)
    if not np.all(variance > 0):
        # A constant channel carries nothing; it becomes 0, not 0 / 0.
        variance = np.where(variance > 0, variance, 1.0)
    name = config.network.name
    return networks.get(name)(
        x.shape[1:],
        len(problem.class_names),
        mean=mean.tolist(),
        variance=variance.tolist(),
        weight_decay=config.network.weight_decay,
        **config.network.get(name, {}),
    )


def build_model(
    config: ml_collections.ConfigDict,
    base: keras.Model,
    problem: Problem,
    *,
    warmup: bool = False,
) -> PairModel:
    """Returns the method of a run, or that of its warm-up, around `base`."""
    if warmup:
        return methods.get("cross_entropy").model(base)
    name = config.method.name
    method = methods.get(name)
    options = dict(config.method.get(name, {}))
    if method.needs_true_transition:
        if problem.true_transition is None:
            raise InputError(
                f"`method` = {name!r} should be run with injected noise, whose "
                "true T it is told. Received: `noise.kind` = 'none'."
            )
        options["transition"] = problem.true_transition
    return method.model(base, **options)


def _compile(
    config: ml_collections.ConfigDict,
    model: PairModel,
    steps_per_epoch: int,
    warmup: bool,
) -> None:
    optimizer, train = config.optimizer, config.train
    epochs = (
        train.warmup_epochs if warmup else train.epochs - train.warmup_epochs
    )
    rate = train.warmup_learning_rate if warmup else optimizer.learning_rate
    if not warmup and methods.get(config.method.name).sums_loss:
        rate /= train.batch_size
    if optimizer.schedule == "cosine" and not warmup:
        rate = keras.optimizers.schedules.CosineDecay(
            rate, epochs * steps_per_epoch
        )
    options = (
        {"momentum": optimizer.momentum} if optimizer.name == "sgd" else {}
    )
    model.compile(
        settings.OPTIMIZERS[optimizer.name](rate, **options),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=train.jit_compile,
        steps_per_execution=train.steps_per_execution,
    )


def _training_set(
    config: ml_collections.ConfigDict, problem: Problem
) -> tuple[np.ndarray, np.ndarray]:
    if methods.get(config.method.name).merges_clean:
        return data.merge(problem.noisy, problem.clean)
    return problem.noisy


def _steps_per_epoch(
    config: ml_collections.ConfigDict,
    training_set: tuple[np.ndarray, np.ndarray],
) -> int:
    size = config.train.batch_size
    data_checks.check_batch_size(
        "train.batch_size", size, "noisy", len(training_set[1])
    )
    return len(training_set[1]) // size


def _normalization(model: PairModel) -> str:
    return getattr(model, "normalization", "rows")


def _result(
    config: ml_collections.ConfigDict,
    metrics: list[dict[str, Any]],
    steps_per_epoch: int,
) -> dict[str, Any]:
    last = metrics[-1]
    # The later epoch among equals: the clean set is small and ties.
    chosen = max(metrics, key=lambda row: (row["clean_accuracy"], row["epoch"]))
    timed = [
        row["seconds_per_step"] for row in metrics if "seconds_per_step" in row
    ]
    method = methods.get(config.method.name)
    return {
        "dataset": config.dataset.name,
        "method": config.method.name,
        "noise": config.noise.kind,
        "ratio": config.noise.ratio if config.noise.kind != "none" else None,
        "seed": config.seed,
        "network": config.network.name,
        "options": dict(config.method.get(config.method.name, {})),
        "evaluated_on": "validation" if config.dataset.validation else "test",
        "oracle": method.needs_true_transition,
        "epochs": last["epoch"],
        "train_steps": last["epoch"] * steps_per_epoch,
        "test_accuracy": last["test_accuracy"],
        "best_clean_accuracy_test_accuracy": chosen["test_accuracy"],
        "best_test_accuracy": max(row["test_accuracy"] for row in metrics),
        "transition_l1": last["transition_l1"],
        "seconds": round(sum(row["seconds"] for row in metrics), 3),
        "seconds_per_step": statistics.median(timed) if timed else None,
    }
