"""What a step sends between replicas, as counted from its graph."""

import concurrent.futures
import math
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from mlc_tf import distribution
from mlc_tf.launch.benchmark import step
from mlc_tf.launch.benchmark.subjects import SUBJECTS

_VARIANTS = ("cross_entropy", "exact", "finite_difference", "head")
_WORKERS = 2


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Returns the bytes that each replica sends in a step, and ratios.

    Args:
        network: A name of `SUBJECTS`.
        rounds: Not used: a count is the same each time.
    """
    del rounds
    counted = {variant: collectives(network, variant) for variant in _VARIANTS}
    plain = sum(counted["cross_entropy"])
    return {
        "batch_size": SUBJECTS[network].batch_size,
        "collectives": {
            variant: {"count": len(sizes), "bytes": sum(sizes)}
            for variant, sizes in counted.items()
        },
        "ratio_to_cross_entropy": {
            network: {
                variant: sum(sizes) / plain
                for variant, sizes in counted.items()
            }
        },
    }


def collectives(network: str, variant: str) -> list[int]:
    """Returns the bytes that go into each collective of a step's graph.

    The collectives are all-reduces and the gathering of an embedding's
    gradient. The graph belongs to one of two workers, local processes:
    only between workers are collectives nodes of the graph.

    Args:
        network: A name of `SUBJECTS`.
        variant: A name of `step.VARIANTS`.
    """
    addresses = distribution.free_addresses(_WORKERS)
    with concurrent.futures.ProcessPoolExecutor(
        _WORKERS, multiprocessing.get_context("spawn")
    ) as pool:
        workers = [
            pool.submit(_child, network, variant, addresses, index)
            for index in range(_WORKERS)
        ]
        first, *others = [worker.result() for worker in workers]
    if any(other != first for other in others):
        raise RuntimeError("Workers should send the same: this is a bug.")
    return first


def _child(
    network: str, variant: str, addresses: list[str], index: int
) -> list[int]:
    os.environ["TF_CONFIG"] = distribution.tf_config(addresses, index)
    strategy = distribution.strategy("multi_worker")
    subject = SUBJECTS[network]
    with strategy.scope():
        model = step.VARIANTS[variant](subject.build(subject.num_classes))
        model.compile("sgd")
        model.optimizer.build(model.optimized_variables)
        element = tf.nest.map_structure(
            tf.constant, subject.pair(subject.num_classes)
        )
        traced = tf.function(
            lambda: strategy.run(model.train_step, [element])
        ).get_concrete_function()
        # Both have looked before one leaves the other alone.
        distribution.barrier()
    return sorted(_sizes(traced.graph))


def _sizes(graph: tf.Graph) -> Iterator[int]:
    for operation in graph.get_operations():
        if operation.type.startswith("Collective"):
            sent = operation.inputs[0]
            yield math.prod(sent.shape) * sent.dtype.size
