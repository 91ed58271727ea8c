"""Wrong labels on purpose that depend on the example.

Xia et al., 2020 (arXiv:2006.07836), algorithm 2: each example x has a rate q of
its own, and the likelier wrong classes are those that a random linear map of x
favours.

    q       ~ normal(ratio, 0.1), truncated to [0, 1]
    W_y     ~ normal(0, 1), (features, classes), for each class y
    p_j     = q softmax_{j != y}(x W_y)_j,    p_y = 1 - q
    label   ~ p
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.special
import scipy.stats

from mlc_tf.data.noise import Corruption
from mlc_tf.data.noise import check_countable
from mlc_tf.data.noise import check_num_classes
from mlc_tf.data.noise import check_ratio
from mlc_tf.data.noise import empirical_transition
from mlc_tf.errors import check_seed

KIND = "instance"
_DEVIATION = 0.1


def corrupt(
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    num_classes: int,
    ratio: float,
    seed: int = 0,
) -> Corruption:
    """Returns noisy labels for clean ones, whatever the size of the batches.

    Args:
        batches: Of (inputs, clean class ids), in the order of the examples.
            Inputs are standardised, each example by itself, so that their
            units do not matter.
        num_classes: C.
        ratio: The mean of q before it is truncated, in [0, 1]. From 0.2 to 0.8
            the mean share of wrong labels is within 0.006 of it; of 0 and 1
            truncation makes 0.08 and 0.92.
        seed: An integer. Defaults to 0.

    Returns:
        A `Corruption`; the expected T is the mean of p over a class.

    Raises:
        InputError: for a bad ratio, seed or number of classes, or labels whose
            dtype cannot hold every class.
    """
    check_ratio(ratio)
    check_num_classes(num_classes)
    # Streams of their own, so that the size of a batch changes nothing.
    weight_rng, rate_rng, draw_rng = (
        np.random.default_rng([check_seed(seed), 4, part]) for part in range(3)
    )
    weights: np.ndarray | None = None
    clean, noisy = [], []
    totals = np.zeros((num_classes, num_classes))
    for x, labels in batches:
        check_countable(labels.dtype, num_classes)
        x = _standardised(x)
        if weights is None:
            shape = (num_classes, x.shape[1], num_classes)
            weights = weight_rng.standard_normal(shape, np.float32)
        rates = _rates(ratio, len(x), rate_rng)
        probs = _probabilities(x, labels, rates, weights)
        drawn = draw_rng.random((len(x), 1)) >= np.cumsum(probs, axis=1)
        noisy.append(np.minimum(drawn.sum(axis=1), num_classes - 1))
        clean.append(labels)
        np.add.at(totals, labels, probs)
    labels, wrong = np.concatenate(clean), np.concatenate(noisy)
    counts = np.bincount(labels, minlength=num_classes)[:, None]
    expected = np.where(
        counts > 0, totals / np.maximum(counts, 1), np.eye(num_classes)
    )
    return Corruption(
        labels=wrong.astype(labels.dtype),
        expected=expected,
        empirical=empirical_transition(labels, wrong, num_classes),
    )


def _rates(ratio: float, count: int, rng: np.random.Generator) -> np.ndarray:
    low, high = (0 - ratio) / _DEVIATION, (1 - ratio) / _DEVIATION
    rates: Any = scipy.stats.truncnorm.ppf(
        rng.random(count), low, high, loc=ratio, scale=_DEVIATION
    )
    return rates


def _probabilities(
    x: np.ndarray, labels: np.ndarray, rates: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Returns p, `(batch, classes)`."""
    scores = np.empty((len(x), weights.shape[-1]))
    for label in np.unique(labels):
        members = labels == label
        scores[members] = x[members] @ weights[label]
    rows = np.arange(len(x))
    scores[rows, labels] = -np.inf
    probs = rates[:, None] * scipy.special.softmax(scores, axis=1)
    probs[rows, labels] = 1 - rates
    return probs


def _standardised(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(len(x), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(flat.std(axis=1, keepdims=True), 1e-6)
