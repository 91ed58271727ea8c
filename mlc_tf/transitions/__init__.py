"""The noise transition matrix T: its checks, its start and its update steps.
`T[i, j] = p(noisy = j | clean = i)` in every module."""

from mlc_tf.transitions.matrix import check_normalization
from mlc_tf.transitions.matrix import check_structure
from mlc_tf.transitions.matrix import correct
from mlc_tf.transitions.matrix import distance
from mlc_tf.transitions.matrix import normalize
from mlc_tf.transitions.matrix import of_rows
from mlc_tf.transitions.matrix import regauge
from mlc_tf.transitions.matrix import smoothed_identity
from mlc_tf.transitions.matrix import validate
from mlc_tf.transitions.steps import STEPS
from mlc_tf.transitions.steps import expectation_step
from mlc_tf.transitions.steps import exponentiated_step
from mlc_tf.transitions.steps import projected_step
from mlc_tf.transitions.steps import shortened

__all__ = [
    "STEPS",
    "check_normalization",
    "check_structure",
    "correct",
    "distance",
    "expectation_step",
    "exponentiated_step",
    "normalize",
    "of_rows",
    "projected_step",
    "regauge",
    "shortened",
    "smoothed_identity",
    "validate",
]
