"""The paper's backbones: functional models from inputs to logits."""

from collections.abc import Callable

import keras

from mlc_tf.errors import unknown_name
from mlc_tf.networks.lenet import lenet
from mlc_tf.networks.mlp import mlp
from mlc_tf.networks.wide_resnet import wide_resnet

NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "mlp": mlp,
    "lenet": lenet,
    "wide_resnet": wide_resnet,
}


def get(name: str) -> Callable[..., keras.Model]:
    """Returns the builder of a network; an InputError names the nearest."""
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
    return NETWORKS[name]


__all__ = ["NETWORKS", "get", "lenet", "mlp", "wide_resnet"]
