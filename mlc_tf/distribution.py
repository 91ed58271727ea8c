"""The only room that knows of strategies and replicas."""

from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from mlc_tf.errors import InputError
from mlc_tf.errors import unknown_name

STRATEGIES = ("none", "mirrored")
# A second one in a process crashed in its collectives.
_mirrored: tf.distribute.MirroredStrategy | None = None


def strategy(name: str, replicas: int = 0) -> tf.distribute.Strategy:
    """Returns what keeps several devices of this machine in step.

    Args:
        name: Of `STRATEGIES`; "none" is the strategy in scope, one device if
            none is.
        replicas: How many GPUs or, on a machine without, parts of the CPU,
            which is then split: for trying out. Defaults to 0, all GPUs.

    Raises:
        InputError: for another name, more replicas than there are GPUs, or
            another number than this process had before.
    """
    global _mirrored
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    if name == "none":
        return tf.distribute.get_strategy()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and len(gpus) < replicas:
        raise InputError(
            f"`replicas` should be at most {len(gpus)}, the GPUs here. "
            f"Received: `replicas` = {replicas}."
        )
    kind, count = ("GPU", replicas or len(gpus)) if gpus else ("CPU", replicas)
    count = max(count, 1)
    if _mirrored is None:
        if not gpus:
            _split_cpu(count)
        _mirrored = tf.distribute.MirroredStrategy(
            [f"{kind}:{number}" for number in range(count)]
        )
    if _mirrored.num_replicas_in_sync != count:
        raise InputError(
            f"`replicas` should be {_mirrored.num_replicas_in_sync}, as before "
            f"in this process. Received: `replicas` = {replicas}."
        )
    return _mirrored


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
