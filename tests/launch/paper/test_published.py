import numpy as np
import pytest

from mlc_tf.launch.paper import published
from mlc_tf.run import methods


def mean(dataset, method):
    values = [
        published.accuracy(dataset, noise, ratio, method)
        for noise in ("uniform", "flip_random", "flip_to_one")
        for ratio in (0.1, 0.2, 0.3, 0.4)
    ]
    return np.mean([value for value in values if value is not None])


# The means in the last column of the paper's Table 1, where they follow from
# the other columns.
@pytest.mark.parametrize(
    "dataset, method, stated",
    [
        ("mnist", "mlc_paper", 98.64),
        ("mnist", "cross_entropy", 96.66),
        ("mnist", "confusion", 92.90),
        ("mnist", "forward", 97.75),
        ("mnist", "glc", 97.95),
        ("mnist", "lre", 98.34),
        ("cifar10", "mlc_paper", 83.84),
        ("cifar10", "pencil", 83.36),
        ("cifar100", "mlc_paper", 55.53),
        ("cifar100", "lre", 52.12),
        ("twitter", "mlc_paper", 86.35),
        ("twitter", "forward", 69.82),
    ],
)
def test_rows_have_the_mean_that_the_paper_states(dataset, method, stated):
    # The paper rounds each cell.
    np.testing.assert_allclose(mean(dataset, method), stated, atol=0.011)


def test_missing_numbers_of_the_paper_are_none():
    for where in (
        ("digits", "uniform", 0.4, "mlc_paper"),
        ("mnist", "uniform", 0.4, "pencil"),
        ("mnist", "pair", 0.4, "mlc_paper"),
        ("mnist", "uniform", 0.25, "mlc_paper"),
        ("mnist", "human:worst", None, "mlc_paper"),
        ("cifar100", "uniform", 0.4, "mlc_paper"),
    ):
        assert published.accuracy(*where) is None
    assert published.accuracy("mnist", "flip_to_one", 0.4, "mlc_paper") == 97.36


def test_its_methods_are_ours():
    for rows in published._TABLE_1.values():
        assert set(rows) <= set(methods.METHODS)
