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
