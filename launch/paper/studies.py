"""Studies: a config, and the changes of it that are compared."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from mlc_tf.launch.paper import published
from mlc_tf.run import settings

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """Variants of one config, each run under the same conditions.

    Attributes:
        config: The name of the config, DATASET or DATASET:VARIANT.
        variants: Maps the name of each variant to the settings that it changes,
            by their dotted names. The first variant is the one that the table
            compares all others with.
        common: Settings that all variants change.
        noises: The kinds of noise. Defaults to the paper's three.
        ratio: The noise ratio. Defaults to 0.4.
        further: Further noise ratios, each with the variants that are also run
            at it. Defaults to none.
        seeds: The seeds.
    """

    config: str
    variants: Mapping[str, Changes]
    common: Changes = field(default_factory=dict)
    noises: Sequence[str] = published.NOISES
    ratio: float = 0.4
    further: Mapping[float, Sequence[str]] = field(default_factory=dict)
    seeds: Sequence[int] = (0, 1, 2)


# The paper's algorithm as `MetaLossCorrection` takes it: with changes.
_LETTER_AS_MLC = {
    "method.name": "mlc",
    "method.mlc.learning_rate": 0.01,
    "method.mlc.meta_gradient": "exact",
    "method.mlc.virtual_learning_rate": 0.01,
    "method.mlc.transition.name": "projected_columns",
    "method.mlc.transition.learning_rate": 1.0,
    "method.mlc.transition.smoothing": 0.0,
    "method.mlc.transition.max_step": None,
    "method.mlc.transition.expectation_rate": None,
    "method.mlc.transition.decay_steps": 0,
}
_LIMITED = {**_LETTER_AS_MLC, "method.mlc.transition.max_step": 0.3}
_SMOOTHED = {**_LETTER_AS_MLC, "method.mlc.transition.smoothing": 0.2}
_HE_NORMAL = {"network.initializer": "he_normal"}
_M_64 = {"clean.batch_size": 64}
_MOMENTUM = {"optimizer.momentum": 0.9}
# The letter in the setting of this project's first version.
_ALL_THREE = {**_HE_NORMAL, **_M_64, **_MOMENTUM}
_PLAIN = {"method.name": "ce_control", "method.ce_control.learning_rate": 0.01}
_LONGER = {"train.epochs": 10}
# Four fifths of MNIST's training set are held out: 12,000 images are left, and
# the accuracy is measured on 48,000.
_TWELVE_THOUSAND = {"dataset.validation": 0.8}

# The rates of the letter are the rates of configs/mnist.py:paper.
_LETTER_STEPS = {
    name: value
    for name, value in _LETTER_AS_MLC.items()
    if name != "method.mlc.learning_rate"
}
_UPDATE = "method.mlc.transition"
_ROWS = {f"{_UPDATE}.name": "projected"}
_START = {f"{_UPDATE}.smoothing": 0.2}
_HEAD = {"method.mlc.meta_gradient": "head"}
_NO_META_GRADIENT = {f"{_UPDATE}.learning_rate": 0.0}


# The settings of mlc on digits when its parts were studied, before settings
# were chosen by the trusted set alone.
_DIGITS = {
    "method.mlc.learning_rate": 0.025,
    "method.mlc.virtual_learning_rate": 0.01,
    "method.mlc.clean_weight": 0.3,
    "method.mlc.clean_class_weight": None,
    f"{_UPDATE}.learning_rate": 30.0,
    f"{_UPDATE}.smoothing": 0.2,
    f"{_UPDATE}.max_step": 5.0,
    f"{_UPDATE}.expectation_rate": 0.3,
    "method.true_forward.learning_rate": None,
}


def _one_after_another(
    letter: Changes, parts: Mapping[str, Changes]
) -> dict[str, Changes]:
    """Returns the letter, and then each part added to all parts before it."""
    variants, changes = {"letter": letter}, dict(letter)
    for number, (name, part) in enumerate(parts.items(), start=1):
        changes = {**changes, **part}
        variants[f"{number}_{name}"] = changes
    return variants


# What T and the trusted images are worth without the paper's meta-gradient.
def _controls(expectation_rate: float) -> dict[str, Changes]:
    return {
        "glc_em": {
            "method.name": "glc_em",
            "method.glc_em.expectation_rate": expectation_rate,
            "method.glc_em.clean_weight": 0.3,
        },
        "glc": {"method.name": "glc"},
        "clean_weight_alone": {
            "method.name": "ce_control",
            "method.ce_control.clean_weight": 0.3,
        },
        "plain_training": {
            "method.name": "ce_control",
            "method.ce_control.clean_weight": 0.0,
        },
        "true_t": {
            "method.name": "true_forward",
            "method.true_forward.clean_weight": 0.3,
        },
    }


# What a trusted set is worth: methods without one, and methods with one. The
# former have the settings of their papers, since a trusted set may have chosen
# the config's own settings of methods.
_WITHOUT = (
    "cross_entropy",
    "gce",
    "elr",
    "pencil",
    "forward",
    "dual_t",
    "t_revision",
    "volmin",
    "robot",
)
_WITH = (
    "cross_entropy",
    "elr",
    "glc",
    "glc_em",
    "glc_semi",
    "fasten",
    "mlc_semi",
    "mlc",
)
# The rates of T that were searched, or that follow from the length of the run.
_NO_RATES = {
    f"method.mlc.transition.{name}": None
    for name in (
        "learning_rate",
        "smoothing",
        "max_step",
        "expectation_rate",
        "decay_steps",
    )
}
_AUTO_RATES = {**_NO_RATES, "method.mlc.transition.name": "auto"}
_AUTO = {
    **_AUTO_RATES,
    "method.mlc.virtual_learning_rate": 1.0,
    "method.mlc.clean_weight": None,
}
# Before alpha was 1 and the weight of the trusted set followed from its size.
_AUTO_AT_0_3 = {**_AUTO_RATES, "method.mlc.clean_weight": 0.3}


def _defaults_of(method: str) -> dict[str, Any]:
    """Returns the settings of a method before a config changes them."""
    shared = f"method.{method}.meta_gradient"  # robot has the one of mlc
    return {
        name: value
        for name, value in settings.flat(settings.default_config()).items()
        if name.startswith(f"method.{method}.") and name != shared
    }


def _trust(epochs: int, learning_rate: float | None = None) -> dict[str, Any]:
    """Returns methods with and without a trusted set.

    Args:
        epochs: The epochs of the config. A second stage trains for as many
            more, so that mlc is also run with twice as many.
        learning_rate: The rate of the methods without a trusted set. Defaults
            to None, the shared rate of the config.
    """
    variants: dict[str, Any] = {
        f"{name}_with": {"method.name": name} for name in reversed(_WITH)
    }
    variants["mlc_longer_with"] = {
        "method.name": "mlc",
        "train.epochs": 2 * epochs,
    }
    variants["mlc_auto_with"] = {"method.name": "mlc", **_AUTO}
    variants["mlc_auto_at_0.3_with"] = {"method.name": "mlc", **_AUTO_AT_0_3}
    for name in _WITHOUT:
        variants[name] = {
            **_defaults_of(name),
            "method.name": name,
            "clean.per_class": 0,
            f"method.{name}.learning_rate": learning_rate,
        }
    variants["robot_at_alpha_1"] = {
        **variants["robot"],
        "method.robot.virtual_learning_rate": 1.0,  # of the class
    }
    return variants


_INSTANCE_TOO = (*published.NOISES, "instance")
# The shared rate of the configs of MNIST and reduced CIFAR-10 is 0.05. On MNIST
# some networks without a trusted set then end at a tenth right, so they have
# half of it. The study of MNIST has three methods with the whole rate too.
_HALF_RATE = 0.025
_AT_WHOLE_RATE = {
    f"{name}_at_0.05": {
        "method.name": name,
        "clean.per_class": 0,
        f"method.{name}.learning_rate": None,
    }
    for name in ("cross_entropy", "gce", "elr")
}
# The rate of the published code of t_revision. That method trains twice, so
# there are methods with this rate that train for twice as long.
_AT_REVISIONS_RATE = {
    "t_revision_at_0.01": {
        "method.name": "t_revision",
        "clean.per_class": 0,
        "method.t_revision.learning_rate": 0.01,
    },
    **{
        f"{name}_longer_at_0.01": {
            "method.name": name,
            "clean.per_class": 0,
            f"method.{name}.learning_rate": 0.01,
            "train.epochs": 16,  # the config has 8
        }
        for name in ("cross_entropy", "elr")
    },
}
_TUNED_AND_AUTO: dict[str, Changes] = {"tuned": {}, "auto": _AUTO_AT_0_3}
# The defaults of the class: MetaLossCorrection(base).
_DEFAULTS = {
    **_AUTO,
    "method.mlc.meta_gradient": "exact",
    "method.mlc.clean_weight": 0.0,
    "method.mlc.clean_class_weight": None,
}
_OF_CLASS: dict[str, Changes] = {
    "defaults": _DEFAULTS,
    "defaults_with_clean_weight": {
        **_DEFAULTS,
        "method.mlc.clean_weight": None,
    },
    # The defaults before rates followed from the length of the run.
    "former_defaults": {
        **_DEFAULTS,
        **_NO_RATES,
        "method.mlc.transition.name": "exponentiated",
        "method.mlc.transition.decay_steps": 0,
        "method.mlc.virtual_learning_rate": 0.1,
    },
}


STUDIES: Mapping[str, Study] = {
    # Which of the settings that the paper leaves open decide whether its
    # algorithm works, and what repairs it.
    "letter": Study(
        config="mnist:paper",
        variants={
            "letter": {},
            "he_normal": _HE_NORMAL,
            "random_start": {"method.mlc_paper.transition": "random"},
            "m_64": _M_64,
            "he_normal_m_64": {**_HE_NORMAL, **_M_64},
            "momentum_m_64": {**_MOMENTUM, **_M_64},
            "he_normal_momentum_m_64": _ALL_THREE,
            "all_three_limited": {**_ALL_THREE, **_LIMITED},
            "all_three_smoothed": {**_ALL_THREE, **_SMOOTHED},
            "plain_training": _PLAIN,
            "smoothed_start": _SMOOTHED,
            "cosine": {"optimizer.schedule": "cosine"},
            "longer_plain_training": {**_PLAIN, **_LONGER},
            "longer": _LONGER,
        },
        common={
            **_TWELVE_THOUSAND,
            "network.initializer": "uniform",
            "train.epochs": 5,
        },
        further={0.1: ("letter",)},
    ),
    # On nine tenths of MNIST, otherwise as configs/mnist.py:paper has it, for
    # the smallest change that makes the paper's algorithm work. Clean batches
    # of 64 cost a seventh of 500, and make no difference that shows on 12,000
    # images.
    "letter_full": Study(
        config="mnist:paper",
        variants={
            "plain_training": _PLAIN,
            "m_64": _M_64,
            "m_64_limited": {**_M_64, **_LIMITED},
            "m_64_limited_momentum": {**_M_64, **_LIMITED, **_MOMENTUM},
            "m_64_limited_momentum_cosine": {
                **_M_64,
                **_LIMITED,
                **_MOMENTUM,
                "optimizer.schedule": "cosine",
            },
            "true_t": {
                "method.name": "true_forward",
                "method.true_forward.learning_rate": 0.01,
            },
        },
        common={"dataset.validation": 0.1},
    ),
    # Whether rates that follow from the length of the run do as well as rates
    # that were searched.
    "auto_digits": Study(
        config="digits",
        variants={**_TUNED_AND_AUTO, **_OF_CLASS},
        common={"dataset.validation": 0.25},
    ),
    "auto_mnist": Study(
        config="mnist",
        variants={
            **_TUNED_AND_AUTO,
            "tuned_with_clean_weight": {"method.mlc.clean_weight": 0.3},
            **_OF_CLASS,
        },
        common=_TWELVE_THOUSAND,
    ),
    # What knowing the noise rate, or the structure of T, is worth.
    "oracles_digits": Study(
        config="digits",
        variants={
            name: {"method.name": name}
            for name in (
                "co_teaching",
                "co_teaching_estimated",
                "masking",
                "masking_estimated",
                "masking_hard",
            )
        },
        common={"dataset.validation": 0.25},
    ),
    # What a trusted set is worth, and who does best without one.
    "trust_digits": Study(
        config="digits",
        variants=_trust(epochs=30),
        common={"dataset.validation": 0.25},
        noises=_INSTANCE_TOO,
    ),
    "trust_mnist": Study(
        config="mnist",
        variants={
            **_trust(epochs=5, learning_rate=_HALF_RATE),
            **_AT_WHOLE_RATE,
        },
        common=_TWELVE_THOUSAND,
        noises=_INSTANCE_TOO,
    ),
    # Noise of the instance needs inputs of numbers, so words have none.
    "trust_twitter": Study(
        config="twitter",
        variants=_trust(epochs=5),
        common={"dataset.validation": 0.2},
        # Seeds that leave each tag two words, one of them to trust.
        seeds=(2, 4, 5),
    ),
    "trust_cifar10": Study(
        config="cifar10:reduced",
        variants={
            **_trust(epochs=8, learning_rate=_HALF_RATE),
            **_AT_REVISIONS_RATE,
        },
        common={"dataset.validation": 0.1},
        noises=_INSTANCE_TOO,
    ),
    # What each difference between the letter and mlc is worth: added one after
    # another, and taken from mlc alone. (The decay of T's steps is the last
    # difference, so its row is the last that was added.) Then what there is
    # without the meta-gradient. All with the training of mlc.
    "parts_digits": Study(
        config="digits",
        variants={
            "mlc": {},
            **_one_after_another(
                _LETTER_STEPS | {"method.mlc.clean_weight": 0.0},
                {
                    "rows": _ROWS,
                    "start": _START,
                    "limit": {f"{_UPDATE}.max_step": 5.0},
                    "rate": {f"{_UPDATE}.learning_rate": 30.0},
                    "head": _HEAD,
                    "em": {f"{_UPDATE}.expectation_rate": 0.3},
                    "clean_weight": {"method.mlc.clean_weight": 0.3},
                },
            ),
            "without_start": {f"{_UPDATE}.smoothing": 0.0},
            "without_limit": {f"{_UPDATE}.max_step": None},
            "without_rate": {f"{_UPDATE}.learning_rate": 1.0},
            "without_head": {"method.mlc.meta_gradient": "exact"},
            "without_em": {f"{_UPDATE}.expectation_rate": 0.0},
            "without_clean_weight": {"method.mlc.clean_weight": 0.0},
            "without_meta_gradient": _NO_META_GRADIENT,
            "em_alone": {**_NO_META_GRADIENT, "method.mlc.clean_weight": 0.0},
            **_controls(expectation_rate=0.3),
        },
        common={"dataset.validation": 0.25, **_DIGITS},
    ),
    "parts_mnist": Study(
        config="mnist",
        variants={
            "mlc": {},
            **_one_after_another(
                _LETTER_STEPS,
                {
                    "rows": _ROWS,
                    "start": _START,
                    "limit": {f"{_UPDATE}.max_step": 0.3},
                    "exponentiated": {
                        f"{_UPDATE}.name": "exponentiated",
                        f"{_UPDATE}.learning_rate": 3.0,
                        "method.mlc.virtual_learning_rate": 0.1,
                    },
                    "head": _HEAD,
                    "em": {f"{_UPDATE}.expectation_rate": 0.03},
                },
            ),
            "without_start": {f"{_UPDATE}.smoothing": 0.01},
            "without_limit": {f"{_UPDATE}.max_step": float("inf")},
            "without_exponentiated": {
                **_ROWS,
                **_START,
                f"{_UPDATE}.learning_rate": 1.0,
                "method.mlc.virtual_learning_rate": 0.01,
            },
            "without_head": {"method.mlc.meta_gradient": "exact"},
            "without_em": {f"{_UPDATE}.expectation_rate": 0.0},
            "without_meta_gradient": _NO_META_GRADIENT,
            "with_clean_weight": {"method.mlc.clean_weight": 0.3},
            "without_meta_gradient_with_clean_weight": {
                **_NO_META_GRADIENT,
                "method.mlc.clean_weight": 0.3,
            },
            **_controls(expectation_rate=0.03),
        },
        common=_TWELVE_THOUSAND,
    ),
}
