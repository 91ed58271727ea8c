"""Configs, data and models that several test files share."""

import importlib.util
from pathlib import Path

import keras
import numpy as np

from mlc_tf.run import settings

# The root of the checkout.
ROOT = Path(__file__).parents[1]


def get_config(path, variant=""):
    """Returns the config that a file of `configs` defines."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


def small(method="mlc", **overrides):
    """Returns a config that trains two epochs on digits."""
    config = settings.default_config()
    config.dataset.name = "digits"
    config.clean.per_class = 5
    config.network.mlp.hidden_units = (16,)
    config.train.epochs = 2
    config.train.batch_size = 32
    config.optimizer.learning_rate = 0.1
    config.method.mlc.meta_gradient = "head"
    config.method.name = method
    config.update_from_flattened_dict(overrides)
    return config


def own_arrays(path, **changes):
    """Writes 60 examples of two classes; returns settings that load them."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.normal(size=(60, 4)).astype(np.float32),
        "y_train": np.arange(60) % 2,
        "x_test": rng.normal(size=(10, 4)).astype(np.float32),
        "y_test": np.arange(10) % 2,
        "x_clean": rng.normal(size=(8, 4)).astype(np.float32),
        "y_clean": np.arange(8) % 2,
    }
    arrays.update(changes)
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return {
        "dataset.name": f"npz:{path}",
        "noise.kind": "none",
        "train.batch_size": 16,
        "train.epochs": 1,
    }


class Subclassed(keras.Model):
    """A base whose `call` has no argument `training`."""

    def __init__(self, classes):
        super().__init__()
        self.hidden = keras.layers.Dense(8, activation="tanh")
        self.out = keras.layers.Dense(classes)

    def call(self, x):
        return self.out(self.hidden(x))


def subclassed_base(width=6, classes=3):
    """Returns a built base that is neither functional nor Sequential."""
    base = Subclassed(classes)
    base(np.zeros((1, width), np.float32))
    return base
