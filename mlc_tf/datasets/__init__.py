"""Arrays with named splits: one file a dataset, one explicit dict of them."""

from collections.abc import Callable

from mlc_tf.datasets import digits
from mlc_tf.datasets import image_folder
from mlc_tf.datasets import npz
from mlc_tf.datasets import tfds_images
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import unknown_name

# Named datasets; a loader takes the folder in which TFDS keeps its data.
DATASETS: dict[str, Callable[[str | None], Splits]] = {
    "digits": digits.load,
    "mnist": tfds_images.loader("mnist"),
    "cifar10": tfds_images.loader("cifar10"),
}
# The user's own data, named "scheme:PATH"; a loader takes the path.
SCHEMES: dict[str, Callable[[str], Splits]] = {
    "npz": npz.load,
    "folder": image_folder.load,
}


def load(name: str, data_dir: str | None = None) -> Splits:
    """Returns the splits of a dataset, checked.

    Args:
        name: A name of `DATASETS`, or "npz:PATH" or "folder:PATH".
        data_dir: Where TFDS datasets are. Defaults to `TFDS_DATA_DIR`, or to
            the folder that TFDS uses by itself.

    Raises:
        InputError: for an unknown name, or with what is wrong in the data.
    """
    scheme, _, path = name.partition(":")
    if path and scheme in SCHEMES:
        return SCHEMES[scheme](path).checked()
    if name not in DATASETS:
        own = [f"{scheme}:PATH" for scheme in SCHEMES]
        raise unknown_name("dataset", name, [*DATASETS, *own])
    return DATASETS[name](data_dir).checked()


__all__ = ["DATASETS", "SCHEMES", "Splits", "load"]
