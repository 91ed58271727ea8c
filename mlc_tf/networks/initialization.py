"""Initial weights, which all networks share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlc_tf.errors import unknown_name


@dataclass(frozen=True)
class Initializers:
    """How the kernels of a network start; biases start at 0.

    Each is an identifier for Keras: a layer makes an initializer of its own
    from it, since an initializer without a seed returns the same values twice.

    Attributes:
        hidden: The initializer of all layers but the last.
        last: The initializer of the layer that returns the logits. The larger
            its kernel, the surer the untrained network is of one class.
    """

    hidden: Any
    last: Any


# Uniform in +-1 / sqrt(fan in), the default of PyTorch for kernels.
_UNIFORM = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1 / 3, "mode": "fan_in", "distribution": "uniform"},
}
INITIALIZERS: Mapping[str, Initializers] = {
    "he_normal": Initializers("he_normal", "glorot_uniform"),
    "lecun_normal": Initializers("lecun_normal", "lecun_normal"),
    "uniform": Initializers(_UNIFORM, _UNIFORM),
}


def get(name: str) -> Initializers:
    """Returns initializers by their name.

    Args:
        name: "he_normal" (the last layer then has "glorot_uniform", which is
            the default of Keras), "lecun_normal" (all layers) or "uniform" (all
            layers, uniform in +-1 / sqrt(fan in), the default of PyTorch).

    Raises:
        InputError: for another name.
    """
    if name not in INITIALIZERS:
        raise unknown_name("network.initializer", name, INITIALIZERS)
    return INITIALIZERS[name]
