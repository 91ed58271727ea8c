"""Loads CIFAR-10N and CIFAR-100N: CIFAR with labels by human annotators.

TFDS stores each label with its image. The authors distribute the labels in two
orders, for TFDS and for PyTorch; labels in the wrong order belong to other
images, which `_check_order` detects.
"""

from collections.abc import Callable
from collections.abc import Mapping

import numpy as np

from mlc_tf.datasets import tfds_loader
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError

# The TFDS feature of each set of labels; `noise.kind` = "human:SET" selects a
# set.
CIFAR10_N = {
    "aggregate": "aggre_label",
    "random1": "random_label1",
    "random2": "random_label2",
    "random3": "random_label3",
    "worst": "worse_label",
}
CIFAR100_N = {"noisy": "noise_label"}
# The worst published set is wrong on 40.21 % (CIFAR-10N) and 40.20 %
# (CIFAR-100N) of the images; labels in the wrong order are wrong on 90 % or
# more.
_MOST_WRONG = 0.6


def loader(name: str, sets: Mapping[str, str]) -> Callable[[Options], Splits]:
    """Returns the loader of `cifar10_n` or `cifar100_n`.

    Args:
        name: Name of the TFDS dataset.
        sets: Maps the name of each set of human labels to its TFDS feature.

    References:
        Wei et al., 2022, arXiv:2110.12088.
    """

    def load(options: Options) -> Splits:
        """Returns the splits, with `human_labels` of the training set.

        Args:
            options: `data_dir`, `manual_dir`, `download` and `cache` are used.

        Raises:
            InputError: if the dataset cannot be prepared, or if a set of human
                labels disagrees with most true labels.
        """
        options.only(name, "data_dir", "manual_dir", "download", "cache")
        builder = tfds_loader.prepared(name, options)
        train, test = (
            tfds_loader.read(builder, split, "image", "label", options)
            for split in ("train", "test")
        )
        human = {
            chosen: tfds_loader.columns(builder, "train", (feature,))[0]
            for chosen, feature in sets.items()
        }
        for chosen, labels in human.items():
            _check_order(name, chosen, labels, train.labels)
        names = tfds_loader.class_names(builder, "label")
        return Splits(train, test, names, human_labels=human)

    return load


def _check_order(
    name: str, chosen: str, labels: np.ndarray, true: np.ndarray
) -> None:
    wrong = np.mean(labels != true)
    if wrong > _MOST_WRONG:
        raise InputError(
            f"The labels human:{chosen} of {name} should agree with most true "
            f"labels. Received: {wrong:.1%} that disagree, as if labels in the "
            "order of PyTorch belonged to images in the order of TFDS."
        )
