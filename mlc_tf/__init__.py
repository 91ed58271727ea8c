"""Noise-robust training with a small trusted set, for Keras.

Import it before TensorFlow, which then uses the processor fully: see
`mlc_tf/processor.py`.

The sub-packages, from the ground up: `transitions`, `losses`, `distribution`;
`data`, `datasets`, `networks`; `models`; `baselines`; `run`; `audit`;
`sklearn`. Each name is imported when it is first used.
"""

import importlib
import os
from typing import TYPE_CHECKING
from typing import Any

from mlc_tf import processor

processor.prepare()  # before the first import of TensorFlow

if TYPE_CHECKING:  # what `__getattr__` returns, for editors
    from mlc_tf import audit
    from mlc_tf import baselines
    from mlc_tf import data
    from mlc_tf import datasets
    from mlc_tf import distribution
    from mlc_tf import errors
    from mlc_tf import losses
    from mlc_tf import models
    from mlc_tf import networks
    from mlc_tf import run
    from mlc_tf import sklearn
    from mlc_tf import transitions
    from mlc_tf.audit import find_label_issues
    from mlc_tf.data.noise import corrupt
    from mlc_tf.data.pairs import pair
    from mlc_tf.errors import InputError
    from mlc_tf.models.meta_loss_correction import MetaLossCorrection
    from mlc_tf.models.pair_model import PairModel
    from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "MetaLossCorrection",
    "PairModel",
    "PaperMetaLossCorrection",
    "audit",
    "baselines",
    "corrupt",
    "data",
    "datasets",
    "distribution",
    "errors",
    "find_label_issues",
    "losses",
    "models",
    "networks",
    "pair",
    "run",
    "sklearn",
    "transitions",
]
# Where the classes and functions are; all other names are sub-packages.
_HOMES = {
    "InputError": "errors",
    "MetaLossCorrection": "models",
    "PairModel": "models",
    "PaperMetaLossCorrection": "models",
    "corrupt": "data",
    "find_label_issues": "audit",
    "pair": "data",
}


def __getattr__(name: str) -> Any:
    # `mlc_tf --help` should not wait for TensorFlow, nor training for pandas.
    if name in __all__ and name not in ("InputError", "errors"):
        # Before Keras is imported, which may lack the package of its backend.
        errors = importlib.import_module("mlc_tf.errors")
        errors.check_backend(os.environ.get("KERAS_BACKEND") or "tensorflow")
    if name in _HOMES:
        home = importlib.import_module(f"mlc_tf.{_HOMES[name]}")
        return getattr(home, name)
    if name in __all__:
        return importlib.import_module(f"mlc_tf.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
