"""Training with a loss that a given T corrects."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.data import checks
from mlc_tf.errors import check_rate
from mlc_tf.models import expectation
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel


class CorrectedModel(PairModel):
    """Trains on the mean of `-log (f @ T)[noisy label]` (Eq. 2).

    A subclass that corrects only some examples overrides `corrected_loss`.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: T, `(classes, classes)`, rows are clean classes and sum
            to 1.
        expectation_rate: The rate of `transitions.expectation_step`, with
            which each step moves T towards the T that explains the noisy
            labels. Defaults to 0, T stays fixed.
        clean_weight: As in `PairModel`. Defaults to 0.
        clean_class_weight: As in `PairModel`. Defaults to None.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for any argument outside what is said above.
    """

    takes_weights = True

    def __init__(
        self,
        base: keras.Model,
        *,
        transition: Any,
        expectation_rate: float = 0.0,
        clean_weight: float = 0.0,
        clean_class_weight: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            base,
            clean_weight=clean_weight,
            clean_class_weight=clean_class_weight,
            name=name,
        )
        self.expectation_rate = check_rate("expectation_rate", expectation_rate)
        self.transition_variable = self.add_state(
            "transition", transitions.validate(transition, self.num_classes)
        )
        self.forward_pass = AllWeights(base)

    @property
    def transition_matrix(self) -> np.ndarray:
        """T, `(classes, classes)`; rows are clean classes and sum to 1."""
        return np.asarray(self.transition_variable.value)

    def corrected_loss(
        self,
        logits: tf.Tensor,
        noisy: checks.NoisyHalf,
        transition: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the mean loss of the noisy half of an element, a scalar.

        Args:
            logits: `(batch, classes)`, at least float32.
            noisy: The noisy half, as `checks.NoisyHalf`.
            transition: T, `(classes, classes)`, in the dtype of the logits.
        """
        return losses.weighted_mean(
            losses.corrected_cross_entropy(logits, noisy.labels, transition),
            noisy.weights,
        )

    def train_step(
        self, data: tuple[tuple[Any, ...], tuple[Any, Any]]
    ) -> dict[str, Any]:
        noisy, clean = checks.noisy_half(data[0]), data[1]
        forward = self.forward_pass.forward(noisy.x)
        transition = tf.cast(
            tf.convert_to_tensor(self.transition_variable), forward.logits.dtype
        )
        with forward.tape:
            loss = self.corrected_loss(forward.logits, noisy, transition)
            loss += self.clean_term(clean)
        if self.expectation_rate:
            moved = expectation.step(
                transition,
                lambda matrix: self.corrected_loss(
                    forward.logits, noisy, matrix
                ),
                self.expectation_rate,
            )
            self.transition_variable.assign(moved)
        return self.actual_train(forward, loss, noisy.labels)
