"""Meta-Weight-Net: a small network maps the loss of an example to a weight."""

from typing import Any

import keras
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.errors import check_rate
from mlc_tf.models import meta_gradient
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.forward_pass import ForwardPass
from mlc_tf.models.forward_pass import values
from mlc_tf.models.pair_model import PairModel

_HIDDEN_UNITS = 100
_WEIGHT_DECAY = 1e-4


class MetaWeightNet(PairModel):
    """Weights each example by a function V of its loss, learned on clean data.

    V is a network with weights phi: one hidden layer of 100 ReLU units and a
    sigmoid output. Each batch takes these steps:

        theta'(phi) = theta - eta grad 1/n sum_i V(loss_i; phi) loss_i
        phi:    Adam minimises the clean loss at theta'(phi)
        theta:  the optimizer minimises 1/n sum_i V(loss_i; new phi) loss_i

    eta is the optimizer's rate. To the gradient of phi is added 1e-4 phi, as in
    the published code. No gradient flows through the input of V. The
    meta-gradient is the meta-gradient of Meta Loss Correction with phi in place
    of T. The logs report `mean_weight`, the mean of V over the batch.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        meta_learning_rate: The rate of Adam for phi, a float >= 0. Defaults to
            1e-3.
        clean_weight: As in `PairModel` (ours). Defaults to 0.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if a rate or a weight is not a finite float >= 0.

    References:
        Shu et al., 2019, arXiv:1902.07379, Eq. 3-7.
    """

    needs_clean = True
    training_trackers = ("mean_weight",)

    def __init__(
        self,
        base: keras.Model,
        *,
        meta_learning_rate: float = 1e-3,
        clean_weight: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(base, clean_weight=clean_weight, name=name)
        rate = check_rate("meta_learning_rate", meta_learning_rate)
        self.forward_pass = AllWeights(base)
        self.weight_net = [
            self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                trainable=False,  # `meta_optimizer` trains it
                autocast=False,
            )
            for name, shape, initializer in (
                ("hidden_kernel", (1, _HIDDEN_UNITS), "he_normal"),
                ("hidden_bias", (_HIDDEN_UNITS,), "zeros"),
                ("kernel", (_HIDDEN_UNITS, 1), "glorot_uniform"),
                ("bias", (1,), "zeros"),
            )
        ]
        self.meta_optimizer = keras.optimizers.Adam(rate)
        self.meta_optimizer.build(self.weight_net)
        self.mean_weight = keras.metrics.Mean(name="mean_weight")

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), clean = data
        forward = self.forward_pass.forward(x)
        self._meta_train(forward, noisy_labels, clean)
        with forward.tape:
            example_losses = losses.cross_entropy(forward.logits, noisy_labels)
            weights = _example_weights(example_losses, values(self.weight_net))
            loss = tf.reduce_mean(tf.stop_gradient(weights) * example_losses)
            loss += self.clean_term(clean)
        self.mean_weight.update_state(weights)
        return self.actual_train(forward, loss, noisy_labels)

    def _meta_train(
        self, forward: ForwardPass, noisy_labels: Any, clean: Any
    ) -> None:
        """Takes Adam's step on phi."""

        def noisy_loss(
            logits: tf.Tensor, phi: meta_gradient.Tensors
        ) -> tf.Tensor:
            example_losses = losses.cross_entropy(logits, noisy_labels)
            weights = _example_weights(example_losses, phi)
            return tf.reduce_mean(weights * example_losses)

        phi = values(self.weight_net)
        gradients = meta_gradient.exact(
            noisy_gradient=forward.gradient_of(noisy_loss),
            clean_loss=forward.loss_at(*clean),
            weights=forward.weights,
            meta_parameter=phi,
            learning_rate=tf.cast(
                self.optimizer.learning_rate, forward.logits.dtype
            ),
            reduce=distribution.global_mean,
        )
        # `apply_gradients` sums over replicas; the mean is needed.
        scale = 1 / distribution.num_replicas()
        decayed = [
            scale * (gradient + _WEIGHT_DECAY * value)
            for gradient, value in zip(gradients, phi)
        ]
        self.meta_optimizer.apply_gradients(zip(decayed, self.weight_net))


def _example_weights(
    example_losses: tf.Tensor, phi: meta_gradient.Tensors
) -> tf.Tensor:
    """Returns V of each loss, `(batch,)`, in (0, 1)."""
    hidden_kernel, hidden_bias, kernel, bias = (
        tf.cast(value, example_losses.dtype) for value in phi
    )
    inputs = tf.stop_gradient(example_losses)[:, tf.newaxis]
    hidden = tf.nn.relu(inputs @ hidden_kernel + hidden_bias)
    return tf.sigmoid(hidden @ kernel + bias)[:, 0]
