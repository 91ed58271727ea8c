"""The runs that the paper's tables and figures need, by name."""

import importlib
import itertools
from collections.abc import Iterable
from collections.abc import Sequence

import ml_collections

from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch.paper.studies import Study
from mlc_tf.run import directory
from mlc_tf.run import methods as known_methods

# The paper has no uniform noise for CIFAR-100, and a separate table for
# Clothing1M.
DATASETS = ("digits", "mnist", "twitter", "cifar10")
# The package cannot download the files of these datasets.
BY_HAND = ("twitter", "clothing1m")
Plan = dict[str, ml_collections.ConfigDict]


def config_of(
    dataset: str, known: Sequence[str], variant: str, manual_dir: str
) -> ml_collections.ConfigDict:
    """Returns the config of a dataset, as `configs/DATASET.py` has it.

    Args:
        dataset: Name of the dataset.
        known: The accepted names of datasets.
        variant: The variant of the config; "" for the config itself.
        manual_dir: The folder with the files of the datasets in `BY_HAND`.

    Raises:
        InputError: for a dataset that is not in `known`, or an unknown variant.
    """
    if dataset not in known:
        raise unknown_name("dataset", dataset, known)
    module = importlib.import_module(f"mlc_tf.configs.{dataset}")
    config = module.get_config(variant)
    if dataset in BY_HAND:
        config.dataset.manual_dir = manual_dir
    return config


def conditions(
    config: ml_collections.ConfigDict,
    methods: Iterable[str],
    seeds: Iterable[int],
    noises: Iterable[str],
    ratios: Iterable[float],
) -> Plan:
    """Returns the runs of Table 1 for one dataset, as configs by name.

    Raises:
        InputError: for an unknown method.
    """
    plan = {}
    for noise, ratio, method, seed in itertools.product(
        noises, ratios, methods, seeds
    ):
        known_methods.get(method)
        run = config.copy_and_resolve_references()
        run.noise.kind, run.noise.ratio = noise, ratio
        run.method.name, run.seed = method, seed
        plan[_name_within_dataset(run)] = run
    return plan


def study(
    study: Study,
    variants: Iterable[str] | None = None,
    manual_dir: str = "",
) -> Plan:
    """Returns the runs of a study, named VARIANT/NOISE/METHOD-seedSEED.

    Args:
        study: The study.
        variants: The variants to run. Defaults to None, all.
        manual_dir: As in `config_of`. Defaults to "", which serves the other
            datasets.

    Raises:
        InputError: for an unknown variant.
    """
    dataset, _, variant = study.config.partition(":")
    config = config_of(dataset, DATASETS, variant, manual_dir)
    config.update_from_flattened_dict(study.common)
    asked = list(study.variants) if variants is None else list(variants)
    for name in asked:
        if name not in study.variants:
            raise unknown_name("variants", name, study.variants)
    plan = {}
    for ratio, names in {study.ratio: asked, **study.further}.items():
        for name in names:
            if name not in asked:
                continue
            changed = config.copy_and_resolve_references()
            changed.update_from_flattened_dict(study.variants[name])
            runs = conditions(
                changed,
                [changed.method.name],
                study.seeds,
                study.noises,
                [ratio],
            )
            plan |= {f"{name}/{run}": each for run, each in runs.items()}
    return plan


def trusted_sizes(
    config: ml_collections.ConfigDict,
    sizes: Iterable[int],
    methods: Iterable[str],
    seeds: Iterable[int],
) -> Plan:
    """Returns runs with trusted sets of several sizes.

    Args:
        config: The config of the dataset and the noise.
        sizes: The numbers of trusted examples per class.
        methods: Names in `METHODS`.
        seeds: The seeds of the runs, each for every size and method.

    Raises:
        InputError: for a size below 1.
    """
    plan = {}
    for size, method, seed in itertools.product(sizes, methods, seeds):
        if size < 1:
            raise bad_argument("sizes", "integers >= 1", size)
        run = config.copy_and_resolve_references()
        run.clean.per_class, run.seed = size, seed
        run.method.name = method
        plan[f"{size}-per-class/{_name_within_dataset(run)}"] = run
    return plan


def _name_within_dataset(config: ml_collections.ConfigDict) -> str:
    return directory.name_of(config).partition("/")[2]
