"""Searches settings on held-out training data, with keras-tuner.

    mlc_tf tune --config=digits --what=training
    mlc_tf tune --config=digits --what=own --methods=mlc

`training` searches what all methods share, the network's learning rate and
weight decay, for the best mean over the methods; `own` the settings that are
each method's own. Every search has as many trials, or as many as it has values
to try, and the first is the config as it is. A share of the training set is
held out with its true labels (`--validation`); the test set is not seen. A
search that was cut off goes on. Each search writes a line into
`results/tuning/DATASET.jsonl`, and does not replace the line of another search.
"""

import json
from pathlib import Path
from typing import Any

from absl import flags

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch import command_line
from mlc_tf.run import results

_WHAT = ("training", "own")
_CONFIG = command_line.define_config()
_SEARCHED = flags.DEFINE_string("what", "own", f"Of {', '.join(_WHAT)}.")
_METHODS = flags.DEFINE_list("methods", "mlc", "Their names.")
_NOISES = flags.DEFINE_list(
    "noises", "uniform:0.4,flip_to_one:0.4", "Each as KIND:RATIO."
)
_SEEDS = flags.DEFINE_list("seeds", "0", "Seeds.")
_TRIALS = flags.DEFINE_integer("trials", 8, "Trials of a search.")
_VALIDATION = flags.DEFINE_float("validation", 0.1, "The share held out.")
_RUNS = flags.DEFINE_string("runs", "runs", "Where searches keep their state.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")


def main(argv: list[str]) -> None:
    # Not above: --help should need no keras-tuner.
    from mlc_tf.run import tuning

    del argv
    config = _CONFIG.value
    config.dataset.validation = _VALIDATION.value
    names = command_line.method_names(_METHODS)
    if _SEARCHED.value not in _WHAT:
        raise unknown_name("what", _SEARCHED.value, _WHAT)
    if _SEARCHED.value == "training":
        searches = {"training": (tuning.TRAINING, names)}
    else:
        searches = {name: (tuning.own_settings(name), [name]) for name in names}
    part = f"tuning/{config.dataset.name}"
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
        )
        results.write(path, [{"run": name, **found}])
        print(f"{name}: best {found['best']}\n{path}")


def _check_own(state: Path, path: Path, name: str) -> None:
    """Refuses a result that the search of this state did not write."""
    found = results.read(path).get(name)
    if found is None:
        return
    search = state / "search.json"
    own = json.loads(search.read_text()) if search.exists() else {}
    what = found.keys() - {"run", "trials", "best"}
    if any(found[key] != own.get(key) for key in what):
        raise InputError(
            "`results` should be a folder without what another search found. "
            f"Received: {name} in {path}; give another folder, or remove its "
            "line."
        )


def _conditions(names: list[str]) -> dict[str, dict[str, Any]]:
    conditions = {}
    for noise in _NOISES.value:
        kind, _, text = noise.partition(":")
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
