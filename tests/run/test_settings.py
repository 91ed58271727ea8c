"""Each setting with values of every kind: a sentence, or a run that starts."""

import itertools

import pytest

from mlc_tf.errors import InputError
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run import training

# Values that somebody may give by mistake, by the type of the default.
_VALUES = {
    bool: (True,),
    int: (-1, 0, 1),
    float: (-1.0, 0.0, 1.0, 1e30, float("nan"), float("inf")),
    str: ("", "nonsense", ":", "file:", "npz:", "none"),
    tuple: ((), (0,), (-5,), (1.5,), ("a",), (3, 3)),
}
_DEFAULTS = settings.flat(settings.default_config())
# The data directories of TFDS are not read for digits; a path may be anything.
_CASES = [
    (name, value)
    for name, default in _DEFAULTS.items()
    for value in _VALUES.get(type(default), _VALUES[float] + _VALUES[str])
]


def start(name, value):
    """Checks a run with one changed setting, and builds what it trains."""
    config = settings.default_config()
    config.clean.per_class = 10
    *outer, last = name.split(".")
    section = config
    for key in outer:
        section = section[key]
    if outer[:1] == ["method"] and len(outer) > 1:
        config.method.name = outer[1]
    if outer[:1] == ["network"] and len(outer) > 1:
        config.network.name = outer[1]
    try:
        section[last] = value
    except TypeError as error:  # ml_collections: a value of another type
        raise InputError(str(error)) from None
    settings.check(config)
    problem = problems.load(config)
    training.build_base(config, problem)
    training.untrained(config, problem)


def check(name, value):
    try:
        start(name, value)
    except InputError as error:
        sentence = str(error)
        assert "\n" not in sentence and len(sentence) < 600
        return sentence
    return None


@pytest.mark.wide
@pytest.mark.parametrize("name", _DEFAULTS)
def test_each_value_of_a_setting_starts_or_is_one_sentence(name):
    for each, value in _CASES:
        if each == name:
            check(name, value)


@pytest.mark.parametrize(
    "name, value",
    [
        ("seed", 2**32),
        ("seed", -1),
        ("network.weight_decay", float("inf")),
        ("network.weight_decay", float("nan")),
        ("network.mlp.hidden_units", (0,)),
        ("network.mlp.hidden_units", (-5,)),
        ("network.mlp.hidden_units", (1.5,)),
        ("network.mlp.hidden_units", ("a",)),
        ("optimizer.learning_rate", float("inf")),
        ("optimizer.momentum", float("nan")),
        ("noise.ratio", float("nan")),
        ("train.epochs", 0),
        ("clean.batch_size", 0),
        ("train.batch_size", 10**6),
    ],
)
def test_a_bad_value_is_one_sentence(name, value):
    assert name.split(".")[-1] in check(name, value)


def test_a_setting_that_does_not_exist_is_refused():
    config = settings.default_config()
    with pytest.raises(AttributeError, match='"epochs" instead of "epoch"'):
        config.train.epoch = 99
    with config.unlocked():
        config.train.epoch = 99
    with pytest.raises(InputError, match="Did you mean 'config.train.epochs'"):
        settings.check(config)


def test_a_config_without_a_setting_is_refused():
    config = settings.default_config()
    with config.unlocked():
        del config.train.epochs
    with pytest.raises(InputError, match="without train.epochs"):
        settings.check(config)


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("learning_rate", "optimizer.learning_rate"),
        ("train.epoch", "train.epochs"),
        ("network.depht", "network.wide_resnet.depth"),
        ("noise.rate", "noise.ratio"),
        ("method.mlc.transition_max_step", "method.mlc.transition.max_step"),
        ("dataset.seed", None),
    ],
)
def test_the_hint_is_the_nearest_setting(wrong, right):
    text = str(settings.unknown_setting(wrong))
    assert (f"Did you mean 'config.{right}'?" in text) == (right is not None)
    assert f"no setting 'config.{wrong}'" in text


def test_the_cases_reach_every_setting():
    assert {name for name, _ in _CASES} == {*_DEFAULTS}
    assert len(_CASES) > 3 * len(_DEFAULTS)
    assert len({*itertools.chain(_VALUES)}) == 5
