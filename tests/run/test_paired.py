import numpy as np
import pytest
import scipy.stats

from mlc_tf.run import paired

ONE = {0: 96.0, 1: 95.0, 2: 97.5}
OTHER = {0: 95.0, 1: 94.5, 2: 95.5, 7: 10.0}


def test_the_interval_is_that_of_a_paired_t_test():
    found = paired.difference(ONE, OTHER)
    test = scipy.stats.ttest_rel(
        [ONE[seed] for seed in range(3)], [OTHER[seed] for seed in range(3)]
    )
    interval = test.confidence_interval(0.95)
    np.testing.assert_allclose(
        [found.mean, found.low, found.high],
        [7 / 6, interval.low, interval.high],
    )
    assert found.seeds == 3
    assert str(found) == "+1.17 [-0.73, +3.06]"
    assert not found.excludes_zero


def test_an_interval_by_hand():
    # Differences 1 and 3: standard error 1, and t is 12.706 for one degree.
    found = paired.difference({0: 2.0, 1: 5.0}, {0: 1.0, 1: 2.0})
    np.testing.assert_allclose(
        [found.mean, found.low, found.high], [2, -10.706, 14.706], atol=1e-3
    )


def test_one_seed_has_no_interval():
    found = paired.difference({0: 2.0}, {0: 1.0, 1: 3.0})
    assert str(found) == "+1.00" and not found.excludes_zero
    assert paired.difference({0: 1.0}, {1: 1.0}) is None


@pytest.mark.parametrize(
    "one, expected",
    [
        ({0: 96.0, 1: 97.0, 2: 98.0}, True),  # the best
        ({0: 95.0, 1: 97.5, 2: 97.0}, True),  # not distinguishable
        ({0: 95.0, 1: 96.1, 2: 96.9}, False),  # worse at each seed
        ({0: 96.0}, False),  # one seed shows nothing
        ({5: 99.0}, False),
    ],
)
def test_who_is_as_good_as_the_best(one, expected):
    best = {0: 96.0, 1: 97.0, 2: 98.0}
    assert paired.is_as_good(one, best) is expected


def test_one_seed_makes_no_best():
    assert not paired.is_as_good({0: 99.0}, {0: 99.0})
