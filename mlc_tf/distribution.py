"""The only room that knows of strategies and replicas."""

from collections.abc import Sequence

import tensorflow as tf


def num_replicas() -> int:
    """Returns how many replicas the strategy in scope keeps in step."""
    return tf.distribute.get_strategy().num_replicas_in_sync


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
