"""Learning to Reweight Examples: weights from the clean loss, every step."""

from typing import Any

import keras
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.models import meta_gradient
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.forward_pass import ForwardPass
from mlc_tf.models.pair_model import PairModel


class LearningToReweight(PairModel):
    """Weights each noisy example by how much it would lower the clean loss.

    Let e be the weights of the examples in a virtual step, evaluated at e = 0:

        L(theta, e) = sum_i e_i loss_i
        w_i ~ max(-dL_clean(theta - alpha grad L) / de_i, 0)
            = max(<grad loss_i, grad L_clean>, 0) up to alpha
        loss = sum_i w_i loss_i,  sum_i w_i = 1, or all w_i = 0

    The meta-gradient is the meta-gradient of Meta Loss Correction with e in
    place of T. As published (`clean_weight` = 0), the clean set never trains
    the network directly. The logs report `zero_weights`, the share of weights
    that are zero, and `meta_gradient_norm`, which vanishes once the network
    fits the clean set.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        clean_weight: As in `PairModel` (ours). Defaults to 0.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if `clean_weight` is not a finite float >= 0.

    References:
        Ren et al., 2018, algorithm 1.
    """

    needs_clean = True
    training_trackers = ("zero_weights", "meta_gradient_norm")

    def __init__(
        self,
        base: keras.Model,
        *,
        clean_weight: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(base, clean_weight=clean_weight, name=name)
        self.forward_pass = AllWeights(base)
        self.zero_weights = keras.metrics.Mean(name="zero_weights")
        self.meta_gradient_norm = keras.metrics.Mean(name="meta_gradient_norm")

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), clean = data
        forward = self.forward_pass.forward(x)
        weights = self._example_weights(forward, noisy_labels, clean)
        self.zero_weights.update_state(tf.cast(weights == 0, tf.float32))
        with forward.tape:
            # `actual_train` averages over replicas; the factor makes the
            # average a sum over the global batch.
            loss = distribution.num_replicas() * tf.reduce_sum(
                weights * losses.cross_entropy(forward.logits, noisy_labels)
            )
            loss += self.clean_term(clean)
        return self.actual_train(forward, loss, noisy_labels)

    def _example_weights(
        self, forward: ForwardPass, noisy_labels: Any, clean: Any
    ) -> tf.Tensor:
        """Returns the weights of this replica's examples, `(batch,)`."""

        def noisy_loss(logits: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(
                weights * losses.cross_entropy(logits, noisy_labels)
            )

        gradient = meta_gradient.exact(
            noisy_gradient=forward.gradient_of(noisy_loss),
            clean_loss=forward.loss_at(*clean),
            weights=forward.weights,
            meta_parameter=tf.zeros_like(forward.logits[:, 0]),
            learning_rate=1.0,  # a rate would scale all weights alike
            reduce=distribution.global_mean,
        )
        self.meta_gradient_norm.update_state(
            tf.norm(distribution.all_rows(gradient))
        )
        positive = tf.maximum(-gradient, 0.0)
        (mean,) = distribution.global_mean([tf.reduce_sum(positive)])
        total = distribution.num_replicas() * mean
        return tf.math.divide_no_nan(positive, total)
