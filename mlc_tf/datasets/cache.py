"""Caches decoded inputs in memory, or in a file that later runs use."""

import hashlib
from pathlib import Path

from mlc_tf.data import examples as examples_module
from mlc_tf.data.examples import Examples


def cached(examples: Examples, cache: str, identity: str) -> Examples:
    """Returns the examples with the requested cache.

    Args:
        examples: The examples, which are read from their source.
        cache: "none" (no cache), "memory" (decode once, keep all inputs) or
            "disk:DIR" (decode once, into a file in that folder).
        identity: A text that is different for different inputs; the name of
            the file is a hash of it. Used with "disk:DIR" only.
    """
    if cache == "none":
        return examples
    if cache == "memory":
        return examples_module.in_memory(examples)
    name = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
    folder = Path(cache.partition(":")[2]).expanduser()
    return examples_module.on_disk(examples, folder / f"{name}.npy")
