"""Synthetic label noise that depends on the example.

Xia et al., 2020 (arXiv:2006.07836), algorithm 2: each example x has its own
noise rate q, and a random linear map of x sets the probability of each wrong
class.

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
    """Returns noisy labels for clean labels.

    The result does not depend on the size of the batches.

    Args:
        batches: Batches of (inputs, clean class ids), `(batch, ...)` and
            `(batch,)`, in the order of the examples. Each example is
            standardised by its own mean and deviation, so the units of the
            inputs do not matter.
        num_classes: Number of classes, at least 2.
        ratio: The mean of q before truncation, in [0, 1]. Between 0.2 and 0.8
            the mean share of wrong labels is within 0.006 of `ratio`;
            truncation turns 0 into 0.08 and 1 into 0.92.
        seed: An integer >= 0. Defaults to 0.

    Returns:
        A `Corruption`. Row i of its expected T is the mean of p over the
        examples of class i.

    Raises:
        InputError: if `ratio`, `seed` or `num_classes` is invalid, or if the
            dtype of the labels cannot hold every class.
    """
    check_ratio(ratio)
    check_num_classes(num_classes)
    # Three independent streams: the size of a batch then changes no draw.
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
    clean_labels = np.concatenate(clean)
    noisy_labels = np.concatenate(noisy)
    counts = np.bincount(clean_labels, minlength=num_classes)[:, None]
    expected = np.where(
        counts > 0, totals / np.maximum(counts, 1), np.eye(num_classes)
    )
    return Corruption(
        labels=noisy_labels.astype(clean_labels.dtype),
        expected=expected,
        empirical=empirical_transition(clean_labels, noisy_labels, num_classes),
    )


def _rates(ratio: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the noise rate q of each example, `(count,)`."""
    low, high = (0 - ratio) / _DEVIATION, (1 - ratio) / _DEVIATION
    rates: Any = scipy.stats.truncnorm.ppf(
        rng.random(count), low, high, loc=ratio, scale=_DEVIATION
    )
    return rates


def _probabilities(
    x: np.ndarray, labels: np.ndarray, rates: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Returns p, the distribution of each noisy label, `(batch, classes)`."""
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
    """Returns each example flattened, with mean 0 and deviation 1."""
    flat = x.reshape(len(x), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(flat.std(axis=1, keepdims=True), 1e-6)
