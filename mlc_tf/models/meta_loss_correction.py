"""Meta Loss Correction: Algorithm 1 of the paper, as a Keras model.

| paper | here |
|---|---|
| theta, the weights | `self.base.trainable_variables` |
| T | `self.transition_variables`, T[i, j] = p(noisy = j / clean = i) |
| alpha (Eq. 4) | `virtual_learning_rate` |
| beta (Eq. 7) | `transition_learning_rate` |
| gamma (Eq. 11) | the optimizer given to `compile` |
| D_eta, D_v | the noisy and the clean half of each element |

Reference: Wang, Hu, Hu, "Training Noise-Robust Deep Neural Networks via
Meta-Learning", CVPR 2020, section 3.2.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_rate
from mlc_tf.errors import unknown_name
from mlc_tf.models import meta_gradient as meta
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.forward_pass import ForwardPass
from mlc_tf.models.forward_pass import LastLayer
from mlc_tf.models.forward_pass import as_float
from mlc_tf.models.forward_pass import coarsest_dtype
from mlc_tf.models.forward_pass import passing_logits
from mlc_tf.models.forward_pass import values
from mlc_tf.models.pair_model import PairModel
from mlc_tf.transitions.transition_forms import DenseTransition
from mlc_tf.transitions.transition_forms import LowRankTransition

META_GRADIENTS = ("exact", "head", "finite_difference")

# The first two decide what a step costs (README.md has what each is worth), the
# last is the paper's form of T's steps.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "exact": {"meta_gradient": "exact"},
    "fast": {"meta_gradient": "head"},
    "paper": {
        "normalization": "columns",
        "transition_update": "projected",
        "smoothing": 0.0,
        "max_transition_step": math.inf,
    },
}


class MetaLossCorrection(PairModel):
    """Learns the weights of `base` and the transition matrix T together.

    Each step moves the weights virtually by the corrected loss under T
    (Virtual-Train), moves T so that the virtual weights do better on the clean
    batch (Meta-Train), and then trains the weights under the new T
    (Actual-Train). A forward pass of the noisy batch serves all three.

    ```python
    model = mlc_tf.MetaLossCorrection(base)
    model.compile(optimizer=keras.optimizers.SGD(1e-2, momentum=0.9))
    model.fit(mlc_tf.data.pair(noisy, clean, batch_size=64), epochs=10)
    model.transition_matrix  # (classes, classes)
    ```

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        virtual_learning_rate: The paper's alpha, the rate of the virtual step,
            for the mean loss. Defaults to 0.1.
        transition_learning_rate: The paper's beta, the rate of T; 0 freezes
            it. Defaults to 3.
        transition: The T to start from: "identity", or a `(classes, classes)`
            array, rows are clean classes and sum to 1; its zeros stay zero
            under exponentiated steps. Defaults to "identity".
        normalization: `"rows"`, T is a transition matrix; or `"columns"`, the
            paper's Eq. 10. Defaults to "rows".
        meta_gradient: `"exact"`, the paper's: two nested tapes, 3.3 times the
            cost of plain training; `"head"`, the same restricted to the
            weights of the last Dense layer, 1.3 times; or
            `"finite_difference"`, the exact one approximated without second
            derivatives, 3 times, in less memory. Defaults to "exact".
        meta_interval: T is updated every so many steps; the steps between cost
            what plain training costs. Defaults to 1.
        transition_update: `"exponentiated"`, each entry of T is multiplied by
            `exp(-beta * its meta-gradient)` and T is normalised
            (`transition.exponentiated_step`); or `"projected"`, the paper's
            Eq. 7, 9, 10. Defaults to "exponentiated", with a `rank` to
            "projected".
        smoothing: The identity that T starts from is mixed with this share of
            uniform noise: an exponentiated step cannot move an entry that is
            zero, and a network that is told of no noise begins to learn it. In
            [0, 1), above 0 for "exponentiated"; left out where `transition` is
            an array. Defaults to 0.2, for "projected" to 0.
        max_transition_step: A longer step `beta * meta-gradient`, in the
            Frobenius norm, is shortened to this length: where the network is
            sure of another class than a label, the meta-gradient grows like
            1 / p(label), and one example could decide a column of T. For
            "projected" about 20 / (all steps) works, and much less leaves T at
            its start; `math.inf` is the paper's form. Defaults to 0.3, for
            "projected" to 0.01.
        transition_decay_steps: beta and `max_transition_step` fall to 0 along
            half a cosine over so many steps, so that T comes to rest; 0 for
            never. Defaults to 0.
        expectation_rate: T follows the noisy labels too, besides its
            meta-gradient: each step ends with one of
            expectation-maximisation at this rate
            (`transition.expectation_step`), from the first step on and without
            decay. A few trusted examples per class say little of a row of T;
            this holds what they say against all noisy labels. By the noisy
            labels alone T is not determined, and a rate that is too large
            follows a network that knows nothing yet: begin with 0.03. For rows
            that sum to 1. Defaults to 0, the paper's.
        clean_weight: The mean cross-entropy of the clean batch, times this, is
            added to the loss of Actual-Train (Eq. 11), as methods do that train
            on the trusted set besides. It costs a pass of the clean batch, and
            the trusted labels can then no longer be audited by this network.
            Defaults to 0, the paper's.
        clean_class_weight: `(classes,)`, what a clean example of each class
            counts, here and in the meta loss (Eq. 6). A trusted set that is
            balanced, where the noisy set is not, pulls T towards classes that
            are rare; `mlc_tf.data.class_weight` undoes that. Defaults to 1.
        rank: For thousands of classes: T as the identity and a product of this
            rank (`transition_forms.LowRankTransition`), with rows that sum to
            1, from the identity and by "projected" steps. Defaults to None, all
            entries of T.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: for any argument outside what is said above.
    """

    training_trackers = ("meta_gradient_norm",)

    def __init__(
        self,
        base: keras.Model,
        *,
        virtual_learning_rate: float = 0.1,
        transition_learning_rate: float = 3.0,
        transition: Any = "identity",
        normalization: str = "rows",
        meta_gradient: str = "exact",
        meta_interval: int = 1,
        transition_update: str | None = None,
        smoothing: float | None = None,
        max_transition_step: float | None = None,
        transition_decay_steps: int = 0,
        expectation_rate: float = 0.0,
        clean_weight: float = 0.0,
        clean_class_weight: Any = None,
        rank: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        self.virtual_learning_rate = check_rate(
            "virtual_learning_rate", virtual_learning_rate
        )
        self.transition_learning_rate = check_rate(
            "transition_learning_rate", transition_learning_rate
        )
        self.normalization = transitions.check_normalization(normalization)
        if meta_gradient not in META_GRADIENTS:
            raise unknown_name("meta_gradient", meta_gradient, META_GRADIENTS)
        self.meta_gradient = meta_gradient
        self.differentiates_twice = meta_gradient == "exact"
        self.meta_interval = _checked_interval(meta_interval)
        if transition_update is None:
            transition_update = "exponentiated" if rank is None else "projected"
        if transition_update not in transitions.STEPS:
            raise unknown_name(
                "transition_update", transition_update, transitions.STEPS
            )
        self.transition_update = transition_update
        exponentiated = transition_update == "exponentiated"
        self.max_transition_step = _checked_max_step(
            max_transition_step, exponentiated
        )
        if not isinstance(transition, str) and smoothing is not None:
            raise InputError(
                "`smoothing` should be left out where `transition` is an "
                f"array. Received: `smoothing` = {smoothing}."
            )
        self.smoothing = _checked_smoothing(smoothing, exponentiated)
        if (
            not isinstance(transition_decay_steps, int)
            or transition_decay_steps < 0
        ):
            raise bad_argument(
                "transition_decay_steps",
                "an integer >= 0, 0 for no decay",
                transition_decay_steps,
            )
        self.transition_decay_steps = transition_decay_steps
        self.expectation_rate = check_rate("expectation_rate", expectation_rate)
        if self.expectation_rate and (rank or normalization != "rows"):
            raise InputError(
                "`expectation_rate` should be 0 for a T whose columns sum to "
                "1, and for one of a `rank`. Received: `expectation_rate` = "
                f"{expectation_rate}."
            )
        self.clean_weight = check_rate("clean_weight", clean_weight)
        self.clean_class_weight = _checked_class_weight(
            clean_class_weight, self.num_classes
        )
        self.forward_pass = (
            LastLayer(base) if meta_gradient == "head" else AllWeights(base)
        )
        self.transition_form, start = self._form(transition, rank)
        dtype = as_float(base.trainable_variables[0].value).dtype.name
        self.transition_variables = [
            self.add_state(part, value, dtype) for part, value in start.items()
        ]
        self.step = self.add_state("step", 0, "int64")
        self.meta_gradient_norm = keras.metrics.Mean(name="meta_gradient_norm")

    @property
    def transition_matrix(self) -> np.ndarray:
        """T as learned, `(classes, classes)`; rows are clean classes.

        Rows sum to 1 with `normalization="rows"`; with `"columns"`, columns do
        (`mlc_tf.transitions.regauge` gives the matrix with rows that do).
        """
        return self.transition_form.matrix(
            [np.asarray(part.value) for part in self.transition_variables]
        )

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return self.transition_form.loss(logits, labels, self._transition())

    def train_step(
        self, data: tuple[tuple[Any, Any], tuple[Any, Any]]
    ) -> dict[str, Any]:
        """Algorithm 1: one iteration."""
        (x, noisy_labels, *_), clean = data
        forward = self.forward_pass.forward(x)  # f(x; theta), once
        self._meta_train(forward, noisy_labels, clean)  # Eq. 3-10
        with forward.tape:
            loss = tf.reduce_mean(
                self.example_loss(forward.logits, noisy_labels)
            )
            if self.clean_weight:
                x_clean, clean_labels = clean
                logits = passing_logits(self.base, x_clean)
                loss += self.clean_weight * losses.mean_cross_entropy(
                    logits, clean_labels, self.clean_class_weight
                )
        if self.expectation_rate:
            self._follow(forward.logits, noisy_labels)
        return self.actual_train(forward, loss, noisy_labels)  # Eq. 11

    def _meta_train(
        self, forward: ForwardPass, noisy_labels: Any, clean: tuple[Any, Any]
    ) -> None:
        """Moves T, if this is a step on which it moves."""

        def moved() -> tuple[meta.Tensors, tf.Tensor]:
            gradients = distribution.global_mean(
                self._meta_gradient(forward, noisy_labels, clean)
            )
            new_transition = self.transition_form.update(
                transition, self._transition_steps(gradients)
            )  # Eq. 7, 9, 10
            return new_transition, tf.linalg.global_norm(gradients)

        transition = self._transition()
        if self.meta_interval == 1:
            due = True
            new_transition, norm = moved()
        else:
            due = tf.convert_to_tensor(self.step) % self.meta_interval == 0
            new_transition, norm = tf.cond(
                due,
                moved,
                lambda: (transition, tf.zeros_like(transition[0][0, 0])),
            )
        for variable, value in zip(self.transition_variables, new_transition):
            variable.assign(value)
        self.step.assign_add(1)
        self.meta_gradient_norm.update_state(norm, tf.cast(due, tf.float32))

    def _follow(self, logits: tf.Tensor, noisy_labels: Any) -> None:
        """Moves T towards what explains the noisy labels."""
        (variable,) = self.transition_variables
        transition = tf.convert_to_tensor(variable)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(transition)
            loss = tf.reduce_mean(
                self.transition_form.loss(logits, noisy_labels, [transition])
            )
        gradients = distribution.global_mean([tape.gradient(loss, transition)])
        variable.assign(
            transitions.expectation_step(
                transition, gradients[0], self.expectation_rate
            )
        )

    def _transition_steps(self, gradients: meta.Tensors) -> meta.Tensors:
        """Returns the step of T: beta times the gradient, not too long."""
        steps = transitions.shortened(
            [self.transition_learning_rate * each for each in gradients],
            self.max_transition_step,
        )
        if not self.transition_decay_steps:
            return steps
        share = tf.cast(self.step, steps[0].dtype) / self.transition_decay_steps
        decay = 0.5 * (1 + tf.cos(math.pi * tf.minimum(share, 1)))
        return [decay * step for step in steps]

    def _meta_gradient(
        self, forward: ForwardPass, noisy_labels: Any, clean: tuple[Any, Any]
    ) -> meta.Tensors:
        """Returns this replica's gradient of the meta loss, as to T."""

        def noisy_loss(
            logits: tf.Tensor, transition: meta.Tensors
        ) -> tf.Tensor:
            return tf.reduce_mean(
                self.transition_form.loss(logits, noisy_labels, transition)
            )  # Eq. 3

        arguments: dict[str, Any] = dict(
            noisy_gradient=forward.gradient_of(noisy_loss),
            clean_loss=forward.loss_at(
                *clean, self.clean_class_weight
            ),  # Eq. 6
            weights=forward.weights,
            meta_parameter=self._transition(),
            learning_rate=self.virtual_learning_rate,
            reduce=distribution.global_mean,
        )
        if self.meta_gradient != "finite_difference":
            return meta.exact(**arguments)  # Eq. 8
        return meta.finite_difference(
            noisy_loss=lambda weights, transition: noisy_loss(
                forward.noisy_logits(weights), transition
            ),
            compute_dtype=coarsest_dtype(self.base),
            **arguments,
        )

    def _transition(self) -> meta.Tensors:
        return values(self.transition_variables)

    def _form(
        self, transition: Any, rank: int | None
    ) -> tuple[DenseTransition | LowRankTransition, Mapping[str, np.ndarray]]:
        """Returns what T is made of, and what that starts from."""
        identity = isinstance(transition, str)
        if identity and transition != "identity":
            raise unknown_name("transition", transition, ["identity"])
        if rank is None:
            dense = DenseTransition(self.normalization, self.transition_update)
            return dense, dense.start(
                transitions.smoothed_identity(self.num_classes, self.smoothing)
                if identity
                else transitions.validate(transition, self.num_classes)
            )
        if (
            not identity
            or self.normalization != "rows"
            or self.transition_update != "projected"
            or self.smoothing
        ):
            raise InputError(
                "`transition` should be 'identity', `normalization` 'rows', "
                "`transition_update` 'projected' and `smoothing` 0 where "
                f"`rank` is given. Received: `rank` = {rank}."
            )
        low_rank = LowRankTransition(self.num_classes, rank)
        return low_rank, low_rank.start()


def _checked_interval(meta_interval: int) -> int:
    if not isinstance(meta_interval, int) or meta_interval < 1:
        raise bad_argument("meta_interval", "an integer >= 1", meta_interval)
    if meta_interval > 1 and distribution.num_replicas() > 1:
        # Replicas cannot meet inside a conditional.
        raise InputError(
            "`meta_interval` should be 1 under a strategy with several "
            f"replicas. Received: `meta_interval` = {meta_interval}."
        )
    return meta_interval


def _checked_max_step(given: float | None, exponentiated: bool) -> float:
    if given is None:
        return 0.3 if exponentiated else 0.01
    if given != math.inf:
        check_rate("max_transition_step", given)
    if given == 0:
        raise bad_argument("max_transition_step", "> 0", given)
    return given


def _checked_smoothing(given: float | None, exponentiated: bool) -> float:
    if given is None:
        return 0.2 if exponentiated else 0.0
    smoothing = check_rate("smoothing", given)
    if smoothing >= 1 or (exponentiated and not smoothing):
        raise bad_argument(
            "smoothing",
            "in [0, 1), and above 0 for exponentiated steps",
            smoothing,
        )
    return smoothing


def _checked_class_weight(given: Any, num_classes: int) -> np.ndarray | None:
    if given is None:
        return None
    weights = np.asarray(given)
    if (
        weights.shape != (num_classes,)
        or not np.issubdtype(weights.dtype, np.number)
        or not (np.isfinite(weights) & (weights >= 0)).all()
    ):
        raise bad_argument(
            "clean_class_weight", f"{num_classes} finite numbers >= 0", given
        )
    return weights
