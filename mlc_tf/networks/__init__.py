"""The paper's networks, an MLP, and the networks of Keras and KerasHub:
functional models from inputs to logits, which standardise their inputs
themselves."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from mlc_tf.errors import import_optional
from mlc_tf.errors import unknown_name
from mlc_tf.networks import applications
from mlc_tf.networks import statistics
from mlc_tf.networks.applications import application
from mlc_tf.networks.hub import hub_classifier
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
# What builds a network FAMILY:NAME, with NAME as its first argument.
FAMILIES: dict[str, Callable[..., keras.Model]] = {
    "keras_applications": application,
    "keras_hub": hub_classifier,
}


def get(name: str) -> Network:
    """Returns the network with a name.

    Args:
        name: A name of `NETWORKS`; "keras_applications:NAME" for a network of
            `keras.applications`; or "keras_hub:PRESET" for an image classifier
            of KerasHub, where PRESET may be a folder.

    Raises:
        InputError: for an unknown name; the message suggests the nearest name.
    """
    family, _, member = name.partition(":")
    if family in FAMILIES and member:
        if family == "keras_applications":
            applications.check(member)
        build = functools.partial(FAMILIES[family], member)
        return Network(build, measure=None, pretrained=True)
    if name not in NETWORKS:
        families = [f"{each}:NAME" for each in FAMILIES]
        raise unknown_name("network.name", name, [*NETWORKS, *families])
    return NETWORKS[name]


def register_layers(name: str) -> None:
    """Makes Keras know the layers of a saved network.

    Args:
        name: The name of the network, as in `get`.

    Raises:
        InputError: if a library is not installed.
    """
    if name.startswith("keras_hub:"):
        import_optional("keras_hub", "hub")


__all__ = [
    "FAMILIES",
    "NETWORKS",
    "Network",
    "application",
    "get",
    "hub_classifier",
    "lenet",
    "mlp",
    "register_layers",
    "resnet50",
    "wide_resnet",
    "word_window",
]
