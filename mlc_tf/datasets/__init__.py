"""Examples with named splits: one file a dataset, one explicit dict of them."""

from collections.abc import Callable
from typing import Any

from mlc_tf.datasets import cifar_n
from mlc_tf.datasets import clothing1m
from mlc_tf.datasets import csv_table
from mlc_tf.datasets import digits
from mlc_tf.datasets import image_folder
from mlc_tf.datasets import npz
from mlc_tf.datasets import tfds_loader
from mlc_tf.datasets import twitter
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import unknown_name

DATASETS: dict[str, Callable[[Options], Splits]] = {
    "digits": digits.load,
    "mnist": tfds_loader.loader("mnist"),
    "cifar10": tfds_loader.loader("cifar10"),
    "cifar100": tfds_loader.loader("cifar100"),
    "cifar10_n": cifar_n.loader("cifar10_n", cifar_n.CIFAR10_N),
    "cifar100_n": cifar_n.loader("cifar100_n", cifar_n.CIFAR100_N),
    "clothing1m": clothing1m.load,
    "twitter": twitter.load,
}
# The user's own data, named "scheme:ARGUMENT".
SCHEMES: dict[str, Callable[[str, Options], Splits]] = {
    "tfds": tfds_loader.load,
    "npz": npz.load,
    "folder": image_folder.load,
    "csv": csv_table.load,
}


def load(name: str, options: Options | None = None, **kwargs: Any) -> Splits:
    """Returns the splits of a dataset, checked.

    Args:
        name: A name of `DATASETS`, or "tfds:NAME", "npz:PATH", "folder:PATH"
            or "csv:PATH".
        options: What is asked of it. Defaults to that in `kwargs`.
        **kwargs: Fields of `Options`.

    Raises:
        InputError: for an unknown name, an option that the dataset has no use
            for, or with what is wrong in the data.
    """
    options = options or Options(**kwargs)
    scheme, _, argument = name.partition(":")
    if argument and scheme in SCHEMES:
        return SCHEMES[scheme](argument, options).checked()
    if name not in DATASETS:
        own = [
            f"{scheme}:{'NAME' if scheme == 'tfds' else 'PATH'}"
            for scheme in SCHEMES
        ]
        raise unknown_name("dataset", name, [*DATASETS, *own])
    return DATASETS[name](options).checked()


__all__ = ["DATASETS", "SCHEMES", "Options", "Splits", "load"]
