"""Trains 20 steps on a number of replicas, and saves the results for a test.

A process has one number of replicas, so each number needs its own process.
"""

import sys

import keras
import numpy as np

from mlc_tf import data
from mlc_tf import distribution
from mlc_tf import networks
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.transitions import Exponentiated


class NoNormalization(keras.layers.Layer):
    def call(self, inputs, mask=None):
        return inputs


def without_batch_norm(network):
    def same_or_identity(layer):
        if isinstance(layer, keras.layers.BatchNormalization):
            return NoNormalization()
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(network, clone_function=same_or_identity)


def build(name):
    if name.startswith("mlp"):
        layers = [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(4),
        ]
        if name == "mlp_bn":
            layers.insert(-1, keras.layers.BatchNormalization())
        return keras.Sequential(layers)
    network = networks.get("wide_resnet").build((8, 8, 1), 4, depth=16, width=1)
    return network if name == "wrn_bn" else without_batch_norm(network)


def main(replicas, output, *cases):
    strategy = distribution.strategy("mirrored", replicas)
    rng = np.random.default_rng(0)
    # Without normalization, ten times this rate saturates the softmax, and the
    # rounding error of float32 grows to 1e-3 (float64 stays at 1e-16).
    x, labels = 0.1 * rng.normal(size=(160, 8, 8, 1)), rng.integers(0, 4, 160)
    found = {}
    for case in cases:
        name, dtype = case.split("-")
        keras.config.set_dtype_policy(dtype)
        keras.utils.set_random_seed(0)
        pairs = data.pair(
            (x.astype(dtype), labels),
            (x[:40].astype(dtype), labels[:40]),
            16,
            16,
            epochs=range(2),
        )
        with strategy.scope():
            model = MetaLossCorrection(
                build(name),
                virtual_learning_rate=0.1,
                transition=Exponentiated(0.1),
            )
            model.compile(keras.optimizers.SGD(0.01, momentum=0.9))
        model.fit(pairs, epochs=2, steps_per_epoch=10, verbose=0)
        found[f"{case}-T"] = model.transition_matrix
        found[f"{case}-weights"] = np.concatenate(
            [np.ravel(weight) for weight in model.base.get_weights()]
        )
    np.savez(output, **found)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
