"""CIFAR-10N, WRN-40-2: CIFAR-10 with labels by human annotators.

The paper does not use this dataset; the settings come from configs/cifar10.py.
The sets of labels are human:aggregate (9 % wrong), human:random1,
human:random2, human:random3 (17-18 % wrong) and human:worst (40 % wrong).

The setting --config.dataset.download=True downloads the images. The page of
TFDS on cifar10_n describes how to get the labels, and
--config.dataset.manual_dir names their folder.
Images are not augmented, as in the paper; --config.train.augment=crop_and_flip
crops and mirrors them as the GLC code does.

    python launch/train.py --config=configs/cifar10_n.py
    python launch/train.py --config=configs/cifar10_n.py:smoke
"""

import ml_collections

from mlc_tf.configs import cifar10


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config.

    Args:
        variant: A variant of configs/cifar10.py: "reduced" trains LeNet for
            minutes; "smoke" shrinks every size. Defaults to "", the full run.

    Raises:
        InputError: for any other variant.
    """
    config = cifar10.get_config(variant)
    config.dataset.name = "cifar10_n"
    config.noise.kind = "human:worst"
    return config
