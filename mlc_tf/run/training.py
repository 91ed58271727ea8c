"""One run, from a config to a result."""

import statistics
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import ml_collections
import numpy as np
import tensorflow as tf

from mlc_tf import data
from mlc_tf import distribution
from mlc_tf import networks
from mlc_tf.data import checks
from mlc_tf.data.augmentation import AUGMENTATIONS
from mlc_tf.data.examples import Examples
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.models.pair_model import PairModel
from mlc_tf.run import callbacks
from mlc_tf.run import checkpoints
from mlc_tf.run import directory
from mlc_tf.run import divergence
from mlc_tf.run import faults
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run.checkpoints import Position
from mlc_tf.run.problems import Problem
from mlc_tf.run.termination import Termination

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
    resumed from its last checkpoint; a finished one is not run again. Of
    several workers the first one writes it; the others only read it, at the
    begin.

    Args:
        config: As `settings.default_config` returns it.
        workdir: The run's own directory.
        verbose: As in `keras.Model.fit`. Defaults to 1, a progress bar.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: for a bad setting or bad data, or if `workdir` belongs to a
            run with another config, or to one that is under way.
        DivergedError: if the loss becomes NaN or infinite.
        InterruptedRunError: if the process is asked to end by SIGTERM or
            SIGINT, files cannot be written, or a worker is lost.
    """
    workdir = Path(workdir)
    directory.check(workdir, config)
    finished = directory.finished_result(workdir)
    if finished is not None:
        return finished
    settings.check(config)
    strategy = distribution.strategy(
        config.train.strategy, config.train.replicas
    )
    with strategy.scope(), faults.translate_faults(workdir):
        termination = Termination(distribution.has_workers())
        with termination.listening():
            return _train(config, workdir, verbose, termination)


def _train(
    config: ml_collections.ConfigDict,
    workdir: Path,
    verbose: int,
    termination: Termination,
) -> dict[str, Any]:
    keras.config.set_dtype_policy(config.train.dtype)
    keras.utils.set_random_seed(config.seed)
    problem = problems.load(config)
    for note in problem.notes:
        print(note, flush=True)
    base = build_base(config, problem)
    stages = _stages(config, problem)
    for stage in stages:
        if not stage.warmup:
            arguments = _phase_arguments(config, problem, stage)
            tried = _build(config, base, stage, arguments)
            _compile(config, tried, stage)
            tried.check_pairs(_pairs(config, problem, stage, tried))
    with _own_directory(workdir, config) as own:
        result = _Run(config, problem, own, verbose, termination).train(
            base, stages
        )
        distribution.barrier()  # before a first one leaves the others alone
    return result


def network_of(
    config: ml_collections.ConfigDict, problem: Problem
) -> tuple[keras.Model, dict[str, Any]]:
    """Trains on data at hand, and returns the network and the result.

    For data that no config names; nothing is kept on disk.

    Args:
        config: As in `run`; of the dataset and noise, only the names are used.
        problem: What is learned from.

    Raises:
        InputError: for a bad setting or bad data.
        DivergedError: if the loss becomes NaN or infinite.
    """
    settings.check(config)
    keras.config.set_dtype_policy(config.train.dtype)
    keras.utils.set_random_seed(config.seed)
    base, stages = build_base(config, problem), _stages(config, problem)
    with tempfile.TemporaryDirectory(prefix="mlc_tf-") as folder:
        run_of = _Run(
            config, problem, Path(folder), 0, Termination(), kept=False
        )
        return base, run_of.train(base, stages)


@contextmanager
def _own_directory(
    workdir: Path, config: ml_collections.ConfigDict
) -> Iterator[Path]:
    """Yields where this worker keeps its files; others' are thrown away."""
    digest = zlib.crc32(config.to_json(sort_keys=True).encode()) >> 1
    if not distribution.all_have([digest]):
        raise InputError(
            "All workers should be started with the same config. Received: "
            f"one of worker {distribution.worker()} that another does not have."
        )
    if distribution.worker() == 0:
        with directory.claimed(workdir, config):
            distribution.barrier()  # it is there to be copied
            distribution.barrier()  # and was
            yield workdir
    else:
        distribution.barrier()
        with directory.copied(workdir) as copy:
            distribution.barrier()
            yield copy


@dataclass(frozen=True)
class _Run:
    """What all stages of a run share.

    Attributes:
        config: As in `run`.
        problem: What is learned from.
        workdir: Where this worker's files are.
        verbose: As in `run`.
        termination: Whether the process was asked to end.
        kept: Whether anybody will read the directory, or go on from it.
            Defaults to True.
    """

    config: ml_collections.ConfigDict
    problem: Problem
    workdir: Path
    verbose: int
    termination: Termination
    kept: bool = True

    def train(
        self, base: keras.Model, stages: list["_Stage"]
    ) -> dict[str, Any]:
        """Trains from where the run stands to its end; returns the result."""
        config, problem, workdir = self.config, self.problem, self.workdir
        if problem.noise_report is not None:
            directory.write_json(workdir / "noise.json", problem.noise_report)
        saved = checkpoints.Checkpoints(
            workdir / "checkpoints",
            checkpoints.Interval.parse(config.train.checkpoint_every),
            self.termination,
        )
        done, checkpoint = saved.latest()
        if not distribution.all_have(done):
            raise InputError(
                "`workdir` should be one directory that all workers see. "
                f"Received: '{workdir}', with another checkpoint on another."
            )
        if checkpoint is not None:
            print(
                f"Going on from epoch {done.epochs}, step {done.steps}.",
                flush=True,
            )
        # Copies: reading a variable may give its own buffer.
        initial = [
            np.array(keras.ops.convert_to_numpy(variable))
            for variable in base.variables
        ]
        phase, model = None, None
        for stage in stages:
            if Position(stage.last) < done:
                continue
            if stage.phase is not phase:
                phase, model = stage.phase, None
                if stage.begin:
                    # What the phase is told, it is told of this network.
                    before = saved.folder / f"before-{stage.begin}.weights.h5"
                    if Position(stage.begin) == done:
                        checkpoints.save(base, before)
                    checkpoints.load(base, before)
                arguments = _phase_arguments(config, problem, stage, base)
                if phase.fresh:
                    for variable, value in zip(base.variables, initial):
                        variable.assign(value)
            # A later phase goes on after its warm-up with what it has learned.
            if model is None or not stage.begin:
                model = _build(config, base, stage, arguments)
            _compile(config, model, stage)
            if Position(stage.first) < done:
                model.optimizer.build(model.optimized_variables)
                model.load_weights(checkpoint)
            elif phase.prepare is not None and not stage.warmup:
                phase.prepare(model)
            # At its end, the next stage starts from these weights.
            start, end = max(Position(stage.first), done), Position(stage.last)
            if start.steps:
                seconds = saved.go_on_from(start, checkpoint)
                next_epoch = Position(start.epochs + 1)
                self._fit(model, stage, start, next_epoch, saved, seconds)
                start = next_epoch
            if start < end:
                saved.go_on_from(start, None)
                self._fit(model, stage, start, end, saved)
            done = end
        base.save(workdir / "model.keras")
        metrics = callbacks.read_metrics(workdir / "metrics.jsonl")
        result = _result(config, problem, metrics, stages)
        directory.write_json(workdir / "result.json", result)
        return result

    def _fit(
        self,
        model: PairModel,
        stage: "_Stage",
        start: Position,
        end: Position,
        saved: checkpoints.Checkpoints,
        seconds: float = 0.0,
    ) -> None:
        """Trains whole epochs, or the rest of one that took `seconds`."""
        config, problem, workdir = self.config, self.problem, self.workdir
        size = _evaluation_batch_size(config, problem)
        truth = problem.true_transition
        watching = [
            divergence.StopOnNonFiniteLoss(
                saved.advice if self.kept else "", start.steps
            ),
            callbacks.CleanAccuracy(problem.clean.batches(size)),
            callbacks.StepTimer(seconds),
            callbacks.MetricsLog(
                workdir / "metrics.jsonl",
                truth,
                _normalization(model),
                initial_epoch=start.epochs,
            ),
        ]
        if self.kept:
            tensorboard = workdir / "tensorboard"
            watching += [
                callbacks.TransitionHistory(
                    workdir / "transition.npz", truth, start.epochs
                ),
                keras.callbacks.TensorBoard(tensorboard, write_graph=False),
                callbacks.TransitionImages(tensorboard / "train", truth),
                saved,
            ]
        model.fit(
            lambda context: _pairs(
                config, problem, stage, model, start, context
            ),
            validation_data=distribution.by_data(problem.test.batches(size)),
            initial_epoch=start.epochs,
            epochs=end.epochs,
            steps_per_epoch=stage.steps - start.steps,
            verbose=0 if distribution.worker() else self.verbose,
            callbacks=watching,
        )


def untrained(
    config: ml_collections.ConfigDict, problem: Problem
) -> list[tuple[PairModel, tf.data.Dataset]]:
    """Returns the model of each phase of a method, and what it is fed with.

    A phase is told the estimates of a network that knows nothing: for what
    depends on its steps, but not on what they learn.
    """
    parts = []
    for stage in _stages(config, problem):
        if not stage.warmup:
            base = build_base(config, problem)
            model = _build(
                config, base, stage, _phase_arguments(config, problem, stage)
            )
            _compile(config, model, stage)
            parts.append((model, _pairs(config, problem, stage, model)))
    return parts


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
        with checks.plain_errors():
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


@dataclass(frozen=True)
class _Stage:
    """Epochs in a row, with one model, optimizer and rate.

    Attributes:
        phase: The part of the method.
        begin: The epoch, from 0, with which that begins.
        warmup: Whether these are its epochs of warm-up.
        first: The first epoch, from 0.
        last: The one after the last.
        training_set: What the noisy half is drawn from.
        batch_size: Examples in it.
        steps: In an epoch.
        final: Whether it belongs to the last phase.
    """

    phase: methods.Phase
    begin: int
    warmup: bool
    first: int
    last: int
    training_set: Examples
    batch_size: int
    steps: int
    final: bool


def _stages(
    config: ml_collections.ConfigDict, problem: Problem
) -> list[_Stage]:
    """Returns the stages of a run: warm-up and main part of each phase."""
    train, stages, first = config.train, [], 0
    phases = methods.get(config.method.name).phases
    for phase in phases:
        training_set = methods.training_set(phase, problem.noisy, problem.clean)
        # The clean set alone is passed as often as an epoch has steps.
        whole = problem.noisy if phase.data == "clean" else training_set
        checks.check_batch_size(
            "train.batch_size", train.batch_size, "noisy", len(whole)
        )
        begin = first
        warmup_epochs = train.warmup_epochs if phase.fresh else 0
        for warmup, epochs in (
            (True, warmup_epochs),
            (False, train.epochs - train.warmup_epochs),
        ):
            if not epochs:
                continue
            steps = train.steps_per_epoch or len(whole) // train.batch_size
            if steps % train.steps_per_execution:
                raise bad_argument(
                    "train.steps_per_execution",
                    f"a divisor of the {steps} steps of an epoch "
                    "(`train.steps_per_epoch` sets them)",
                    train.steps_per_execution,
                )
            stages.append(
                _Stage(
                    phase=phase,
                    begin=begin,
                    warmup=warmup,
                    first=first,
                    last=first + epochs,
                    training_set=training_set,
                    batch_size=min(train.batch_size, len(training_set)),
                    steps=steps,
                    final=phase is phases[-1],
                )
            )
            first += epochs
    return stages


def _phase_arguments(
    config: ml_collections.ConfigDict,
    problem: Problem,
    stage: _Stage,
    base: keras.Model | None = None,
) -> dict[str, Any]:
    """Returns what a phase is told of the run; without a base, of a flat one.

    The latter is cheap: it serves to refuse bad options before any training.
    """
    if stage.phase.arguments is None:
        return {}
    size = len(problem.class_names)

    def probabilities(inputs: Examples) -> np.ndarray:
        if base is None:
            return np.full((len(inputs), size), 1 / size)
        return methods.probabilities(base, inputs)

    has_ratio = problems.has_ratio(config.noise.kind)
    return stage.phase.arguments(
        methods.RunContext(
            probabilities=probabilities,
            new_base=lambda: build_base(config, problem),
            noisy=problem.noisy,
            clean=problem.clean,
            training_set=stage.training_set,
            epochs=config.train.epochs - config.train.warmup_epochs,
            steps_per_epoch=stage.steps,
            num_classes=size,
            seed=config.seed,
            options=settings.method_options(config),
            true_transition=problem.true_transition,
            noise_rate=config.noise.ratio if has_ratio else None,
        )
    )


def _build(
    config: ml_collections.ConfigDict,
    base: keras.Model,
    stage: _Stage,
    arguments: dict[str, Any],
) -> PairModel:
    """Returns the model of a stage around `base`."""
    if stage.warmup and not stage.begin:
        return stage.phase.warm_up(base, arguments)
    options = settings.method_options(config) if stage.final else {}
    return stage.phase.model(base, **{**options, **arguments})


def _pairs(
    config: ml_collections.ConfigDict,
    problem: Problem,
    stage: _Stage,
    model: PairModel,
    start: Position = Position(0),  # noqa: B008, immutable
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns what a stage is fed with from `start`."""
    return data.pair(
        stage.training_set,
        problem.clean,
        stage.batch_size,
        min(config.clean.batch_size, len(problem.clean)),
        seed=config.seed,
        epochs=range(start.epochs, stage.last),
        steps_per_epoch=stage.steps,
        augment=_augment(config, problem),
        with_index=model.uses_index,
        first_step=start.steps,
        input_context=input_context,
    )


def _compile(
    config: ml_collections.ConfigDict, model: PairModel, stage: _Stage
) -> None:
    optimizer, train = config.optimizer, config.train
    method = methods.get(config.method.name)
    rate = (
        train.warmup_learning_rate
        if stage.warmup
        else settings.learning_rate(config)
    )
    if method.sums_loss and not stage.warmup:
        rate /= train.batch_size
    if optimizer.schedule == "cosine" and not stage.warmup:
        steps = (stage.last - stage.first) * stage.steps
        rate = keras.optimizers.schedules.CosineDecay(
            rate, steps * method.optimizer_steps
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
    problem: Problem,
    metrics: list[dict[str, Any]],
    stages: list[_Stage],
) -> dict[str, Any]:
    last = metrics[-1]
    final = [row for row in metrics if row["epoch"] > stages[-1].begin]
    # The later epoch among equals: the clean set is small and ties.
    chosen = max(final, key=lambda row: (row["clean_accuracy"], row["epoch"]))
    timed = [
        row["seconds_per_step"] for row in final if "seconds_per_step" in row
    ]
    method, options = (
        methods.get(config.method.name),
        settings.method_options(config),
    )
    return {
        "dataset": config.dataset.name,
        "method": config.method.name,
        "noise": config.noise.kind,
        "ratio": config.noise.ratio
        if problems.has_ratio(config.noise.kind)
        else None,
        "seed": config.seed,
        "network": config.network.name,
        "options": options,
        "evaluated_on": settings.evaluated_on(config),
        "oracle": "" if method.instead in options else method.oracle,
        "noisy_examples": len(problem.noisy),
        "clean_examples": len(problem.clean),
        "phases": len(method.phases),
        "epochs": last["epoch"],
        "train_steps": sum(
            (stage.last - stage.first) * stage.steps for stage in stages
        ),
        "test_accuracy": last["test_accuracy"],
        "best_clean_accuracy_test_accuracy": chosen["test_accuracy"],
        "best_test_accuracy": max(row["test_accuracy"] for row in final),
        "transition_l1": last["transition_l1"],
        "seconds": round(sum(row["seconds"] for row in metrics), 3),
        "seconds_per_step": statistics.median(timed) if timed else None,
    }
