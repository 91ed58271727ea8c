"""Times of things that take turns, and their ratios.

A machine that slows down does so for all of them alike: so what is compared
are ratios within a round, by their median and their spread.
"""

import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

import numpy as np
import tensorflow as tf

from mlc_tf.models.pair_model import PairModel

Name = TypeVar("Name", bound=Hashable)
# Rounds that are not counted: functions are traced, caches filled.
_WARM_UP = 1


def in_turns(
    actions: Mapping[Name, Callable[[], Any]], rounds: int
) -> dict[Name, np.ndarray]:
    """Returns the seconds that each action took in each round, `(rounds,)`.

    Args:
        actions: What to time; each returns when its work is done.
        rounds: How often, after some that are not counted.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in actions}
    for turn in range(_WARM_UP + rounds):
        for name, action in actions.items():
            begin = time.perf_counter()
            action()
            if turn >= _WARM_UP:
                seconds[name].append(time.perf_counter() - begin)
    return {name: np.array(values) for name, values in seconds.items()}


def summary(values: Any) -> dict[str, float]:
    """Returns the median of some ratios and the quartiles about it."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": middle, "quartile_1": low, "quartile_3": high}


def training_step(model: PairModel, jit: bool = False) -> Callable[[Any], Any]:
    """Returns the training step of a compiled model, as a graph.

    It maps an element of pairs to the loss, once that is there.
    """
    model.optimizer.build(model.optimized_variables)

    @tf.function(reduce_retracing=True, jit_compile=jit)
    def step(element: Any) -> tf.Tensor:
        return model.train_step(element)["loss"]

    return lambda element: step(element).numpy()
