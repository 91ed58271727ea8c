"""Gold Loss Correction: a network's predictions on the clean set give T."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.data import checks
from mlc_tf.errors import bad_argument
from mlc_tf.models.corrected_model import CorrectedModel


class GoldLossCorrection(CorrectedModel):
    """Trains on all examples and corrects the loss of the noisy ones.

    The loss of a batch of n examples, of which some are trusted ("gold"), is

        1/n [ sum over gold examples of -log f[label]
              + sum over noisy examples of -log (f @ T)[label] ]

    T is estimated before, from the predictions of a network trained on the
    noisy set alone: by `mean_prediction_transition`, or for the baseline
    "confusion" by `confusion_matrix.confusion_transition`. The noisy half of
    each element is `(x, label, index)` and comes from the merged noisy and
    clean set (`mlc_tf.data.pair(..., with_index=True)`); the clean half is not
    used.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: T, `(classes, classes)`, rows are clean classes and sum
            to 1.
        gold: `(examples,)` booleans, True for the trusted examples of the
            merged set.
        expectation_rate: As in `CorrectedModel` (ours). Defaults to 0, T stays
            fixed, as published.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for any argument outside what is said above.

    References:
        Hendrycks et al., 2018, section 3.
    """

    uses_index = True

    def __init__(
        self,
        base: keras.Model,
        *,
        transition: Any,
        gold: Any,
        expectation_rate: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            base,
            transition=transition,
            expectation_rate=expectation_rate,
            name=name,
        )
        flags = np.asarray(gold)
        if flags.ndim != 1 or flags.dtype != bool:
            raise bad_argument(
                "gold",
                "booleans of shape (examples,)",
                f"{flags.dtype} of shape {flags.shape}",
            )
        self.gold = flags
        self.num_examples = len(flags)

    def corrected_loss(
        self,
        logits: tf.Tensor,
        noisy: checks.NoisyHalf,
        transition: tf.Tensor,
    ) -> tf.Tensor:
        # The loss of a trusted example does not depend on T.
        return losses.weighted_mean(
            tf.where(
                tf.gather(tf.constant(self.gold), noisy.index),
                losses.cross_entropy(logits, noisy.labels),
                losses.corrected_cross_entropy(
                    logits, noisy.labels, transition
                ),
            ),
            noisy.weights,
        )


def mean_prediction_transition(
    probs: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Returns T as the mean prediction for each class of the clean set.

    Args:
        probs: The softmax of a network trained on the noisy set, for the
            examples of the clean set, `(examples, classes)`.
        labels: The class ids of the clean set, `(examples,)`.

    Returns:
        T, `(classes, classes)` float64. Rows are clean classes and sum to 1. A
        class without examples has a uniform row.

    References:
        Hendrycks et al., 2018, Eq. 1.
    """
    probs = np.asarray(probs, np.float64)
    size = probs.shape[1]
    rows = [
        probs[labels == label].mean(axis=0)
        if (labels == label).any()
        else np.full(size, 1 / size)
        for label in range(size)
    ]
    transition = np.stack(rows)
    return transition / transition.sum(axis=1, keepdims=True)
