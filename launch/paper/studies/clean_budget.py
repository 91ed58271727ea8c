"""How many trusted examples are needed: the paper's Figure 3."""

from collections.abc import Sequence

import ml_collections

from mlc_tf.errors import bad_argument
from mlc_tf.run import directory


def plan(
    config: ml_collections.ConfigDict,
    sizes: Sequence[int],
    methods: Sequence[str],
    seeds: Sequence[int],
) -> dict[str, ml_collections.ConfigDict]:
    """Returns the runs that answer it, by name.

    Args:
        config: Of the dataset and the noise.
        sizes: Trusted examples of each class.
        methods: Names of methods.
        seeds: Seeds.

    Raises:
        InputError: for a size below 1.
    """
    configs = {}
    for size in sizes:
        if size < 1:
            raise bad_argument("sizes", "integers >= 1", size)
        for method in methods:
            for seed in seeds:
                one = config.copy_and_resolve_references()
                one.clean.per_class, one.seed = size, seed
                one.method.name = method
                name = f"{size}-per-class/{directory.name_of(one)}"
                configs[name] = one
    return configs
