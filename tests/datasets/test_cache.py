import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import DiskArrays
from mlc_tf.data.examples import Stream
from mlc_tf.datasets.cache import cached


def stream(factor, count=300):
    """The inputs 0, 1, 2, ... times a factor, with labels 0, 1, 2, 0, ..."""
    numbers = tf.data.Dataset.range(count)
    pairs = numbers.map(lambda number: (number, number % 3))
    return Stream(pairs, lambda number: tf.stack([number, number * factor]))


def inputs(examples):
    batches = examples.batches(64).as_numpy_iterator()
    return np.concatenate([x for x, _ in batches])


def expected(factor, count=300):
    return np.stack([np.arange(count), np.arange(count) * factor], axis=1)


def test_no_cache_leaves_the_examples_as_they_are():
    examples = stream(2)
    assert cached(examples, "none", "") is examples


def test_memory_holds_what_was_decoded():
    kept = cached(stream(2), "memory", "")
    assert type(kept) is Arrays
    np.testing.assert_array_equal(kept.x, expected(2))
    np.testing.assert_array_equal(kept.labels, np.arange(300) % 3)


def test_a_file_holds_what_was_decoded(tmp_path):
    kept = cached(stream(2), f"disk:{tmp_path}/new/a:b", "")
    assert type(kept) is DiskArrays
    np.testing.assert_array_equal(inputs(kept), expected(2))
    np.testing.assert_array_equal(kept.labels, np.arange(300) % 3)
    (file,) = (tmp_path / "new/a:b").iterdir()
    np.testing.assert_array_equal(np.load(file), expected(2))


def test_the_same_identity_is_not_decoded_again_and_another_is(tmp_path):
    for factor, identity, shown in ((2, "a", 2), (5, "a", 2), (5, "b", 5)):
        kept = cached(stream(factor), f"disk:{tmp_path}", identity)
        np.testing.assert_array_equal(inputs(kept), expected(shown))


def test_the_folder_may_lie_in_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cached(stream(2), "disk:~/mlc", "")
    assert len(list((tmp_path / "mlc").iterdir())) == 1


def test_half_a_file_is_not_taken_for_the_whole(tmp_path):
    def broken(number):
        with tf.control_dependencies(
            [tf.debugging.assert_less(number, np.int64(290))]
        ):
            return tf.stack([number, number * 2])

    examples = Stream(stream(2).dataset, broken)
    with pytest.raises(tf.errors.InvalidArgumentError):
        cached(examples, f"disk:{tmp_path}", "")
    kept = cached(stream(2), f"disk:{tmp_path}", "")
    np.testing.assert_array_equal(inputs(kept), expected(2))
