"""Votes of several annotators as soft labels."""

import numpy as np
import pytest

from mlc_tf import data
from mlc_tf.data import votes
from mlc_tf.errors import InputError

VOTES = np.array([[0, 0, 1], [2, -1, 2], [-1, -1, 1]])


def test_soft_labels_are_the_shares_of_the_votes():
    soft = data.soft_labels(VOTES, 3)
    assert soft.dtype == np.float32
    np.testing.assert_allclose(
        soft, [[2 / 3, 1 / 3, 0], [0, 0, 1], [0, 1, 0]], rtol=1e-6
    )
    np.testing.assert_array_equal(
        votes.count(VOTES, 3), [[2, 1, 0], [0, 0, 2], [0, 1, 0]]
    )


def test_a_pair_takes_them():
    soft = data.soft_labels(np.tile(VOTES, (4, 1)), 3)
    x = np.zeros((12, 2), np.float32)
    (_, labels), _ = next(
        iter(data.pair((x, soft), (x, np.arange(12) % 3), batch_size=12))
    )
    np.testing.assert_allclose(
        np.sort(labels.numpy(), axis=0), np.sort(soft, axis=0)
    )


@pytest.mark.parametrize(
    "given, classes, message",
    [
        (
            [0, 1],
            2,
            r"of shape \(examples, annotators\).*shape \(2,\)",
        ),
        ([[0.5, 1.0]], 2, "Received: float64"),
        ([[0], [1, 0]], 2, "`votes` should be integers"),
        ([[]], 2, "`votes` should be integers"),
        (
            [[0, 2]],
            2,
            r"in \[0, 2\), or -1.*Received: 2 by annotator 1 for",
        ),
        ([[0, -2]], 2, "Received: -2 by annotator 1 for example 0"),
        ([[0, 1], [-1, -1]], 2, "none for 1 of 2 examples, such as example 1"),
        ([[0, 1]], 1, "`num_classes` should be an integer >= 2"),
    ],
)
def test_bad_votes(given, classes, message):
    with pytest.raises(InputError, match=message):
        data.soft_labels(given, classes)


def test_votes_as_labels_are_refused_with_the_way_out():
    with pytest.raises(InputError, match="mlc_tf.data.soft_labels makes them"):
        data.pair((np.zeros((3, 2)), VOTES + 1))


def test_masked_votes_are_refused():
    masked = np.ma.masked_array([[0, 1], [2, 0]], [[False, True]] * 2)
    with pytest.raises(
        InputError, match="`votes`.* mask. Received: .*2 masked"
    ):
        data.soft_labels(masked, 3)


def test_an_id_beyond_64_bits_is_no_missing_vote():
    given = np.array([[0, 2**64 - 1], [1, 1]], np.uint64)
    with pytest.raises(InputError, match="18446744073709551615 by annotator 1"):
        data.soft_labels(given, 3)
