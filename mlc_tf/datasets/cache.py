"""Caches decoded inputs in memory, or in a file that later runs use."""

import hashlib
import math
import os
import shutil
from pathlib import Path

import numpy as np

from mlc_tf.data import examples as examples_module
from mlc_tf.data.examples import Examples
from mlc_tf.errors import InputError
from mlc_tf.errors import writable_or_error


def cached(examples: Examples, cache: str, identity: str) -> Examples:
    """Returns the examples with the requested cache.

    Args:
        examples: The examples, which are read from their source.
        cache: "none" (no cache), "memory" (decode once, keep all inputs) or
            "disk:DIR" (decode once, into a file in that folder).
        identity: A text that is different for different inputs; the name of
            the file is a hash of it. Used with "disk:DIR" only.

    Raises:
        InputError: if an input cannot be read, the inputs do not fit, the
            folder cannot be written, or the file is damaged.
    """
    if cache == "none":
        return examples
    if cache == "memory":
        # Batches are joined, so that all inputs exist twice for a moment.
        if 2 * _size(examples) > _memory():
            raise InputError(
                "`dataset.cache` should be disk:DIR or none, or "
                "`dataset.image_size` should be smaller, so that twice the "
                "inputs fit in memory. Received: `dataset.cache` = 'memory', "
                f"{_inputs(examples)}, and {_gib(_memory())} of memory."
            )
        return examples_module.in_memory(examples)
    name = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
    # Not `Path.expanduser`, which raises for a user who does not exist.
    folder = Path(os.path.expanduser(cache.partition(":")[2]))
    path = folder / f"{name}.npy"
    with writable_or_error("dataset.cache", cache):
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _check_file(path, examples)
        elif shutil.disk_usage(folder).free < _size(examples):
            # The file is mapped into memory: a full disk would end the process.
            raise InputError(
                "`dataset.cache` should be on a disk with room for the inputs, "
                "or `dataset.image_size` should be smaller. Received: "
                f"`dataset.cache` = {cache!r}, {_inputs(examples)}, and "
                f"{_gib(shutil.disk_usage(folder).free)} free."
            )
        return examples_module.on_disk(examples, path)


def _check_file(path: Path, examples: Examples) -> None:
    """Raises unless a file can hold the decoded inputs of the examples."""
    spec = examples.input_spec
    shape, dtype = (len(examples), *spec.shape), spec.dtype.as_numpy_dtype
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        received = f"inputs of shape {found.shape} and dtype {found.dtype}"
        if found.shape == shape and found.dtype == dtype:
            return
    except OSError as error:
        received = error.strerror or str(error)
    except Exception:  # NumPy raises many errors for a damaged file
        received = "a file that is cut off, or no array"
    raise InputError(
        f"The cache {path} should hold inputs of shape {shape} and dtype "
        f"{np.dtype(dtype)}. Received: {received}; remove the file, and it is "
        "written again."
    )


def _size(examples: Examples) -> int:
    """Returns the bytes of all decoded inputs."""
    spec = examples.input_spec
    return len(examples) * math.prod(spec.shape) * spec.dtype.size


def _memory() -> int:
    """Returns the bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _inputs(examples: Examples) -> str:
    return (
        f"{len(examples)} inputs of shape {tuple(examples.input_spec.shape)}, "
        f"{_gib(_size(examples))}"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
