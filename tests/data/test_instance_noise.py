import statistics

import numpy as np
import pytest

from mlc_tf.data import instance_noise
from mlc_tf.errors import InputError

NORMAL = statistics.NormalDist()


def balanced(num_classes, each):
    return np.arange(num_classes * each) % num_classes


def corrupt(x, labels, ratio=0.4, seed=0, batch_size=None, num_classes=4):
    size = batch_size or len(x)
    batches = (
        (x[first : first + size], labels[first : first + size])
        for first in range(0, len(x), size)
    )
    return instance_noise.corrupt(batches, num_classes, ratio, seed)


def reference(x, labels, ratio, seed, num_classes):
    """The formulas of the module, an example at a time; q, p and labels."""
    weights, rates, draws = (
        np.random.default_rng([seed, 4, part]) for part in range(3)
    )
    shape = (num_classes, x[0].size, num_classes)
    weights = weights.standard_normal(shape, np.float32)
    low, high = NORMAL.cdf(-ratio / 0.1), NORMAL.cdf((1 - ratio) / 0.1)
    all_rates, all_probs, noisy = [], [], []
    for row, label in zip(x.reshape(len(x), -1), labels):
        row = (row - row.mean()) / row.std()
        place = low + rates.random() * (high - low)
        rate = ratio + 0.1 * NORMAL.inv_cdf(place)
        others = [j for j in range(num_classes) if j != label]
        scores = np.exp([row @ weights[label][:, j] for j in others])
        probs = np.zeros(num_classes)
        probs[others] = rate * scores / scores.sum()
        probs[label] = 1 - rate
        noisy.append(np.searchsorted(np.cumsum(probs), draws.random(), "right"))
        all_rates.append(rate)
        all_probs.append(probs)
    return np.array(all_rates), np.array(all_probs), np.array(noisy)


@pytest.mark.parametrize("ratio", [0.05, 0.4])
def test_labels_and_expected_are_those_of_the_formulas(ratio, rng):
    x, labels = rng.normal(size=(600, 3, 2)), balanced(4, 150)
    result = corrupt(x, labels, ratio, seed=5)
    rates, probs, noisy = reference(x, labels, ratio, 5, 4)
    np.testing.assert_array_equal(result.labels, noisy)
    means = [probs[labels == label].mean(axis=0) for label in range(4)]
    np.testing.assert_allclose(result.expected, means, rtol=1e-5)
    own = [1 - rates[labels == label].mean() for label in range(4)]
    np.testing.assert_allclose(np.diag(result.expected), own, rtol=1e-5)


# A normal of deviation 0.1, truncated at its mean, has the mean 0.0798.
@pytest.mark.parametrize(
    "ratio, share", [(0.0, 0.0798), (0.2, 0.2055), (0.4, 0.4), (1, 0.9202)]
)
def test_the_share_of_wrong_labels(ratio, share, rng):
    labels = balanced(4, 5000)
    result = corrupt(rng.normal(size=(20_000, 5)), labels, ratio)
    # 4.5 standard deviations of a mean of 20,000 rates, and of their draws.
    own = np.diag(result.expected).mean()
    np.testing.assert_allclose(own, 1 - share, atol=4.5 * 0.1 / 20_000**0.5)
    wrong = np.mean(result.labels != labels)
    np.testing.assert_allclose(wrong, share, atol=4.5 * 0.5 / 20_000**0.5)


def test_expected_rows_are_probabilities_that_the_labels_follow(rng):
    clean = balanced(4, 2000)
    result = corrupt(rng.normal(size=(8000, 5)), clean)
    np.testing.assert_allclose(result.expected.sum(axis=1), 1)
    p = result.expected
    z = (result.empirical - p) / np.sqrt(p * (1 - p) / 2000)
    assert 0.3 < np.abs(z).max() < 4.5
    shown = [
        np.bincount(result.labels[clean == label], minlength=4) / 2000
        for label in range(4)
    ]
    np.testing.assert_allclose(result.empirical, shown)


def test_equal_inputs_of_a_class_go_wrong_alike(rng):
    x, labels = rng.normal(size=(2000, 200)), balanced(10, 200)
    noisy = corrupt(np.vstack([x, x]), np.tile(labels, 2), num_classes=10)
    first, second = noisy.labels.reshape(2, -1)
    both = (first != labels) & (second != labels)
    assert both.sum() > 200  # about 0.4 squared of 2,000
    assert np.mean(first[both] == second[both]) > 0.8  # by chance 1/9


def test_equal_inputs_of_two_classes_go_wrong_otherwise(rng):
    x = np.repeat(rng.normal(size=(1000, 200)), 2, axis=0)
    noisy = corrupt(x, np.arange(2000) % 2, 1.0, num_classes=10).labels
    pairs = noisy.reshape(1000, 2)[(noisy > 1).reshape(1000, 2).all(axis=1)]
    assert len(pairs) > 300 and np.mean(pairs[:, 0] == pairs[:, 1]) < 0.2


def test_labels_follow_the_inputs_within_a_class(rng):
    x, labels = rng.normal(size=(2000, 50)), balanced(10, 200)
    before = corrupt(x, labels, num_classes=10).labels
    moved = x.reshape(200, 10, 50)[rng.permutation(200)].reshape(2000, 50)
    after = corrupt(moved, labels, num_classes=10).labels
    wrong = (before != labels) & (after != labels)
    # Rates and draws stay: noise that saw the class only would change none.
    assert np.mean(before[wrong] != after[wrong]) > 0.3


@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_size_of_the_batches_changes_nothing(batch_size, rng):
    x, labels = rng.normal(size=(500, 4, 4)), balanced(4, 125)
    whole = corrupt(x, labels)
    parts = corrupt(x, labels, batch_size=batch_size)
    np.testing.assert_array_equal(parts.labels, whole.labels)
    np.testing.assert_allclose(parts.expected, whole.expected, rtol=1e-5)
    np.testing.assert_array_equal(parts.empirical, whole.empirical)


def test_the_units_of_each_input_do_not_matter(rng):
    x, labels = rng.normal(size=(2000, 20)), balanced(4, 500)
    scale, shift = rng.uniform(0.1, 100, (2, 2000, 1))
    other = corrupt(scale * x - shift, labels).labels
    assert np.mean(other != corrupt(x, labels).labels) < 0.001


def test_images_are_taken_as_they_are_stored(rng):
    x, labels = rng.integers(0, 256, (400, 4, 4, 3), np.uint8), balanced(4, 100)
    np.testing.assert_array_equal(
        corrupt(x, labels).labels, corrupt(x / 255, labels).labels
    )


def test_inputs_without_a_difference_favour_no_class():
    rows = corrupt(np.full((400, 6), 3.0), balanced(4, 100)).expected
    own = np.diag(rows)
    spread = np.tile((1 - own) / 3, (4, 1)).T
    np.fill_diagonal(spread, own)
    np.testing.assert_allclose(rows, spread, rtol=1e-9)


def test_the_seed_decides(rng):
    x, labels = rng.normal(size=(400, 10)), balanced(4, 100)
    first = corrupt(x, labels, seed=3)
    np.random.seed(7)
    np.testing.assert_array_equal(
        corrupt(x, labels, seed=3).labels, first.labels
    )
    other = corrupt(x, labels, seed=4)
    # Which are wrong, how often, and where to: all are drawn again.
    assert np.mean((other.labels != labels) != (first.labels != labels)) > 0.3
    assert np.all(np.diag(other.expected) != np.diag(first.expected))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_keep_their_dtype_and_the_clean_stay(dtype, rng):
    clean = balanced(4, 100).astype(dtype)
    result = corrupt(rng.normal(size=(400, 10)), clean, batch_size=64)
    assert result.labels.dtype == dtype
    np.testing.assert_array_equal(clean, balanced(4, 100))
    assert (result.labels != clean).any()


def test_a_class_without_examples_has_the_row_of_the_identity(rng):
    result = corrupt(rng.normal(size=(200, 10)), balanced(3, 67)[:200])
    np.testing.assert_array_equal(result.expected[3], [0, 0, 0, 1])
    np.testing.assert_array_equal(result.empirical[3], [0, 0, 0, 1])
    assert (result.labels == 3).any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"ratio": 1.4}, r"`ratio` should be in \[0, 1\]\. .* = 1\.4"),
        ({"ratio": np.nan}, r"`ratio` should be in \[0, 1\]\. .* = nan"),
        ({"ratio": None}, r"`ratio` should be in \[0, 1\]\. .* = None"),
        ({"seed": -1}, "`seed` should be an integer in"),
        ({"seed": 0.5}, "`seed` should be an integer in"),
        ({"num_classes": 1}, "`num_classes` should be an integer >= 2"),
        (
            {"num_classes": 200},
            "`num_classes` .* small enough for labels of int8",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        corrupt(np.eye(4), np.zeros(4, np.int8), **arguments)
