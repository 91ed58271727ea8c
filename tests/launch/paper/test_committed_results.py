"""Tests that all committed results exist, and that the configs follow them."""

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
# The number of results in each file, and a digest of their numbers: no number
# changes by accident. A new result changes the line of its file.
CARRIED = {
    "benchmark": (21, "dea7b57534b9771c"),
    "chaos": (31, "e93f520e1f280d00"),
    "choices/cifar10": (4, "ae064a10c1b8d738"),
    "choices/mnist": (18, "85215f3a363e7037"),
    "choices/twitter": (36, "d47fa1c286ca1a45"),
    "clean_budget/digits": (54, "527f33cfe47ab411"),
    "digits": (1226, "b5a89ead5459534b"),
    "figure3/digits": (72, "66b95af573bfd739"),
    "label_issues": (10, "1238532eb5cfd4ca"),
    "mnist": (252, "18582b5bf07d8081"),
    "paper/mnist": (12, "aff3d3a8e453ceaa"),
    "reduced/cifar10": (68, "25c2c41aa37d35df"),
    "studies/auto_digits": (45, "a0148e3f39669895"),
    "studies/auto_mnist": (54, "62c261adde050e45"),
    "studies/first_steps": (45, "b14834d1940817ee"),
    "studies/letter": (99, "c974cc4f67de045f"),
    "studies/letter_full": (34, "80385456fc91e1f0"),
    "studies/oracles_digits": (45, "b80bcf6e8d651593"),
    "studies/parts_digits": (198, "77ed98e30f6dd914"),
    "studies/parts_mnist": (185, "76314bf4155ae7c0"),
    "studies/trust_cifar10": (180, "8598709eae15790d"),
    "studies/trust_digits": (240, "df8ca3644fdc1be4"),
    "studies/trust_mnist": (216, "59be1cf86698a341"),
    "studies/trust_twitter": (135, "1774347d095fc046"),
    "trials/full_cifar10/cifar10": (2, "3a068cc823faa072"),
    "tuning/digits": (21, "4e318d9009ff2491"),
    "tuning/mnist": (10, "1d3300d0d26be46e"),
    "tuning/twitter": (10, "df0f2145a1c5165d"),
    "twitter": (288, "31daae4ad9ac53b1"),
}
# The options of a method have new names.
RENAMED = ("options", "values", "tried", "best")


def numbers(content):
    """Yields all numbers in JSON content, without the options of methods."""
    if isinstance(content, dict):
        for key in sorted(content.keys() - {*RENAMED}):
            yield from numbers(content[key])
    elif isinstance(content, list):
        for item in content:
            yield from numbers(item)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield content


def test_all_results_were_carried_over_to_the_last_bit():
    found = {}
    for path in RESULTS.rglob("*.jsonl"):
        recorded = results.read(path)
        if path.parent.name == "release":
            continue  # noxfile.py records them for each release
        content = sorted(
            (run, [*numbers(row)]) for run, row in recorded.items()
        )
        digest = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        name = path.relative_to(RESULTS).with_suffix("")
        found[str(name)] = (len(recorded), digest)
        assert path.read_text().splitlines(keepends=True) == sorted_lines(
            recorded
        )
    assert found == CARRIED


def test_the_transition_of_each_result_can_be_built_again():
    built = 0
    for path in RESULTS.rglob("*.jsonl"):
        for result in results.read(path).values():
            if "transition" in result.get("options", {}):
                if result["method"] == "mlc":
                    methods.transition_update("mlc", result["options"])
                    built += 1
    assert built > 250


def sorted_lines(recorded):
    return [f"{json.dumps(recorded[run])}\n" for run in sorted(recorded)]


CONFIGS = {"digits": digits, "mnist": mnist, "twitter": twitter}
SEARCHES = {
    f"{dataset}-{name}": (dataset, name, found)
    for dataset in CONFIGS
    for name, found in results.read(RESULTS / f"tuning/{dataset}.jsonl").items()
}


def best_of(found):
    return max(found["trials"], key=lambda trial: trial["accuracy"])["values"]


# The best rate of mlc_paper on MNIST needs a larger clean batch than the shared
# size.
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
            continue  # all methods share this setting
        configured = functools.reduce(getattr, option.split("."), config)
        if option.endswith(f"{method}.learning_rate"):
            configured = settings.learning_rate(config)
        # None stands for the default of the class, the first trial.
        assert value == (
            found["tried"][option][0] if configured is None else configured
        )


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
