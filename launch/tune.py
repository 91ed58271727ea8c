"""Searches settings by cross-validation on the trusted set.

    mlc_tf tune --config=digits --what=training
    mlc_tf tune --config=digits --what=own --methods=mlc

`--what=training` searches the settings that all methods share (the network's
learning rate and weight decay) for the best mean over the methods. `--what=own`
searches the settings that each method has for itself. Every search has the same
number of trials, or fewer if it has fewer values to try. The first trial is the
config as it is; or, with `--defaults`, the config without the settings that it
gives to methods.

The trusted set decides: its examples are divided into `--folds` parts, and each
trial trains once for each part, without that part. `--validation` also holds
out a fraction of the training set with the labels of the dataset, and shows
what they would have chosen; with `--folds=0`, as without a trusted set, they
decide. The command does not use the test set. Repeat the command to resume an
interrupted search. Each search writes a line to `results/tuning/DATASET.jsonl`,
and does not replace the line of another search.
"""

from pathlib import Path
from typing import Any

from absl import flags

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch import command_line
from mlc_tf.run import directory
from mlc_tf.run import problems
from mlc_tf.run import results
from mlc_tf.run import settings

_WHAT = ("training", "own")
_INJECTED = ("uniform:0.4", "flip_to_one:0.4")
_CONFIG = command_line.define_config()
_SEARCHED = flags.DEFINE_string(
    "what", "own", f"The settings to search: {' or '.join(_WHAT)}."
)
_METHODS = flags.DEFINE_list(
    "methods", "mlc", "The methods, separated by commas, or all."
)
_NOISES = flags.DEFINE_list(
    "noises",
    None,
    "The noises, each as KIND:RATIO. Defaults to uniform:0.4,flip_to_one:0.4; "
    "to the noise of the config if that has no ratio, such as none.",
)
_SEEDS = flags.DEFINE_list("seeds", "0", "The seeds of the runs.")
_TRIALS = flags.DEFINE_integer("trials", 8, "The number of trials of a search.")
_FOLDS = flags.DEFINE_integer(
    "folds",
    5,
    "The number of parts of the trusted set for the cross-validation; 0 for "
    "none: then the held-out examples decide.",
)
_VALIDATION = flags.DEFINE_float(
    "validation",
    None,
    "The fraction of the training set to hold out. Defaults to the config's.",
)
_DEFAULTS = flags.DEFINE_bool(
    "defaults",
    False,
    "Whether to start without the settings that the config gives to methods.",
)
_RUNS = flags.DEFINE_string(
    "runs", "runs", "The folder for the state of the searches."
)
_RESULTS = flags.DEFINE_string("results", "results", "The folder for results.")


def main(argv: list[str]) -> None:
    # Imported late, so that --help works without keras-tuner.
    from mlc_tf.run import tuning

    del argv
    config = _CONFIG.value
    if _VALIDATION.value is not None:
        config.dataset.validation = _VALIDATION.value
    if _DEFAULTS.value:
        config.method = settings.default_config().method
    names = command_line.method_names(_METHODS)
    if _SEARCHED.value not in _WHAT:
        raise unknown_name("what", _SEARCHED.value, _WHAT)
    if _SEARCHED.value == "training":
        searches = {"training": (tuning.TRAINING, names)}
    else:
        searches = {
            name: (tuning.own_settings(config, name), [name]) for name in names
        }
    part = f"tuning/{directory.as_file_name(config.dataset.name)}"
    runs = Path(_RUNS.value) / part
    path = Path(_RESULTS.value) / f"{part}.jsonl"
    for name in searches:
        _check_own(runs / name, path, name)
    for name, (searched, tried_with) in searches.items():
        found = tuning.search(
            config,
            searched,
            _conditions(tried_with),
            _TRIALS.value,
            runs / name,
            lambda line, name=name: print(f"{name}, {line}", flush=True),
            _FOLDS.value,
        )
        results.write(path, [{"run": name, **found}])
        print(f"{name}: best {found['best']}\n{path}")


def _check_own(state: Path, path: Path, name: str) -> None:
    """Raises an error if another search wrote the result of this name."""
    found = results.read(path).get(name)
    if found is None:
        return
    search = state / "search.json"
    own = directory.read_json(search) if search.exists() else {}
    compared_keys = found.keys() - {"run", "trials", "best", "best_held_out"}
    if any(found[key] != own.get(key) for key in compared_keys):
        raise InputError(
            "`results` should be a folder without results of another search. "
            f"Received: {name} in {path}; give another folder, or remove this "
            "line."
        )


def _conditions(names: list[str]) -> dict[str, dict[str, Any]]:
    conditions = {}
    noises, own = _NOISES.value, _CONFIG.value.noise.kind
    if noises is None:
        noises = _INJECTED if problems.has_ratio(own) else [f"{own}:0"]
    for noise in noises:
        kind, _, text = noise.rpartition(":")
        try:
            ratio = float(text)
        except ValueError:
            raise bad_argument("noises", "each as KIND:RATIO", noise) from None
        for method in names:
            for seed in command_line.integers(_SEEDS):
                conditions[f"{method}, {kind} {ratio:g}, seed {seed}"] = {
                    "method.name": method,
                    "noise.kind": kind,
                    "noise.ratio": ratio,
                    "seed": seed,
                }
    return conditions


if __name__ == "__main__":
    command_line.run(main)
