"""Benchmarks: the time, memory and traffic of training steps, as ratios.

Each function in `BENCHMARKS` measures a `Request`, and yields the name and the
content of each result.
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
        config: The experiment that "input" and "methods" measure.
        networks: Names in `SUBJECTS`, which the other benchmarks measure.
        rounds: The number of measurements of each time.
        peer: "torch" if "step" also measures PyTorch. Defaults to "".
    """

    config: ml_collections.ConfigDict
    networks: tuple[str, ...]
    rounds: int
    peer: str = ""


Measured = Iterator[tuple[str, dict[str, Any]]]


def _experiment(kind: str, measure: Callable[..., dict[str, Any]]) -> Any:
    def benchmark(request: Request) -> Measured:
        config = request.config
        name = f"{kind}-{config.dataset.name}-{config.network.name}"
        yield name, measure(config, request.rounds)

    return benchmark


def _networks(kind: str, measure: Callable[..., dict[str, Any]]) -> Any:
    def benchmark(request: Request) -> Measured:
        for name in request.networks:
            measured = measure(name, request.rounds)
            yield f"{kind}-{name}", {"network": name, **measured}

    return benchmark


def _step(request: Request) -> Measured:
    for name in request.networks:
        measured = step.measure(name, request.rounds, request.peer)
        run = f"{request.peer or 'step'}-{name}"
        yield run, {"network": name, **measured}


_OF_EXPERIMENTS = {
    "input": input_pipeline.input_pipeline,
    "methods": methods.measure,
}
_OF_NETWORKS = {
    "stages": stages.measure,
    "compilation": compilation.measure,
    "classes": classes.measure,
    "memory": memory.measure,
    "replicas": replicas.measure,
}
BENCHMARKS: Mapping[str, Callable[[Request], Measured]] = {
    **{
        kind: _experiment(kind, measure)
        for kind, measure in _OF_EXPERIMENTS.items()
    },
    "step": _step,
    **{
        kind: _networks(kind, measure) for kind, measure in _OF_NETWORKS.items()
    },
}
