"""CIFAR-100N, WRN-40-2: the labels that people gave to CIFAR-100.

Not in the paper; the settings are those of configs/cifar100.py. 40 % of the
labels, human:noisy, are wrong. TFDS downloads the images; its page on
cifar100_n tells how to get the labels, and --config.dataset.manual_dir where
they are.
Images are not augmented, as in the paper; --config.train.augment=crop_and_flip
crops and mirrors them as the GLC code does.

    python launch/train.py --config=configs/cifar100_n.py
    python launch/train.py --config=configs/cifar100_n.py:smoke
"""

import ml_collections

from mlc_tf import settings
from mlc_tf.errors import unknown_name

_STEPS_PER_EPOCH = 49_500 // 64


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config; the variant "smoke" shrinks every size."""
    config = settings.default_config()
    config.dataset.name = "cifar100_n"
    config.noise.kind = "human:noisy"
    config.clean.per_class = 5  # as CIFAR-100
    config.network.name = "wide_resnet"  # paper: WRN-40-2
    config.network.weight_decay = 5e-4  # paper
    config.optimizer.momentum = 0.9  # paper
    # The released 1e-4 is for the sum over 64 examples.
    config.optimizer.learning_rate = 6.4e-3
    config.train.batch_size = 64  # paper
    config.train.warmup_epochs = 30_000 // _STEPS_PER_EPOCH
    config.train.warmup_learning_rate = 0.1  # authors' code
    config.train.epochs = 80_000 // _STEPS_PER_EPOCH
    # As configs/mnist.py, the limit for 50,000 steps; not tuned on CIFAR.
    config.method.mlc.meta_gradient = "head"
    config.method.mlc.virtual_learning_rate = 0.1
    config.method.mlc.transition_learning_rate = 3.0
    config.method.mlc.max_transition_step = 0.0005
    if variant == "smoke":
        config.network.wide_resnet.depth = 10
        config.network.wide_resnet.width = 1
        config.train.steps_per_epoch = 40
        config.train.warmup_epochs = 1
        config.train.epochs = 2
    elif variant:
        raise unknown_name("variant", variant, ["smoke"])
    return config
