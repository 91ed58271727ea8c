"""All methods, and what each asks of a run.

A method trains in one or several phases, each of the full length, as the
published codes do. A phase is a class of model and what that is told: found
with the network of the phase before, or known to an oracle only.
"""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import scipy.special

from mlc_tf import data
from mlc_tf import transitions
from mlc_tf.baselines.authors_code import AuthorsCode
from mlc_tf.baselines.co_teaching import CoTeaching
from mlc_tf.baselines.confusion_matrix import confusion_transition
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.baselines.fasten import Fasten
from mlc_tf.baselines.forward_correction import ForwardCorrection
from mlc_tf.baselines.forward_correction import anchor_point_transition
from mlc_tf.baselines.generalized_cross_entropy import GeneralizedCrossEntropy
from mlc_tf.baselines.gold_loss_correction import GoldLossCorrection
from mlc_tf.baselines.gold_loss_correction import mean_prediction_transition
from mlc_tf.baselines.learning_to_reweight import LearningToReweight
from mlc_tf.baselines.masking import Masking
from mlc_tf.baselines.masking_hard import MaskingHard
from mlc_tf.baselines.meta_weight_net import MetaWeightNet
from mlc_tf.baselines.noise_layer import NoiseLayer
from mlc_tf.baselines.pencil import Pencil
from mlc_tf.data import examples
from mlc_tf.data import noise
from mlc_tf.data.examples import Examples
from mlc_tf.errors import InputError
from mlc_tf.errors import unknown_name
from mlc_tf.models import prediction
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.pair_model import PairModel
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection

# Classes above which the anchor point is the plain maximum.
_MANY_CLASSES = 100
# Of 320 published epochs of PENCIL, those at which its stages end; and how
# many its second one has, for which the rate of the labels is published.
_PENCIL_ENDS, _PENCIL_EPOCHS, _PENCIL_LABEL_EPOCHS = (70, 200), 320, 130
_PENCIL_LABEL_RATE = 600.0


@dataclass(frozen=True)
class RunContext:
    """What a phase may ask about the run that it is part of.

    Attributes:
        probabilities: Maps examples to what the network says of them, as the
            phase before left it: softmax, `(examples, classes)`.
        new_base: Returns another network with initial weights of its own.
        noisy: The noisy set.
        clean: The trusted set.
        training_set: What the phase is fed with.
        epochs: How many the phase has.
        steps_per_epoch: And each of these.
        num_classes: How many there are.
        seed: That of the run.
        options: Those of the method.
        true_transition: T behind the noise; None where it is not known. To use
            it, or the next, is an oracle's privilege.
        noise_rate: The share of each class that was selected for noise; None
            where it is not known.
    """

    probabilities: Callable[[Examples], np.ndarray]
    new_base: Callable[[], keras.Model]
    noisy: Examples
    clean: Examples
    training_set: Examples
    epochs: int
    steps_per_epoch: int
    num_classes: int
    seed: int
    options: Mapping[str, Any]
    true_transition: np.ndarray | None
    noise_rate: float | None


@dataclass(frozen=True)
class Phase:
    """A part of a method.

    Attributes:
        model: The class; called with the base, what `arguments` returns and, in
            the last phase, the method's options.
        data: Which examples are its noisy half: "noisy"; "merged" with the
            clean ones, the paper's rule for methods that do not use the clean
            set as such; or "clean".
        arguments: Maps the context to further arguments. Defaults to none.
        prepare: Called with the model before it is trained. Defaults to none.
        fresh: Whether it begins from the initial weights, and not from those
            of the phase before. Defaults to True.
        warm_up: Maps the base and what `arguments` returns to the model of the
            epochs of plain cross-entropy that may open the first phase.
            Defaults to that of the base alone.
    """

    model: Callable[..., PairModel]
    data: str = "noisy"
    arguments: Callable[[RunContext], dict[str, Any]] | None = None
    prepare: Callable[[Any], None] | None = None
    fresh: bool = True
    warm_up: Callable[[keras.Model, dict[str, Any]], PairModel] = (
        lambda base, arguments: CrossEntropy(base)
    )


@dataclass(frozen=True)
class Method:
    """A method of the comparison.

    Attributes:
        phases: One after another.
        oracle: What it is told that a user would not know; "" for nothing.
        instead: The option by which a user tells what else an oracle does.
        sums_loss: Whether its loss is a sum over the batch; the optimizer's
            rate is then divided by the batch size, so that steps compare.
        optimizer_steps: Of the optimizer, for each element. Defaults to 1.
        draws_clean: Whether it uses the clean half of each element.
        clean_steps: Whether it trains on that, too.
    """

    phases: tuple[Phase, ...]
    oracle: str = ""
    instead: str = ""
    sums_loss: bool = False
    optimizer_steps: int = 1
    draws_clean: bool = False
    clean_steps: bool = False

    def fits_clean(self, options: Mapping[str, Any]) -> bool:
        """Returns whether its network is fitted to the trusted labels.

        Args:
            options: Those of the method.
        """
        return (
            self.clean_steps
            or bool(options.get("clean_weight"))
            or any(phase.data != "noisy" for phase in self.phases)
        )


def probabilities(base: keras.Model, inputs: Examples) -> np.ndarray:
    """Returns the softmax of a network for all examples, `(examples, C)`."""
    forward = prediction.forward_pass(base)
    batches = prediction.logits(forward, inputs.batches(256))
    logits = np.concatenate([logits for logits, _ in batches])
    return scipy.special.softmax(logits.astype(np.float64), axis=1)


def _true_transition(context: RunContext) -> dict[str, Any]:
    if context.true_transition is None:
        raise InputError(
            "This method should be run with injected noise, whose true T it is "
            "told. Received: `noise.kind` = 'none'."
        )
    return {"transition": context.true_transition}


def _anchor_points(context: RunContext) -> dict[str, Any]:
    probs = context.probabilities(context.training_set)
    percentile = None if probs.shape[1] >= _MANY_CLASSES else 97
    return {"transition": anchor_point_transition(probs, percentile)}


def _gold(
    estimate: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[RunContext], dict[str, Any]]:
    def arguments(context: RunContext) -> dict[str, Any]:
        probs = context.probabilities(context.clean)
        return {
            "transition": estimate(probs, context.clean.labels),
            "gold": examples.are_second(context.noisy, context.clean),
        }

    return arguments


def _co_teaching(context: RunContext) -> dict[str, Any]:
    arguments = {
        "peer": context.new_base(),
        "steps_per_epoch": context.steps_per_epoch,
        # The published 10 of 200 epochs are most of a short run.
        "ramp_epochs": max(1, min(10, context.epochs // 3)),
    }
    if "forget_rate" in context.options:
        return arguments
    if context.noise_rate is None:
        raise InputError(
            "`method.co_teaching.forget_rate` should be given where no noise "
            "of a known ratio is injected. Received: none."
        )
    return {**arguments, "forget_rate": context.noise_rate}


def _forgetting_nothing(
    base: keras.Model, arguments: dict[str, Any]
) -> PairModel:
    """Returns plain cross-entropy for both networks of co-teaching."""
    return CoTeaching(base, **{**arguments, "forget_rate": 0.0})


def _masking(context: RunContext) -> dict[str, Any]:
    """Returns an estimate of T, and the structure: a file's or the true one."""
    arguments = _anchor_points(context)
    if "structure" in context.options:
        arguments["structure"] = noise.read_matrix(
            "structure", context.options["structure"]
        )
        return arguments
    if context.true_transition is None:
        raise InputError(
            "`structure` should be given to this method where no noise is "
            "injected, whose structure it could be told. Received: none."
        )
    support = context.true_transition > 0
    return {**arguments, "structure": np.maximum(support, np.eye(len(support)))}


def _seeded_masking(context: RunContext) -> dict[str, Any]:
    return {**_masking(context), "seed": context.seed}


def _given_labels(context: RunContext) -> dict[str, Any]:
    return {"labels": context.training_set.labels}


def _pencil_stages(context: RunContext) -> dict[str, Any]:
    steps = context.epochs * context.steps_per_epoch
    first, second = (
        round(steps * end / _PENCIL_EPOCHS) for end in _PENCIL_ENDS
    )
    # Labels are moved once an epoch: fewer and longer steps go as far.
    visits = max((second - first) / context.steps_per_epoch, 1.0)
    arguments = {
        "labels": context.training_set.labels,
        "stage_steps": (first, second),
    }
    if "label_learning_rate" not in context.options:
        arguments["label_learning_rate"] = (
            _PENCIL_LABEL_RATE * _PENCIL_LABEL_EPOCHS / visits
        )
    return arguments


# What each class of the trusted set counts.
_CLASS_WEIGHTS: Mapping[str, Callable[[RunContext], np.ndarray | None]] = {
    "equal": lambda context: None,
    "given_labels": lambda context: data.class_weight(
        context.noisy.labels, context.clean.labels, context.num_classes
    ),
}


def _mlc(context: RunContext) -> dict[str, Any]:
    """Builds the update of T, and the weights of the clean classes."""
    update = {
        # T comes to rest at the end of the run.
        "decay_steps": context.epochs * context.steps_per_epoch,
        **context.options["transition"],
    }
    arguments: dict[str, Any] = {"transition": transitions.get(**update)}
    weighting = context.options.get("clean_class_weight")
    if weighting is not None:
        if weighting not in _CLASS_WEIGHTS:
            raise unknown_name("clean_class_weight", weighting, _CLASS_WEIGHTS)
        arguments["clean_class_weight"] = _CLASS_WEIGHTS[weighting](context)
    return arguments


_MERGED = Phase(CrossEntropy, data="merged")
_NOISY = Phase(CrossEntropy)

METHODS: Mapping[str, Method] = {
    "mlc": Method(
        (Phase(MetaLossCorrection, arguments=_mlc),), draws_clean=True
    ),
    "mlc_paper": Method((Phase(PaperMetaLossCorrection),), draws_clean=True),
    "cross_entropy": Method((_MERGED,)),
    # The schedule of mlc with T frozen at the identity.
    "ce_control": Method((_NOISY,)),
    "authors_code": Method(
        (Phase(AuthorsCode),), sums_loss=True, draws_clean=True
    ),
    "noise_layer": Method(
        (Phase(NoiseLayer),),
        optimizer_steps=2,
        draws_clean=True,
        clean_steps=True,
    ),
    "noise_layer_logits": Method(
        (Phase(functools.partial(NoiseLayer, space="logits")),),
        optimizer_steps=2,
        draws_clean=True,
        clean_steps=True,
    ),
    "forward": Method(
        (
            _MERGED,
            Phase(ForwardCorrection, data="merged", arguments=_anchor_points),
        )
    ),
    "glc": Method(
        (
            _NOISY,
            Phase(
                GoldLossCorrection,
                data="merged",
                arguments=_gold(mean_prediction_transition),
            ),
        )
    ),
    "confusion": Method(
        (
            _NOISY,
            Phase(
                GoldLossCorrection,
                data="merged",
                arguments=_gold(confusion_transition),
            ),
        )
    ),
    "lre": Method((Phase(LearningToReweight),), draws_clean=True),
    "co_teaching": Method(
        (
            Phase(
                CoTeaching,
                data="merged",
                arguments=_co_teaching,
                warm_up=_forgetting_nothing,
            ),
        ),
        oracle="the noise rate",
        instead="forget_rate",
    ),
    "masking": Method(
        (
            _MERGED,
            Phase(
                Masking,
                data="merged",
                arguments=_seeded_masking,
                prepare=Masking.pretrain,
                fresh=False,
            ),
        ),
        oracle="the structure of T",
        instead="structure",
    ),
    "masking_hard": Method(
        (
            _MERGED,
            Phase(MaskingHard, data="merged", arguments=_masking, fresh=False),
        ),
        oracle="the structure of T",
        instead="structure",
    ),
    "pencil": Method((Phase(Pencil, data="merged", arguments=_pencil_stages),)),
    "gce": Method((Phase(GeneralizedCrossEntropy, data="merged"),)),
    "meta_weight_net": Method((Phase(MetaWeightNet),), draws_clean=True),
    "fasten": Method(
        (Phase(Fasten, arguments=_given_labels),),
        draws_clean=True,
        clean_steps=True,
    ),
    "clean_only": Method((Phase(CrossEntropy, data="clean"),)),
    "fine_tune": Method(
        (_NOISY, Phase(CrossEntropy, data="clean", fresh=False))
    ),
    "true_forward": Method(
        (Phase(ForwardCorrection, arguments=_true_transition),),
        oracle="the true T",
    ),
}


def get(name: str) -> Method:
    """Returns a method; an InputError names the nearest."""
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]


def training_set(phase: Phase, noisy: Examples, clean: Examples) -> Examples:
    """Returns the examples that a phase is fed with."""
    if phase.data == "noisy":
        return noisy
    return clean if phase.data == "clean" else examples.join(noisy, clean)
