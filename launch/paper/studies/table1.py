"""The paper's Table 1: methods under three noises at four ratios."""

from collections.abc import Sequence

import ml_collections

from mlc_tf.launch.paper import paper_results
from mlc_tf.run import directory
from mlc_tf.run import methods as methods_room


def plan(
    config: ml_collections.ConfigDict,
    methods: Sequence[str],
    seeds: Sequence[int],
    noises: Sequence[str] = paper_results.NOISES,
    ratios: Sequence[float] = paper_results.RATIOS,
) -> dict[str, ml_collections.ConfigDict]:
    """Returns the runs of one dataset, by name.

    Args:
        config: Of the dataset.
        methods: Names of methods.
        seeds: Seeds.
        noises: Defaults to those of the table.
        ratios: Defaults to those of the table.

    Raises:
        InputError: for an unknown method.
    """
    configs = {}
    for noise in noises:
        for ratio in ratios:
            for method in methods:
                methods_room.get(method)
                for seed in seeds:
                    one = config.copy_and_resolve_references()
                    one.noise.kind, one.noise.ratio = noise, ratio
                    one.method.name, one.seed = method, seed
                    configs[directory.name_of(one)] = one
    return configs
