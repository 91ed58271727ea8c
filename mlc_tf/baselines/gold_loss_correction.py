"""Gold Loss Correction: a network's predictions on the clean set give T."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import bad_argument
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel


class GoldLossCorrection(PairModel):
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
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if `transition` or `gold` is not such an array.

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
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        self.transition_matrix = transitions.validate(
            transition, self.num_classes
        )
        flags = np.asarray(gold)
        if flags.ndim != 1 or flags.dtype != bool:
            raise bad_argument(
                "gold",
                "booleans of shape (examples,)",
                f"{flags.dtype} of shape {flags.shape}",
            )
        self.gold = flags
        self.forward_pass = AllWeights(base)

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, labels, indices), _ = data
        forward = self.forward_pass.forward(x)
        transition = tf.constant(self.transition_matrix, forward.logits.dtype)
        with forward.tape:
            loss = tf.reduce_mean(
                tf.where(
                    tf.gather(tf.constant(self.gold), indices),
                    losses.cross_entropy(forward.logits, labels),
                    losses.corrected_cross_entropy(
                        forward.logits, labels, transition
                    ),
                )
            )
        return self.actual_train(forward, loss, labels)


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
