"""The settings of a run: their defaults, and the check of their values."""

import dataclasses
import difflib
import math
from typing import Any

import keras
import ml_collections
import numpy as np
from ml_collections.config_dict import FieldReference
from ml_collections.config_dict import placeholder

from mlc_tf import distribution
from mlc_tf import networks
from mlc_tf.data import instance_noise
from mlc_tf.data import noise
from mlc_tf.data.augmentation import AUGMENTATIONS
from mlc_tf.datasets.options import Options
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_rate
from mlc_tf.errors import check_seed
from mlc_tf.errors import in_section
from mlc_tf.errors import unknown_name
from mlc_tf.models import xla
from mlc_tf.networks import initialization
from mlc_tf.run import directory
from mlc_tf.run import methods
from mlc_tf.run.checkpoints import Interval
from mlc_tf.run.tracking import TRACKERS

OPTIMIZERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
SCHEDULES = ("constant", "cosine")
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")


def default_config() -> ml_collections.ConfigDict:
    """Returns all settings of a run, with their defaults.

    Each `configs/<dataset>.py` starts from these defaults and changes some.
    """
    config = ml_collections.ConfigDict()
    # Of the initial weights, the order of the examples and the noise.
    config.seed = 0
    config.dataset = ml_collections.ConfigDict(
        {
            # A name of `datasets.DATASETS`, or "tfds:NAME", "npz:PATH",
            # "folder:PATH", "csv:PATH".
            "name": "digits",
            # `datasets.options.Options` describes these.
            **dataclasses.asdict(Options()),
            # This share of the training set replaces the test set, to choose
            # hyperparameters. 0 keeps the test set, or holds out a tenth if
            # there is none.
            "validation": 0.0,
        }
    )
    config.noise = ml_collections.ConfigDict(
        {
            # A name of `noise.KINDS`, "instance", "file:PATH" (a T),
            # "human:SET" (of a dataset that has such labels), or "none" for
            # labels that are noisy as they come.
            "kind": "flip_to_one",
            # The share of each class that is selected for a wrong label.
            "ratio": 0.4,
            # "exact" selects just as many; "iid" draws each label by chance.
            "mode": "exact",
            # The seed of the classes that "flip_to_one" flips to. It is not the
            # seed of the run: runs of other seeds then have the same T.
            "target_seed": 0,
        }
    )
    config.clean = ml_collections.ConfigDict(
        {
            # The number of clean examples per class, drawn from the training
            # set before noise is injected, unless the dataset has a clean set.
            # 0 draws none.
            "per_class": 50,
            # Whether a class with too few examples gives all but one example.
            "fewer_if_rare": False,
            "batch_size": 64,  # clean examples in a step
        }
    )
    config.network = ml_collections.ConfigDict(
        {
            # A name of `networks.NETWORKS`, "keras_applications:NAME", or
            # "keras_hub:PRESET".
            "name": "mlp",
            "weight_decay": 0.0,  # of all kernels, in the loss
            # The initial weights, a name of `initialization.INITIALIZERS`.
            "initializer": "he_normal",
            # "imagenet" or a file, for resnet50 and "keras_applications:NAME";
            # "preset" for "keras_hub:PRESET"; "" for random weights.
            "weights": "",
            # The options of single networks.
            "mlp": {"hidden_units": (128,)},
            "wide_resnet": {"depth": 40, "width": 2},
            "word_window": {"hidden_units": (256, 256)},
        }
    )
    config.method = ml_collections.ConfigDict(
        {
            "name": "mlc",  # a name of `methods.METHODS`
            "mlc": {
                "virtual_learning_rate": 0.1,
                "meta_gradient": "exact",
                # What is not given is the default of the class.
                # `clean_weight` is then 0, or fits the sizes of the sets
                # (`data.clean_weight`) if `transition.name` is "auto".
                "clean_weight": placeholder(float),
                # "equal", the default, or as frequent as the "given_labels".
                "clean_class_weight": placeholder(str),
                # How T starts and moves: a name of `transitions.UPDATES`, and
                # the arguments of that class; or "auto", which sets all of
                # them by the length of the run.
                "transition": {
                    "name": "exponentiated",
                    "learning_rate": placeholder(float),
                    "smoothing": placeholder(float),
                    "max_step": placeholder(float),
                    "expectation_rate": placeholder(float),
                    # Where not given, the length of the run; 0 for no decay.
                    "decay_steps": placeholder(int),
                },
            },
            # Of the second stage; the first has the settings of mlc.
            "mlc_semi": {
                "momentum": 0.9,
                # Where not given, whether the inputs are floats or pixels.
                "mixup": placeholder(bool),
            },
            "glc_semi": {"momentum": 0.9, "mixup": placeholder(bool)},
            # The paper's alpha and beta for MNIST and Twitter.
            "mlc_paper": {
                "virtual_learning_rate": 1e-2,
                "transition_learning_rate": 1.0,
                "transition": "identity",
            },
            "authors_step": {
                "virtual_learning_rate": 1e-3,
                "transition_learning_rate": 0.11,
            },
            "noise_layer": {"noise_learning_rate": 1.0},
            "noise_layer_logits": {"noise_learning_rate": 0.1},
            # The published methods keep T and do not train on the trusted set
            # alone. These are options of mlc, for fair comparisons.
            "forward": {"expectation_rate": placeholder(float)},
            "glc": {"expectation_rate": placeholder(float)},
            "true_forward": {
                "expectation_rate": placeholder(float),
                "clean_weight": placeholder(float),
            },
            "lre": {"clean_weight": placeholder(float)},
            # `forget_rate` is the share of wrong labels; the injected ratio
            # where not given. The published ramp is 0.05 of the steps; a run of
            # few epochs needs a longer one.
            "co_teaching": {"forget_rate": placeholder(float), "ramp": 0.3},
            # A file of 0 and 1; the true structure where not given.
            "masking": {"structure": placeholder(str)},
            "masking_hard": {
                "structure": placeholder(str),
                "noise_learning_rate": 1.0,
            },
            "pencil": {
                "alpha": 0.1,
                "beta": 0.4,
                # By the length of the run where not given.
                "label_learning_rate": placeholder(float),
            },
            "t_revision": {"revision_rate": 0.01},
            "robot": {
                "virtual_learning_rate": 0.1,
                # As of mlc.
                "transition": {
                    "name": "auto",
                    "learning_rate": placeholder(float),
                    "smoothing": placeholder(float),
                    "max_step": placeholder(float),
                    "expectation_rate": placeholder(float),
                    "decay_steps": placeholder(int),
                },
            },
            "volmin": {"volume_weight": 1e-4, "transition_learning_rate": 1.0},
            "gce": {"q": 0.7},
            "elr": {"strength": 3.0, "momentum": 0.7},
            "meta_weight_net": {
                "meta_learning_rate": 1e-3,
                "clean_weight": placeholder(float),
            },
            "fasten": {"noisy_weight": 0.5, "threshold": 0.8},
        }
    )
    for method in methods.METHODS:
        # The optimizer's rate for this method, where it differs from the
        # shared rate.
        if method not in config.method:
            config.method[method] = ml_collections.ConfigDict()
        config.method[method].learning_rate = placeholder(float)
    # A control and a rival have the options of mlc, unless they are given their
    # own.
    mlc, update = config.method.mlc, config.method.mlc.transition
    for method in ("ce_control", "glc_em"):
        for option in ("learning_rate", "clean_weight", "clean_class_weight"):
            config.method[method][option] = mlc.get_oneway_ref(option)
    config.method.glc_em.expectation_rate = update.get_oneway_ref(
        "expectation_rate"
    )
    # The first stage is the method of that name, and the trusted set weighs as
    # much in the second stage as in mlc.
    second = config.method.mlc_semi
    for option in mlc:
        if option != "transition":
            second[option] = mlc.get_oneway_ref(option)
    second.transition = ml_collections.ConfigDict()
    for option in update:
        second.transition[option] = update.get_oneway_ref(option)
    for option in ("learning_rate", "expectation_rate"):
        config.method.glc_semi[option] = config.method.glc.get_oneway_ref(
            option
        )
    for option in ("clean_weight", "clean_class_weight"):
        config.method.glc_semi[option] = mlc.get_oneway_ref(option)
    # What estimates its oracle has the other options of the method.
    for method, options in (
        ("co_teaching", ("learning_rate", "ramp")),
        ("masking", ("learning_rate",)),
    ):
        for option in options:
            config.method[f"{method}_estimated"][option] = config.method[
                method
            ].get_oneway_ref(option)
    config.method.robot.meta_gradient = mlc.get_oneway_ref("meta_gradient")
    config.optimizer = ml_collections.ConfigDict(
        {
            "name": "sgd",  # or adam
            "learning_rate": 0.01,  # of methods that have none of their own
            "momentum": 0.9,  # of sgd
            "schedule": "constant",  # or cosine, to 0 at the end of the run
        }
    )
    config.train = ml_collections.ConfigDict(
        {
            "batch_size": 64,  # noisy examples in a step
            "epochs": 10,  # of each phase of the method
            # The number of steps of an epoch; 0 for one pass over the data.
            "steps_per_epoch": 0,
            # A name of `augmentation.AUGMENTATIONS`.
            "augment": "none",
            # Epochs of plain cross-entropy before the method, the same for
            # all methods, with a separate optimizer.
            "warmup_epochs": 0,
            "warmup_learning_rate": 0.01,  # of these epochs
            "dtype": "float32",  # or mixed_bfloat16, mixed_float16
            # Whether XLA compiles the steps; "auto" where it pays: on one GPU.
            "jit_compile": FieldReference("auto", field_type=object),
            # "mirrored" trains on all GPUs, or on `replicas` of them; without
            # GPUs it splits the CPU, to try out. "multi_worker" makes this
            # process one of the workers that TF_CONFIG names.
            "strategy": "none",
            "replicas": 0,  # of "mirrored"; 0 for all GPUs
            # "epoch"; or "N steps" or "N seconds", also within an epoch.
            "checkpoint_every": "epoch",
            # "mlflow" or "wandb" also records the run there.
            "tracker": "none",
            "steps_per_execution": 1,  # as in `keras.Model.compile`
        }
    )
    # A misspelt setting in a config file is then an error, not a new setting.
    return config.lock()


def flat(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns all settings by their dotted names.

    Args:
        config: A config, or a section of it.
    """
    return directory.flat(config.to_dict())


def method_options(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns the options of the config's method that are given."""
    section = config.method.get(config.method.name)
    options = {} if section is None else _given(section)
    options.pop("learning_rate", None)  # the optimizer's
    if config.method.name in methods.LEARN_T:
        if options["transition"]["name"] == methods.AUTO:
            options["transition"] = {"name": methods.AUTO}  # it sets the others
    return methods.with_rates_of_mlc(
        config.method.name, options, _given(config.method.mlc)
    )


def left_out(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns the given rates of T that "auto" replaces, by their names."""
    if config.method.name not in methods.LEARN_T:
        return {}
    given = _given(config.method[config.method.name].transition)
    return given if given.pop("name") == methods.AUTO else {}


def _given(section: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns the given values of a section, nested."""
    given: dict[str, Any] = {}
    for name, value in section.items():
        if isinstance(value, ml_collections.ConfigDict):
            given[name] = _given(value)
        elif value is not None:
            # An infinite limit is no limit, and JSON has no infinity.
            unlimited = name == "max_step" and value == math.inf
            given[name] = None if unlimited else value
    return given


def learning_rate(config: ml_collections.ConfigDict) -> float:
    """Returns the optimizer's rate: the method's own or the shared rate."""
    own = config.method.get(config.method.name, {}).get("learning_rate")
    return config.optimizer.learning_rate if own is None else own


def evaluated_on(config: ml_collections.ConfigDict) -> str:
    """Returns where runs with injected noise and a test set are evaluated.

    The value is "test", or "validation" if training examples are held out.
    """
    return "validation" if config.dataset.validation else "test"


def of_training(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns the settings of data and training for a result file.

    The options of the method are not included: a result has them separately.
    Settings that decide only where and how fast a run computes are left out.

    Returns:
        Maps dotted names of settings to their values.
    """
    data_options = [
        option.name
        for option in dataclasses.fields(Options)
        if option.name not in ("data_dir", "manual_dir", "cache", "download")
    ]
    named = {
        "dataset": (*data_options, "validation"),
        "clean": ("per_class", "fewer_if_rare", "batch_size"),
        "network": ("weight_decay", "initializer", "weights"),
        "noise": ("mode", "target_seed"),
        "optimizer": ("name", "momentum", "schedule"),
        "train": (
            *("batch_size", "epochs", "steps_per_epoch", "augment"),
            *("warmup_epochs", "warmup_learning_rate", "dtype"),
        ),
    }
    recorded = {
        f"{section}.{name}": _plain(config[section][name])
        for section, names in named.items()
        for name in names
    }
    name = config.network.name
    for option, value in config.network.get(name, {}).items():
        recorded[f"network.{name}.{option}"] = _plain(value)
    recorded["optimizer.learning_rate"] = learning_rate(config)
    return recorded


def _plain(value: Any) -> Any:
    """Returns a value as a JSON file returns it."""
    return list(value) if isinstance(value, tuple) else value


def check(config: ml_collections.ConfigDict) -> None:
    """Checks all settings before any data is read.

    Raises:
        InputError: for a setting that does not exist or is missing, or else
            for the first setting with a bad value.
    """
    _check_form(config)
    methods.get(config.method.name)
    if config.method.name in methods.LEARN_T:
        methods.transition_update(config.method.name, method_options(config))
    networks.get(config.network.name)
    initialization.get(config.network.initializer)
    Options.from_config(config.dataset)
    _check_noise(config)
    optimizer, train = config.optimizer, config.train
    if optimizer.name not in OPTIMIZERS:
        raise unknown_name("optimizer.name", optimizer.name, OPTIMIZERS)
    if optimizer.schedule not in SCHEDULES:
        raise unknown_name("optimizer.schedule", optimizer.schedule, SCHEDULES)
    for name, rate in (
        ("optimizer.learning_rate", optimizer.learning_rate),
        (f"method.{config.method.name}.learning_rate", learning_rate(config)),
        ("train.warmup_learning_rate", train.warmup_learning_rate),
    ):
        if not np.isfinite(rate) or rate <= 0:
            raise bad_argument(name, "a finite float > 0", rate)
    check_seed(config.seed)
    check_seed(config.noise.target_seed, "noise.target_seed")
    if not 0 <= optimizer.momentum < 1:
        raise bad_argument(
            "optimizer.momentum", "in [0, 1)", optimizer.momentum
        )
    check_rate("network.weight_decay", config.network.weight_decay)
    for name in (
        "train.epochs",
        "train.batch_size",
        "train.steps_per_execution",
        "clean.batch_size",
    ):
        section, _, setting = name.partition(".")
        if config[section][setting] < 1:
            raise bad_argument(
                name, "an integer >= 1", config[section][setting]
            )
    if config.clean.per_class < 0:
        raise bad_argument(
            "clean.per_class", "an integer >= 0", config.clean.per_class
        )
    if train.steps_per_epoch < 0:
        raise bad_argument(
            "train.steps_per_epoch",
            "an integer >= 0, 0 for one pass",
            train.steps_per_epoch,
        )
    if train.augment not in AUGMENTATIONS:
        raise unknown_name("train.augment", train.augment, AUGMENTATIONS)
    if (
        config.network.weights
        and not networks.get(config.network.name).pretrained
    ):
        raise InputError(
            "`network.weights` should be left out for a network without "
            "pretrained weights. Received: `network.weights` = "
            f"{config.network.weights!r} for {config.network.name!r}."
        )
    if not 0 <= train.warmup_epochs < train.epochs:
        raise bad_argument(
            "train.warmup_epochs",
            f"in [0, {train.epochs}), less than `train.epochs`",
            train.warmup_epochs,
        )
    if train.strategy not in distribution.STRATEGIES:
        raise unknown_name(
            "train.strategy", train.strategy, distribution.STRATEGIES
        )
    if train.replicas < 0 or (train.replicas and train.strategy != "mirrored"):
        raise bad_argument(
            "train.replicas",
            "an integer >= 0, and 0 unless `train.strategy` = 'mirrored'",
            train.replicas,
        )
    Interval.parse(train.checkpoint_every)
    if train.tracker not in TRACKERS:
        raise unknown_name("train.tracker", train.tracker, TRACKERS)
    with in_section("train", ["jit_compile"]):
        xla.check(train.jit_compile)
    if train.dtype not in DTYPES:
        raise unknown_name("train.dtype", train.dtype, DTYPES)


def _check_form(config: ml_collections.ConfigDict) -> None:
    given, known = flat(config), flat(default_config())
    for name in given:
        if name not in known:
            raise unknown_setting(name)
    missing = [name for name in known if name not in given]
    if missing:
        raise InputError(
            "`config` should have all settings of settings.default_config(). "
            f"Received: a config without {', '.join(missing)}."
        )
    for name, default in known.items():
        # A config checks the types of values, but takes None for any.
        anything = name == "train.jit_compile"  # checked by its values
        if default is None or anything:
            continue
        if not _is_like(given[name], default):
            raise bad_argument(
                f"config.{name}",
                f"of type {type(default).__name__}",
                given[name],
            )


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    alike: dict[type, tuple[type, ...]] = {
        int: (int, np.integer),
        float: (int, float, np.number),
        tuple: (tuple, list),
    }
    return isinstance(value, alike.get(type(default), type(default)))


def unknown_setting(name: str) -> InputError:
    """Returns the error for a setting that does not exist.

    The message suggests the setting of the same section whose last name is most
    similar, if there is one.

    Args:
        name: The dotted name of the setting.
    """
    section, _, last = name.rpartition(".")
    # Settings that all methods and networks share come first.
    known = sorted(flat(default_config()), key=lambda each: each.count("."))
    inside = [each for each in known if each.startswith(f"{section}.")]
    by_last: dict[str, str] = {}
    for each in inside or known:
        *outer, own = each.split(".")
        by_last.setdefault(own, each)
        by_last.setdefault("_".join([*outer[-1:], own]), each)
    nearest = [
        by_last[key]
        for key in difflib.get_close_matches(last, by_last, n=1, cutoff=0.6)
    ]
    hint = f" Did you mean 'config.{nearest[0]}'?" if nearest else ""
    return InputError(f"`config` has no setting 'config.{name}'.{hint}")


def _check_noise(config: ml_collections.ConfigDict) -> None:
    kind = config.noise.kind
    scheme, _, argument = kind.partition(":")
    named = [*noise.KINDS, instance_noise.KIND, "none"]
    if kind not in named and not (scheme in ("human", "file") and argument):
        raise unknown_name(
            "noise.kind", kind, [*named, "human:SET", "file:PATH"]
        )
    if kind in named[:-1]:
        with in_section("noise", ["ratio"]):
            noise.check_ratio(config.noise.ratio)
    if config.noise.mode not in noise.MODES:
        raise unknown_name("noise.mode", config.noise.mode, noise.MODES)
