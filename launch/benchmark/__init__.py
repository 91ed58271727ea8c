"""How fast this machine does what: ratios, each within one run.

Each entry of `BENCHMARKS` maps a `Request` to what it measured, one mapping for
a JSON file under each file's name, as it is there.
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
    """What to measure on.

    Attributes:
        config: An experiment; for "input" and "methods".
        networks: Names of `SUBJECTS`; for the others.
        rounds: Times that all is measured.
    """

    config: ml_collections.ConfigDict
    networks: tuple[str, ...]
    rounds: int


Measured = Iterator[tuple[str, dict[str, Any]]]


def _experiment(measure: Callable[..., dict[str, Any]], what: str) -> Any:
    def benchmark(request: Request) -> Measured:
        config = request.config
        name = f"{what}-{config.dataset.name}-{config.network.name}"
        yield name, measure(config, request.rounds)

    return benchmark


def _networks(measure: Callable[..., dict[str, Any]], what: str) -> Any:
    def benchmark(request: Request) -> Measured:
        for name in request.networks:
            measured = measure(name, request.rounds)
            yield f"{what}-{name}", {"network": name, **measured}

    return benchmark


BENCHMARKS: Mapping[str, Callable[[Request], Measured]] = {
    "input": _experiment(input_pipeline.input_pipeline, "input"),
    "methods": _experiment(methods.measure, "methods"),
    "step": _networks(step.measure, "step"),
    "stages": _networks(stages.measure, "stages"),
    "compilation": _networks(compilation.measure, "compilation"),
    "classes": _networks(classes.measure, "classes"),
    "memory": _networks(memory.measure, "memory"),
    "replicas": _networks(replicas.measure, "replicas"),
}
