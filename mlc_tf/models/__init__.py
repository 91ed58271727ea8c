"""Meta Loss Correction as Keras models: the step, its gradient through a
virtual update, and what serving needs of the trained network."""

from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.pair_model import PairModel
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection
from mlc_tf.models.two_logits import two_logits

__all__ = [
    "MetaLossCorrection",
    "PairModel",
    "PaperMetaLossCorrection",
    "two_logits",
]
