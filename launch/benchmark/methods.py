"""What each method of the comparison costs, beside plain training."""

import functools
from typing import Any

import ml_collections

from mlc_tf.launch.benchmark import measuring
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import training


def measure(config: ml_collections.ConfigDict, rounds: int) -> dict[str, Any]:
    """Measures the steps of all phases of all methods, in turns.

    Args:
        config: Names dataset, network and batch size.
        rounds: Times that each step is taken.

    Returns:
        The cost of a method's training steps as a ratio to the cost of
        `cross_entropy`: the sum over its phases, since each has the full
        length. Computations between phases are not included.
    """
    config = config.copy_and_resolve_references()
    problem = problems.load(config)
    actions = {}
    for name in methods.METHODS:
        config.method.name = name
        for number, (model, pairs) in enumerate(
            training.untrained(config, problem)
        ):
            (element,) = pairs.take(1)
            actions[name, number] = functools.partial(
                measuring.training_step(model), element
            )
    seconds = measuring.in_turns(actions, rounds)
    plain = seconds["cross_entropy", 0]
    return {
        "dataset": config.dataset.name,
        "network": config.network.name,
        "batch_size": config.train.batch_size,
        "rounds": rounds,
        "cost": {
            name: measuring.summary(
                sum(values for (of, _), values in seconds.items() if of == name)
                / plain
            )
            for name in methods.METHODS
        },
    }
