import json

import numpy as np
import pytest

from mlc_tf.configs import digits
from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run import training
from mlc_tf.run import tuning

CONDITIONS = {
    f"{method}, {noise}": {"method.name": method, "noise.kind": noise}
    for method in ("cross_entropy", "glc")
    for noise in ("uniform", "flip_to_one")
}


def config_of():
    config = digits.get_config("smoke")
    config.dataset.validation = 0.25
    config.train.epochs = 1
    for method in ("mlc", "cross_entropy", "ce_control"):
        config.method[method].learning_rate = None  # the shared rate
    return config


@pytest.fixture
def trained(monkeypatch):
    """What was trained, with accuracies that distinguish settings."""
    configs = []

    def network_of(config, problem):
        configs.append(config)
        rate = settings.learning_rate(config)
        if rate > 0.2:
            raise DivergedError("The loss became nan.")
        bonus = 0.1 * (config.method.name == "glc")
        assert len(problem.test) == round(0.25 * 1297)  # of those to train on
        return None, {"test_accuracy": rate + bonus}

    monkeypatch.setattr(tuning.training, "network_of", network_of)
    # What is searched here always goes together.
    monkeypatch.setattr(tuning.training, "untrained", lambda *_: [])
    return configs


def search(runs, trials=6, searched=tuning.TRAINING, **arguments):
    lines = []
    found = tuning.search(
        config_of(),
        searched,
        arguments.get("conditions", CONDITIONS),
        trials,
        runs,
        lines.append,
        arguments.get("folds", 0),
    )
    return found, lines


def test_a_search_takes_the_best_mean_and_starts_from_the_config(
    trained, tmp_path
):
    found, lines = search(tmp_path)
    assert len(lines) == len(found["trials"]) == 6
    assert len(trained) == 6 * len(CONDITIONS)
    first = found["trials"][0]
    assert first["values"] == {
        "optimizer.learning_rate": 0.05,
        "network.weight_decay": 3e-3,
    }
    # Half of the conditions are of glc.
    assert first["accuracy"] == pytest.approx(0.05 + 0.05)
    assert first["by_condition"]["glc, uniform"] == pytest.approx(0.15)
    rates = [
        trial["values"]["optimizer.learning_rate"] for trial in found["trials"]
    ]
    fine = [rate for rate in rates if rate <= 0.2]
    assert found["best"]["optimizer.learning_rate"] == max(fine)
    assert len({json.dumps(trial["values"]) for trial in found["trials"]}) == 6
    for trial in found["trials"]:
        for name, value in trial["values"].items():
            assert value in found["tried"][name]
        if trial["values"]["optimizer.learning_rate"] > 0.2:
            assert trial["accuracy"] == 0
    assert json.loads(json.dumps(found)) == found


def test_the_rate_of_one_method_is_searched_around_that_of_all(
    trained, tmp_path
):
    found, _ = search(tmp_path, 8, searched=("method.glc.learning_rate",))
    tried = found["tried"]["method.glc.learning_rate"]
    assert tried == [0.05, 0.005, 0.01, 0.015, 0.025, 0.1, 0.15, 0.25]
    assert found["best"] == {"method.glc.learning_rate": 0.15}
    for config in trained:
        others = config.method.name != "glc"
        assert not others or settings.learning_rate(config) == 0.05


def test_a_search_goes_on_where_it_was_cut_off(trained, tmp_path, monkeypatch):
    whole, _ = search(tmp_path / "whole")
    network_of = tuning.training.network_of
    calls = []

    def cut_off(config, problem):
        calls.append(config)
        if len(calls) == 2 * len(CONDITIONS) + 2:  # within the third trial
            raise KeyboardInterrupt
        return network_of(config, problem)

    monkeypatch.setattr(tuning.training, "network_of", cut_off)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut")
    again, lines = search(tmp_path / "cut")
    assert len(lines) == 4
    for found in (whole, again):
        for trial in found["trials"]:
            del trial["seconds"]
    assert again == whole

    more, lines = search(tmp_path / "cut", trials=7)
    assert len(more["trials"]) == 7 and len(lines) == 1


def test_a_search_is_of_real_runs_on_what_is_held_out(tmp_path):
    conditions = {"here": {"method.name": "cross_entropy"}}
    found, _ = search(tmp_path, trials=1, conditions=conditions)
    config = config_of()
    config.method.name = "cross_entropy"
    _, result = training.network_of(config, problems.load(config))
    assert result["evaluated_on"] == "validation"
    assert found["trials"][0]["accuracy"] == result["test_accuracy"]


def test_the_trusted_set_decides_in_a_cross_validation(tmp_path):
    config = config_of()
    config.method.name = "cross_entropy"
    condition = {"here": {"method.name": "cross_entropy"}}
    found = tuning.search(
        config,
        ("method.cross_entropy.learning_rate",),
        condition,
        2,
        tmp_path,
        folds=2,
    )
    problem = problems.load(config)
    accuracies, held_out = [], []
    for fold in problem.folds(2, config.seed):
        base, result = training.network_of(config, fold)
        accuracies.append(result["test_accuracy"])
        predicted = methods.probabilities(base, problem.test).argmax(axis=1)
        held_out.append(np.mean(predicted == problem.test.labels))
    first = found["trials"][0]
    assert first["accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-6)
    assert first["held_out_accuracy"] == pytest.approx(np.mean(held_out))
    for chosen, measured in (
        ("best", "accuracy"),
        ("best_held_out", "held_out_accuracy"),
    ):
        best = max(found["trials"], key=lambda trial: trial[measured])
        assert found[chosen] == best["values"]


def test_a_cross_validation_needs_no_held_out_examples(tmp_path):
    config = config_of()
    config.dataset.validation = 0.0
    found = tuning.search(
        config, tuning.TRAINING, CONDITIONS, 1, tmp_path, folds=2
    )
    assert found["best_held_out"] is None
    assert found["trials"][0]["held_out_accuracy"] is None


@pytest.mark.parametrize("smoothing, updates", [(0.0, 1), (0.2, 2)])
def test_values_that_do_not_go_together_are_no_trial(
    smoothing, updates, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        tuning.training, "network_of", lambda *_: (None, {"test_accuracy": 0.5})
    )
    config = config_of()
    config.method.mlc.transition.update(name="projected", smoothing=smoothing)
    conditions = {"here": {"method.name": "mlc"}}
    names = ("method.mlc.transition.name",)
    found = tuning.search(config, names, conditions, 8, tmp_path)
    # Exponentiated steps never leave a zero.
    assert len(found["trials"]) == updates
    tried = found["tried"]["method.mlc.transition.name"]
    assert tried == ["projected", "exponentiated"]


def test_what_is_wrong_with_a_run_is_told(trained, tmp_path, monkeypatch):
    def failing(config, problem):
        raise InputError("`x` should be y.")

    monkeypatch.setattr(tuning.training, "network_of", failing)
    with pytest.raises(InputError, match="`x` should be y"):
        search(tmp_path)


def test_own_settings_are_of_the_method_and_in_the_config():
    config = settings.default_config()
    known = tuning.own_settings(config, "mlc")
    assert "method.mlc.transition.smoothing" in known
    # All methods of a config share the size of the clean batch.
    assert "clean.batch_size" not in known
    rate = "method.cross_entropy.learning_rate"
    assert tuning.own_settings(config, "cross_entropy") == (rate,)
    assert tuning.own_settings(config, "lre") == (
        "method.lre.learning_rate",
        "method.lre.clean_weight",
    )
    for method in methods.METHODS:
        for name in tuning.own_settings(config, method):
            assert config.get_oneway_ref(name.split(".")[0]) is not None
            section = config
            for part in name.split("."):
                section = section[part]
    with pytest.raises(InputError, match="Did you mean 'mlc'"):
        tuning.own_settings(config, "mlcc")


def test_rates_that_follow_from_the_run_are_not_searched():
    config = settings.default_config()
    assert tuning.own_settings(config, "robot") == (
        "method.robot.learning_rate",
        "method.robot.virtual_learning_rate",
    )
    config.method.robot.transition.name = "exponentiated"
    known = tuning.own_settings(config, "robot")
    assert "method.robot.transition.max_step" in known


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"trials": 0}, "`trials` should be an integer >= 1"),
        ({"folds": 1}, "`folds` should be an integer >= 2"),
        ({"folds": 11}, "`folds` should be at most the trusted examples"),
        ({"searched": ()}, "`searched` should be names of settings"),
        ({"conditions": {}}, "`conditions` should be at least one"),
        (
            {"searched": ("train.epochs",)},
            "`searched` should be among",
        ),
        (
            {"conditions": {"bad": {"method.name": "mlcc"}}},
            "Did you mean 'mlc'",
        ),
    ],
)
def test_bad_arguments(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        search(tmp_path, **changes)


def test_a_scale_that_the_config_leaves_open_is_refused(tmp_path):
    config = config_of()
    config.method.mlc.transition.update(name="projected", max_step=None)
    with pytest.raises(
        InputError, match="`method.mlc.transition.max_step` should be given"
    ):
        tuning.search(
            config, tuning.own_settings(config, "mlc"), CONDITIONS, 1, tmp_path
        )


@pytest.mark.parametrize(
    "given, first",
    [
        ({}, ("exponentiated", 0.2)),
        ({"name": "projected"}, ("projected", 0.0)),
        ({"smoothing": 0.4}, ("exponentiated", 0.4)),
    ],
)
def test_the_first_trial_is_the_config_where_it_is_silent(
    given, first, trained, tmp_path
):
    config = config_of()
    config.method.mlc.transition = (
        settings.default_config().method.mlc.transition
    )
    config.method.mlc.transition.update(given)
    names = "method.mlc.transition.name", "method.mlc.transition.smoothing"
    found = tuning.search(config, names, CONDITIONS, 1, tmp_path)
    assert tuple(found["trials"][0]["values"].values()) == first
    for name in names:
        assert len({*found["tried"][name]}) == len(found["tried"][name]) > 1


def test_data_is_loaded_once_for_all_that_learn_from_it(
    trained, tmp_path, monkeypatch
):
    load, loaded = problems.load, []

    def load_and_tell(config):
        loaded.append(config.noise.kind)
        return load(config)

    monkeypatch.setattr(tuning.problems, "load", load_and_tell)
    search(tmp_path, trials=4, searched=tuning.own_settings(config_of(), "lre"))
    assert len({config.method.lre.clean_weight for config in trained}) > 1
    assert sorted(loaded) == ["flip_to_one", "uniform"]


def test_another_search_in_the_same_place_is_refused(trained, tmp_path):
    search(tmp_path, trials=1)
    with pytest.raises(InputError, match="differs in tried"):
        search(tmp_path, searched=("optimizer.learning_rate",))
    config = config_of()
    config.train.batch_size = 8
    with pytest.raises(InputError, match=r"differs in config\.train\.batch"):
        tuning.search(config, tuning.TRAINING, CONDITIONS, 1, tmp_path)
    config.dataset.validation = 0.0
    with pytest.raises(InputError, match="`dataset.validation` should be in"):
        tuning.search(config, tuning.TRAINING, CONDITIONS, 1, tmp_path)
