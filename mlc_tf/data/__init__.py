"""Examples and labels: in memory, in files or in streams; checked, made noisy,
augmented, and paired with trusted ones."""

from mlc_tf.data.noise import corrupt
from mlc_tf.data.pairs import Augment
from mlc_tf.data.pairs import class_weight
from mlc_tf.data.pairs import pair

__all__ = ["Augment", "class_weight", "corrupt", "pair"]
