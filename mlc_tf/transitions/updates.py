"""How a learned T starts and moves: one object, as an optimizer is for weights.

`MetaLossCorrection` computes gradients with respect to T; one of these objects
turns them into the next T. T is `(classes, classes)`,
`T[i, j] = p(noisy = j | clean = i)`.

| object | a step | T is normalised by |
|---|---|---|
| `Exponentiated` | each entry times `exp(-step)`; ours | rows |
| `Projected` | the paper's Eq. 7 and 9 | rows |
| `ProjectedColumns` | the paper's Eq. 7, 9 and 10 | columns |
"""

import abc
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count
from mlc_tf.errors import check_fraction
from mlc_tf.errors import check_rate
from mlc_tf.errors import is_integer
from mlc_tf.errors import is_number
from mlc_tf.errors import unknown_name
from mlc_tf.transitions import matrix
from mlc_tf.transitions import steps

# At this rate every step is as long as its limit.
_ALWAYS_LIMITED = 1e6
# The limit in runs of few steps.
_LONGEST = 3.0


class TransitionUpdate(abc.ABC):
    """The start of T, and its step along the meta-gradient.

    A subclass defines `move`, the form of a step. Each attribute is the
    argument of the same name; `Exponentiated` describes them.
    """

    normalization = "rows"

    def __init__(
        self,
        *,
        learning_rate: float,
        initial: Any,
        smoothing: float,
        max_step: float | None,
        decay_steps: int,
        expectation_rate: float = 0.0,
    ) -> None:
        self.learning_rate = check_rate("learning_rate", learning_rate)
        self.initial = (
            None
            if initial is None
            else matrix.validate(initial, name="initial")
        )
        self.smoothing = check_fraction("smoothing", smoothing, "[0, 1)")
        self.max_step = _checked_max_step(max_step)
        self.decay_steps = _checked_decay_steps(decay_steps)
        self.expectation_rate = check_rate("expectation_rate", expectation_rate)

    def __repr__(self) -> str:
        arguments = ", ".join(
            f"{name}={value!r}" for name, value in self.get_config().items()
        )
        return f"{type(self).__name__}({arguments})"

    @abc.abstractmethod
    def move(self, transition: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns T after `step`, `(classes, classes)`, normalised."""

    def start(self, num_classes: int) -> np.ndarray:
        """Returns the T of the first step, `(classes, classes)` float64.

        Args:
            num_classes: The number of classes of the network.

        Raises:
            InputError: if `initial` has another number of classes.
        """
        initial = (
            np.eye(num_classes)
            if self.initial is None
            else matrix.validate(self.initial, num_classes, "initial")
        )
        start = (1 - self.smoothing) * initial + self.smoothing / num_classes
        return np.asarray(matrix.normalize(start, self.normalization))

    def apply(
        self, transition: tf.Tensor, gradient: tf.Tensor, step: Any
    ) -> tf.Tensor:
        """Returns T after one step along the meta-gradient.

        Args:
            transition: T, `(classes, classes)`, rows are clean classes.
            gradient: The gradient of the meta loss with respect to T (Eq. 8),
                same shape.
            step: The number of steps before this step, a scalar; the decay
                depends on it.

        Returns:
            The next T, same shape and dtype.
        """
        change = steps.shortened(self.learning_rate * gradient, self.max_step)
        if self.decay_steps:
            progress = tf.cast(step, change.dtype) / self.decay_steps
            change *= 0.5 * (1 + tf.cos(math.pi * tf.minimum(progress, 1)))
        return self.move(transition, change)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as JSON values."""
        initial = self.initial
        return {
            "learning_rate": self.learning_rate,
            "initial": None if initial is None else initial.tolist(),
            "smoothing": self.smoothing,
            "max_step": self.max_step,
            "decay_steps": self.decay_steps,
            "expectation_rate": self.expectation_rate,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TransitionUpdate":
        """Returns the object that `get_config` describes."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="mlc_tf")
class Exponentiated(TransitionUpdate):
    """Multiplies each entry of T by `exp(-step)` and normalises rows; ours.

    This is mirror descent on the simplex, or T as a softmax whose logits take
    the step. An entry near zero grows only if many steps agree. With projected
    steps the disagreement between batches adds up.

        change = learning_rate * meta-gradient, at most `max_step` long, decayed
        T      = normalise(T * exp(-change))

    Args:
        learning_rate: The rate of T, the paper's beta; 0 freezes T. Defaults
            to 3.
        initial: The T to start from, `(classes, classes)`, rows are clean
            classes and sum to 1. It is mixed with `smoothing`: give
            `smoothing=0` to start from exactly this T, whose zeros then stay
            zero. Defaults to None, the identity.
        smoothing: The share of uniform noise in the first T:
            `(1 - smoothing) * initial + smoothing / classes`, in [0, 1). It
            must be above 0 for the identity, since a step cannot move an entry
            that is zero. A network that starts with T = I begins to fit the
            noise. Defaults to 0.2.
        max_step: The longest `learning_rate * meta-gradient`, in the Frobenius
            norm; a longer one is shortened. The meta-gradient grows like
            1 / p(label) where the network is sure of another class than the
            label, and one example could decide a column of T. None or infinity
            for no limit. Defaults to 0.3.
        decay_steps: The step falls to 0 along half a cosine over this number
            of steps, so that T comes to rest; 0 for no decay. Defaults to 0.
        expectation_rate: The rate of one step of expectation-maximisation on
            the noisy labels, which follows each step along the meta-gradient
            (`steps.expectation_step`), without decay. A few trusted examples
            per class determine little of a row of T; this step fits T to all
            noisy labels as well. The noisy labels alone do not determine T.
            With a high rate T follows a network that has not learned yet, so
            begin with 0.03. Defaults to 0, no such step.

    Raises:
        InputError: for an argument outside its range.

    References:
        Kivinen and Warmuth, "Exponentiated gradient versus gradient descent
        for linear predictors", 1997.
    """

    def __init__(
        self,
        learning_rate: float = 3.0,
        *,
        initial: Any = None,
        smoothing: float = 0.2,
        max_step: float | None = 0.3,
        decay_steps: int = 0,
        expectation_rate: float = 0.0,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            initial=initial,
            smoothing=smoothing,
            max_step=max_step,
            decay_steps=decay_steps,
            expectation_rate=expectation_rate,
        )
        size = 2 if self.initial is None else len(self.initial)
        if np.array_equal(self.start(size), np.eye(size)):
            raise bad_argument(
                "smoothing",
                "above 0 where exponentiated steps start from the identity, "
                "whose zeros they cannot move",
                smoothing,
            )

    def move(self, transition: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        return steps.exponentiated_step(transition, step)


@keras.saving.register_keras_serializable(package="mlc_tf")
class Projected(TransitionUpdate):
    """Subtracts the step, cuts at zero (Eq. 7, 9) and normalises rows.

        change = learning_rate * meta-gradient, at most `max_step` long, decayed
        T      = normalise(max(T - change, 0))

    A row that a step would empty keeps its value.

    Args:
        learning_rate: The rate of T, the paper's beta; 0 freezes T. Defaults
            to 1, the paper's rate for MNIST.
        initial: The T to start from, `(classes, classes)`, rows are clean
            classes and sum to 1. Defaults to None, the identity.
        smoothing: The share of uniform noise in the first T:
            `(1 - smoothing) * initial + smoothing / classes`, in [0, 1).
            Defaults to 0.
        max_step: The longest `learning_rate * meta-gradient`, in the Frobenius
            norm; about 20 / (all steps) is a good first value. Defaults to
            None, no limit.
        decay_steps: The step falls to 0 along half a cosine over this number
            of steps; 0 for no decay. Defaults to 0.
        expectation_rate: As in `Exponentiated`: the rate of a step of
            expectation-maximisation on the noisy labels. Defaults to 0, no such
            step.

    Raises:
        InputError: for an argument outside its range.
    """

    def __init__(
        self,
        learning_rate: float = 1.0,
        *,
        initial: Any = None,
        smoothing: float = 0.0,
        max_step: float | None = None,
        decay_steps: int = 0,
        expectation_rate: float = 0.0,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            initial=initial,
            smoothing=smoothing,
            max_step=max_step,
            decay_steps=decay_steps,
            expectation_rate=expectation_rate,
        )

    def move(self, transition: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        return steps.projected_step(transition, step, self.normalization)


@keras.saving.register_keras_serializable(package="mlc_tf")
class ProjectedColumns(Projected):
    """Subtracts the step, cuts at zero and normalises columns (Eq. 7, 9, 10).

    The paper's Eq. 10 divides by the sums over the clean classes, which are
    columns here. Such a T is a transition matrix up to the scale of its columns
    (`regauge`), and has no step of expectation-maximisation. A column that a
    step would empty keeps its value; `PaperMetaLossCorrection` leaves it empty,
    as the paper's delta does.

    Args:
        learning_rate: As in `Projected`. Defaults to 1.
        initial: As in `Projected`; its columns are then divided by their sums.
            Defaults to None, the identity.
        smoothing: As in `Projected`. Defaults to 0.
        max_step: As in `Projected`. Defaults to None, no limit.
        decay_steps: As in `Projected`. Defaults to 0.

    Raises:
        InputError: for an argument outside its range.
    """

    normalization = "columns"

    def __init__(
        self,
        learning_rate: float = 1.0,
        *,
        initial: Any = None,
        smoothing: float = 0.0,
        max_step: float | None = None,
        decay_steps: int = 0,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            initial=initial,
            smoothing=smoothing,
            max_step=max_step,
            decay_steps=decay_steps,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["expectation_rate"]
        return config


UPDATES: Mapping[str, type[TransitionUpdate]] = {
    "exponentiated": Exponentiated,
    "projected": Projected,
    "projected_columns": ProjectedColumns,
}


def for_run(steps: int, num_classes: int) -> Exponentiated:
    """Returns an update whose rates follow from the length of the run.

    The meta-gradient gives the direction of a step, and not its length: the
    length falls along half a cosine over the run. The lengths add up to `120
    sqrt(classes)`. They add up to less in a run of fewer than `80
    sqrt(classes)` steps, since no step is longer than 3. The shares by which
    the noisy labels move a row of T (`expectation_rate`) add up to 6, if
    classes are equally frequent, or to less in a run of fewer than `6 classes`
    steps.

    The two numbers were chosen on held-out digits and 12,000 MNIST images.
    docs/results/studies.md ("Rates from the length of the run") compares them
    with searched rates.

    Args:
        steps: The number of training steps of the run, at least 1.
        num_classes: The number of classes, at least 2.

    Raises:
        InputError: for a smaller number.
    """
    check_count("steps", steps)
    check_count("num_classes", num_classes, least=2)
    length = 2 * 120 * math.sqrt(num_classes) / steps
    return Exponentiated(
        learning_rate=_ALWAYS_LIMITED,
        max_step=min(length, _LONGEST),
        decay_steps=steps,
        expectation_rate=min(6 * num_classes / steps, 1.0),
    )


def get(name: str, **arguments: Any) -> TransitionUpdate:
    """Returns the update that a config file names.

    Args:
        name: "exponentiated", "projected" or "projected_columns".
        **arguments: Arguments of the class. A 0 for a rate that the class does
            not have is left out.

    Raises:
        InputError: for an unknown name or argument, or an argument that the
            class refuses.
    """
    if name not in UPDATES:
        raise unknown_name("name", name, UPDATES)
    known = UPDATES[name].from_config({}).get_config()
    given = {
        key: value for key, value in arguments.items() if key in known or value
    }
    for key, value in given.items():
        if key not in known:
            raise InputError(
                f"`{key}` should be left out: {name!r} has no such argument. "
                f"Received: `{key}` = {value!r}."
            )
    return UPDATES[name].from_config(given)


def _checked_max_step(max_step: Any) -> float | None:
    if max_step is None:
        return None
    if not is_number(max_step) or not max_step > 0:  # a NaN is not
        raise bad_argument(
            "max_step", "a float > 0, or None or inf for no limit", max_step
        )
    return None if math.isinf(max_step) else float(max_step)


def _checked_decay_steps(decay_steps: Any) -> int:
    if not is_integer(decay_steps) or decay_steps < 0:
        raise bad_argument(
            "decay_steps", "an integer >= 0, 0 for no decay", decay_steps
        )
    return int(decay_steps)
