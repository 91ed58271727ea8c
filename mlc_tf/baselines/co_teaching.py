"""Co-teaching: two networks that choose examples for each other."""

from typing import Any

import keras
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel
from mlc_tf.models.pair_model import check_base


class CoTeaching(PairModel):
    """Each network trains on those examples that the *other* finds easy.

    In epoch e (from 0) the share of each batch that is kept is 1 - tau(e),

        tau(e) = tau e / (ramp_epochs - 1) below ramp_epochs, then tau
        k = floor((1 - tau(e)) n)
        base:  mean loss over the k examples of least loss to the peer
        peer:  mean loss over the k examples of least loss to the base

    Predictions are those of `base`. The clean half of each element is not
    used. (The published code divides the mean by k once more, which only
    changes the rate.)

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        peer: Another, of the same shapes, from other initial weights. Defaults
            to a fresh clone of `base`.
        forget_rate: tau, the share of wrong labels, in [0, 1). To know it is
            an oracle's knowledge.
        steps_per_epoch: How many steps an epoch has.
        ramp_epochs: Epochs until tau is reached. Defaults to 10.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for a share or number outside what is said above, or a
            base that cannot be cloned.

    References:
        Han et al., 2018, algorithm 1.
    """

    def __init__(
        self,
        base: keras.Model,
        *,
        forget_rate: float,
        steps_per_epoch: int,
        ramp_epochs: int = 10,
        peer: keras.Model | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        if not 0 <= forget_rate < 1:
            raise bad_argument("forget_rate", "in [0, 1)", forget_rate)
        for argument, value in (
            ("steps_per_epoch", steps_per_epoch),
            ("ramp_epochs", ramp_epochs),
        ):
            if not isinstance(value, int) or value < 1:
                raise bad_argument(argument, "an integer >= 1", value)
        self.forget_rate = float(forget_rate)
        self.steps_per_epoch = steps_per_epoch
        self.ramp_epochs = ramp_epochs
        self.peer = _clone(base) if peer is None else peer
        if check_base(self.peer) != self.num_classes:
            raise bad_argument(
                "peer", f"a model with {self.num_classes} outputs", peer
            )
        self.forward_pass = AllWeights(base)
        self.peer_network = AllWeights(self.peer)

    @property
    def optimized_variables(self) -> list[keras.Variable]:
        return self.base.trainable_variables + self.peer.trainable_variables

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), _ = data
        base = self.forward_pass.forward(x)
        peer = self.peer_network.forward(x)
        with base.tape:
            base_losses = losses.cross_entropy(base.logits, noisy_labels)
        with peer.tape:
            peer_losses = losses.cross_entropy(peer.logits, noisy_labels)
        chosen_by_base = self._easy(base_losses)
        chosen_by_peer = self._easy(peer_losses)
        with base.tape:
            loss = masked_mean(base_losses, chosen_by_peer)
        with peer.tape:
            peer_loss = masked_mean(peer_losses, chosen_by_base)
        gradients = [
            *self.scaled_gradients(base, loss, self.base.trainable_variables),
            *self.scaled_gradients(
                peer, peer_loss, self.peer.trainable_variables
            ),
        ]
        # In one step: the optimizer's count of steps tells the epoch.
        self.optimizer.apply_gradients(zip(gradients, self.optimized_variables))
        return self.training_metrics(loss, base.logits, noisy_labels)

    def keep_rate(self, step: Any) -> tf.Tensor:
        """Returns 1 - tau(e) for the epoch of a step, counted from 0."""
        epoch = tf.cast(step, tf.int64) // self.steps_per_epoch
        ramp = tf.cast(epoch, tf.float32) / max(self.ramp_epochs - 1, 1)
        if self.ramp_epochs == 1:
            ramp = tf.ones_like(ramp)
        return 1 - self.forget_rate * tf.minimum(ramp, 1.0)

    def _easy(self, example_losses: tf.Tensor) -> tf.Tensor:
        # Of the global batch: with two replicas as with one.
        everywhere = distribution.all_rows(example_losses)
        size = tf.cast(tf.size(everywhere), tf.float32)
        # 1e-4: (1 - 0.6) * 10 is less than 4 in float32.
        kept = tf.floor(self.keep_rate(self.optimizer.iterations) * size + 1e-4)
        chosen = least(everywhere, tf.maximum(tf.cast(kept, tf.int32), 1))
        return distribution.own_rows(chosen)


def least(example_losses: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns which `count` examples have the least loss, `(batch,)` 0 or 1.

    The earlier among equals.
    """
    order = tf.argsort(example_losses, stable=True)
    places = tf.argsort(order)
    return tf.stop_gradient(tf.cast(places < count, example_losses.dtype))


def masked_mean(example_losses: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the mean over the examples whose mask is 1.

    Of several replicas each returns its share, and their mean is that mean.
    """
    (count,) = distribution.global_mean([tf.reduce_sum(mask)])
    return tf.reduce_sum(example_losses * mask) / count


def _clone(base: keras.Model) -> keras.Model:
    try:
        return keras.models.clone_model(base)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            "`base` should be a Sequential or functional model, or `peer` be "
            f"given. Received: `base` = a {type(base).__name__} that cannot be "
            "cloned."
        ) from error
