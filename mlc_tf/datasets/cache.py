"""Decoding once: into memory, or into a file that later runs use."""

import hashlib
from pathlib import Path

from mlc_tf.data import examples as examples_module
from mlc_tf.data.examples import Examples


def cached(examples: Examples, cache: str, identity: str) -> Examples:
    """Returns the examples, decoded once where that is asked for.

    Args:
        examples: To be read from their source.
        cache: As `Options.cache`.
        identity: Tells these inputs from all others, for the file's name.
    """
    if cache == "none":
        return examples
    if cache == "memory":
        return examples_module.in_memory(examples)
    name = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
    folder = Path(cache.partition(":")[2]).expanduser()
    return examples_module.on_disk(examples, folder / f"{name}.npy")
