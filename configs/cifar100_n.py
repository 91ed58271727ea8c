"""CIFAR-100N, WRN-40-2: the labels that people gave to CIFAR-100.

Not in the paper; the settings are those of configs/cifar10.py. 40 % of the
labels, human:noisy, are wrong. TFDS downloads the images; its page on
cifar100_n tells how to get the labels, and --config.dataset.manual_dir where
they are.
Images are not augmented, as in the paper; --config.train.augment=crop_and_flip
crops and mirrors them as the GLC code does.

    python launch/train.py --config=configs/cifar100_n.py
    python launch/train.py --config=configs/cifar100_n.py:smoke
"""

import ml_collections

from mlc_tf.configs import cifar10


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config; the variant "smoke" shrinks every size."""
    config = cifar10.get_config(variant)
    config.dataset.name = "cifar100_n"
    config.noise.kind = "human:noisy"
    config.clean.per_class = 5  # as CIFAR-100
    return config
