"""Co-teaching: two networks choose training examples for each other."""

from typing import Any

import keras
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count
from mlc_tf.errors import check_fraction
from mlc_tf.models import base_check
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel


class CoTeaching(PairModel):
    """Trains each network on the examples that the *other* finds easy.

    In step s, counted from 0, each network trains on k of the n examples of a
    batch:

        tau(s) = tau min(s / (ramp steps), 1)
        k = floor((1 - tau(s)) n), at least 1
        base:  mean loss over the k examples with the smallest loss of the peer
        peer:  mean loss over the k examples with the smallest loss of the base

    `base` makes the predictions. The clean half of each element is not used.
    (The published tau rises once per epoch, over the first 10 of 200 epochs;
    here it rises in every step, so that a run of a few epochs has a ramp. The
    published code divides the mean by k a second time, which only changes the
    rate.)

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        forget_rate: tau, the share of wrong labels, in [0, 1). Knowing the true
            share is oracle knowledge.
        steps: The number of steps of the whole training, an integer >= 1.
        ramp: The share of the steps after which tau is reached, in [0, 1].
            Defaults to 0.05, as published.
        peer: A second model with the shapes of `base` and other initial
            weights. Defaults to None, a freshly initialised clone of `base`.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if an argument is outside its range, if `peer` has another
            number of classes, or if `base` cannot be cloned.

    References:
        Han et al., 2018, algorithm 1.
    """

    def __init__(
        self,
        base: keras.Model,
        *,
        forget_rate: float,
        steps: int,
        ramp: float = 0.05,
        peer: keras.Model | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        if peer is base:
            raise bad_argument("peer", "another network than `base`", peer)
        self.forget_rate = check_fraction("forget_rate", forget_rate, "[0, 1)")
        self.ramp_steps = check_fraction("ramp", ramp) * check_count(
            "steps", steps
        )
        self.peer = _clone(base) if peer is None else peer
        if base_check.check(self.peer) != self.num_classes:
            raise bad_argument(
                "peer", f"a model with {self.num_classes} outputs", peer
            )
        self.forward_pass = AllWeights(base)
        self.step = self.add_step_counter()
        self.peer_forward_pass = AllWeights(self.peer)

    @property
    def optimized_variables(self) -> list[keras.Variable]:
        return self.base.trainable_variables + self.peer.trainable_variables

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), _ = data
        base = self.forward_pass.forward(x)
        peer = self.peer_forward_pass.forward(x)
        with base.tape:
            base_losses = losses.cross_entropy(base.logits, noisy_labels)
        with peer.tape:
            peer_losses = losses.cross_entropy(peer.logits, noisy_labels)
        easy_for_base = self._easy(base_losses)
        easy_for_peer = self._easy(peer_losses)
        with base.tape:
            loss = masked_mean(base_losses, easy_for_peer)
        with peer.tape:
            peer_loss = masked_mean(peer_losses, easy_for_base)
        gradients = [
            *self.scaled_gradients(base, loss, self.base.trainable_variables),
            *self.scaled_gradients(
                peer, peer_loss, self.peer.trainable_variables
            ),
        ]
        self.step.assign_add(1)
        self.optimizer.apply_gradients(zip(gradients, self.optimized_variables))
        return self.training_metrics(loss, base.logits, noisy_labels)

    def keep_rate(self, step: Any) -> tf.Tensor:
        """Returns 1 - tau(s), the share of a batch to train on.

        Args:
            step: The number of the step, a scalar integer, counted from 0.

        Returns:
            A float32 scalar in (0, 1].
        """
        if not self.ramp_steps:
            return tf.constant(1 - self.forget_rate)
        ramp = tf.cast(step, tf.float32) / self.ramp_steps
        return 1 - self.forget_rate * tf.minimum(ramp, 1.0)

    def _easy(self, example_losses: tf.Tensor) -> tf.Tensor:
        """Returns the mask of the easy examples of this replica, `(batch,)`."""
        # The global batch is ranked, so that the choice does not depend on the
        # number of replicas.
        global_losses = distribution.all_rows(example_losses)
        size = tf.cast(tf.size(global_losses), tf.float32)
        keep_rate = self.keep_rate(tf.convert_to_tensor(self.step))
        # 1e-4: (1 - 0.6) * 10 is less than 4 in float32.
        count = tf.cast(tf.floor(keep_rate * size + 1e-4), tf.int32)
        mask = smallest_losses(global_losses, tf.maximum(count, 1))
        return distribution.own_rows(mask)


def smallest_losses(example_losses: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns the mask of the `count` examples with the smallest loss.

    Among equal losses, the earlier example is chosen.

    Args:
        example_losses: `(batch,)`.
        count: A scalar integer.

    Returns:
        `(batch,)`, 1 for a chosen example and 0 for any other.
    """
    order = tf.argsort(example_losses, stable=True)
    ranks = tf.argsort(order)
    return tf.stop_gradient(tf.cast(ranks < count, example_losses.dtype))


def masked_mean(example_losses: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the mean loss over the examples whose mask is 1.

    With several replicas, the average of the values that the replicas return
    is the mean over the global batch.

    Args:
        example_losses: The losses of this replica's examples, `(batch,)`.
        mask: `(batch,)` of 0 and 1.
    """
    (count,) = distribution.global_mean([tf.reduce_sum(mask)])
    return tf.reduce_sum(example_losses * mask) / count


def _clone(base: keras.Model) -> keras.Model:
    try:
        return keras.models.clone_model(base)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            "`base` should be a Sequential or functional model, or `peer` "
            f"should be given. Received: `base` = a {type(base).__name__} that "
            "cannot be cloned."
        ) from error
