"""Strategies by name, and 1, 2 and 4 replicas that compute the same."""

import concurrent.futures
import json
import os
import socket
import time
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from tests import processes


def test_none_is_one_device():
    assert distribution.strategy("none").num_replicas_in_sync == 1
    assert distribution.num_replicas() == 1


def test_mirrored_is_one_object_with_the_replicas_asked_for(two_replicas):
    assert distribution.strategy("mirrored", 2) is two_replicas
    assert two_replicas.num_replicas_in_sync == 2


def test_other_names_are_refused():
    with pytest.raises(InputError, match="Did you mean 'mirrored'"):
        distribution.strategy("miror")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("mirrored", -1), "`replicas` should be an integer >= 0"),
        (("mirrored", "2"), "`replicas` should be an integer >= 0"),
        (("none", 4), "`replicas` should be 0 under the strategy"),
        (("none", 0, "soon"), "`join_timeout` should be seconds > 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        distribution.strategy(*arguments)


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


def test_a_fresh_process_splits_its_cpu(tmp_path):
    code = (
        "from mlc_tf import distribution\n"
        "strategy = distribution.strategy('mirrored', 3)\n"
        "print(strategy.num_replicas_in_sync)"
    )
    (tmp_path / "code.py").write_text(code)
    completed = processes.run(tmp_path / "code.py")
    assert completed.stdout.split() == ["3"], completed.stderr


@pytest.fixture(scope="module")
def trained(made_once):
    """A function: what came out of 20 steps on so many replicas."""

    @cache
    def trained_of(network, replicas):
        def train(folder):
            cases = [f"{network}-float32", f"{network}-float64"]
            if replicas <= 2:
                cases.append(f"{network}_bn-float64")
            done = processes.run(
                "tests.models.replica_process",
                str(replicas),
                folder / "found.npz",
                *cases,
            )
            assert done.returncode == 0, done.stderr

        folder = made_once(f"{network}-{replicas}", train)
        return dict(np.load(folder / "found.npz"))

    return trained_of


each_network = pytest.mark.parametrize(
    "network", ["mlp", pytest.param("wrn", marks=pytest.mark.wide)]
)


@pytest.mark.parametrize(
    "replicas", [2, pytest.param(4, marks=pytest.mark.wide)]
)
@pytest.mark.parametrize(
    "dtype, bound", [("float32", 1e-6), ("float64", 1e-10)]
)
@each_network
def test_replicas_end_as_one_device(trained, network, dtype, bound, replicas):
    for name in ("T", "weights"):
        one, several = (
            trained(network, number)[f"{network}-{dtype}-{name}"]
            for number in (1, replicas)
        )
        np.testing.assert_allclose(several, one, rtol=0, atol=bound)


@each_network
def test_batch_norm_takes_the_statistics_of_each_replica(trained, network):
    one, two = (
        trained(network, replicas)[f"{network}_bn-float64-weights"]
        for replicas in (1, 2)
    )
    assert 0.01 < np.abs(one - two).max() < 1


GOOD = {
    "cluster": {"worker": ["a:1", "b.c-d:22"]},
    "task": {"type": "worker", "index": 1},
}


def test_tf_config_tells_the_workers_and_which_one_this_is():
    text = distribution.tf_config(["a:1", "b.c-d:22"], 1)
    assert json.loads(text) == GOOD
    assert distribution.cluster(text) == (["a:1", "b.c-d:22"], 1)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        json.dumps({"cluster": GOOD["cluster"]}),
        json.dumps({**GOOD, "cluster": {"worker": ["a"]}}),
        json.dumps({**GOOD, "cluster": {"worker": "a:1"}}),
        json.dumps({**GOOD, "cluster": {"worker": ["a:1"], "ps": ["b:1"]}}),
        json.dumps({**GOOD, "task": {"type": "worker", "index": 2}}),
        json.dumps({**GOOD, "task": {"type": "worker", "index": -1}}),
        json.dumps({**GOOD, "task": {"type": "worker", "index": True}}),
        json.dumps({**GOOD, "cluster": {"worker": ["a:1", "b:99999"]}}),
        json.dumps({**GOOD, "cluster": {"worker": ["a:1", "b:0"]}}),
        json.dumps({**GOOD, "task": {"type": "chief", "index": 0}}),
    ],
)
def test_a_bad_tf_config_is_refused(text, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="`TF_CONFIG` should be JSON like '{"):
        distribution.strategy("multi_worker")
    assert os.environ.get("TF_CONFIG") == text


def test_each_worker_has_an_address_of_its_own():
    text = distribution.tf_config(["a:1", "b:1", "a:1"], 0)
    with pytest.raises(InputError, match="a different address per worker"):
        distribution.cluster(text)


def test_workers_that_come_one_after_another_find_each_other():
    addresses = distribution.free_addresses(3)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = []
        for index in range(3):
            waiting.append(
                pool.submit(
                    distribution._wait_for_workers, addresses, index, 30.0
                )
            )
            time.sleep(0.3)
            # The last worker has all others, who wait for it.
            assert index == 2 or not any(each.done() for each in waiting)
        # In the place of a worker that went on, TensorFlow's server answers.
        with socket.socket() as server:
            waiting[2].result(timeout=30)
            host, _, port = addresses[2].rpartition(":")
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((host, int(port)))
            server.listen()
            for each in waiting:
                each.result(timeout=30)


def test_a_worker_that_never_comes_is_named(monkeypatch, capsys):
    monkeypatch.setattr(distribution, "_SILENCE", 0.1)
    here, gone = distribution.free_addresses(2)
    with pytest.raises(
        InterruptedRunError,
        match=rf"Worker 0 waited 0.5 s .* Missing: worker 1 \({gone}\)\. .*"
        "--join_timeout",
    ):
        distribution._wait_for_workers([here, gone], 0, 0.5)
    assert f"has waited 0.1 s for worker 1 ({gone})" in capsys.readouterr().out


def test_one_process_agrees_with_itself(two_replicas):
    assert distribution.agreed([True, False]) == [True, False]
    with two_replicas.scope():
        assert distribution.worker() == 0
        np.testing.assert_array_equal(
            distribution.gather_from_workers([3]), [[3]]
        )


def test_a_port_in_use_is_told(tmp_path):
    code = (
        "import os, socket\n"
        "from mlc_tf import distribution, errors\n"
        "taken = socket.socket()\n"
        "taken.bind(('localhost', 0))\n"
        "taken.listen()\n"
        "ours = f'localhost:{taken.getsockname()[1]}'\n"
        "config = distribution.tf_config([ours, 'localhost:1'], 0)\n"
        "os.environ['TF_CONFIG'] = config\n"
        "try:\n"
        "    distribution.strategy('multi_worker')\n"
        "except errors.InterruptedRunError as error:\n"
        "    print(error)"
    )
    (tmp_path / "code.py").write_text(code)
    completed = processes.run(tmp_path / "code.py")
    assert "Worker 0 could not join the other workers: " in completed.stdout
