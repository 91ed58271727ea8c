"""Datasets with named splits: one module per dataset or file format, and the
clean set drawn from the training split."""

import os
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
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import hint

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
# Loaders of the user's own data, which names like "npz:PATH" select.
SCHEMES: dict[str, Callable[[str, Options], Splits]] = {
    "tfds": tfds_loader.load,
    "npz": npz.load,
    "folder": image_folder.load,
    "csv": csv_table.load,
}


def load(name: str, options: Options | None = None, **kwargs: Any) -> Splits:
    """Loads a dataset and checks its splits.

    Args:
        name: A name of `DATASETS`, or "tfds:NAME", "npz:PATH", "folder:PATH"
            or "csv:PATH".
        options: Options of the dataset. Defaults to `Options(**kwargs)`.
        **kwargs: Fields of `Options`; ignored if `options` is given.

    Raises:
        InputError: for an unknown name, an option that the dataset does not
            use, or invalid data; the message names the split and the example.

    Example:

    >>> splits = load("digits")
    >>> len(splits.train), len(splits.test), splits.num_classes
    (1297, 500, 10)
    """
    options = options or Options(**kwargs)
    if not isinstance(name, str):
        raise bad_argument("name", "a text, as 'digits' or 'npz:PATH'", name)
    scheme, _, argument = name.partition(":")
    if argument and scheme in SCHEMES:
        return SCHEMES[scheme](argument, options).checked()
    if name not in DATASETS:
        own = [
            f"{scheme}:{'NAME' if scheme == 'tfds' else 'PATH'}"
            for scheme in SCHEMES
        ]
        raise InputError(
            f"`dataset.name` should be one of {', '.join([*DATASETS, *own])}. "
            f"Received: `dataset.name` = {name!r}.{_hint(name)}"
        )
    return DATASETS[name](options).checked()


def _hint(name: str) -> str:
    """Returns which name was probably meant: also of a path without scheme."""
    kind = {".csv": "csv", ".parquet": "csv", ".npz": "npz"}.get(
        os.path.splitext(name)[1].lower()
    )
    if kind is None and os.path.isdir(name):
        kind = "folder"
    if kind is not None and ":" not in name:
        return f" Did you mean {f'{kind}:{name}'!r}?"
    scheme, colon, argument = name.partition(":")
    if colon:
        own = [f"{known}:{argument or 'PATH'}" for known in SCHEMES]
        return hint(name, own)
    return hint(name, DATASETS)


__all__ = ["DATASETS", "SCHEMES", "Options", "Splits", "load"]
