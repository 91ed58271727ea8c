"""Tests whether labels depend on more than the class of an example.

T describes noise that depends on the class alone: among the examples of one
clean class, the given label is then independent of the input. The test takes
the class that the network predicts for the clean class. Within each predicted
class, it compares two models of the given label:

    without the input: the shares of the given labels
    with the input:    a logistic regression on principal components of the
                       input

Both are fitted to four fifths of the examples and judged on the rest, in turn.
The gain is the mean difference of their log-likelihoods. Under noise that
depends on the class alone the gain is not above 0.

A network that memorised its labels predicts the given labels, so that nothing
is left to explain: the test then finds no dependence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

_FOLDS = 5
_COMPONENTS = 20
# Of one predicted class: examples beyond the most are left out at random, and
# labels that are rarer than the fewest count as one label.
_MOST_EXAMPLES, _FEWEST_EXAMPLES, _FEWEST_OF_LABEL = 2000, 50, 10
# The inverse strength of the penalty of the logistic regression: strong, so
# that few examples make no gain.
_INVERSE_PENALTY = 0.01
# The gain has to exceed this number of standard errors, and this number of
# nats: a network's own errors make a small gain under any noise (0.005 was seen
# at an accuracy of 88 %).
_STANDARD_ERRORS = 2.5
_LEAST_GAIN = 0.015


@dataclass(frozen=True)
class InstanceDependence:
    """What an input adds to the class in explaining the given label.

    Attributes:
        gain: The mean gain of log-likelihood of an example, in nats.
        standard_error: The standard error of the gain.
        examples: The number of examples that were compared; 0 if no predicted
            class had enough, and the gain is then 0.
    """

    gain: float
    standard_error: float
    examples: int

    @property
    def is_found(self) -> bool:
        """Whether the gain exceeds 0.015 nats, and 0 by 2.5 standard errors."""
        least = max(_STANDARD_ERRORS * self.standard_error, _LEAST_GAIN)
        return self.gain > least

    def sentence(self) -> str:
        """Returns the result for a user."""
        if not self.examples:
            return (
                "Whether the noise depends on more than the class was not "
                "tested: no predicted class has enough examples with several "
                "labels."
            )
        numbers = (
            f"(gain of log-likelihood {self.gain:.3f} ± "
            f"{self.standard_error:.3f} on {self.examples:,} examples)"
        )
        if self.is_found:
            return (
                "The given labels depend on more than the class: T, which "
                "depends on the class alone, does not describe them well "
                f"{numbers}. Compare with a method without T, such as gce."
            )
        return (
            "No sign was found that the given labels depend on more than the "
            f"class {numbers}."
        )


def check_instance_dependence(
    x: np.ndarray, predicted: np.ndarray, given: np.ndarray, seed: int = 0
) -> InstanceDependence:
    """Returns whether the given labels depend on more than the class.

    Args:
        x: `(examples, ...)` numbers: the inputs, or features of a network.
        predicted: `(examples,)` integers, the class that a network predicts.
        given: `(examples,)` integers, the labels.
        seed: Draws examples of large classes, and the folds. Defaults to 0.
    """
    rng = np.random.default_rng(seed)
    flat = np.asarray(x, np.float32).reshape(len(x), -1)
    parts = []
    for members, labels in _classes(predicted, given, rng):
        parts.append(_gains(flat[members], labels, seed))
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


def _gains(x: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Returns the gain of log-likelihood of each example."""
    components = min(_COMPONENTS, x.shape[1], len(x) // _FOLDS)
    # The components do not know the labels, so that one fit serves all folds.
    features = PCA(components, random_state=seed).fit_transform(
        StandardScaler().fit_transform(x)
    )
    position = np.searchsorted(np.unique(labels), labels)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    with_input, without = (
        np.log(
            cross_val_predict(
                model, features, labels, cv=folds, method="predict_proba"
            )[np.arange(len(labels)), position]
        )
        for model in (
            make_pipeline(
                StandardScaler(),
                LogisticRegression(C=_INVERSE_PENALTY, max_iter=500),
            ),
            DummyClassifier(strategy="prior"),
        )
    )
    return with_input - without
