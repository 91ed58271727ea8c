"""Times of actions that take turns, and the ratios of these times.

A machine that slows down slows all actions of a round alike. So the benchmarks
compare ratios within a round, by their median and their spread.
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
# The first rounds do not count: they trace functions and fill caches.
_WARM_UP = 1


def has_gpu() -> bool:
    """Returns whether TensorFlow sees a GPU, on which steps then run."""
    return bool(tf.config.list_logical_devices("GPU"))


def in_turns(
    actions: Mapping[Name, Callable[[], Any]], rounds: int, pause: float = 0.0
) -> dict[Name, np.ndarray]:
    """Returns the seconds that each action took in each round, `(rounds,)`.

    Args:
        actions: Functions to time, by name; each returns when its work is done.
        rounds: The number of rounds after the warm-up.
        pause: Seconds before each action, in which the threads of another
            process stop waiting for work. Defaults to 0.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in actions}
    for turn in range(_WARM_UP + rounds):
        for name, action in actions.items():
            time.sleep(pause)
            begin = time.perf_counter()
            action()
            if turn >= _WARM_UP:
                seconds[name].append(time.perf_counter() - begin)
    return {name: np.array(values) for name, values in seconds.items()}


def summary(values: Any) -> dict[str, float]:
    """Returns the median and the quartiles of some ratios."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": middle, "quartile_1": low, "quartile_3": high}


def training_step(model: PairModel, jit: bool = False) -> Callable[[Any], Any]:
    """Returns the training step of a compiled model, as a graph.

    The step maps an element of pairs to the loss, and waits for the loss.
    """
    model.optimizer.build(model.optimized_variables)

    @tf.function(reduce_retracing=True, jit_compile=jit)
    def step(element: Any) -> tf.Tensor:
        return model.train_step(element)["loss"]

    return lambda element: step(element).numpy()
