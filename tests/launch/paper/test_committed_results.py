"""The committed results: all of them are there, and the configs follow them."""

import functools
import hashlib
import json

import pytest

from mlc_tf.configs import digits
from mlc_tf.configs import mnist
from mlc_tf.configs import twitter
from mlc_tf.run import methods
from mlc_tf.run import results
from mlc_tf.run import settings
from tests.support import ROOT

RESULTS = ROOT / "results"
# How many results each file has, and a digest of their numbers. Both were
# computed from the files of single results that were there before, to show that
# each number was carried over to the last bit. A new result changes its line.
CARRIED = {
    "benchmark": (19, "34271c50a4d41c93"),
    "chaos": (21, "e6d17d0f74a845c9"),
    "choices/cifar10": (4, "ae064a10c1b8d738"),
    "choices/digits": (48, "6ae020194520d801"),
    "choices/mnist": (18, "85215f3a363e7037"),
    "choices/twitter": (36, "d47fa1c286ca1a45"),
    "clean_budget/digits": (54, "04b7bbdf74f0fe21"),
    "digits": (405, "4c2966de5c1c375a"),
    "figure3/digits": (72, "585d3008ef6b24f3"),
    "label_issues": (10, "1238532eb5cfd4ca"),
    "mnist": (216, "ad5e55918e63be1c"),
    "reduced/cifar10": (84, "4cdae0d25b9672b5"),
    "trials/full_cifar10/cifar10": (2, "3a068cc823faa072"),
    "tuning/digits": (11, "51ff007145f3c4e2"),
    "tuning/mnist": (10, "1d3300d0d26be46e"),
    "tuning/twitter": (10, "df0f2145a1c5165d"),
    "twitter": (396, "8cda71aa1dd9f5f2"),
}
# The options of a method have new names.
RENAMED = ("options", "values", "tried", "best")


def numbers(content):
    """Yields all numbers in JSON content, without the options of methods."""
    if isinstance(content, dict):
        for key in sorted(content.keys() - {*RENAMED}):
            yield from numbers(content[key])
    elif isinstance(content, list):
        for each in content:
            yield from numbers(each)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield content


def test_all_results_were_carried_over_to_the_last_bit():
    found = {}
    for path in RESULTS.rglob("*.jsonl"):
        there = results.read(path)
        content = sorted((run, [*numbers(row)]) for run, row in there.items())
        digest = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        name = path.relative_to(RESULTS).with_suffix("")
        found[str(name)] = (len(there), digest)
        assert path.read_text().splitlines(keepends=True) == sorted_lines(there)
    assert found == CARRIED


def sorted_lines(there):
    return [f"{json.dumps(there[run])}\n" for run in sorted(there)]


CONFIGS = {"digits": digits, "mnist": mnist, "twitter": twitter}
SEARCHES = {
    f"{dataset}-{name}": (dataset, name, found)
    for dataset in CONFIGS
    for name, found in results.read(RESULTS / f"tuning/{dataset}.jsonl").items()
}


def best_of(found):
    return max(found["trials"], key=lambda each: each["accuracy"])["values"]


# The best rate of mlc_paper on MNIST needs a larger clean batch than all share.
@pytest.mark.parametrize(
    "name",
    [name for name in SEARCHES if not name.endswith(("-training", "_paper"))],
)
def test_a_methods_own_settings_are_the_best_that_were_searched(name):
    dataset, method, found = SEARCHES[name]
    best = best_of(found)
    assert best == found["best"]
    config = CONFIGS[dataset].get_config()
    config.method.name = method
    for option, value in best.items():
        if not option.startswith("method."):
            continue  # all methods share it
        there = functools.reduce(getattr, option.split("."), config)
        if option.endswith(f"{method}.learning_rate"):
            there = settings.learning_rate(config)
        # None is the default of the class, which is tried first.
        assert value == (found["tried"][option][0] if there is None else there)


@pytest.mark.parametrize("dataset", CONFIGS)
def test_the_control_has_the_rate_of_mlc(dataset):
    config = CONFIGS[dataset].get_config()

    def rate(method):
        config.method.name = method
        return settings.learning_rate(config)

    assert rate("ce_control") == rate("mlc")


@pytest.mark.parametrize("dataset", CONFIGS)
def test_the_shared_training_is_the_best_that_was_searched(dataset):
    _, _, found = SEARCHES[f"{dataset}-training"]
    config = CONFIGS[dataset].get_config()
    config.method.name = "clean_only"  # has no rate of its own
    assert found["epochs"] == config.train.epochs
    training = settings.of_training(config)
    for name, value in found["best"].items():
        assert training[name] == value
    assert best_of(found) == found["best"]


def test_every_method_has_its_campaign():
    campaigns = results.read(RESULTS / "chaos.jsonl")
    assert set(campaigns) == set(methods.METHODS)
    for name, content in campaigns.items():
        assert content["runs_with_other_bits"] == 0 < content["runs"], name
        for damage in content["damages"]:
            assert damage["resumed_at"] < damage["checkpoint"]
            assert 0 < damage["steps_lost"] <= content["interval"]
