"""One run, from a config to a result: the room that sees all the others."""

import statistics
from pathlib import Path
from typing import Any

import keras
import ml_collections

from mlc_tf import callbacks
from mlc_tf import data
from mlc_tf import data_checks
from mlc_tf import methods
from mlc_tf import networks
from mlc_tf import problems
from mlc_tf import run_directory
from mlc_tf import settings
from mlc_tf.augmentation import AUGMENTATIONS
from mlc_tf.errors import InputError
from mlc_tf.examples import Examples
from mlc_tf.pair_model import PairModel
from mlc_tf.problems import Problem

_EVALUATION_BATCH_SIZE = 500
# Larger inputs are evaluated in batches as they are trained in.
_SMALL_INPUT = 10_000
# Inputs that are no arrays are measured on as many.
_SAMPLE_SIZE = 10_000


def run(
    config: ml_collections.ConfigDict, workdir: str | Path, verbose: int = 1
) -> dict[str, Any]:
    """Trains as the config says, and returns the result.

    `workdir` then holds `config.json`, `versions.json`, `noise.json`,
    `metrics.jsonl`, `transition.npz`, `checkpoints/`, `tensorboard/`,
    `model.keras` (the base) and `result.json`. A run that was cut off is
    resumed from its last epoch; a finished one is not run again.

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
    problem = problems.load(config)
    training_set = _training_set(config, problem)
    steps = _steps_per_epoch(config, training_set)
    augment = _augment(config, problem)
    evaluation_size = _evaluation_batch_size(config, problem)
    base = build_base(config, problem)
    build_model(config, base, problem)  # refuses bad options now
    run_directory.claim(workdir, config)
    if problem.noise_report is not None:
        run_directory.write_json(workdir / "noise.json", problem.noise_report)
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
                min(config.clean.batch_size, len(problem.clean)),
                seed=config.seed,
                epochs=range(start, last),
                steps_per_epoch=steps,
                augment=augment,
            ),
            validation_data=problem.test.batches(evaluation_size),
            initial_epoch=start,
            epochs=last,
            steps_per_epoch=steps,
            verbose=verbose,
            callbacks=[
                callbacks.StopOnNonFiniteLoss(
                    f"Checkpoints of whole epochs are in {checkpoints.folder}; "
                    "try a lower learning rate in a new workdir."
                ),
                callbacks.CleanAccuracy(problem.clean.batches(evaluation_size)),
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


def build_base(
    config: ml_collections.ConfigDict, problem: Problem
) -> keras.Model:
    """Returns the network of a run, told what it asks of the inputs."""
    name = config.network.name
    network = networks.get(name)
    options = dict(config.network.get(name, {}))
    if network.pretrained:
        options["weights"] = config.network.weights
    if network.measure is not None:
        with data_checks.plain_errors():
            samples = (
                part.sample(_SAMPLE_SIZE)
                for part in (problem.noisy, problem.clean)
            )
            options.update(network.measure(*samples))
    return network.build(
        tuple(problem.noisy.input_spec.shape),
        len(problem.class_names),
        weight_decay=config.network.weight_decay,
        **options,
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
) -> Examples:
    if methods.get(config.method.name).merges_clean:
        return data.merge(problem.noisy, problem.clean)
    return problem.noisy


def _steps_per_epoch(
    config: ml_collections.ConfigDict,
    training_set: Examples,
) -> int:
    size = config.train.batch_size
    data_checks.check_batch_size(
        "train.batch_size", size, "noisy", len(training_set)
    )
    return config.train.steps_per_epoch or len(training_set) // size


def _augment(
    config: ml_collections.ConfigDict, problem: Problem
) -> data.Augment | None:
    name, shape = config.train.augment, problem.noisy.input_spec.shape
    if name != "none" and len(shape) != 3:
        raise InputError(
            "`train.augment` should be 'none' for inputs that are no images. "
            f"Received: {name!r}, and inputs of shape {tuple(shape)}."
        )
    return AUGMENTATIONS[name]


def _evaluation_batch_size(
    config: ml_collections.ConfigDict, problem: Problem
) -> int:
    small = problem.test.input_spec.shape.num_elements() <= _SMALL_INPUT
    return _EVALUATION_BATCH_SIZE if small else config.train.batch_size


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
        "ratio": config.noise.ratio
        if problems.has_ratio(config.noise.kind)
        else None,
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
