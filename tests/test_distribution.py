"""Strategies by name; what they compute is in the suite of all methods."""

import subprocess
import sys

import pytest
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf.errors import InputError


def test_none_is_one_device():
    assert distribution.strategy("none").num_replicas_in_sync == 1
    assert distribution.num_replicas() == 1


def test_mirrored_is_one_object_with_the_replicas_asked_for(two_replicas):
    assert distribution.strategy("mirrored", 2) is two_replicas
    assert two_replicas.num_replicas_in_sync == 2


def test_other_names_are_refused():
    with pytest.raises(InputError, match="Did you mean 'mirrored'"):
        distribution.strategy("miror")


def test_a_cpu_is_not_split_once_tensorflow_has_started(monkeypatch):
    monkeypatch.setattr(distribution, "_made", {})
    tf.zeros([])
    with pytest.raises(InputError, match="`replicas` should be at most 2 once"):
        distribution.strategy("mirrored", 3)


def test_a_process_has_one_number_of_replicas(two_replicas):
    with pytest.raises(InputError, match="`replicas` should be 2, as before"):
        distribution.strategy("mirrored", 3)


def test_none_is_what_is_in_scope(two_replicas):
    with two_replicas.scope():
        assert distribution.strategy("none") is two_replicas
    assert distribution.strategy("none") is not two_replicas


def test_a_fresh_process_splits_its_cpu():
    code = (
        "from mlc_tf import distribution\n"
        "strategy = distribution.strategy('mirrored', 3)\n"
        "print(strategy.num_replicas_in_sync)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert completed.stdout.split() == ["3"], completed.stderr
