"""The only room that knows of strategies and replicas."""

import json
import os
import random
import re
import socket
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name

STRATEGIES = ("none", "mirrored", "multi_worker")
# Linux gives out ports from 32768, other systems from 49152.
_OWN_PORTS = range(20_000, 32_768)
# A second one in a process crashed in its collectives.
_made: dict[str, tf.distribute.Strategy] = {}


def strategy(name: str, replicas: int = 0) -> tf.distribute.Strategy:
    """Returns what keeps several devices in step.

    Args:
        name: Of `STRATEGIES`; "none" is the strategy in scope, one device if
            none is. "multi_worker" is one of the processes, on one machine or
            several, that `TF_CONFIG` names.
        replicas: Of "mirrored", how many GPUs or, on a machine without, parts
            of the CPU, which is then split: for trying out. Defaults to 0, all
            GPUs.

    Raises:
        InputError: for another name, more replicas than there are GPUs, or
            another number than this process had before; without a `TF_CONFIG`
            that tells which worker of which cluster this process is.
        InterruptedRunError: if it cannot join the others, as where its port is
            in use.
    """
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        if name not in _made:
            workers, index = cluster(os.environ.get("TF_CONFIG"))
            print(
                f"Worker {index} of {', '.join(workers)} joins the others.",
                flush=True,
            )
            try:
                _made[name] = tf.distribute.MultiWorkerMirroredStrategy()
            except tf.errors.OpError as error:
                raise InterruptedRunError(
                    f"Worker {index} could not join the others: "
                    f"{' '.join(error.message.split())}."
                ) from None
        return _made[name]
    return _mirrored(replicas)


def cluster(text: str | None) -> tuple[list[str], int]:
    """Returns the workers that a `TF_CONFIG` names, and which this one is.

    Args:
        text: `{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type":
            "worker", "index": 0}}`, as JSON.

    Raises:
        InputError: if it is anything else.
    """
    expected = (
        'JSON as \'{"cluster": {"worker": ["HOST:PORT", ...]}, '
        '"task": {"type": "worker", "index": 0}}\''
    )
    try:
        config = json.loads(text or "")
        workers, task = config["cluster"]["worker"], config["task"]
        addresses = isinstance(workers, list) and all(
            re.fullmatch(r"[^\s:]+:\d+", worker) for worker in workers
        )
        known = [*config["cluster"]] == ["worker"] and task["type"] == "worker"
        if not (addresses and known and task["index"] in range(len(workers))):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise bad_argument("TF_CONFIG", expected, text) from None
    return workers, task["index"]


def tf_config(workers: Sequence[str], index: int) -> str:
    """Returns the `TF_CONFIG` of one worker, of which "HOST:PORT" are all."""
    return json.dumps(
        {
            "cluster": {"worker": list(workers)},
            "task": {"type": "worker", "index": index},
        }
    )


def free_addresses(count: int) -> list[str]:
    """Returns addresses of this machine on which nobody listens.

    They are below those that systems give out by themselves, which another
    process could be given before the worker is there.
    """
    addresses: list[str] = []
    for port in random.SystemRandom().sample(_OWN_PORTS, len(_OWN_PORTS)):
        if len(addresses) == count:
            break
        with socket.socket() as probe:
            try:
                probe.bind(("localhost", port))
            except OSError:
                continue
        addresses.append(f"localhost:{port}")
    return addresses


def _mirrored(replicas: int) -> tf.distribute.MirroredStrategy:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and len(gpus) < replicas:
        raise InputError(
            f"`replicas` should be at most {len(gpus)}, the GPUs here. "
            f"Received: `replicas` = {replicas}."
        )
    kind, count = ("GPU", replicas or len(gpus)) if gpus else ("CPU", replicas)
    count = max(count, 1)
    made = _made.get("mirrored")
    if made is None:
        if not gpus:
            _split_cpu(count)
        made = _made["mirrored"] = tf.distribute.MirroredStrategy(
            [f"{kind}:{number}" for number in range(count)]
        )
    if made.num_replicas_in_sync != count:
        raise InputError(
            f"`replicas` should be {made.num_replicas_in_sync}, as before in "
            f"this process. Received: `replicas` = {replicas}."
        )
    return made


def _split_cpu(parts: int) -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    have = tf.config.get_logical_device_configuration(cpu) or [None]
    if len(have) >= parts:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * parts
        )
    except RuntimeError:
        raise InputError(
            f"`replicas` should be at most {len(have)} once TensorFlow has "
            f"started. Received: `replicas` = {parts}."
        ) from None


def num_replicas() -> int:
    """Returns how many replicas the strategy in scope keeps in step."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def has_workers() -> bool:
    """Returns whether the strategy in scope keeps several processes in step."""
    return _num_workers() > 1


def _num_workers() -> int:
    current = tf.distribute.get_strategy()
    if not isinstance(current, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return current.cluster_resolver.cluster_spec().num_tasks("worker")


def worker() -> int:
    """Returns which of them this process is, from 0, which keeps the files."""
    if not has_workers():
        return 0
    return tf.distribute.get_strategy().cluster_resolver.task_id


def of_all_workers(values: Sequence[int]) -> np.ndarray:
    """Returns the values that each worker gave, a row each; waits for all."""
    own = tf.constant([values], tf.int32)
    if not has_workers():
        return own.numpy()
    workers = _num_workers()
    # As a sum with zeros in the rows of the others: one collective.
    placed = tf.one_hot(worker(), workers, dtype=tf.int32)[:, None] * own
    total = _sum_over_replicas(placed).numpy()
    return total // (num_replicas() // workers)


def barrier() -> None:
    """Waits until all workers are here."""
    of_all_workers([0])


def all_have(values: Sequence[int]) -> bool:
    """Returns whether all workers gave the same values; waits for all."""
    rows = of_all_workers(values)
    return bool((rows == rows[0]).all())


@tf.function
def _sum_over_replicas(tensor: tf.Tensor) -> tf.Tensor:
    current = tf.distribute.get_strategy()
    return current.reduce(
        tf.distribute.ReduceOp.SUM, current.run(tf.identity, [tensor]), None
    )


def agreed(flags: Sequence[bool]) -> list[bool]:
    """Returns which flags any worker raised; all workers should ask."""
    if not has_workers():
        return list(flags)
    return [any(raised) for raised in zip(*of_all_workers(flags).tolist())]


def by_data(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset, of which each worker is to take its part of a batch.

    The policy is `DATA`: by files, workers would see other batches than one
    device does.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return dataset.with_options(options)


class Share(NamedTuple):
    """The replicas of one worker, `first` to before `last`, of how many."""

    replicas: int = 1
    first: int = 0
    last: int = 1


def share_of(context: tf.distribute.InputContext | None) -> Share:
    """Returns the share of the worker whose input it is; None has all."""
    if context is None:
        return Share()
    replicas = context.num_replicas_in_sync
    here = replicas // context.num_input_pipelines
    first = context.input_pipeline_id * here
    return Share(replicas, first, first + here)


def in_replica() -> bool:
    """Returns whether what is called is a step of one replica."""
    return not tf.distribute.in_cross_replica_context()


def on_every_replica(
    function: Callable[..., None], *arguments: tf.Tensor
) -> None:
    """Calls a function on each replica of the strategy in scope."""
    tf.distribute.get_strategy().run(function, arguments)


def global_mean(tensors: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
    """Returns the tensors averaged over the replicas, inside a replica."""
    if num_replicas() == 1:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, list(tensors))


def all_rows(tensor: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas, in the order of the global batch."""
    if num_replicas() == 1:
        return tensor
    # As a sum with zeros in the places of the others: nothing but all-reduce.
    context = tf.distribute.get_replica_context()
    places = tf.one_hot(
        context.replica_id_in_sync_group, num_replicas(), dtype=tensor.dtype
    )
    placed = tf.tensordot(places, tensor, axes=0)
    return context.all_reduce(
        tf.distribute.ReduceOp.SUM,
        tf.reshape(placed, tf.concat([[-1], tf.shape(tensor)[1:]], 0)),
    )


def own_rows(tensor: tf.Tensor) -> tf.Tensor:
    """Returns this replica's equal share of the rows of a global batch."""
    if num_replicas() == 1:
        return tensor
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    size = tf.shape(tensor)[0] // num_replicas()
    return tensor[number * size : (number + 1) * size]
