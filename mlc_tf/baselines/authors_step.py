"""Meta Loss Correction as the authors' released code computes it.

The step differs from the paper in three ways:

* T multiplies the *logits*, not the probabilities;
* T starts from the identity in every iteration, takes one meta step, corrects
  one training step and is discarded;
* the noisy loss is the *sum* over the batch, not the mean.

As in the paper, the columns of T are normalised; `MetaLossCorrection`
normalises rows.

docs/explanation/fidelity.md lists the differences in the protocol.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import check_rate
from mlc_tf.models import meta_gradient
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel


class AuthorsStep(PairModel):
    """Takes one meta step on T, from the identity, before each weight step.

    The loss is a sum over the batch. So a learning rate of this method
    corresponds to a larger rate of a mean loss, by a factor of the batch size:
    the released 1e-4 corresponds to 6.4e-3 with batches of 64.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        virtual_learning_rate: The paper's alpha, the rate of the virtual step
            on the summed loss, a float >= 0. Defaults to 1e-3, as in the
            released code.
        transition_learning_rate: The paper's beta, the rate of the step of T,
            a float >= 0. Defaults to 0.11, as in the released code (the paper
            says 0.01).
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if a rate is not a finite float >= 0.

    References:
        The authors' `main.py`, lines 155-204.
    """

    needs_clean = True

    def __init__(
        self,
        base: keras.Model,
        *,
        virtual_learning_rate: float = 1e-3,
        transition_learning_rate: float = 0.11,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        self.virtual_learning_rate = check_rate(
            "virtual_learning_rate", virtual_learning_rate
        )
        self.transition_learning_rate = check_rate(
            "transition_learning_rate", transition_learning_rate
        )
        self.forward_pass = AllWeights(base)
        self.transition = self.add_state("transition", np.eye(self.num_classes))

    @property
    def last_transition(self) -> np.ndarray:
        """The T of the last step, `(classes, classes)`; columns sum to 1.

        This T multiplies logits, so it is not a transition matrix, and no
        distance from the true T is reported for it.
        """
        return np.asarray(self.transition.value)

    def train_step(
        self, data: tuple[tuple[Any, Any], tuple[Any, Any]]
    ) -> dict[str, Any]:
        (x, noisy_labels, *_), clean = data
        forward = self.forward_pass.forward(x)

        def noisy_loss(logits: tf.Tensor, transition: tf.Tensor) -> tf.Tensor:
            example_losses = losses.logits_corrected_cross_entropy(
                logits, noisy_labels, transition
            )
            # Gradients are averaged over replicas; the factor makes the
            # average a sum over the global batch.
            return distribution.num_replicas() * tf.reduce_sum(example_losses)

        identity = tf.eye(self.num_classes, dtype=forward.logits.dtype)
        gradient = meta_gradient.exact(
            forward.gradient_of(noisy_loss),
            forward.loss_at(*clean),
            forward.weights,
            identity,
            self.virtual_learning_rate,
            distribution.global_mean,
        )
        (gradient,) = distribution.global_mean([gradient])
        transition = transitions.projected_step(
            identity, self.transition_learning_rate * gradient, "columns"
        )
        self.transition.assign(tf.cast(transition, self.transition.dtype))
        with forward.tape:
            loss = noisy_loss(forward.logits, transition)
        return self.actual_train(forward, loss, noisy_labels)
