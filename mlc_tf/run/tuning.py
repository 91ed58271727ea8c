"""A search for settings, with keras-tuner, that does not use the test set.

The best trial is the best in cross-validation on the trusted set: a user has no
other labels to choose by. Held-out training examples (`dataset.validation`),
with the labels of the dataset, can be measured as well. Without a trusted set
they decide. The first trial is the config as it is. Combinations of values that
a method refuses are drawn again.
"""

import contextlib
import io
import json
import statistics
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import keras
import ml_collections
import numpy as np

from mlc_tf import transitions
from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import import_optional
from mlc_tf.errors import writable_or_error
from mlc_tf.run import directory
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run import training

if TYPE_CHECKING:
    import keras_tuner
else:
    keras_tuner = import_optional("keras_tuner", "tune")

# The settings that all methods share.
TRAINING = ("optimizer.learning_rate", "network.weight_decay")
# The number of draws for a trial, until the method accepts the values.
_DRAWS = 50
# A setting that is a scale is tried at these multiples of the config's value.
_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
# Eight values: then methods without other settings have eight trials as well.
_NEAR = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0)
# Other settings are tried at these values and at the config's value. If the
# config has none, the first value is the default of the class.
_EXPECTATION_RATES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
_CLEAN_WEIGHTS = (0.0, 0.1, 0.3, 1.0)
_VALUES: Mapping[str, tuple[Any, ...]] = {
    "network.weight_decay": (0.0, 1e-4, 3e-4, 1e-3, 3e-3),
    **{
        f"method.{name}.transition.{option}": values
        for name in methods.LEARN_T
        for option, values in (
            ("name", ("exponentiated", "projected")),
            ("smoothing", (0.0, 0.05, 0.1, 0.2, 0.4)),
            ("expectation_rate", _EXPECTATION_RATES),
        )
    },
    "method.mlc.clean_weight": _CLEAN_WEIGHTS,
    "method.mlc.clean_class_weight": ("equal", "given_labels"),
    "method.forward.expectation_rate": _EXPECTATION_RATES,
    "method.glc.expectation_rate": _EXPECTATION_RATES,
    "method.glc_em.expectation_rate": _EXPECTATION_RATES,
    "method.glc_em.clean_weight": _CLEAN_WEIGHTS,
    "method.glc_em.clean_class_weight": ("equal", "given_labels"),
    "method.true_forward.expectation_rate": _EXPECTATION_RATES,
    "method.true_forward.clean_weight": _CLEAN_WEIGHTS,
    "method.lre.clean_weight": _CLEAN_WEIGHTS,
    "method.meta_weight_net.clean_weight": _CLEAN_WEIGHTS,
    "method.co_teaching.ramp": (0.05, 0.1, 0.3, 0.6, 1.0),
    "method.gce.q": (0.3, 0.5, 0.7, 0.9),
    "method.elr.strength": (1.0, 3.0, 7.0),
    "method.elr.momentum": (0.5, 0.7, 0.9),
    **{
        f"method.{name}.{option}": values
        for name in ("mlc_semi", "glc_semi")
        for option, values in (
            ("momentum", (0.5, 0.9, 0.99, 1.0)),
            ("clean_weight", _CLEAN_WEIGHTS),
            ("clean_class_weight", ("equal", "given_labels")),
        )
    },
    "method.glc_semi.expectation_rate": _EXPECTATION_RATES,
    "method.fasten.noisy_weight": (0.25, 0.5, 0.75),
    "method.fasten.threshold": (0.6, 0.8, 0.9),
}
# The defaults of these settings depend on the class that `name` names.
_TRANSITIONS = tuple(f"method.{name}.transition" for name in methods.LEARN_T)
_SCALES: Mapping[str, tuple[float, ...]] = {
    "optimizer.learning_rate": _NEAR,
    **{f"method.{name}.learning_rate": _NEAR for name in methods.METHODS},
    **{
        f"method.{name}.{option}": factors
        for name in methods.LEARN_T
        for option, factors in (
            ("virtual_learning_rate", _FACTORS),
            ("transition.learning_rate", _FACTORS),
            ("transition.max_step", _NEAR),
        )
    },
    "method.t_revision.revision_rate": _FACTORS,
    "method.authors_step.virtual_learning_rate": _FACTORS,
    "method.authors_step.transition_learning_rate": _FACTORS,
    "method.noise_layer.noise_learning_rate": _FACTORS,
    "method.noise_layer_logits.noise_learning_rate": _FACTORS,
    "method.masking_hard.noise_learning_rate": _FACTORS,
    "method.volmin.volume_weight": _FACTORS,
    "method.volmin.transition_learning_rate": _FACTORS,
    "method.pencil.alpha": _FACTORS,
    "method.pencil.beta": _FACTORS,
    "method.meta_weight_net.meta_learning_rate": _FACTORS,
}


def own_settings(
    config: ml_collections.ConfigDict, method: str
) -> tuple[str, ...]:
    """Returns the dotted names of a method's settings that a search may try.

    Args:
        config: The config where the search starts. If the rates of T follow
            from the length of the run ("auto"), they are not searched.
        method: A name of `methods.METHODS`.

    Raises:
        InputError: for an unknown method.
    """
    methods.get(method)
    section = f"method.{method}.transition."
    automatic = settings.flat(config).get(f"{section}name") == methods.AUTO
    return tuple(
        name
        for name in (*_SCALES, *_VALUES)
        if name.startswith(f"method.{method}.")
        and not (automatic and name.startswith(section))
    )


def search(
    config: ml_collections.ConfigDict,
    searched: Sequence[str],
    conditions: Mapping[str, Mapping[str, Any]],
    trials: int,
    runs: str | Path,
    log: Callable[[str], None] = print,
    folds: int = 0,
) -> dict[str, Any]:
    """Searches settings at random; an interrupted search resumes.

    Args:
        config: The config where the search starts; `dataset.validation` is the
            share of held-out examples, in (0, 1), or 0 if `folds` is given.
        searched: Dotted names of settings: `TRAINING`, or `own_settings`.
        conditions: The conditions under which each trial is run, by name: each
            maps other settings, as the method, the noise and the seed, to
            values. At least one.
        trials: The number of trials, at least 1; fewer are run if there are
            fewer combinations of values.
        runs: The folder where the search keeps its state.
        log: Called with one line per trial. Defaults to `print`.
        folds: The number of folds of the cross-validation on the trusted set,
            an integer >= 2. Defaults to 0: the held-out examples decide.

    Returns:
        The content of a JSON file: `dataset`, `network`, `validation`, `folds`,
        `epochs`, `tried` (the values of each setting), `conditions`, `trials`,
        `best` and `best_held_out`. A trial has its `values`, its `accuracy` in
        [0, 1] (the mean over the conditions, and over the folds) and its
        `held_out_accuracy` (None if nothing is held out). It also has its
        accuracies `by_condition` (0 for a loss that diverged) and its
        `seconds`. `best` has the values of the trial with the best accuracy,
        and `best_held_out` the values of the trial with the best held-out
        accuracy, or None.

    Raises:
        InputError: for a bad setting, or `runs` of another search.
    """
    if not folds and not 0 < config.dataset.validation < 1:
        raise bad_argument(
            "dataset.validation",
            "in (0, 1) without cross-validation",
            config.dataset.validation,
        )
    if not isinstance(folds, int) or folds < 0 or folds == 1:
        raise bad_argument("folds", "an integer >= 2, or 0 for none", folds)
    if not isinstance(trials, int) or trials < 1:
        raise bad_argument("trials", "an integer >= 1", trials)
    tried = {name: _values(config, name) for name in searched}
    if not tried:
        raise bad_argument("searched", "names of settings", "none")
    if not conditions:
        raise bad_argument("conditions", "at least one", "none")
    for condition in conditions.values():
        settings.check(_changed(config, condition))
    if folds:
        first, *_ = conditions.values()
        problems.load(_changed(config, first)).folds(folds, config.seed)
    description = {
        "dataset": config.dataset.name,
        "network": config.network.name,
        "validation": config.dataset.validation,
        "folds": folds,
        "epochs": config.train.epochs,
        "tried": {name: list(values) for name, values in tried.items()},
        "conditions": {name: dict(each) for name, each in conditions.items()},
    }
    with writable_or_error("runs", Path(runs)):
        _check_same(
            Path(runs) / "search.json",
            {**description, "config": json.loads(config.to_json())},
        )
        done = _search(
            config, tried, conditions, trials, Path(runs), log, folds
        )
    return {
        **description,
        "trials": done,
        "best": _best(done, "accuracy"),
        "best_held_out": _best(done, "held_out_accuracy"),
    }


def _best(
    trials: Sequence[Mapping[str, Any]], name: str
) -> dict[str, Any] | None:
    """Returns the values of the trial with the greatest number."""
    measured = [trial for trial in trials if trial[name] is not None]
    best = max(measured, key=lambda trial: trial[name], default=None)
    return None if best is None else dict(best["values"])


def _search(
    config: ml_collections.ConfigDict,
    tried: Mapping[str, Sequence[Any]],
    conditions: Mapping[str, Mapping[str, Any]],
    trials: int,
    runs: Path,
    log: Callable[[str], None],
    folds: int,
) -> list[dict[str, Any]]:
    space = keras_tuner.HyperParameters()
    start = {name: values[0] for name, values in tried.items()}
    for name, values in tried.items():
        space.Choice(name, list(values), default=start[name])
    configs = _Configs(config, conditions)
    oracle = _FromStart(
        start,
        configs.accepted,
        objective=keras_tuner.Objective("accuracy", "max"),
        max_trials=trials,
        hyperparameters=space,
        seed=config.seed + 1,  # keras-tuner takes 0 for none
    )
    with contextlib.redirect_stdout(io.StringIO()):  # it prints tables
        tuner = _Trials(configs, log, folds, oracle=oracle, directory=str(runs))
    try:
        tuner.search(verbose=0)
    except keras_tuner.errors.FatalError as error:
        raise error.__cause__ or error from None
    return [
        _trial_record(oracle.trials[name], conditions)
        for name in sorted(oracle.trials)
    ]


class _Configs:
    """The config and the data of a trial, for each condition."""

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        conditions: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._config, self._conditions = config, conditions
        self._problems: dict[str, problems.Problem] = {}

    def under_each(
        self, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, ml_collections.ConfigDict, problems.Problem]]:
        """Yields the name of each condition, its config and its data."""
        for name, condition in self._conditions.items():
            config = _changed(self._config, {**condition, **values})
            yield name, config, self._problem(config)

    def accepted(self, values: Mapping[str, Any]) -> bool:
        """Returns whether each method accepts these values."""
        # The noise and the seed of a condition do not matter here.
        by_method = {
            config.method.name: (config, problem)
            for _, config, problem in self.under_each(values)
        }
        try:
            for config, problem in by_method.values():
                training.untrained(config, problem)
        except InputError:
            return False
        finally:
            keras.backend.clear_session()
        return True

    def _problem(self, config: ml_collections.ConfigDict) -> problems.Problem:
        """Returns the data of a config, loaded once per distinct data."""
        clean = config.clean.per_class, config.clean.fewer_if_rare
        key = f"{config.dataset} {config.noise} {clean} {config.seed}"
        if key not in self._problems:
            self._problems[key] = problems.load(config)
        return self._problems[key]


class _FromStart(keras_tuner.oracles.RandomSearchOracle):
    """Random search that starts from given values and skips refused ones."""

    def __init__(
        self,
        start: Mapping[str, Any],
        accepted: Callable[[Mapping[str, Any]], bool],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._start, self._accepted = dict(start), accepted

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if not self.trials:
            return {"status": "RUNNING", "values": self._start}
        refused: list[dict[str, Any]] = []
        for _ in range(_DRAWS):
            drawn: dict[str, Any] = super().populate_space(trial_id)
            values = drawn["values"]
            if values is None:  # all combinations were tried
                return drawn
            if values not in refused:
                if self._accepted(values):
                    return drawn
                refused.append(values)
        return {"status": "STOPPED", "values": None}


class _Trials(keras_tuner.Tuner):
    """Trains a network under each condition of a trial."""

    def __init__(
        self,
        configs: _Configs,
        log: Callable[[str], None],
        folds: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._configs, self._log, self._folds = configs, log, folds

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        begin = time.monotonic()
        values = trial.hyperparameters.values
        measured, held_out = {}, []
        try:
            for name, config, problem in self._configs.under_each(values):
                parts = [problem]
                if self._folds:
                    parts = problem.folds(self._folds, config.seed)
                both = [_accuracies(config, part, problem) for part in parts]
                measured[name], true = map(
                    statistics.mean, zip(*both, strict=True)
                )
                if config.dataset.validation:
                    held_out.append(true)
        except Exception as error:  # else keras-tuner goes on without it
            raise keras_tuner.errors.FatalError from error
        accuracy = statistics.mean(measured.values())
        seconds = time.monotonic() - begin
        self._log(
            f"trial {trial.trial_id}: {100 * accuracy:.2f} % in {seconds:.0f} "
            f"s, {', '.join(f'{key}={value}' for key, value in values.items())}"
        )
        if held_out:
            measured["held_out_accuracy"] = statistics.mean(held_out)
        return {**measured, "accuracy": accuracy, "seconds": seconds}


def _accuracies(
    config: ml_collections.ConfigDict,
    part: problems.Problem,
    whole: problems.Problem,
) -> tuple[float, float]:
    """Returns the accuracies of a run on the test sets of a fold and of all.

    Both are 0 if the loss diverged. The test set of all is not looked at unless
    it is held-out training data.

    Args:
        config: The config of the run.
        part: The problem that the run trains on, one of the folds of `whole`.
        whole: The problem before it was divided; `part` itself without folds.
    """
    try:
        base, result = training.network_of(config, part)
        accuracy = held_out = float(result["test_accuracy"])
        if part is not whole and config.dataset.validation:
            predicted = methods.probabilities(base, whole.test).argmax(axis=1)
            held_out = float(np.mean(predicted == whole.test.labels))
    except DivergedError:
        return 0.0, 0.0
    finally:
        keras.backend.clear_session()
    return accuracy, held_out


def _trial_record(trial: Any, conditions: Mapping[str, Any]) -> dict[str, Any]:
    def measured(name: str) -> float:
        return float(trial.metrics.get_history(name)[0].value[0])

    return {
        "values": dict(trial.hyperparameters.values),
        "accuracy": measured("accuracy"),
        "held_out_accuracy": (
            measured("held_out_accuracy")
            if trial.metrics.exists("held_out_accuracy")
            else None
        ),
        "by_condition": {name: measured(name) for name in conditions},
        "seconds": round(measured("seconds"), 1),
    }


def _values(config: ml_collections.ConfigDict, name: str) -> tuple[Any, ...]:
    """Returns the values to try for a setting, the config's value first."""
    if name not in _SCALES and name not in _VALUES:
        raise bad_argument(
            "searched", f"among {', '.join((*_SCALES, *_VALUES))}", name
        )
    own = settings.flat(config)[name]
    section, _, argument = name.rpartition(".")
    if own is None and section in _TRANSITIONS:
        own = _class_default(config, section, argument)
    elif own is None and name.endswith(".learning_rate"):
        own = config.optimizer.learning_rate
    if name in _SCALES:
        if own is None:
            raise bad_argument(name, "given, to search around it", "none")
        values = [float(f"{factor * own:.3g}") for factor in _SCALES[name]]
    else:
        values = list(_VALUES[name])
    first = values[0] if own is None else own
    return (first, *(value for value in values if value != first))


def _class_default(
    config: ml_collections.ConfigDict, section: str, argument: str
) -> Any:
    """Returns the default of an update of T for a value that is not given."""
    name = settings.flat(config)[f"{section}.name"]
    return getattr(transitions.get(name), argument)


def _changed(
    config: ml_collections.ConfigDict, values: Mapping[str, Any]
) -> ml_collections.ConfigDict:
    changed = config.copy_and_resolve_references()
    changed.update_from_flattened_dict(values)
    return changed


def _check_same(path: Path, description: dict[str, Any]) -> None:
    """Writes the description of a new search, or checks the existing one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        directory.write_json(path, description)
        return
    differing = directory.differing(
        json.loads(json.dumps(description)), directory.read_json(path)
    )
    if differing:
        raise InputError(
            "`runs` should be a new folder or the folder of this search. "
            f"Received: '{path.parent}', of a search that differs in "
            f"{', '.join(differing)}."
        )
