"""The noise transition matrix T: its checks, its start and its update steps.
`T[i, j] = p(noisy = j | clean = i)` in every module."""

from mlc_tf.transitions.matrix import check_structure
from mlc_tf.transitions.matrix import correct
from mlc_tf.transitions.matrix import distance
from mlc_tf.transitions.matrix import normalize
from mlc_tf.transitions.matrix import regauge
from mlc_tf.transitions.matrix import to_rows
from mlc_tf.transitions.matrix import validate
from mlc_tf.transitions.steps import expectation_step
from mlc_tf.transitions.steps import exponentiated_step
from mlc_tf.transitions.steps import projected_step
from mlc_tf.transitions.steps import shortened
from mlc_tf.transitions.updates import UPDATES
from mlc_tf.transitions.updates import Exponentiated
from mlc_tf.transitions.updates import Projected
from mlc_tf.transitions.updates import ProjectedColumns
from mlc_tf.transitions.updates import TransitionUpdate
from mlc_tf.transitions.updates import for_run
from mlc_tf.transitions.updates import get

__all__ = [
    "UPDATES",
    "Exponentiated",
    "Projected",
    "ProjectedColumns",
    "TransitionUpdate",
    "check_structure",
    "correct",
    "distance",
    "expectation_step",
    "exponentiated_step",
    "for_run",
    "get",
    "normalize",
    "to_rows",
    "projected_step",
    "regauge",
    "shortened",
    "validate",
]
