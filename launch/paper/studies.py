"""Studies: a config, and the changes of it that are compared."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from mlc_tf.launch.paper import published

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
        ratios: The noise ratios.
        seeds: The seeds.
    """

    config: str
    variants: Mapping[str, Changes]
    common: Changes = field(default_factory=dict)
    noises: Sequence[str] = published.NOISES
    ratios: Sequence[float] = (0.4,)
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
# Four fifths of MNIST's training set are held out: 12,000 images are left, and
# the accuracy is that on 48,000.
_TWELVE_THOUSAND = {"dataset.validation": 0.8}

STUDIES: Mapping[str, Study] = {
    # Which of the settings that the paper leaves open decide whether its
    # algorithm works, and what repairs it.
    "letter": Study(
        config="mnist:paper",
        variants={
            "letter": {},
            "he_normal": _HE_NORMAL,
            "random_start": {"method.mlc_paper.transition": "random"},
            "smoothed_start": _SMOOTHED,
            "m_64": {"clean.batch_size": 64},
            "momentum": {"optimizer.momentum": 0.9},
            "cosine": {"optimizer.schedule": "cosine"},
            "he_normal_limited": {**_HE_NORMAL, **_LIMITED},
            "he_normal_smoothed": {**_HE_NORMAL, **_SMOOTHED},
            "limited": _LIMITED,
            "plain_training": {
                "method.name": "ce_control",
                "method.ce_control.learning_rate": 0.01,
            },
            "longer": {"train.epochs": 20},
            "longer_plain_training": {
                "method.name": "ce_control",
                "method.ce_control.learning_rate": 0.01,
                "train.epochs": 20,
            },
        },
        common=_TWELVE_THOUSAND,
        ratios=(0.1, 0.4),
    ),
}
