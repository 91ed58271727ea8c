"""Strategies, replicas and workers: the only module that knows of them."""

import json
import os
import random
import re
import socket
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_backend
from mlc_tf.errors import check_count
from mlc_tf.errors import is_number
from mlc_tf.errors import unknown_name

check_backend(keras.config.backend())  # which a file of Keras may set

STRATEGIES = ("none", "mirrored", "multi_worker")
# Seconds to wait by default until all workers of a run have joined.
JOIN_TIMEOUT = 1800
# Seconds after which a worker says for whom it waits.
_SILENCE = 30
# Below the ports that systems assign automatically: Linux from 32768, others
# from 49152.
_UNASSIGNED_PORTS = range(20_000, 32_768)
# The strategies of this process, by name. A second strategy in the same process
# crashed in its collectives.
_made: dict[str, tf.distribute.Strategy] = {}


def strategy(
    name: str, replicas: int = 0, join_timeout: float = JOIN_TIMEOUT
) -> tf.distribute.Strategy:
    """Returns the distribution strategy with a name.

    Args:
        name: A name of `STRATEGIES`. "none" returns the strategy in scope (one
            device by default). "mirrored" uses several GPUs of this machine.
            "multi_worker" joins the processes, on one or several machines,
            that `TF_CONFIG` lists.
        replicas: Number of replicas of "mirrored": GPUs or, on a machine
            without GPUs, parts into which the CPU is split, for trials.
            Defaults to 0: all GPUs, or one CPU.
        join_timeout: With "multi_worker", the seconds to wait until all workers
            have joined. Defaults to 1800.

    Raises:
        InputError: for an unknown name, for more replicas than GPUs, for
            another number of replicas than before in this process, or if
            `TF_CONFIG` does not define the cluster and this worker.
        InterruptedRunError: if the worker cannot join the other workers: its
            port is in use, or another worker does not come in time.
    """
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    if not is_number(join_timeout) or not join_timeout > 0:
        raise bad_argument("join_timeout", "seconds > 0", join_timeout)
    if check_count("replicas", replicas, least=0) and name != "mirrored":
        raise bad_argument(
            "replicas", f"0 under the strategy '{name}'", replicas
        )
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        if name not in _made:
            workers, index = cluster(os.environ.get("TF_CONFIG"))
            print(
                f"Worker {index} of {', '.join(workers)} joins the other "
                "workers.",
                flush=True,
            )
            _wait_for_workers(workers, index, join_timeout)
            try:
                _made[name] = tf.distribute.MultiWorkerMirroredStrategy()
            except tf.errors.OpError as error:
                raise InterruptedRunError(
                    f"Worker {index} could not join the other workers: "
                    f"{' '.join(error.message.split())}."
                ) from None
        return _made[name]
    return _mirrored(replicas)


def cluster(text: str | None) -> tuple[list[str], int]:
    """Parses the value of the environment variable `TF_CONFIG`.

    Args:
        text: `{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type":
            "worker", "index": 0}}`, as JSON.

    Returns:
        The addresses "HOST:PORT" of all workers, and the index of this worker.

    Raises:
        InputError: if `text` has another form.
    """
    expected = (
        'JSON like \'{"cluster": {"worker": ["HOST:PORT", ...]}, '
        '"task": {"type": "worker", "index": 0}}\''
    )
    try:
        config = json.loads(text or "")
        workers, task = config["cluster"]["worker"], config["task"]
        addresses = isinstance(workers, list) and all(
            re.fullmatch(r"[^\s:]+:\d+", worker)
            and 0 < int(worker.rpartition(":")[2]) < 2**16
            for worker in workers
        )
        known = [*config["cluster"]] == ["worker"] and task["type"] == "worker"
        index = task["index"]
        integer = isinstance(index, int) and not isinstance(index, bool)
        if not (addresses and known and integer and index < len(workers)):
            raise ValueError
        if index < 0:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise bad_argument("TF_CONFIG", expected, text) from None
    if len({*workers}) < len(workers):
        raise bad_argument(
            "TF_CONFIG", "a cluster with a different address per worker", text
        )
    return workers, index


def _wait_for_workers(
    workers: Sequence[str], index: int, timeout: float
) -> None:
    """Waits until every worker has been at its address.

    TensorFlow would wait without a word, and for ever. So each worker first
    listens at its own address and calls all others. A worker that has reached
    all others goes on to TensorFlow, whose server then answers in its place.

    Args:
        workers: The addresses "HOST:PORT" of all workers.
        index: The index of this worker.
        timeout: The seconds after which this worker gives up.

    Raises:
        InterruptedRunError: if the port of this worker is in use, or another
            worker does not come in time.
    """
    missing = {
        number: address
        for number, address in enumerate(workers)
        if number != index
    }
    began = time.monotonic()
    announced = False
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind(("", int(workers[index].rpartition(":")[2])))
            own.listen(len(workers))
        except OSError as error:
            raise InterruptedRunError(
                f"Worker {index} could not join the other workers: "
                f"{workers[index]} cannot be used ({error.strerror})."
            ) from None
        while True:
            missing = {
                number: address
                for number, address in missing.items()
                if not _answers(address)
            }
            if not missing:
                return
            waited = time.monotonic() - began
            names = ", ".join(
                f"{number} ({address})" for number, address in missing.items()
            )
            if waited > timeout:
                raise InterruptedRunError(
                    f"Worker {index} waited {timeout:g} s for other workers. "
                    f"Missing: worker {names}. Start all workers within that "
                    "time, or set a longer --join_timeout."
                )
            if waited > _SILENCE and not announced:
                announced = True
                print(
                    f"Worker {index} has waited {_SILENCE} s for worker "
                    f"{names}, and gives up after {timeout:g} s.",
                    flush=True,
                )
            time.sleep(0.2)


def _answers(address: str) -> bool:
    """Returns whether a worker listens at an address."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:  # among them a name that is not known yet
        return False


def tf_config(workers: Sequence[str], index: int) -> str:
    """Returns the `TF_CONFIG` of one worker, as JSON.

    Args:
        workers: The addresses "HOST:PORT" of all workers.
        index: The index of this worker in `workers`.
    """
    return json.dumps(
        {
            "cluster": {"worker": list(workers)},
            "task": {"type": "worker", "index": index},
        }
    )


def free_addresses(count: int) -> list[str]:
    """Returns `count` addresses "localhost:PORT" whose ports are free.

    The ports are below those that systems assign automatically: such a port
    could be assigned to another process before the worker starts.
    """
    addresses: list[str] = []
    for port in random.SystemRandom().sample(
        _UNASSIGNED_PORTS, len(_UNASSIGNED_PORTS)
    ):
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
    # One GPU may be split into several logical ones.
    gpus = (
        tf.config.list_logical_devices("GPU")
        if tf.config.list_physical_devices("GPU")
        else []
    )
    if gpus and len(gpus) < replicas:
        raise InputError(
            f"`replicas` should be at most {len(gpus)}, the GPUs of this "
            f"machine. Received: `replicas` = {replicas}."
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
    current = tf.config.get_logical_device_configuration(cpu) or [None]
    if len(current) >= parts:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * parts
        )
    except RuntimeError:
        raise InputError(
            f"`replicas` should be at most {len(current)} once TensorFlow has "
            f"started. Received: `replicas` = {parts}."
        ) from None


def num_replicas() -> int:
    """Returns the number of replicas of the strategy in scope."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def has_workers() -> bool:
    """Returns whether the strategy in scope has several worker processes."""
    return _num_workers() > 1


def _num_workers() -> int:
    current = tf.distribute.get_strategy()
    if not isinstance(current, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return current.cluster_resolver.cluster_spec().num_tasks("worker")


def worker() -> int:
    """Returns the index of this worker; worker 0 writes the files of a run."""
    if not has_workers():
        return 0
    return tf.distribute.get_strategy().cluster_resolver.task_id


def gather_from_workers(values: Sequence[int]) -> np.ndarray:
    """Waits for all workers, and returns the values of each worker.

    Args:
        values: Integers of this worker; every worker passes the same number.

    Returns:
        `(workers, len(values))` int32, row i from worker i.
    """
    row = tf.constant([values], tf.int32)
    if not has_workers():
        return row.numpy()
    workers = _num_workers()
    # One all-reduce sum, with zeros in the rows of the other workers.
    placed = tf.one_hot(worker(), workers, dtype=tf.int32)[:, None] * row
    total = _sum_over_replicas(placed).numpy()
    return total // (num_replicas() // workers)


def barrier() -> None:
    """Waits until every worker has called this function."""
    gather_from_workers([0])


def all_have(values: Sequence[int]) -> bool:
    """Waits for all workers, and returns whether they passed the same values.

    Args:
        values: Integers of this worker; every worker passes the same number.
    """
    rows = gather_from_workers(values)
    return bool((rows == rows[0]).all())


@tf.function
def _sum_over_replicas(tensor: tf.Tensor) -> tf.Tensor:
    current = tf.distribute.get_strategy()
    return current.reduce(
        tf.distribute.ReduceOp.SUM, current.run(tf.identity, [tensor]), None
    )


def agreed(flags: Sequence[bool]) -> list[bool]:
    """Returns for each flag whether any worker has set it.

    Args:
        flags: The flags of this worker. All workers must call this function,
            with the same number of flags.
    """
    if not has_workers():
        return list(flags)
    return [any(raised) for raised in zip(*gather_from_workers(flags).tolist())]


def by_data(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset, marked to be divided among workers by examples.

    The auto-shard policy is `DATA`: each worker takes its part of each batch.
    Division by files would give other batches than a single device sees.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return dataset.with_options(options)


class WorkerShard(NamedTuple):
    """The replicas of one worker: `first` to `last - 1` of all replicas.

    Attributes:
        replicas: Number of replicas of all workers. Defaults to 1.
        first: Index of the worker's first replica. Defaults to 0.
        last: Index after the worker's last replica. Defaults to 1.
    """

    replicas: int = 1
    first: int = 0
    last: int = 1


def shard_of(context: tf.distribute.InputContext | None) -> WorkerShard:
    """Returns the replicas of the worker to which an input context belongs.

    Args:
        context: The input context; None stands for a single worker with one
            replica.
    """
    if context is None:
        return WorkerShard()
    replicas = context.num_replicas_in_sync
    per_worker = replicas // context.num_input_pipelines
    first = context.input_pipeline_id * per_worker
    return WorkerShard(replicas, first, first + per_worker)


def in_replica() -> bool:
    """Returns whether the caller runs inside a replica."""
    return not tf.distribute.in_cross_replica_context()


def on_every_replica(
    function: Callable[..., None], *arguments: tf.Tensor
) -> None:
    """Calls `function(*arguments)` on each replica of the strategy in scope."""
    tf.distribute.get_strategy().run(function, arguments)


def global_mean(tensors: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
    """Returns the tensors averaged over all replicas.

    With several replicas, the function must be called inside a replica.
    """
    if num_replicas() == 1:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, list(tensors))


def all_rows(tensor: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas, in the order of the global batch.

    Args:
        tensor: `(rows, ...)` of this replica; all replicas pass the same shape.

    Returns:
        `(replicas * rows, ...)`.
    """
    if num_replicas() == 1:
        return tensor
    # A sum with zeros in the places of the other replicas: it needs all-reduce
    # only.
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
    """Returns this replica's part of the rows of a global batch.

    Args:
        tensor: `(rows, ...)`, the same on all replicas; rows is a multiple of
            the number of replicas.

    Returns:
        `(rows / replicas, ...)`.
    """
    if num_replicas() == 1:
        return tensor
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    size = tf.shape(tensor)[0] // num_replicas()
    return tensor[number * size : (number + 1) * size]
