"""The table of all methods, and the arguments that a run passes to each.

A method trains in one phase or several, each of the full length, as the
published codes do. A phase is a model class and its arguments. Some arguments
are computed with the network of the phase before; some only an oracle knows.
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
from mlc_tf.baselines.authors_step import AuthorsStep
from mlc_tf.baselines.co_teaching import CoTeaching
from mlc_tf.baselines.confusion_matrix import confusion_transition
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.baselines.dual_transition import dual_transition
from mlc_tf.baselines.early_learning_regularization import (
    EarlyLearningRegularization,
)
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
from mlc_tf.baselines.robust_bilevel import RobustBilevel
from mlc_tf.baselines.semi_supervised import SemiSupervised
from mlc_tf.baselines.semi_supervised import can_mix
from mlc_tf.baselines.semi_supervised import clean_posterior
from mlc_tf.baselines.transition_revision import TransitionRevision
from mlc_tf.baselines.volume_minimization import VolumeMinimization
from mlc_tf.data import examples
from mlc_tf.data import noise
from mlc_tf.data.examples import Examples
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import in_section
from mlc_tf.errors import unknown_name
from mlc_tf.models import prediction
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.pair_model import PairModel
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection

# From this number of classes on, the anchor point is the plain maximum.
_MANY_CLASSES = 100
# PENCIL's published schedule: 320 epochs; its first two stages end at epochs 70
# and 200; stage 2 (130 epochs) uses label rate 600.
_PENCIL_ENDS, _PENCIL_EPOCHS, _PENCIL_LABEL_EPOCHS = (70, 200), 320, 130
_PENCIL_LABEL_RATE = 600.0


@dataclass(frozen=True)
class RunContext:
    """The run as a phase sees it.

    Attributes:
        probabilities: Maps examples to the softmax outputs of the network as
            the phase before left it, `(examples, classes)`.
        new_base: Returns a second network with its own initial weights.
        noisy: The noisy set.
        clean: The trusted set; None if there is none, which `check_clean`
            allows.
        training_set: The examples that the phase trains on.
        epochs: The number of epochs of the phase, without warm-up.
        steps_per_epoch: The number of training steps of an epoch.
        num_classes: The number of classes.
        seed: The seed of the run.
        options: The options of the method, as `settings.method_options`.
        true_transition: The T behind the noise, `(classes, classes)`, rows are
            clean classes; None where it is not known. Only an oracle may use
            `true_transition` and `noise_rate`.
        noise_rate: The share of each class that was selected for noise, in
            [0, 1]; None where it is not known.
    """

    probabilities: Callable[[Examples], np.ndarray]
    new_base: Callable[[], keras.Model]
    noisy: Examples
    clean: Examples | None
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
    """A phase of a method.

    Attributes:
        model: The model class. It is called with the base, with what
            `arguments` returns and with `options`.
        data: The source of the noisy half of each element. "noisy" is the
            noisy set, and "clean" the clean set. "merged" is both sets
            together, or the noisy set where there is no clean set: the paper's
            rule for methods that have no other use for the clean set.
        arguments: Maps the context to arguments of the model. Defaults to
            None, no arguments.
        prepare: Called with the model before training. Defaults to None.
        fresh: Whether the phase starts from the initial weights; otherwise it
            starts from the weights of the phase before. Defaults to True.
        options: The names of the method's options that the model takes.
            Defaults to None: all options in the last phase, and none before it.
        warm_up: Maps the base and the arguments to the model of the warm-up
            epochs of the first phase. Defaults to plain cross-entropy of the
            base.
    """

    model: Callable[..., PairModel]
    data: str = "noisy"
    arguments: Callable[[RunContext], dict[str, Any]] | None = None
    prepare: Callable[[Any], None] | None = None
    fresh: bool = True
    options: tuple[str, ...] | None = None
    warm_up: Callable[[keras.Model, dict[str, Any]], PairModel] = (
        lambda base, arguments: CrossEntropy(base)
    )


@dataclass(frozen=True)
class Method:
    """A method of the comparison.

    Attributes:
        phases: The phases, in the order of training.
        oracle: The knowledge that no user has and that the method needs; "" for
            none.
        instead: The option with which a user replaces the oracle; "" for none.
        sums_loss: Whether the loss is a sum over the batch. The optimizer's
            rate is then divided by the batch size, so that steps compare.
        optimizer_steps: The number of optimizer steps per element. Defaults to
            1.
        clean_steps: Whether a step trains on the clean half.
        needs_clean: Whether the method cannot do without a trusted set, even
            with `clean_weight` = 0.
    """

    phases: tuple[Phase, ...]
    oracle: str = ""
    instead: str = ""
    sums_loss: bool = False
    optimizer_steps: int = 1
    clean_steps: bool = False
    needs_clean: bool = False

    def fits_clean(self, options: Mapping[str, Any]) -> bool:
        """Returns whether training fits the network to the trusted labels.

        Args:
            options: The options of the method.
        """
        return (
            self.clean_steps
            or bool(options.get("clean_weight", is_automatic(options)))
            or any(phase.data != "noisy" for phase in self.phases)
        )


def probabilities(base: keras.Model, inputs: Examples) -> np.ndarray:
    """Returns the softmax of a network, `(examples, classes)` float64."""
    forward = prediction.forward_pass(base)
    batches = prediction.logits(forward, inputs.batches(256))
    logits = np.concatenate([logits for logits, _ in batches])
    return scipy.special.softmax(logits.astype(np.float64), axis=1)


def _true_transition(context: RunContext) -> dict[str, Any]:
    if context.true_transition is None:
        raise InputError(
            "This method should be run with injected noise, since it uses the "
            "true T. Received: `noise.kind` = 'none'."
        )
    return {"transition": context.true_transition}


def _anchor_points(context: RunContext) -> dict[str, Any]:
    probs = context.probabilities(context.training_set)
    return {"transition": _at_anchor_points(probs)}


def _at_anchor_points(probs: np.ndarray) -> np.ndarray:
    percentile = None if probs.shape[1] >= _MANY_CLASSES else 97
    return anchor_point_transition(probs, percentile)


def _dual(context: RunContext) -> dict[str, Any]:
    probs = context.probabilities(context.training_set)
    return {"transition": _dual_of(context, probs)}


def _dual_of(context: RunContext, probs: np.ndarray) -> np.ndarray:
    """Returns T by `dual_transition`, from predictions on the training set."""
    labels = context.training_set.labels
    return dual_transition(_at_anchor_points(probs), probs, labels)


def _gold(
    estimate: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[RunContext], dict[str, Any]]:
    def arguments(context: RunContext) -> dict[str, Any]:
        assert context.clean is not None  # noqa: S101, `check_clean`
        return {
            **_estimate_from_clean(context, estimate),
            "gold": examples.are_second(context.noisy, context.clean),
        }

    return arguments


def _gold_start(context: RunContext) -> dict[str, Any]:
    return {
        **_estimate_from_clean(context, mean_prediction_transition),
        **_expectation_rate(context),
        **_clean_term(context),
    }


def _estimate_from_clean(
    context: RunContext,
    estimate: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> dict[str, Any]:
    """Returns T, estimated from predictions on the trusted set."""
    assert context.clean is not None  # noqa: S101, `check_clean`
    probs = context.probabilities(context.clean)
    return {"transition": estimate(probs, context.clean.labels)}


def _peer(context: RunContext) -> dict[str, Any]:
    return {
        "peer": context.new_base(),
        "steps": context.epochs * context.steps_per_epoch,
    }


def _co_teaching(context: RunContext) -> dict[str, Any]:
    arguments = _peer(context)
    if "forget_rate" in context.options:
        return arguments
    if context.noise_rate is None:
        raise InputError(
            "`method.co_teaching.forget_rate` should be given unless noise of "
            "a known ratio is injected (`method.name` = "
            "'co_teaching_estimated' estimates it). Received: none."
        )
    return {**arguments, "forget_rate": context.noise_rate}


def _forgetting_nothing(
    base: keras.Model, arguments: dict[str, Any]
) -> PairModel:
    """Returns co-teaching that keeps every example: plain cross-entropy."""
    return CoTeaching(base, **{**arguments, "forget_rate": 0.0})


def _co_teaching_estimated(context: RunContext) -> dict[str, Any]:
    """As `_co_teaching`, with the noise rate of an estimate of T."""
    probs = context.probabilities(context.training_set)
    estimate = _dual_of(context, probs)
    shares = np.bincount(probs.argmax(1), minlength=len(estimate)) / len(probs)
    rate = 1 - float(shares @ np.diag(estimate))
    return {**_peer(context), "forget_rate": min(rate, _MOST_FORGOTTEN)}


def _masking(context: RunContext) -> dict[str, Any]:
    """Returns an estimate of T, and the structure: a file's or the true T's."""
    arguments = _anchor_points(context)
    if "structure" in context.options:
        arguments["structure"] = noise.read_matrix(
            "structure", context.options["structure"]
        )
        return arguments
    if context.true_transition is None:
        raise InputError(
            "`structure` should be given to this method unless noise is "
            "injected. Received: none."
        )
    support = context.true_transition > 0
    return {**arguments, "structure": np.maximum(support, np.eye(len(support)))}


def _masking_estimated(context: RunContext) -> dict[str, Any]:
    """As `_seeded_masking`, with the structure of an estimate of T."""
    probs = context.probabilities(context.training_set)
    return {
        "transition": _at_anchor_points(probs),
        "structure": _structure_of(_dual_of(context, probs)),
        "seed": context.seed,
    }


def _structure_of(estimate: np.ndarray) -> np.ndarray:
    """Returns where T is not 0, by an estimate of T.

    An entry counts if it is at least half the mean of its row's entries off the
    diagonal. Then uniform noise keeps its entries, and small errors beside one
    large entry are left out.

    Args:
        estimate: T, `(classes, classes)`, rows are clean classes.
    """
    size = len(estimate)
    mean = (1 - np.diag(estimate)) / (size - 1)
    allowed = estimate >= np.maximum(mean / 2, _LEAST_ENTRY)[:, np.newaxis]
    return np.maximum(allowed, np.eye(size))


def _seeded_masking(context: RunContext) -> dict[str, Any]:
    return {**_masking(context), "seed": context.seed}


def _second_stage(context: RunContext) -> dict[str, Any]:
    """Returns the labels, and what the first stage's network says of them."""
    training_set = context.training_set
    probs = context.probabilities(training_set)
    arguments = {
        "labels": training_set.labels,
        "posterior": clean_posterior(probs, training_set.labels),
        "seed": context.seed,
        **_clean_term(context),
    }
    if "mixup" not in context.options:
        arguments["mixup"] = can_mix(training_set.input_spec)
    return arguments


def leaves_mixup_out(
    name: str, options: Mapping[str, Any], noisy: Examples
) -> bool:
    """Returns whether a second stage does not mix the inputs by itself.

    Args:
        name: The name of the method.
        options: The options of the method.
        noisy: The noisy set.
    """
    second = _SECOND_STAGE in METHODS[name].phases
    return second and "mixup" not in options and not can_mix(noisy.input_spec)


def _num_examples(context: RunContext) -> dict[str, Any]:
    return {"num_examples": len(context.training_set)}


def _given_labels(context: RunContext) -> dict[str, Any]:
    return {"labels": context.training_set.labels}


def _pencil_stages(context: RunContext) -> dict[str, Any]:
    steps = context.epochs * context.steps_per_epoch
    first, second = (
        round(steps * end / _PENCIL_EPOCHS) for end in _PENCIL_ENDS
    )
    # A label moves once per epoch: a short run takes fewer and longer steps.
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


# An estimated noise rate is at most this, so that co-teaching keeps examples.
_MOST_FORGOTTEN = 0.9
# An estimated entry of T below this is taken as 0.
_LEAST_ENTRY = 1e-3
# The weights of the classes of the trusted set, by name.
_CLASS_WEIGHTS: Mapping[
    str, Callable[[RunContext, Examples], np.ndarray | None]
] = {
    "equal": lambda context, clean: None,
    "given_labels": lambda context, clean: data.class_weight(
        context.noisy.labels, clean.labels, context.num_classes
    ),
}


def transition_update(
    name: str, options: Mapping[str, Any], steps: int = 0, num_classes: int = 2
) -> transitions.TransitionUpdate:
    """Returns the update of T that the options of a method describe.

    Args:
        name: A name in `LEARN_T`.
        options: The options of the method, with a section `transition`.
        steps: The number of steps of the run, over which the steps of T decay
            if the options have no `decay_steps`. Defaults to 0, no decay.
        num_classes: The number of classes, which "auto" needs. Defaults to 2.

    Raises:
        InputError: for a bad name or argument in the section.
    """
    given = options["transition"]
    known = (*transitions.UPDATES, AUTO)
    if given["name"] not in known:
        raise unknown_name(
            f"method.{name}.transition.name", given["name"], known
        )
    if given["name"] == AUTO:
        return transitions.for_run(max(steps, 1), num_classes)
    update = {"decay_steps": steps, **options["transition"]}
    with in_section(f"method.{name}.transition", update):
        return transitions.get(**update)


def _mlc(context: RunContext) -> dict[str, Any]:
    """Builds the update of T, and the weights of the trusted set."""
    return {**_update("mlc", context), **_clean_term(context)}


def _robot(context: RunContext) -> dict[str, Any]:
    return _update("robot", context)


def _update(name: str, context: RunContext) -> dict[str, Any]:
    return {
        "transition": transition_update(
            name, context.options, _steps(context), context.num_classes
        )
    }


def _steps(context: RunContext) -> int:
    return context.epochs * context.steps_per_epoch


def with_rates_of_mlc(
    name: str, options: Mapping[str, Any], mlc: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns options in which a control of mlc chooses its rates as mlc does.

    Args:
        name: The name of the method.
        options: The options of the method that are given.
        mlc: The options of mlc in the same config.
    """
    if not is_automatic(mlc):
        return {**options}
    return {**dict.fromkeys(_RATES_OF_MLC.get(name, ()), AUTO), **options}


def is_automatic(options: Mapping[str, Any]) -> bool:
    """Returns whether a run of these options chooses its rates ("auto")."""
    transition = options.get("transition")  # of mlc_paper: a name
    moves = isinstance(transition, Mapping) and transition.get("name") == AUTO
    return moves or AUTO in (options.get(name) for name in _CHOSEN)


def chosen_rates(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the rates that "auto" chose, as options that would give them.

    Args:
        arguments: What `Phase.arguments` of a phase returned.

    Returns:
        The section `transition`, `expectation_rate` and `clean_weight`; without
        those that were not chosen.
    """
    chosen: dict[str, Any] = {}
    update = arguments.get("transition")
    if isinstance(update, transitions.TransitionUpdate):
        rates = update.get_config()
        given = {name: rate for name, rate in rates.items() if rate is not None}
        chosen["transition"] = {"name": "exponentiated", **given}
    return chosen | {
        name: arguments[name] for name in _CHOSEN if name in arguments
    }


def _expectation_rate(context: RunContext) -> dict[str, Any]:
    """Returns the rate of EM that mlc would choose, where it chooses."""
    if context.options.get("expectation_rate") != AUTO:
        return {}
    update = transitions.for_run(_steps(context), context.num_classes)
    return {"expectation_rate": update.expectation_rate}


def _clean_term(context: RunContext) -> dict[str, Any]:
    """Returns the weights of the trusted set and of its classes."""
    return {**_clean_weight(context), **_clean_class_weight(context)}


def _clean_weight(context: RunContext) -> dict[str, Any]:
    """Returns the weight of the trusted set where no rate is given."""
    given = context.options.get("clean_weight", AUTO)
    if given != AUTO or not is_automatic(context.options):
        return {}
    if context.clean is None:
        return {"clean_weight": 0.0}
    return {
        "clean_weight": data.clean_weight(
            len(context.noisy), len(context.clean)
        )
    }


def _clean_class_weight(context: RunContext) -> dict[str, Any]:
    """Returns the weights of the clean classes that an option names."""
    weighting = context.options.get("clean_class_weight")
    if weighting is None:
        return {}
    if weighting not in _CLASS_WEIGHTS:
        raise unknown_name("clean_class_weight", weighting, _CLASS_WEIGHTS)
    if context.clean is None:  # then there is no clean term to weigh
        return {"clean_class_weight": None}
    weights = _CLASS_WEIGHTS[weighting](context, context.clean)
    return {"clean_class_weight": weights}


# The methods with a section `transition` of options.
LEARN_T = ("mlc", "mlc_semi", "robot")
# The name of the update whose rates follow from the length of the run.
AUTO = "auto"
# The rates outside the section `transition` that "auto" may choose.
_CHOSEN = ("expectation_rate", "clean_weight")
# Which of them a method chooses that mlc is compared with, as mlc does.
_RATES_OF_MLC: Mapping[str, tuple[str, ...]] = {
    "ce_control": ("clean_weight",),
    "glc_em": ("expectation_rate", "clean_weight"),
    "glc_semi": ("clean_weight",),
}
_MERGED = Phase(CrossEntropy, data="merged")
_NOISY = Phase(CrossEntropy)
# It goes on from the weights of the first stage, as DivideMix does.
_SECOND_STAGE = Phase(
    SemiSupervised,
    arguments=_second_stage,
    fresh=False,
    options=("momentum", "mixup", "clean_weight"),
)

METHODS: Mapping[str, Method] = {
    "mlc": Method(
        (Phase(MetaLossCorrection, arguments=_mlc),), needs_clean=True
    ),
    "mlc_semi": Method(
        (
            Phase(
                MetaLossCorrection,
                arguments=_mlc,
                options=(
                    "meta_gradient",
                    "virtual_learning_rate",
                    "clean_weight",
                ),
            ),
            _SECOND_STAGE,
        ),
        needs_clean=True,
    ),
    "mlc_paper": Method((Phase(PaperMetaLossCorrection),), needs_clean=True),
    "cross_entropy": Method((_MERGED,)),
    # mlc with T frozen at the identity. By default it has the options of mlc.
    "ce_control": Method((Phase(CrossEntropy, arguments=_clean_term),)),
    "authors_step": Method(
        (Phase(AuthorsStep),), sums_loss=True, needs_clean=True
    ),
    "noise_layer": Method(
        (Phase(NoiseLayer),),
        optimizer_steps=2,
        clean_steps=True,
        needs_clean=True,
    ),
    "noise_layer_logits": Method(
        (Phase(functools.partial(NoiseLayer, space="logits")),),
        optimizer_steps=2,
        clean_steps=True,
        needs_clean=True,
    ),
    "forward": Method(
        (
            _MERGED,
            Phase(ForwardCorrection, data="merged", arguments=_anchor_points),
        )
    ),
    "dual_t": Method(
        (_MERGED, Phase(ForwardCorrection, data="merged", arguments=_dual))
    ),
    "t_revision": Method(
        (
            _MERGED,
            # From the network that estimated T, as the published code does.
            Phase(
                TransitionRevision,
                data="merged",
                arguments=_anchor_points,
                fresh=False,
            ),
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
        ),
        needs_clean=True,
    ),
    "glc_semi": Method(
        (
            _NOISY,
            Phase(
                GoldLossCorrection,
                data="merged",
                arguments=_gold(mean_prediction_transition),
                options=("expectation_rate",),
            ),
            _SECOND_STAGE,
        ),
        needs_clean=True,
    ),
    # What GLC and the parts of mlc other than the meta-gradient reach together.
    "glc_em": Method(
        (_NOISY, Phase(ForwardCorrection, arguments=_gold_start)),
        needs_clean=True,
    ),
    "confusion": Method(
        (
            _NOISY,
            Phase(
                GoldLossCorrection,
                data="merged",
                arguments=_gold(confusion_transition),
            ),
        ),
        needs_clean=True,
    ),
    "lre": Method((Phase(LearningToReweight),), needs_clean=True),
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
    # `dual_t` estimates the noise rate.
    "co_teaching_estimated": Method(
        (
            _MERGED,
            Phase(CoTeaching, data="merged", arguments=_co_teaching_estimated),
        )
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
    # `dual_t` estimates the structure.
    "masking_estimated": Method(
        (
            _MERGED,
            Phase(
                Masking,
                data="merged",
                arguments=_masking_estimated,
                prepare=Masking.pretrain,
                fresh=False,
            ),
        )
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
    "volmin": Method((Phase(VolumeMinimization, data="merged"),)),
    "robot": Method((Phase(RobustBilevel, data="merged", arguments=_robot),)),
    "gce": Method((Phase(GeneralizedCrossEntropy, data="merged"),)),
    "elr": Method(
        (
            Phase(
                EarlyLearningRegularization,
                data="merged",
                arguments=_num_examples,
            ),
        )
    ),
    "meta_weight_net": Method((Phase(MetaWeightNet),), needs_clean=True),
    "fasten": Method(
        (Phase(Fasten, arguments=_given_labels),),
        clean_steps=True,
        needs_clean=True,
    ),
    "clean_only": Method(
        (Phase(CrossEntropy, data="clean"),), needs_clean=True
    ),
    "fine_tune": Method(
        (_NOISY, Phase(CrossEntropy, data="clean", fresh=False)),
        needs_clean=True,
    ),
    "true_forward": Method(
        (Phase(ForwardCorrection, arguments=_true_transition),),
        oracle="the true T",
    ),
}


def get(name: str) -> Method:
    """Returns a method; an InputError names the nearest."""
    if name not in METHODS:
        raise unknown_name("method.name", name, METHODS)
    return METHODS[name]


def check_clean(
    name: str, options: Mapping[str, Any], clean: Examples | None
) -> None:
    """Raises an `InputError` if a method lacks the trusted set that it needs.

    Args:
        name: The name of the method.
        options: The options of the method, as `settings.method_options`.
        clean: The trusted set; None if there is none.
    """
    method = get(name)
    if clean is not None:
        return
    if method.needs_clean:
        without = [
            known
            for known, each in METHODS.items()
            if not (each.needs_clean or each.oracle)
        ]
        raise InputError(
            "`method.name` should be a method that needs no trusted set, one "
            f"of {', '.join(without)}, or the data should have one (README.md, "
            f'"Your own data"). Received: `method.name` = {name!r}, and no '
            "trusted set."
        )
    if options.get("clean_weight", 0) not in (0, AUTO):
        raise bad_argument(
            f"method.{name}.clean_weight",
            "0 without a trusted set",
            options["clean_weight"],
        )


def training_set(
    phase: Phase, noisy: Examples, clean: Examples | None
) -> Examples:
    """Returns the examples that a phase trains on."""
    if phase.data == "noisy" or clean is None:
        return noisy
    return clean if phase.data == "clean" else examples.join(noisy, clean)
