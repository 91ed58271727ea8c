"""Digits (scikit-learn, embedded) with 40 % of each class flipped to another.

The package's smallest real run. Its last line is the result; the numbers to
expect, with those of the other methods, are in the README.

    python launch/train.py --config=configs/digits.py
    python launch/train.py --config=configs/digits.py:smoke
"""

import ml_collections

from mlc_tf import training


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config; the variant "smoke" shrinks every size."""
    config = training.default_config()
    config.dataset.name = "digits"
    config.clean.per_class = 10
    config.network.name = "mlp"
    config.train.epochs = 30
    if variant == "smoke":
        config.train.epochs = 2
    elif variant:
        raise ValueError(f"unknown variant {variant!r}; there is: smoke")
    return config
