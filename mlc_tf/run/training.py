"""Trains one run, from its config to its result."""

import itertools
import tempfile
import zlib
from collections.abc import Iterator
from collections.abc import Sequence
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
from mlc_tf.datasets import columns
from mlc_tf.errors import InputError
from mlc_tf.errors import in_section
from mlc_tf.models.pair_model import PairModel
from mlc_tf.run import callbacks
from mlc_tf.run import checkpoints
from mlc_tf.run import data_identity
from mlc_tf.run import directory
from mlc_tf.run import divergence
from mlc_tf.run import faults
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import schedule
from mlc_tf.run import settings
from mlc_tf.run import tracking
from mlc_tf.run.checkpoints import Checkpoints
from mlc_tf.run.checkpoints import Position
from mlc_tf.run.problems import Problem
from mlc_tf.run.result_record import result_record
from mlc_tf.run.schedule import Stage
from mlc_tf.run.termination import Termination

_EVALUATION_BATCH_SIZE = 500
# Inputs with more numbers than this are evaluated in batches of the training
# batch size.
_SMALL_INPUT = 10_000
# How many inputs a network's statistics are taken from, where the inputs are
# not all in memory.
_SAMPLE_SIZE = 10_000
# The rates that a run prints if it chose them.
_PRINTED_RATES = (
    "transition.max_step",
    "transition.expectation_rate",
    "expectation_rate",
    "clean_weight",
)


def run(
    config: ml_collections.ConfigDict,
    workdir: str | Path,
    verbose: int = 1,
    join_timeout: float = distribution.JOIN_TIMEOUT,
) -> dict[str, Any]:
    """Trains as the config says, and returns the result.

    `workdir` then holds `config.json`, `versions.json`, `data.json` (digests of
    the data), `noise.json`, `columns.json` (of a table), `metrics.jsonl`,
    `transition.npz`, `checkpoints/`, `tensorboard/`, `model.keras` (the base),
    `result.json` and `seal.json` (digests of the files). An interrupted run
    resumes from its last checkpoint; a finished run is not repeated. With
    several workers, only the first worker writes `workdir`; the other workers
    read it once, at the start.

    Args:
        config: The configuration, as `settings.default_config` returns it.
        workdir: The directory of this run.
        verbose: As in `keras.Model.fit`. Defaults to 1, a progress bar.
        join_timeout: With several workers, the seconds to wait until all have
            joined. Defaults to 1800.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: for a bad setting or bad data, or if `workdir` belongs to a
            run with another config or to a run in progress.
        DivergedError: if the loss becomes NaN or infinite.
        InterruptedRunError: if the process receives SIGTERM or SIGINT, if
            files cannot be written, or if a worker is lost.
    """
    workdir = Path(workdir)
    directory.check(workdir, config)
    finished = directory.finished_result(workdir)
    if finished is not None:
        directory.check_seal(workdir)
        return finished
    settings.check(config)
    tracking.modules(config.train.tracker)  # or one sentence says what to do
    strategy = distribution.strategy(
        config.train.strategy, config.train.replicas, join_timeout
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
    for note in (*problem.notes, *_notes(config, problem)):
        print(note, flush=True)
    base = build_base(config, problem)
    stages = schedule.stages(config, problem)
    _check_stages(config, problem, base, stages)
    with _own_directory(workdir, config) as own:
        digest = directory.run_digest(config, data_identity.claim(own, problem))
        with tracking.tracked(config, own, digest) as trackers:
            result = _Run(
                config,
                problem,
                own,
                verbose,
                termination,
                digest,
                trackers=trackers,
            ).train(base, stages)
        distribution.barrier()  # no worker leaves while another still works
    return result


def _notes(config: ml_collections.ConfigDict, problem: Problem) -> list[str]:
    """Returns what the run does without: settings that have no effect."""
    notes = []
    replaced = settings.left_out(config)
    if replaced:
        given = (f"{name} = {value}" for name, value in replaced.items())
        notes.append(
            f"`method.{config.method.name}.transition.name` = 'auto' chooses "
            f"the rates of T. Left out: {', '.join(given)}."
        )
    if methods.leaves_mixup_out(
        config.method.name, settings.method_options(config), problem.noisy
    ):
        notes.append(
            "The second stage does not mix inputs, since numbers of dtype "
            f"{problem.noisy.input_spec.dtype.name} may be ids. Images of "
            "dtype uint8 are mixed, and so are floats."
        )
    return notes


def _check_stages(
    config: ml_collections.ConfigDict,
    problem: Problem,
    base: keras.Model,
    stages: list[Stage],
) -> None:
    """Raises for bad options or data of any phase, before any training."""
    for stage in stages:
        if not stage.warmup:
            arguments = _phase_arguments(config, problem, stage)
            model = _build(config, base, stage, arguments)
            _compile(config, model, stage)
            model.check_pairs(_pairs(config, problem, stage, model))


def network_of(
    config: ml_collections.ConfigDict, problem: Problem
) -> tuple[keras.Model, dict[str, Any]]:
    """Trains on data in memory; returns the network and the result.

    For data that no config names. The run leaves no files on disk, and no
    tracker records it.

    Args:
        config: As in `run`. Of the sections `dataset` and `noise`, only the
            names are used.
        problem: The data to train on.

    Returns:
        The trained base, from inputs to logits, and the content that
        `result.json` would have.

    Raises:
        InputError: for a bad setting or bad data.
        DivergedError: if the loss becomes NaN or infinite.
    """
    settings.check(config)
    keras.config.set_dtype_policy(config.train.dtype)
    keras.utils.set_random_seed(config.seed)
    base = build_base(config, problem)
    stages = schedule.stages(config, problem)
    with tempfile.TemporaryDirectory(prefix="mlc_tf-") as folder:
        temporary_run = _Run(
            config, problem, Path(folder), 0, Termination(), keeps_files=False
        )
        return base, temporary_run.train(base, stages)


@contextmanager
def _own_directory(
    workdir: Path, config: ml_collections.ConfigDict
) -> Iterator[Path]:
    """Yields the directory of this worker's files.

    The first worker's directory is `workdir`. Every other worker gets a copy,
    which is deleted at the end.
    """
    digest = zlib.crc32(config.to_json(sort_keys=True).encode()) >> 1
    if not distribution.all_have([digest]):
        raise InputError(
            "All workers should be started with the same config. Received: "
            f"worker {distribution.worker()} has a config that differs from "
            "the config of another worker."
        )
    if distribution.worker() == 0:
        with directory.claimed(workdir, config):
            distribution.barrier()  # the other workers may copy now
            distribution.barrier()  # the other workers have copied
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
        problem: The data to train on.
        workdir: The directory of this worker's files.
        verbose: As in `run`.
        termination: Whether the process was asked to end.
        run: The digest of the run, `directory.run_digest`.
        keeps_files: Whether the directory outlives the run. If not,
            checkpoints, the history of T and TensorBoard's files are not
            written. Defaults to True.
        trackers: The callbacks that record the run elsewhere. Defaults to ().
    """

    config: ml_collections.ConfigDict
    problem: Problem
    workdir: Path
    verbose: int
    termination: Termination
    run: str = ""
    keeps_files: bool = True
    trackers: Sequence[keras.callbacks.Callback] = ()

    def train(self, base: keras.Model, stages: list[Stage]) -> dict[str, Any]:
        """Trains from the last checkpoint to the end; returns the result."""
        if self.problem.noise_report is not None:
            directory.write_json(
                self.workdir / "noise.json", self.problem.noise_report
            )
        if self.problem.columns:
            directory.write_json(
                self.workdir / "columns.json",
                {"columns": columns.to_json(self.problem.columns)},
            )
        chosen = self._chosen_rates(stages)
        self._train_stages(base, stages)
        base.save(self.workdir / "model.keras")
        metrics = callbacks.read_metrics(self.workdir / "metrics.jsonl")
        result = result_record(
            self.config, self.problem, metrics, stages, chosen
        )
        directory.finish(self.workdir, self.run, result)
        return result

    def _chosen_rates(self, stages: list[Stage]) -> dict[str, Any]:
        """Returns the rates that the run chose for itself, and prints them."""
        if not methods.is_automatic(settings.method_options(self.config)):
            return {}
        chosen: dict[str, Any] = {}
        for _, of_phase in itertools.groupby(stages, lambda each: each.phase):
            chosen |= methods.chosen_rates(
                _phase_arguments(self.config, self.problem, next(of_phase))
            )
        if self.verbose:
            rates = ", ".join(
                f"{name} {rate:.3g}"
                for name, rate in directory.flat(chosen).items()
                if name in _PRINTED_RATES
            )
            print(f"Rates chosen for this run: {rates}.", flush=True)
        return chosen

    def _train_stages(self, base: keras.Model, stages: list[Stage]) -> None:
        """Trains what the last checkpoint has not yet done."""
        saved = Checkpoints(
            self.workdir / "checkpoints",
            checkpoints.Interval.parse(self.config.train.checkpoint_every),
            self.termination,
            self.run,
        )
        done, checkpoint = self._last_checkpoint(saved)
        # Copies: a variable may be read as a view of its own buffer.
        initial = [
            np.array(keras.ops.convert_to_numpy(variable))
            for variable in base.variables
        ]
        phase, model = None, None
        for stage in stages:
            if Position(stage.end_epoch) < done:
                continue
            if stage.phase is not phase:
                phase, model = stage.phase, None
                arguments = self._start_phase(base, stage, initial, saved, done)
            # The first phase warms up with another model. A later phase goes
            # on with the model of its warm-up.
            if model is None or not stage.phase_start:
                model = _build(self.config, base, stage, arguments)
            _compile(self.config, model, stage)
            if checkpoint and Position(stage.first_epoch) < done:
                model.optimizer.build(model.optimized_variables)
                checkpoints.load(model, checkpoint, self.run)
            elif phase.prepare is not None and not stage.warmup:
                phase.prepare(model)
            self._fit_stage(model, stage, saved, done, checkpoint)
            done = Position(stage.end_epoch)

    def _last_checkpoint(
        self, saved: Checkpoints
    ) -> tuple[Position, Path | None]:
        """Returns the position to resume from, and the file with its state."""
        done, checkpoint = saved.latest()
        if not distribution.all_have(done):
            raise InputError(
                "`workdir` should be one directory that all workers see. "
                f"Received: `workdir` = '{self.workdir}', in which the workers "
                "see different checkpoints."
            )
        if checkpoint is not None:
            print(
                f"Resuming from epoch {done.epochs}, step {done.steps}.",
                flush=True,
            )
            saved.restore(
                checkpoint,
                self.workdir / "metrics.jsonl",
                self.workdir / "transition.npz",
            )
        return done, checkpoint

    def _start_phase(
        self,
        base: keras.Model,
        stage: Stage,
        initial: list[np.ndarray],
        saved: Checkpoints,
        done: Position,
    ) -> dict[str, Any]:
        """Sets the base to the phase's first weights; returns its arguments.

        Args:
            base: The network.
            stage: The first stage of the phase that is still to be trained.
            initial: The values of `base.variables` before any training.
            saved: The checkpoints of the run.
            done: How far the run has come.
        """
        if stage.phase_start:
            # The arguments of a phase are computed with the network as the
            # phase before left it, in a resumed run too.
            name = f"before-{stage.phase_start}.weights.h5"
            before = saved.folder / name
            if Position(stage.phase_start) == done:
                checkpoints.save(base, before, self.run)
            checkpoints.load(base, before, self.run)
        arguments = _phase_arguments(self.config, self.problem, stage, base)
        if stage.phase.fresh:
            for variable, value in zip(base.variables, initial):
                variable.assign(value)
        return arguments

    def _fit_stage(
        self,
        model: PairModel,
        stage: Stage,
        saved: Checkpoints,
        done: Position,
        checkpoint: Path | None,
    ) -> None:
        """Trains the stage from `done` on.

        If `done` is the end of the stage there is nothing to train: the next
        stage starts from the weights that `model` has loaded.
        """
        start = max(Position(stage.first_epoch), done)
        end = Position(stage.end_epoch)
        if start.steps:
            seconds = saved.resume_from(start, checkpoint)
            next_epoch = Position(start.epochs + 1)
            self._fit(model, stage, start, next_epoch, saved, seconds)
            start = next_epoch
        if start < end:
            saved.resume_from(start, None)
            self._fit(model, stage, start, end, saved)

    def _fit(
        self,
        model: PairModel,
        stage: Stage,
        start: Position,
        end: Position,
        saved: Checkpoints,
        seconds: float = 0.0,
    ) -> None:
        """Trains whole epochs, or the rest of one epoch.

        Args:
            model: The compiled model of the stage.
            stage: The stage that both positions lie in.
            start: The position to train from.
            end: The position to train to, the end of an epoch.
            saved: The checkpoints of the run.
            seconds: How long the steps of the epoch before `start` took.
                Defaults to 0.
        """
        config, problem, workdir = self.config, self.problem, self.workdir
        size = _evaluation_batch_size(config, problem)
        truth = problem.true_transition
        metrics_log = callbacks.MetricsLog(
            workdir / "metrics.jsonl",
            truth,
            _normalization(model),
            initial_epoch=start.epochs,
        )
        # The log writes what the callbacks before it measure.
        measures: list[keras.callbacks.Callback] = []
        if problem.clean is not None:
            clean = problem.clean.batches(size)
            measures.append(callbacks.CleanAccuracy(clean))
        measures.append(callbacks.StepTimer(seconds))
        recorders = [
            divergence.StopOnNonFiniteLoss(
                saved.advice if self.keeps_files else "", start.steps
            ),
            *measures,
            metrics_log,
            *self.trackers,
        ]
        if self.keeps_files:
            tensorboard = workdir / "tensorboard"
            history = callbacks.TransitionHistory(
                workdir / "transition.npz", truth, start.epochs
            )
            saved.rows, saved.learned = metrics_log.rows, history.learned
            recorders += [
                history,
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
            steps_per_epoch=stage.steps_per_epoch - start.steps,
            verbose=0 if distribution.worker() else self.verbose,
            callbacks=recorders,
        )


def untrained(
    config: ml_collections.ConfigDict, problem: Problem
) -> list[tuple[PairModel, tf.data.Dataset]]:
    """Returns the compiled model and the dataset of each phase of a method.

    Nothing is trained. Where a phase asks for a network's predictions, it gets
    uniform ones. The models serve to measure the cost of a step, which does not
    depend on what was learned.

    Args:
        config: As in `run`.
        problem: The data of the run.
    """
    parts = []
    for stage in schedule.stages(config, problem):
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
    """Returns the untrained network of a run.

    A network that defines `measure` is built with statistics of the inputs.

    Args:
        config: As in `run`.
        problem: The data of the run.

    Returns:
        A model from inputs to logits `(batch, classes)`.

    Raises:
        InputError: for an unknown network, or inputs that cannot be read.
    """
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
                if part is not None
            )
            options.update(network.measure(*samples))
    with in_section(f"network.{name}", config.network.get(name, {})):
        return network.build(
            tuple(problem.noisy.input_spec.shape),
            len(problem.class_names),
            weight_decay=config.network.weight_decay,
            initializer=config.network.initializer,
            **options,
        )


def _phase_arguments(
    config: ml_collections.ConfigDict,
    problem: Problem,
    stage: Stage,
    base: keras.Model | None = None,
) -> dict[str, Any]:
    """Returns the constructor arguments that a phase computes from the run.

    Args:
        config: As in `run`.
        problem: The data of the run.
        stage: A stage of the phase.
        base: The network whose predictions the phase may use. Defaults to
            None, uniform predictions: a cheap way to check the options before
            any training.
    """
    if stage.phase.arguments is None:
        return {}
    size = len(problem.class_names)

    def probabilities(inputs: Examples) -> np.ndarray:
        if base is None:
            return np.full((len(inputs), size), 1 / size)
        return methods.probabilities(base, inputs)

    has_ratio = problems.has_ratio(config.noise.kind)
    context = methods.RunContext(
        probabilities=probabilities,
        new_base=lambda: build_base(config, problem),
        noisy=problem.noisy,
        clean=problem.clean,
        training_set=stage.training_set,
        epochs=config.train.epochs - config.train.warmup_epochs,
        steps_per_epoch=stage.steps_per_epoch,
        num_classes=size,
        seed=config.seed,
        options=settings.method_options(config),
        true_transition=problem.true_transition,
        noise_rate=config.noise.ratio if has_ratio else None,
    )
    with in_section(f"method.{config.method.name}", context.options):
        return stage.phase.arguments(context)


def _build(
    config: ml_collections.ConfigDict,
    base: keras.Model,
    stage: Stage,
    arguments: dict[str, Any],
) -> PairModel:
    """Returns the model that trains `base` in a stage."""
    if stage.warmup and not stage.phase_start:
        return stage.phase.warm_up(base, arguments)
    options = settings.method_options(config)
    names = stage.phase.options
    if names is not None:
        options = {name: options[name] for name in names if name in options}
    elif not stage.in_last_phase:
        options = {}
    with in_section(f"method.{config.method.name}", options):
        return stage.phase.model(base, **{**options, **arguments})


def _pairs(
    config: ml_collections.ConfigDict,
    problem: Problem,
    stage: Stage,
    model: PairModel,
    start: Position = Position(0),  # noqa: B008, immutable
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns the batches that a stage trains on, from `start` on."""
    clean_size = None
    if problem.clean is not None:
        clean_size = min(config.clean.batch_size, len(problem.clean))
    with in_section("train", ["batch_size"]):
        return data.pair(
            stage.training_set,
            problem.clean,
            stage.batch_size,
            clean_size,
            seed=config.seed,
            epochs=range(start.epochs, stage.end_epoch),
            steps_per_epoch=stage.steps_per_epoch,
            augment=_augment(config, problem),
            with_index=model.uses_index,
            first_step=start.steps,
            input_context=input_context,
        )


def _compile(
    config: ml_collections.ConfigDict, model: PairModel, stage: Stage
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
        steps = (stage.end_epoch - stage.first_epoch) * stage.steps_per_epoch
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
            "`train.augment` should be 'none' for inputs other than images. "
            f"Received: `train.augment` = {name!r} and inputs of shape "
            f"{tuple(shape)}."
        )
    return AUGMENTATIONS[name]


def _evaluation_batch_size(
    config: ml_collections.ConfigDict, problem: Problem
) -> int:
    small = problem.test.input_spec.shape.num_elements() <= _SMALL_INPUT
    return _EVALUATION_BATCH_SIZE if small else config.train.batch_size


def _normalization(model: PairModel) -> str:
    return getattr(model, "normalization", "rows")
