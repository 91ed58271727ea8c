"""Benchmarks: the time, memory and traffic of training steps, as ratios.

Each entry of `BENCHMARKS` measures a `Request` and yields results for the
result file, each with its name.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ml_collections

from mlc_tf.launch.benchmark import classes
from mlc_tf.launch.benchmark import compilation
from mlc_tf.launch.benchmark import input_pipeline
from mlc_tf.launch.benchmark import memory
from mlc_tf.launch.benchmark import methods
from mlc_tf.launch.benchmark import replicas
from mlc_tf.launch.benchmark import stages
from mlc_tf.launch.benchmark import step


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        config: The experiment, for "input" and "methods".
        networks: Names of `SUBJECTS`, for the other benchmarks.
        rounds: How often each time is measured.
    """

    config: ml_collections.ConfigDict
    networks: tuple[str, ...]
    rounds: int


Measured = Iterator[tuple[str, dict[str, Any]]]


def _experiment(what: str, measure: Callable[..., dict[str, Any]]) -> Any:
    def benchmark(request: Request) -> Measured:
        config = request.config
        name = f"{what}-{config.dataset.name}-{config.network.name}"
        yield name, measure(config, request.rounds)

    return benchmark


def _networks(what: str, measure: Callable[..., dict[str, Any]]) -> Any:
    def benchmark(request: Request) -> Measured:
        for name in request.networks:
            measured = measure(name, request.rounds)
            yield f"{what}-{name}", {"network": name, **measured}

    return benchmark


_OF_EXPERIMENTS = {
    "input": input_pipeline.input_pipeline,
    "methods": methods.measure,
}
_OF_NETWORKS = {
    "step": step.measure,
    "stages": stages.measure,
    "compilation": compilation.measure,
    "classes": classes.measure,
    "memory": memory.measure,
    "replicas": replicas.measure,
}
BENCHMARKS: Mapping[str, Callable[[Request], Measured]] = {
    **{
        what: _experiment(what, measure)
        for what, measure in _OF_EXPERIMENTS.items()
    },
    **{
        what: _networks(what, measure) for what, measure in _OF_NETWORKS.items()
    },
}
