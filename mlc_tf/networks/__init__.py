"""The paper's networks, and an MLP: functional models from inputs to logits,
which standardise their inputs themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from mlc_tf.errors import unknown_name
from mlc_tf.networks import statistics
from mlc_tf.networks.lenet import lenet
from mlc_tf.networks.mlp import mlp
from mlc_tf.networks.resnet50 import resnet50
from mlc_tf.networks.wide_resnet import wide_resnet
from mlc_tf.networks.word_window import word_window


@dataclass(frozen=True)
class Network:
    """A network that configs can name.

    Attributes:
        build: Maps an input shape, the number of classes and keyword options to
            a `keras.Model`.
        measure: Maps the noisy inputs, and the clean inputs if there are any,
            to the options of `build` that depend on the inputs, such as mean
            and variance. None if no option does. Defaults to
            `statistics.channels`.
        pretrained: Whether `build` has the option `weights`. Defaults to
            False.
    """

    build: Callable[..., keras.Model]
    measure: Callable[..., dict[str, Any]] | None = statistics.channels
    pretrained: bool = False


NETWORKS = {
    "mlp": Network(mlp),
    "lenet": Network(lenet),
    "wide_resnet": Network(wide_resnet),
    "resnet50": Network(resnet50, measure=None, pretrained=True),
    "word_window": Network(word_window, measure=statistics.tables),
}


def get(name: str) -> Network:
    """Returns the network with a name.

    Args:
        name: A name of `NETWORKS`.

    Raises:
        InputError: for an unknown name; the message suggests the nearest name.
    """
    if name not in NETWORKS:
        raise unknown_name("network.name", name, NETWORKS)
    return NETWORKS[name]


__all__ = [
    "NETWORKS",
    "Network",
    "get",
    "lenet",
    "mlp",
    "resnet50",
    "wide_resnet",
    "word_window",
]
