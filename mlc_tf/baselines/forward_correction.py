"""Forward correction: a T known or estimated before training."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_rate
from mlc_tf.models import expectation
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel


class ForwardCorrection(PairModel):
    """Trains on the mean of `-log (f @ T)[noisy label]` (Eq. 2).

    The baseline "forward" (Patrini et al.) uses the T of
    `anchor_point_transition`, and does not use the clean half of each element.
    The published method keeps T fixed and has no clean term; `expectation_rate`
    and `clean_weight` are ours, the same as in `MetaLossCorrection`.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: T, `(classes, classes)`, rows are clean classes and sum
            to 1.
        expectation_rate: If > 0, each step moves T towards what explains the
            noisy labels: the rate of `transitions.expectation_step`. Defaults
            to 0, T stays fixed.
        clean_weight: As in `PairModel`. Defaults to 0.
        clean_class_weight: As in `PairModel`. Defaults to None.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for any argument outside what is said above.

    References:
        Patrini et al., 2017, forward correction.
    """

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

    def train_step(
        self, data: tuple[tuple[Any, Any], tuple[Any, Any]]
    ) -> dict[str, Any]:
        (x, noisy_labels, *_), clean = data
        forward = self.forward_pass.forward(x)
        transition = tf.cast(
            tf.convert_to_tensor(self.transition_variable), forward.logits.dtype
        )

        def noisy_loss(transition: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(
                losses.corrected_cross_entropy(
                    forward.logits, noisy_labels, transition
                )
            )

        with forward.tape:
            loss = noisy_loss(transition) + self.clean_term(clean)
        if self.expectation_rate:
            moved = expectation.step(
                transition, noisy_loss, self.expectation_rate
            )
            self.transition_variable.assign(moved)
        return self.actual_train(forward, loss, noisy_labels)


def anchor_point_transition(
    probs: np.ndarray, percentile: float | None = 97
) -> np.ndarray:
    """Returns T from the predictions of a network trained on noisy labels.

    Row i of T is the prediction for the anchor point of class i. The anchor
    point is the input with the highest probability of class i, among the inputs
    whose probability lies below the percentile; the inputs at or above the
    percentile count as outliers. (Both published codes overwrite `probs` where
    they remove outliers, so that later rows use damaged predictions. This
    function does not.)

    Args:
        probs: The softmax of the network for the training inputs,
            `(examples, classes)`.
        percentile: The percentile of each column of `probs`, in [0, 100].
            None takes the plain maximum, as for CIFAR-100. Defaults to 97.

    Returns:
        T, `(classes, classes)` float64. Rows are clean classes and sum to 1.

    Raises:
        InputError: for a percentile outside [0, 100].

    References:
        Patrini et al., 2017, section 4.1; `NoiseEstimator` of its code.
    """
    if percentile is not None and not 0 <= percentile <= 100:
        raise bad_argument("percentile", "in [0, 100] or None", percentile)
    probs = np.asarray(probs, np.float64)
    rows = []
    for column in probs.T:
        candidates = column.copy()
        if percentile is not None:
            threshold = np.percentile(column, percentile, method="higher")
            below = column < threshold
            # With a saturated softmax no input may be below the percentile.
            if below.any():
                candidates[~below] = -1
        rows.append(probs[np.argmax(candidates)])
    transition = np.stack(rows)
    return transition / transition.sum(axis=1, keepdims=True)
