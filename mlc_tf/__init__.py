"""Noise-robust training with a small trusted set, for Keras."""

from mlc_tf import audit
from mlc_tf import augmentation
from mlc_tf import data
from mlc_tf import datasets
from mlc_tf import examples
from mlc_tf import export
from mlc_tf import instance_noise
from mlc_tf import losses
from mlc_tf import meta_gradient
from mlc_tf import networks
from mlc_tf import noise
from mlc_tf import transition
from mlc_tf import transition_forms
from mlc_tf.errors import InputError
from mlc_tf.meta_loss_correction import PRESETS
from mlc_tf.meta_loss_correction import MetaLossCorrection
from mlc_tf.pair_model import PairModel

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "InputError",
    "MetaLossCorrection",
    "PairModel",
    "audit",
    "augmentation",
    "data",
    "datasets",
    "examples",
    "export",
    "instance_noise",
    "losses",
    "meta_gradient",
    "networks",
    "noise",
    "transition",
    "transition_forms",
]
