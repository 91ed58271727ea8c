"""The methods that Meta Loss Correction is compared with, one file each.
No baseline imports another."""

from mlc_tf.baselines.authors_step import AuthorsStep
from mlc_tf.baselines.co_teaching import CoTeaching
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.baselines.early_learning_regularization import (
    EarlyLearningRegularization,
)
from mlc_tf.baselines.fasten import Fasten
from mlc_tf.baselines.forward_correction import ForwardCorrection
from mlc_tf.baselines.generalized_cross_entropy import GeneralizedCrossEntropy
from mlc_tf.baselines.gold_loss_correction import GoldLossCorrection
from mlc_tf.baselines.learning_to_reweight import LearningToReweight
from mlc_tf.baselines.masking import Masking
from mlc_tf.baselines.masking_hard import MaskingHard
from mlc_tf.baselines.meta_weight_net import MetaWeightNet
from mlc_tf.baselines.noise_layer import NoiseLayer
from mlc_tf.baselines.pencil import Pencil
from mlc_tf.baselines.robust_bilevel import RobustBilevel
from mlc_tf.baselines.semi_supervised import SemiSupervised
from mlc_tf.baselines.transition_revision import TransitionRevision
from mlc_tf.baselines.volume_minimization import VolumeMinimization

__all__ = [
    "AuthorsStep",
    "CoTeaching",
    "CrossEntropy",
    "EarlyLearningRegularization",
    "Fasten",
    "ForwardCorrection",
    "GeneralizedCrossEntropy",
    "GoldLossCorrection",
    "LearningToReweight",
    "Masking",
    "MaskingHard",
    "MetaWeightNet",
    "NoiseLayer",
    "Pencil",
    "RobustBilevel",
    "SemiSupervised",
    "TransitionRevision",
    "VolumeMinimization",
]
