"""Tests whether labels depend on more than the class of an example.

T describes noise that depends on the class alone: the given label is then
independent of the input, once the clean class is known. A network knows the
clean class up to its doubt, log f. So the test compares models of the given
label, within each class that the network predicts:

    without the input: a logistic regression on log f, or the shares of the
                       given labels, whichever is better
    with the input:    a logistic regression on log f and on principal
                       components of the input

All are fitted to four fifths of the examples and judged on the rest, in turn.
The gain is the mean difference of their log-likelihoods.

Two faults of a network mislead the test. A network that memorised its labels
predicts the given labels, so that nothing is left to explain. A network that is
wrong without a doubt leaves to the input what is a matter of the class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlc_tf.data import checks
from mlc_tf.data import inputs
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_seed

_FOLDS = 5
_COMPONENTS = 20
# Of one predicted class: examples beyond the most are left out at random, and
# labels that are rarer than the fewest count as one label.
_MOST_EXAMPLES, _FEWEST_EXAMPLES, _FEWEST_OF_LABEL = 2000, 50, 10
# The inverse strength of the penalty of the logistic regression: strong, so
# that few examples make no gain.
_INVERSE_PENALTY = 0.03
# The gain has to exceed this number of standard errors.
_STANDARD_ERRORS = 2.5
# Beliefs below exp(-20) count as this.
_LEAST_LOG = -20.0


@dataclass(frozen=True)
class InstanceDependence:
    """What an input adds to the class in explaining the given label.

    Attributes:
        gain: The mean gain of log-likelihood of an example, in nats.
        standard_error: The standard error of the gain.
        examples: The number of examples that were compared; 0 if nothing could
            be compared, and the gain is then 0.
    """

    gain: float
    standard_error: float
    examples: int

    @property
    def is_found(self) -> bool:
        """Whether the gain exceeds 0 by 2.5 standard errors."""
        return self.gain > _STANDARD_ERRORS * self.standard_error

    def sentence(self) -> str:
        """Returns the result for a user."""
        if not self.examples:
            return (
                "Whether the noise depends on more than the class was not "
                "tested: the inputs are texts or too large, or no predicted "
                "class has enough examples with several labels."
            )
        numbers = (
            f"(gain of log-likelihood {self.gain:.3f} ± "
            f"{self.standard_error:.3f} on {self.examples:,} examples)"
        )
        if self.is_found:
            return (
                "The given labels depend on more than the class: T, which "
                "depends on the class alone, does not describe them well "
                f"{numbers}. Compare with a method without T, such as elr."
            )
        return (
            "No sign was found that the given labels depend on more than the "
            f"class {numbers}."
        )


def check_instance_dependence(
    x: np.ndarray, log_probs: np.ndarray, given: np.ndarray, seed: int = 0
) -> InstanceDependence:
    """Returns whether the given labels depend on more than the class.

    Args:
        x: `(examples, ...)` numbers, the inputs in one array.
        log_probs: `(examples, classes)`, log f: the logarithm of the softmax of
            a network.
        given: `(examples,)` integers, the labels.
        seed: Draws examples of large classes, and the folds. Defaults to 0.

    Raises:
        InputError: if `x` is not finite numbers, `log_probs` are not logarithms
            of probabilities, a label is not a class id, or the lengths differ.
    """
    rng = np.random.default_rng(check_seed(seed))
    numbers = inputs.as_numbers("audited", x).astype(np.float32)
    flat = numbers.reshape(len(numbers), -1)
    log_probs = np.asarray(log_probs)
    # A logarithm of 1 may be rounded to more than 0.
    if log_probs.ndim != 2 or not (log_probs < 1e-3).all():
        raise bad_argument(
            "log_probs",
            "logarithms of probabilities, (examples, classes)",
            f"{log_probs.dtype} of shape {log_probs.shape}, the largest "
            f"{log_probs.max(initial=-np.inf):.3g}",
        )
    given = checks.check_given(given, log_probs.shape[1])
    if not len(flat) == len(log_probs) == len(given):
        raise InputError(
            "`x`, `log_probs` and `given` should have one row for each "
            f"example. Received: {len(flat)}, {len(log_probs)} and "
            f"{len(given)} rows."
        )
    beliefs = np.maximum(log_probs, _LEAST_LOG)
    parts = []
    for members, labels in _classes(beliefs.argmax(axis=1), given, rng):
        parts.append(_gains(flat[members], beliefs[members], labels, seed))
    if not parts:
        return InstanceDependence(0.0, 0.0, 0)
    gains = np.concatenate(parts)
    return InstanceDependence(
        float(gains.mean()),
        float(gains.std(ddof=1) / np.sqrt(len(gains))),
        len(gains),
    )


def _classes(
    predicted: np.ndarray, given: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the examples and the labels of each class that can be tested."""
    for label in np.unique(predicted):
        members = rng.permutation(np.flatnonzero(predicted == label))
        members = members[:_MOST_EXAMPLES]
        labels = given[members].copy()
        values, counts = np.unique(labels, return_counts=True)
        rare = np.isin(labels, values[counts < _FEWEST_OF_LABEL])
        if rare.sum() < _FEWEST_OF_LABEL:  # too few even together
            members, labels = members[~rare], labels[~rare]
        else:
            labels[rare] = -1
        if len(members) >= _FEWEST_EXAMPLES and len(np.unique(labels)) > 1:
            yield members, labels


def _gains(
    x: np.ndarray, beliefs: np.ndarray, labels: np.ndarray, seed: int
) -> np.ndarray:
    """Returns the gain of log-likelihood of each example of a class."""
    components = min(_COMPONENTS, x.shape[1], len(x) // _FOLDS)
    # The components do not know the labels, so that one fit serves all folds.
    parts_of_input = PCA(components, random_state=seed).fit_transform(
        StandardScaler().fit_transform(x)
    )
    position = np.searchsorted(np.unique(labels), labels)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    regression = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=_INVERSE_PENALTY, max_iter=500),
    )

    def likelihood(model: Any, features: np.ndarray) -> np.ndarray:
        probs = cross_val_predict(
            model, features, labels, cv=folds, method="predict_proba"
        )
        return np.log(probs[np.arange(len(labels)), position])

    without = max(
        likelihood(DummyClassifier(strategy="prior"), beliefs),
        likelihood(regression, beliefs),
        key=np.mean,
    )
    everything = np.hstack([beliefs, parts_of_input])
    return likelihood(regression, everything) - without
