"""The paper's backbones: functional models from inputs to logits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mlc_tf.errors import unknown_name
from mlc_tf.networks import statistics
from mlc_tf.networks.lenet import lenet
from mlc_tf.networks.mlp import mlp
from mlc_tf.networks.resnet50 import resnet50
from mlc_tf.networks.wide_resnet import wide_resnet
from mlc_tf.networks.word_window import word_window


@dataclass(frozen=True)
class Network:
    """A backbone.

    Attributes:
        build: From input shape, number of classes and options to a model.
        measure: From the noisy and the clean inputs to those options that
            depend on them; None where none do.
        pretrained: Whether it takes `weights`.
    """

    build: Callable[..., keras.Model]
    measure: Callable[[np.ndarray, np.ndarray], dict[str, Any]] | None = (
        statistics.channels
    )
    pretrained: bool = False


NETWORKS = {
    "mlp": Network(mlp),
    "lenet": Network(lenet),
    "wide_resnet": Network(wide_resnet),
    "resnet50": Network(resnet50, measure=None, pretrained=True),
    "word_window": Network(word_window, measure=statistics.tables),
}


def get(name: str) -> Network:
    """Returns a network; an InputError names the nearest."""
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
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
