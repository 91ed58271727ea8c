"""The form of Meta Loss Correction that the authors released.

It differs from the paper (and from `MetaLossCorrection`) in four ways: T
multiplies the *logits*; it starts from the identity in every iteration, takes
one meta step, serves one actual step and is thrown away; its columns are
normalised; and the noisy loss is the *sum* over the batch. BUILD_NOTES.md
lists the other differences, which lie in the protocol, not in the step.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import check_rate
from mlc_tf.models import meta_gradient as meta
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel


class AuthorsCode(PairModel):
    """One meta step on T from the identity, for every step of the weights.

    Since the loss is a sum, learning rates are smaller by the batch size than
    those of a mean loss: the released 1e-4 is 6.4e-3 for batches of 64.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        virtual_learning_rate: The paper's alpha, for the sum. Defaults to the
            released 1e-3.
        transition_learning_rate: The paper's beta. Defaults to the released
            0.11 (the paper says 0.01).
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if a rate is no finite float >= 0.

    References:
        The authors' `main.py`, lines 155-204.
    """

    differentiates_twice = True

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

        It multiplies logits, and so is no transition matrix: no distance from
        the true T is reported for it.
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
            # A sum over the global batch: gradients are averaged over replicas.
            return distribution.num_replicas() * tf.reduce_sum(example_losses)

        identity = tf.eye(self.num_classes, dtype=forward.logits.dtype)
        gradient = meta.exact(
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
