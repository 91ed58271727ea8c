import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import DiskArrays
from mlc_tf.data.examples import Stream
from mlc_tf.datasets import cache as cache_module
from mlc_tf.datasets.cache import cached
from mlc_tf.errors import InputError


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


@pytest.mark.parametrize(
    "damage, told",
    [
        (lambda path: path.write_bytes(b""), "Received: a file that is cut"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-9]),
            "Received: a file that is cut off, or no array; remove",
        ),
        (lambda path: path.write_bytes(b"no array"), "Received: .* no array;"),
        (
            lambda path: np.save(path, expected(2, 299)),
            r"Received: inputs of shape \(299, 2\) and dtype int64; remove",
        ),
        (
            lambda path: np.save(path, expected(2)[:, :1]),
            r"Received: inputs of shape \(300, 1\)",
        ),
        (
            lambda path: np.save(path, expected(2).astype(np.float32)),
            r"Received: inputs of shape \(300, 2\) and dtype float32",
        ),
        (
            lambda path: (path.unlink(), path.mkdir()),
            "Received: Is a directory",
        ),
    ],
    ids=["empty", "cut", "text", "rows", "shape", "dtype", "folder"],
)
def test_a_damaged_file_is_named(damage, told, tmp_path):
    cached(stream(2), f"disk:{tmp_path}", "")
    (file,) = tmp_path.iterdir()
    damage(file)
    with pytest.raises(
        InputError,
        match=rf"cache {re.escape(str(file))} .* of shape \(300, 2\) and dtype "
        f"int64. {told}",
    ):
        cached(stream(2), f"disk:{tmp_path}", "")


@pytest.mark.parametrize("folder", ["file", "file/below", "/proc/x"])
def test_a_folder_that_cannot_be_made(folder, tmp_path):
    (tmp_path / "file").touch()
    cache = f"disk:{tmp_path / folder}"  # an absolute path stands alone
    with pytest.raises(
        InputError, match="`dataset.cache` should be a folder that can be"
    ):
        cached(stream(2), cache, "")


def test_inputs_that_do_not_fit_are_refused_before_they_are_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(cache_module, "_memory", lambda: 2 * 300 * 2 * 8 - 1)
    with pytest.raises(
        InputError, match=r"`dataset.cache` .*300 inputs of shape \(2,\)"
    ):
        cached(stream(2), "memory", "")
    free = shutil.disk_usage(tmp_path)._replace(free=300 * 2 * 8 - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(InputError, match="a disk with room for the inputs"):
        cached(stream(2), f"disk:{tmp_path}", "")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(cache_module, "_memory", lambda: 2 * 300 * 2 * 8)
    assert len(cached(stream(2), "memory", "")) == 300
