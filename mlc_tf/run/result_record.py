"""The result of a run: what `result.json` records."""

import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import ml_collections

from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run.problems import Problem
from mlc_tf.run.schedule import Stage


def result_record(
    config: ml_collections.ConfigDict,
    problem: Problem,
    metrics: Sequence[Mapping[str, Any]],
    stages: Sequence[Stage],
    chosen_rates: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the content of `result.json`.

    Accuracies are in [0, 1]; `seconds_per_step` is the median over the epochs
    of the last phase. `best_clean_accuracy_test_accuracy` is the test accuracy
    after the epoch of the last phase with the best accuracy on the clean set;
    None without a clean set. The test accuracies are of the examples that
    `evaluated_on` names.

    Args:
        config: The configuration of the run.
        problem: The data of the run.
        metrics: One mapping per epoch, as `metrics.jsonl` holds them.
        stages: The stages of the run, in order.
        chosen_rates: As `methods.chosen_rates` returns them; empty if the
            config gives all rates.
    """
    last = metrics[-1]
    last_phase = [
        row for row in metrics if row["epoch"] > stages[-1].phase_start
    ]
    best_on_clean = None
    if problem.clean is not None:
        # The later epoch wins a tie: ties are frequent on a small clean set.
        best_on_clean = max(
            last_phase, key=lambda row: (row["clean_accuracy"], row["epoch"])
        )["test_accuracy"]
    step_seconds = [
        row["seconds_per_step"]
        for row in last_phase
        if "seconds_per_step" in row
    ]
    method = methods.get(config.method.name)
    options = settings.method_options(config)
    has_ratio = problems.has_ratio(config.noise.kind)
    return {
        "dataset": config.dataset.name,
        "method": config.method.name,
        "noise": config.noise.kind,
        "ratio": config.noise.ratio if has_ratio else None,
        "seed": config.seed,
        "network": config.network.name,
        "options": options,
        "chosen_rates": dict(chosen_rates),
        "evaluated_on": problem.evaluated_on,
        "oracle": "" if method.instead in options else method.oracle,
        "noisy_examples": len(problem.noisy),
        "clean_examples": 0 if problem.clean is None else len(problem.clean),
        "phases": len(method.phases),
        "epochs": last["epoch"],
        "train_steps": sum(
            (stage.end_epoch - stage.first_epoch) * stage.steps_per_epoch
            for stage in stages
        ),
        "test_accuracy": last["test_accuracy"],
        "best_clean_accuracy_test_accuracy": best_on_clean,
        "best_test_accuracy": max(row["test_accuracy"] for row in last_phase),
        "transition_l1": last["transition_l1"],
        "seconds": round(sum(row["seconds"] for row in metrics), 3),
        "seconds_per_step": (
            statistics.median(step_seconds) if step_seconds else None
        ),
    }
