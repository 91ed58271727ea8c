"""The stages of a run: which epochs use which model, data and rate."""

from dataclasses import dataclass

import ml_collections

from mlc_tf.data import checks
from mlc_tf.data.examples import Examples
from mlc_tf.errors import bad_argument
from mlc_tf.run import methods
from mlc_tf.run import settings
from mlc_tf.run.problems import Problem


@dataclass(frozen=True)
class Stage:
    """Consecutive epochs with one model, one optimizer and one rate.

    Attributes:
        phase: The phase of the method that the stage belongs to.
        phase_start: The first epoch of the phase, counted from 0.
        warmup: Whether the stage is the warm-up of its phase.
        first_epoch: The first epoch of the stage, counted from 0.
        end_epoch: The epoch after the last epoch of the stage.
        training_set: The examples of the noisy half of each batch.
        batch_size: Examples in the noisy half of each batch.
        steps_per_epoch: Batches in an epoch.
        in_last_phase: Whether the phase is the last phase of the method.
    """

    phase: methods.Phase
    phase_start: int
    warmup: bool
    first_epoch: int
    end_epoch: int
    training_set: Examples
    batch_size: int
    steps_per_epoch: int
    in_last_phase: bool


def stages(config: ml_collections.ConfigDict, problem: Problem) -> list[Stage]:
    """Returns the stages of a run: warm-up and main part of each phase.

    Only a phase that starts from the initial weights has a warm-up.

    Args:
        config: The configuration of the run.
        problem: The data of the run.

    Raises:
        InputError: if the method needs a trusted set and there is none, if a
            batch is larger than the data, or if `train.steps_per_execution`
            does not divide the steps of an epoch.
    """
    methods.check_clean(
        config.method.name, settings.method_options(config), problem.clean
    )
    train, planned, first_epoch = config.train, [], 0
    phases = methods.get(config.method.name).phases
    for phase in phases:
        training_set = methods.training_set(phase, problem.noisy, problem.clean)
        # An epoch of the small clean set has as many steps as an epoch of the
        # noisy set.
        epoch_set = problem.noisy if phase.data == "clean" else training_set
        checks.check_batch_size(
            "train.batch_size", train.batch_size, "noisy", len(epoch_set)
        )
        phase_start = first_epoch
        warmup_epochs = train.warmup_epochs if phase.fresh else 0
        for warmup, epochs in (
            (True, warmup_epochs),
            (False, train.epochs - train.warmup_epochs),
        ):
            if not epochs:
                continue
            planned.append(
                Stage(
                    phase=phase,
                    phase_start=phase_start,
                    warmup=warmup,
                    first_epoch=first_epoch,
                    end_epoch=first_epoch + epochs,
                    training_set=training_set,
                    batch_size=min(train.batch_size, len(training_set)),
                    steps_per_epoch=_steps_per_epoch(config, epoch_set),
                    in_last_phase=phase is phases[-1],
                )
            )
            first_epoch += epochs
    return planned


def _steps_per_epoch(
    config: ml_collections.ConfigDict, epoch_set: Examples
) -> int:
    train = config.train
    steps = train.steps_per_epoch or len(epoch_set) // train.batch_size
    if steps % train.steps_per_execution:
        raise bad_argument(
            "train.steps_per_execution",
            f"a divisor of the {steps} steps of an epoch "
            "(`train.steps_per_epoch` sets them)",
            train.steps_per_execution,
        )
    return steps
