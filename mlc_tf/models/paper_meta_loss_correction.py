"""Meta Loss Correction as the paper prints it: Algorithm 1, Eq. 2 to 11.

| paper | here |
|---|---|
| theta, the weights | `self.base.trainable_variables` |
| T | `self.transition_variable`, T[i, j] = p(noisy = j / clean = i) |
| alpha (Eq. 4) | `virtual_learning_rate` |
| beta (Eq. 7) | `transition_learning_rate` |
| gamma (Eq. 11) | the optimizer given to `compile` |
| D_eta, D_v | the noisy and the clean half of each element |

Reference: Wang, Hu, Hu, "Training Noise-Robust Deep Neural Networks via
Meta-Learning", CVPR 2020, section 3.2.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.data import checks
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_rate
from mlc_tf.errors import unknown_name
from mlc_tf.models import meta_gradient
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.forward_pass import as_float
from mlc_tf.models.pair_model import PairModel

STARTS = ("identity", "random")


class PaperMetaLossCorrection(PairModel):
    """Learns the weights of `base` and the transition matrix T: Algorithm 1.

    The defaults are the paper's values for MNIST, except for the start of T.
    Algorithm 1 starts from a random T, and the authors' released code from the
    identity, at every step. Runs from a random T ended at chance. The paper
    writes Eq. 2 to 10 for the transpose of T, so its row j is our column j.

    What is not literal:

    - Where the probability of a noisy label, `(f @ T)[label]`, falls below
      `losses.PROBABILITY_FLOOR` = 1e-6, the loss stays exact in the logits, but
      its derivative in T, of the order of 1 / probability, counts as 0.
    - A column of T that Eq. 9 empties stays empty by the delta of Eq. 10. (The
      sum of T * G over a column is 0, so only rounding can empty it.) The loss
      of its label is then `-log 0`: such an example counts 87 nats, as if each
      class explained it equally, and moves no weights.
    - One forward pass of the noisy batch, with its dropout masks, serves
      Virtual-Train and Actual-Train. Regularisation of the base enters
      Actual-Train only.

    `MetaLossCorrection` has the changes that we found to help.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        virtual_learning_rate: The paper's alpha, the rate of the virtual step.
            Defaults to 0.01.
        transition_learning_rate: The paper's beta, the rate of T; 0 freezes T.
            Defaults to 1.
        transition: The T to start from: "identity"; "random", uniform entries
            with columns divided by their sums; or a `(classes, classes)` array
            whose rows, the clean classes, sum to 1. Defaults to "identity".
        name: Name of the model. Defaults to a unique name.

    Raises:
        InputError: for any argument outside what is said above.
    """

    needs_clean = True
    takes_weights = True
    training_trackers = ("meta_gradient_norm",)
    # Eq. 10 divides by the sums over the clean classes: columns here.
    normalization = "columns"

    def __init__(
        self,
        base: keras.Model,
        *,
        virtual_learning_rate: float = 0.01,
        transition_learning_rate: float = 1.0,
        transition: Any = "identity",
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
        self.transition_variable = self.add_state(
            "transition",
            _start(transition, self.num_classes),
            as_float(base.trainable_variables[0].value).dtype.name,
        )
        self.meta_gradient_norm = keras.metrics.Mean(name="meta_gradient_norm")

    @property
    def transition_matrix(self) -> np.ndarray:
        """T as learned, `(classes, classes)`, rows are clean classes.

        Columns sum to 1; `transitions.regauge` returns the matrix with rows
        that do.
        """
        return np.asarray(self.transition_variable.value)

    def train_step(
        self, data: tuple[tuple[Any, Any], tuple[Any, Any]]
    ) -> dict[str, Any]:
        """Takes one iteration of Algorithm 1."""
        noisy, (x_clean, clean_labels) = checks.noisy_half(data[0]), data[1]
        forward = self.forward_pass.forward(noisy.x)  # f(x; theta), once
        transition = tf.identity(tf.convert_to_tensor(self.transition_variable))

        def noisy_loss(logits: tf.Tensor, transition: tf.Tensor) -> tf.Tensor:
            return losses.weighted_mean(
                losses.corrected_cross_entropy(
                    logits, noisy.labels, transition
                ),
                noisy.weights,
            )  # Eq. 2; Eq. 3 under the old T, Eq. 11 under the new T

        # Virtual-Train: copies of the weights take a step under T.
        with tf.GradientTape() as transition_tape:
            transition_tape.watch(transition)
            noisy_gradients = forward.gradient_of(noisy_loss)(
                transition
            )  # the gradient of Eq. 3
        virtual_weights = meta_gradient.virtual_step(
            forward.weights,
            distribution.global_mean(noisy_gradients),
            self.virtual_learning_rate,
        )  # Eq. 4

        # Meta-Train: T moves so that the virtual weights fit the clean batch.
        with tf.GradientTape() as weight_tape:
            weight_tape.watch(virtual_weights)
            meta_loss = forward.loss_at(x_clean, clean_labels)(
                virtual_weights
            )  # Eq. 6: Eq. 5 on a mini-batch
        clean_gradients = distribution.global_mean(
            weight_tape.gradient(
                meta_loss,
                virtual_weights,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
        )
        gradient = -self.virtual_learning_rate * transition_tape.gradient(
            noisy_gradients, transition, output_gradients=clean_gradients
        )  # Eq. 8, the gradient in Eq. 7
        (gradient,) = distribution.global_mean([gradient])
        transition -= self.transition_learning_rate * gradient  # Eq. 7
        transition = tf.nn.relu(transition)  # Eq. 9
        transition = transitions.normalize(transition, "columns")  # Eq. 10
        self.transition_variable.assign(transition)
        self.meta_gradient_norm.update_state(tf.norm(gradient))

        # Actual-Train: the weights take the optimizer's step under the new T.
        with forward.tape:
            loss = noisy_loss(forward.logits, transition)
        return self.actual_train(forward, loss, noisy.labels)  # Eq. 11


def _start(transition: Any, num_classes: int) -> np.ndarray:
    """Returns the T of the first step, whose columns sum to 1."""
    if transition is None or isinstance(
        transition, transitions.TransitionUpdate
    ):
        raise bad_argument(
            "transition",
            f"one of {', '.join(STARTS)}, or a matrix (objects of "
            "mlc_tf.transitions are for MetaLossCorrection)",
            transition,
        )
    if not isinstance(transition, str):
        start = transitions.validate(transition, num_classes)
    elif transition == "identity":
        start = np.eye(num_classes)
    elif transition == "random":
        start = np.asarray(keras.random.uniform([num_classes, num_classes]))
    else:
        raise unknown_name("transition", transition, STARTS)
    return np.asarray(transitions.normalize(start, "columns"))
