"""Loads, checks, corrupts and augments labelled examples (arrays, files or
streams), and pairs noisy batches with trusted batches."""

from mlc_tf.data import augmentation
from mlc_tf.data.noise import corrupt
from mlc_tf.data.pairs import Augment
from mlc_tf.data.pairs import class_weight
from mlc_tf.data.pairs import clean_weight
from mlc_tf.data.pairs import pair
from mlc_tf.data.votes import soft_labels

__all__ = [
    "Augment",
    "augmentation",
    "class_weight",
    "clean_weight",
    "corrupt",
    "pair",
    "soft_labels",
]
