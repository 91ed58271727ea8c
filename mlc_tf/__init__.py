"""Noise-robust training with a small trusted set, for Keras.

The sub-packages, from the ground up: `transitions`, `losses`, `distribution`;
`data`, `datasets`, `networks`; `models`; `baselines`; `run`; `audit`. Each is
imported when it is first used.
"""

import importlib
from typing import Any

from mlc_tf.data.noise import corrupt
from mlc_tf.data.pairs import pair
from mlc_tf.errors import InputError
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.pair_model import PairModel
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection

__version__ = "0.1.0"

_PACKAGES = (
    "audit",
    "baselines",
    "data",
    "datasets",
    "distribution",
    "errors",
    "losses",
    "models",
    "networks",
    "run",
    "transitions",
)
__all__ = [
    "InputError",
    "MetaLossCorrection",
    "PairModel",
    "PaperMetaLossCorrection",
    "corrupt",
    "find_label_issues",
    "pair",
    *_PACKAGES,
]


def __getattr__(name: str) -> Any:
    # Users who only train should not wait for pandas, SciPy and TFDS.
    if name == "find_label_issues":
        return importlib.import_module("mlc_tf.audit").find_label_issues
    if name in _PACKAGES:
        return importlib.import_module(f"mlc_tf.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
