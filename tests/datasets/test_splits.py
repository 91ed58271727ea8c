from dataclasses import replace

import numpy as np
import pytest

from mlc_tf.datasets import Splits
from mlc_tf.errors import InputError
from mlc_tf.examples import Arrays

NAMES = ("ant", "bee", "cat")


def examples(first, count):
    """Inputs that tell their number, with labels 0, 1, 2, 0, ..."""
    x = np.stack([np.arange(first, first + count)] * 2, axis=1)
    return Arrays(x.astype(np.float32), np.arange(first, first + count) % 3)


@pytest.fixture
def splits():
    """24 examples to train on, from 0, and 9 to test, from 300."""
    return Splits(examples(0, 24), examples(300, 9), NAMES)


def ids(x):
    return x[:, 0].astype(int).tolist()


def assert_labels_belong(splits):
    for which in ("train", "test", "clean"):
        part = getattr(splits, which)
        assert (part.x[:, 0] % 3 == part.labels).all()


def test_draw_clean_takes_as_many_of_each_class(splits):
    drawn = splits.draw_clean(2, seed=0)
    np.testing.assert_array_equal(np.bincount(drawn.clean.labels), [2, 2, 2])
    assert_labels_belong(drawn)


def test_draw_clean_moves_examples_out_of_training(splits):
    drawn = splits.draw_clean(2, seed=0)
    assert len(drawn.train.x) == 18
    assert sorted(ids(drawn.clean.x) + ids(drawn.train.x)) == list(range(24))
    np.testing.assert_array_equal(drawn.test.x, splits.test.x)
    assert splits.clean is None and len(splits.train.x) == 24


def test_draw_clean_is_decided_by_its_seed(splits):
    np.random.seed(1)
    first = ids(splits.draw_clean(2, seed=5).x_clean)
    np.random.seed(2)
    assert ids(splits.draw_clean(2, seed=5).x_clean) == first
    others = [ids(splits.draw_clean(2, seed).x_clean) for seed in range(20)]
    assert set(np.concatenate(others)) == set(range(24))


def test_draw_clean_leaves_one_of_each_class_to_train_on(splits):
    drawn = splits.draw_clean(7, seed=0)
    np.testing.assert_array_equal(np.bincount(drawn.train.labels), [1, 1, 1])
    with pytest.raises(
        InputError,
        match=r"`clean.per_class` .* Received: 8, with 8 of class 0 \(ant\)",
    ):
        splits.draw_clean(8, seed=0)


@pytest.mark.parametrize("per_class", [0, -1, 2.0, "2"])
def test_draw_clean_wants_a_positive_integer(splits, per_class):
    with pytest.raises(
        InputError, match=f"`clean.per_class` .* >= 1.* {per_class!r}"
    ):
        splits.draw_clean(per_class, seed=0)


@pytest.mark.parametrize("twin_of", ["test", "train"])
def test_draw_clean_draws_no_example_that_has_a_twin(splits, twin_of):
    part = getattr(splits, twin_of)
    x = part.x.copy()
    x[4] = splits.train.x[0]
    twins = replace(splits, **{twin_of: Arrays(x, part.labels)})
    for seed in range(10):
        drawn = twins.draw_clean(3, seed)
        assert not (drawn.clean.x == splits.train.x[0]).all(axis=1).any()
    with pytest.raises(InputError, match="with 7 of class|with 6 of class"):
        twins.draw_clean(7, seed=0)  # there are 8 of a class


def test_hold_out_replaces_the_test_set(splits):
    held = splits.draw_clean(1, seed=0).hold_out(0.32, seed=0)
    # 0.32 of 21 is 6.72.
    assert len(held.test.x) == 7 and len(held.train.x) == 14
    everything = ids(held.test.x) + ids(held.train.x) + ids(held.clean.x)
    assert sorted(everything) == list(range(24))
    assert_labels_belong(held)
    assert ids(held.test.x) != ids(splits.train.x)[:7]
    assert held.class_names == NAMES


def test_hold_out_is_decided_by_its_seed(splits):
    first = ids(splits.hold_out(0.25, seed=1).x_test)
    assert ids(splits.hold_out(0.25, seed=1).x_test) == first
    assert ids(splits.hold_out(0.25, seed=2).x_test) != first


def test_hold_out_holds_at_least_one(splits):
    assert len(splits.hold_out(0.001, seed=0).x_test) == 1


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, np.nan])
def test_bad_share(splits, share):
    with pytest.raises(
        InputError, match=rf"`validation` .* in \(0, 1\).* {share!r}"
    ):
        splits.hold_out(share, seed=0)


def test_hold_out_leaves_one_to_train_on(splits):
    with pytest.raises(InputError, match="`validation`"):
        splits.hold_out(0.99, seed=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_an_overlap_is_seen_across_dtypes(splits, dtype):
    clean = splits.train.x[:3].astype(dtype)
    overlapping = replace(
        splits, x_clean=clean, y_clean=splits.train.labels[:3]
    )
    with pytest.raises(InputError, match="overlap the train set"):
        overlapping.checked()


def test_no_overlap_by_rounding(splits):
    clean = splits.train.x[:3].astype(np.uint8)
    replace(
        splits,
        train=Arrays(splits.train.x + 0.5, splits.train.labels),
        clean=Arrays(clean, splits.train.labels[:3]),
    ).checked()


@pytest.mark.parametrize("method", ["draw_clean", "hold_out"])
def test_bad_seed(method, splits):
    argument = {"draw_clean": 1, "hold_out": 0.5}[method]
    with pytest.raises(InputError, match="`seed`"):
        getattr(splits, method)(argument, seed=-1)
