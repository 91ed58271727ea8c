"""Meta Loss Correction with our changes to the paper's algorithm.

`models.paper_meta_loss_correction` is the paper's Algorithm 1 as printed. This
class takes the same three stages a step. What differs:

| | paper | here |
|---|---|---|
| T is normalised by | columns (Eq. 10) | rows |
| T moves by | projected steps (Eq. 7, 9) | exponentiated steps |
| T starts from | random entries | the identity, smoothed by 0.2 |
| rates (MNIST) | alpha 0.01, beta 1 | alpha 1; of T, by the run |
| the longest step of T | no limit | by the number of steps |
| T comes to rest | no | yes, at the end of the run |
| weights of the virtual step | all | all, or the last layer's (`head`) |
| T fits noisy labels too | no | yes, by EM (`expectation_rate`) |
| trains on the trusted set | no | `clean_weight`, off by default |
| classes in the meta loss | equal | `clean_class_weight`, off by default |

docs/results/studies.md ("What each part is worth") shows what these differences
are worth, with intervals, beside methods without the meta-gradient.

| symbol | here |
|---|---|
| theta, the weights | `self.base.trainable_variables` |
| T | `self.transition_variable`, T[i, j] = p(noisy = j / clean = i) |
| alpha (Eq. 4) | `virtual_learning_rate` |
| beta (Eq. 7) | `transition.learning_rate` |
| gamma (Eq. 11) | the optimizer given to `compile` |
| D_eta, D_v | the noisy and the clean half of each element |

Reference: Wang, Hu, Hu, "Training Noise-Robust Deep Neural Networks via
Meta-Learning", CVPR 2020, section 3.2.
"""

import functools
from collections.abc import Callable
from typing import Any
from typing import ParamSpec

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_rate
from mlc_tf.errors import unknown_name
from mlc_tf.models import expectation
from mlc_tf.models import meta_gradient
from mlc_tf.models import run_length
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.forward_pass import ForwardPass
from mlc_tf.models.forward_pass import LastLayer
from mlc_tf.models.forward_pass import Tensors
from mlc_tf.models.forward_pass import as_float
from mlc_tf.models.forward_pass import coarsest_dtype
from mlc_tf.models.pair_model import PairModel

META_GRADIENTS = ("exact", "head", "finite_difference")
# The loss of the virtual step, of (logits, T); and the meta loss, of weights.
Losses = tuple[
    Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    Callable[[Tensors], tf.Tensor],
]
# Arguments of former versions, and where they went: to an argument of
# `transition`, or nowhere.
_MOVED = {
    "transition_learning_rate": "learning_rate",
    "smoothing": "smoothing",
    "max_transition_step": "max_step",
    "transition_decay_steps": "decay_steps",
    "expectation_rate": "expectation_rate",
}
_DROPPED = {
    "transition_update": "`transition` is an object, "
    "mlc_tf.transitions.Exponentiated(...) or .Projected(...)",
    "normalization": "rows of T sum to 1; columns do for "
    "transition=mlc_tf.transitions.ProjectedColumns(...)",
    "rank": "T has all of its entries",
    "meta_interval": "T moves at every step",
}
_P = ParamSpec("_P")


def _refuse_former(initialize: Callable[_P, None]) -> Callable[_P, None]:
    """Makes a constructor refuse former arguments, with their new names."""

    @functools.wraps(initialize)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> None:
        update = str(kwargs.get("transition_update", "exponentiated"))
        for name in kwargs:
            if name in _DROPPED:
                raise InputError(
                    f"`{name}` should be left out: {_DROPPED[name]}. Received: "
                    f"`{name}` = {kwargs[name]!r}."
                )
            if name in _MOVED:
                raise InputError(
                    f"`{name}` should be given to the object `transition`: "
                    f"transition=mlc_tf.transitions.{update.capitalize()}"
                    f"({_MOVED[name]}=...). Received: `{name}` = "
                    f"{kwargs[name]!r}."
                )
        initialize(*args, **kwargs)

    return checked


class MetaLossCorrection(PairModel):
    """Learns the weights of `base` and the transition matrix T together.

    Each step has three stages. Virtual-Train moves the weights virtually by the
    corrected loss under T. Meta-Train moves T so that the virtual weights do
    better on the clean batch. Actual-Train trains the weights under the new T.
    One forward pass of the noisy batch serves all three. The module's docstring
    lists what differs from the paper; the paper's algorithm is
    `PaperMetaLossCorrection`.

    ```python
    model = mlc_tf.MetaLossCorrection(base)
    model.compile(optimizer=keras.optimizers.SGD(1e-2, momentum=0.9))
    model.fit(mlc_tf.pair(noisy, clean, batch_size=64), epochs=10)
    model.transition_matrix  # (classes, classes)
    ```

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: How T starts and moves, an object of `mlc_tf.transitions`.
            Defaults to None: each `fit` takes `transitions.for_run`, whose
            rates follow from its number of steps.
        virtual_learning_rate: The paper's alpha, the rate of the virtual step,
            for the mean loss. Defaults to 1.
        meta_gradient: `"exact"`, `"head"` or `"finite_difference"`. `"exact"`
            is the paper's: two nested tapes, at 3.3 times the cost of plain
            training. `"head"` is the same for the weights of the last Dense
            layer alone, at 1.3 times. `"finite_difference"` approximates the
            exact gradient without second derivatives, at 3 times, in less
            memory. Defaults to "exact".
        clean_weight: The mean cross-entropy of the clean batch, times this
            weight, is added to the loss of Actual-Train (Eq. 11). It costs a
            pass of the clean batch, and this network can then no longer audit
            the trusted labels. `mlc_tf.data.clean_weight` returns a weight that
            fits the sizes of the sets. Defaults to 0, the paper's.
        clean_class_weight: `(classes,)`, the weight of a clean example of each
            class, in Actual-Train and in the meta loss (Eq. 6). A balanced
            trusted set, beside noisy labels that are not balanced, pulls T
            towards rare classes; `mlc_tf.data.class_weight` corrects that.
            Defaults to None, 1 for each class.
        name: Name of the model. Defaults to a unique name.

    Raises:
        InputError: for any argument outside what is said above.
    """

    needs_clean = True
    takes_weights = True
    training_trackers = ("meta_gradient_norm",)

    @_refuse_former
    def __init__(
        self,
        base: keras.Model,
        *,
        transition: transitions.TransitionUpdate | None = None,
        virtual_learning_rate: float = 1.0,
        meta_gradient: str = "exact",
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
        # None until `fit` says how long the run is.
        self.transition = _checked_update(transition)
        self._rates_of_run = transition is None
        self.virtual_learning_rate = check_rate(
            "virtual_learning_rate", virtual_learning_rate
        )
        if meta_gradient not in META_GRADIENTS:
            raise unknown_name("meta_gradient", meta_gradient, META_GRADIENTS)
        self.meta_gradient = meta_gradient
        self.forward_pass = (
            LastLayer(base) if meta_gradient == "head" else AllWeights(base)
        )
        self.transition_variable = self.add_state(
            "transition",
            (self.transition or transitions.Exponentiated()).start(
                self.num_classes
            ),
            as_float(base.trainable_variables[0].value).dtype.name,
        )
        self.step = self.add_step_counter()
        self.meta_gradient_norm = keras.metrics.Mean(name="meta_gradient_norm")

    @property
    def transition_matrix(self) -> np.ndarray:
        """T as learned, `(classes, classes)`; rows are clean classes.

        Rows sum to 1. Under `transitions.ProjectedColumns` columns sum to 1,
        and `transitions.regauge` returns the matrix whose rows do.
        """
        return np.asarray(self.transition_variable.value)

    def before_fit(self, x: Any, *args: Any, **kwargs: Any) -> None:
        if self._rates_of_run:
            self._take_rates(*run_length.of_fit(x, *args, **kwargs))

    def train_on_batch(
        self, x: Any, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Takes one step, as `PairModel.train_on_batch`, with given rates.

        Raises:
            InputError: as `PairModel.train_on_batch`; or if the model was not
                given a `transition`, whose rates follow from the run.
        """
        if self._rates_of_run:
            raise _length_unknown("train_on_batch")
        return super().train_on_batch(x, y, *args, **kwargs)

    def _take_rates(self, steps: int, steps_before: int) -> None:
        """Sets the rates of T for a run of that many steps."""
        update = transitions.for_run(steps, self.num_classes)
        former = self.transition
        if former is None or former.get_config() != update.get_config():
            self.transition = update
            self.train_function = None  # `fit` traces the step again
        with self.distribute_strategy.scope():
            self.step.assign(steps_before)

    @property
    def normalization(self) -> str:
        """What T is normalised by, "rows" or "columns"."""
        if self.transition is None:
            return transitions.Exponentiated.normalization
        return self.transition.normalization

    def train_step(
        self, data: tuple[tuple[Any, Any], tuple[Any, Any]]
    ) -> dict[str, Any]:
        """Takes one step: the stages of Algorithm 1, with our changes."""
        update = self.transition
        if update is None:
            raise _length_unknown("train_step")
        noisy, clean = checks.noisy_half(data[0]), data[1]
        forward = self.forward_pass.forward(noisy.x)  # f(x; theta), once
        transition = tf.identity(tf.convert_to_tensor(self.transition_variable))

        noisy_loss = _corrected_loss(noisy)

        # Virtual-Train and Meta-Train
        virtual_loss, meta_loss = self.virtual_and_meta_loss(
            forward, noisy, clean
        )
        gradient = self._meta_gradient(
            forward, virtual_loss, meta_loss, transition
        )  # Eq. 4, 8
        # In the place of Eq. 7, 9, 10: the step of `self.transition`.
        transition = update.apply(transition, gradient, self.step)

        # Actual-Train
        with forward.tape:
            loss = noisy_loss(forward.logits, transition)
            loss += self.clean_term(clean)
        if update.expectation_rate:
            transition = expectation.step(
                transition,
                lambda matrix: noisy_loss(forward.logits, matrix),
                update.expectation_rate,
            )
        self.transition_variable.assign(transition)
        self.step.assign_add(1)
        self.meta_gradient_norm.update_state(tf.norm(gradient))
        return self.actual_train(forward, loss, noisy.labels)  # Eq. 11

    def virtual_and_meta_loss(
        self,
        forward: ForwardPass,
        noisy: checks.NoisyHalf,
        clean: tuple[Any, tf.Tensor],
    ) -> Losses:
        """Returns the loss of the virtual step, and the meta loss.

        Args:
            forward: The forward pass of the noisy batch.
            noisy: The noisy half of the element.
            clean: The clean half of the element, (inputs, labels).

        Returns:
            A function from (logits of the noisy batch, T) to a scalar (Eq. 3),
            and a function from virtual weights to a scalar (Eq. 5, 6).
        """
        meta_loss = forward.loss_at(*clean, self.clean_class_weight)
        return _corrected_loss(noisy), meta_loss

    def _meta_gradient(
        self,
        forward: ForwardPass,
        noisy_loss: Any,
        clean_loss: Any,
        transition: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the gradient of the meta loss with respect to T."""
        arguments: dict[str, Any] = dict(
            noisy_gradient=forward.gradient_of(noisy_loss),
            clean_loss=clean_loss,
            weights=forward.weights,
            meta_parameter=transition,
            learning_rate=self.virtual_learning_rate,
            reduce=distribution.global_mean,
        )
        if self.meta_gradient == "finite_difference":
            gradient = meta_gradient.finite_difference(
                noisy_loss=lambda weights, matrix: noisy_loss(
                    forward.noisy_logits(weights), matrix
                ),
                compute_dtype=coarsest_dtype(self.base),
                **arguments,
            )
        else:
            gradient = meta_gradient.exact(**arguments)
        return distribution.global_mean([gradient])[0]


def _corrected_loss(
    noisy: checks.NoisyHalf,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the function from (logits, T) to the mean corrected loss."""
    return lambda logits, transition: losses.weighted_mean(
        losses.corrected_cross_entropy(logits, noisy.labels, transition),
        noisy.weights,
    )  # Eq. 2, 3


def _length_unknown(method: str) -> InputError:
    return InputError(
        f"`transition` should be given to the model for `{method}`, which does "
        "not know the length of the run: "
        "transition=mlc_tf.transitions.for_run(steps, num_classes). "
        "Received: `transition` = None."
    )


def _checked_update(given: Any) -> transitions.TransitionUpdate | None:
    if given is not None and not isinstance(
        given, transitions.TransitionUpdate
    ):
        raise bad_argument(
            "transition",
            "an object of mlc_tf.transitions, such as Exponentiated(), whose "
            "argument `initial` takes a matrix to start from",
            given,
        )
    return given
