"""Tests the benchmarks on small networks."""

import importlib.util

import keras
import numpy as np
import pytest

from mlc_tf.errors import InputError
from mlc_tf.launch.benchmark import BENCHMARKS
from mlc_tf.launch.benchmark import Request
from mlc_tf.launch.benchmark import classes
from mlc_tf.launch.benchmark import compilation
from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark import memory
from mlc_tf.launch.benchmark import methods
from mlc_tf.launch.benchmark import replicas
from mlc_tf.launch.benchmark import stages
from mlc_tf.launch.benchmark import step
from mlc_tf.launch.benchmark import torch_peer
from mlc_tf.launch.benchmark.subjects import SUBJECTS
from mlc_tf.launch.benchmark.subjects import Subject
from mlc_tf.run import methods as all_methods
from mlc_tf.run import settings


@pytest.fixture
def small(monkeypatch):
    """The name of a subject that is quick to build and trace."""

    def build(num_classes):
        return keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(3),
                keras.layers.Dense(num_classes),
            ]
        )

    subject = Subject(build, (4,), batch_size=8)
    monkeypatch.setitem(SUBJECTS, "small", subject)
    return "small"


def test_actions_take_turns_and_warm_up_is_not_counted(monkeypatch):
    clock, calls = iter(range(1000)), []
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    seconds = measuring.in_turns(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2
    )
    assert calls == ["a", "b"] * 3
    np.testing.assert_array_equal(seconds["a"], [1, 1])
    np.testing.assert_array_equal(seconds["b"], [1, 1])


def test_a_summary_is_median_and_quartiles():
    assert measuring.summary([5, 1, 2, 3, 4]) == {
        "quartile_1": 2,
        "median": 3,
        "quartile_3": 4,
    }


@pytest.mark.parametrize("name", SUBJECTS)
def test_subjects_have_batches_that_their_networks_take(name):
    subject = SUBJECTS[name]
    base = subject.build(5)
    (x, labels), (x_clean, _) = subject.pair(5)
    assert base.input_shape[1:] == x.shape[1:] == subject.input_shape
    assert base.output_shape == (None, 5)
    assert len(x) == len(labels) == len(x_clean) == subject.batch_size
    assert not np.array_equal(x, x_clean) and labels.max() < 5
    if subject.vocabulary:
        assert x.max() < subject.vocabulary and base(x[:2]).shape == (2, 5)


def test_the_variants_of_a_step_are_ratios_within_a_round(small, monkeypatch):
    turns = {name: np.array([4.0, 2.0]) for name in step.VARIANTS}
    turns["exact"] = np.array([12.0, 4.0])
    monkeypatch.setattr(measuring, "in_turns", lambda *_: turns)
    ratios = step.measure(small, 2)["ratio_to_cross_entropy"]
    assert ratios["exact"] == measuring.summary([3, 2])
    assert ratios["head"]["median"] == 1


def test_stages_are_differences_in_thirds_of_cross_entropy(small, monkeypatch):
    names = [*stages.EXPECTED]
    ends = dict(zip(names, [1.0, 3.0, 4.0, 6.0, 8.0, 10.0]))
    turns = {name: np.array([end]) for name, end in ends.items()}
    turns["cross_entropy"] = np.array([3.0])
    monkeypatch.setattr(measuring, "in_turns", lambda *_: turns)
    measured = stages.measure(small, 1)["stages"]
    assert [*measured] == names and sum(stages.EXPECTED.values()) == 10
    for stage, expected in stages.EXPECTED.items():
        assert measured[stage]["expected"] == expected
        assert measured[stage]["measured"]["median"] == expected


def test_each_stage_runs(small):
    for row in stages.measure(small, 1)["stages"].values():
        assert np.isfinite(row["measured"]["median"])


def test_compilation_compares_within_a_form(small):
    request = Request(None, (small,), 1)
    ((name, measured),) = BENCHMARKS["compilation"](request)
    assert name == "compilation-small"
    assert [*measured["milliseconds"]] == [
        *("float32", "float32, XLA", "bfloat16", "bfloat16, XLA")
    ]
    assert measured["ratio_to_float32"]["float32"]["exact"]["median"] == 1
    for row in measured["ratio_to_cross_entropy"].values():
        assert row["cross_entropy"]["median"] == 1 and row["head"]["median"] > 0


def test_compilation_leaves_out_what_xla_lacks(small, monkeypatch):
    monkeypatch.setattr(
        compilation.xla,
        "obstacle",
        lambda step, _: (
            "no" if "exact" in step.__self__.meta_gradient else None
        ),
    )
    monkeypatch.setattr(compilation, "_VARIANTS", ("exact", "head"))
    monkeypatch.setattr(compilation, "_PLAIN", "head")
    measured = compilation.measure(small, 1)
    assert measured["lacking"] == {
        "float32, XLA: exact": "no",
        "bfloat16, XLA: exact": "no",
    }
    assert [*measured["milliseconds"]["float32, XLA"]] == ["head"]


def test_a_peer_without_its_library_or_network(monkeypatch, small):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: name == "torch" or found(name),
    )
    torch_peer.check(SUBJECTS["wide_resnet_16_1"])
    with pytest.raises(InputError, match="LeNet or wide residual networks"):
        torch_peer.check(SUBJECTS["transformer"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="`torch` should be installed"):
        torch_peer.check(SUBJECTS["lenet"])


@pytest.mark.parametrize("network", ["lenet", "wide_resnet_16_1"])
def test_the_peer_gets_the_weights_of_all_layers(network):
    """The peer's own comparison of gradients needs PyTorch; this does not."""
    subject = SUBJECTS[network]
    base = subject.build(10)
    problem = torch_peer._problem(base, subject.pair(10), np.eye(10))
    sent = [
        value for name, value in problem.items() if name.startswith("weights")
    ]
    assert sum(array.size for array in sent) == base.count_params()
    last = base.get_layer("logits").get_weights()
    dense = sum("_Dense_" in name and name.endswith("0") for name in problem)
    np.testing.assert_array_equal(
        problem[f"weights_Dense_{dense - 1}_0"], last[0]
    )


def test_a_wrong_gradient_of_the_peer_is_an_error():
    subject = SUBJECTS["lenet"]
    base, start = subject.build(10), np.eye(10, dtype=np.float32)
    with pytest.raises(RuntimeError, match="a difference of"):
        torch_peer._compare(start, base, subject.pair(10), start)


def test_classes_compare_with_the_fewest(small, monkeypatch):
    monkeypatch.setattr(classes, "_CLASSES", (10, 20))
    monkeypatch.setattr(memory, "peak", lambda *_: {"process": 1.0})
    measured = classes.measure(small, 2)
    assert set(measured["ratio_to_cross_entropy"]) == {"10", "20"}
    assert measured["ratio_to_10_classes"]["10"]["exact"]["median"] == 1
    assert measured["mebibytes_with_10000_classes"]["head"] == {"process": 1.0}


@pytest.mark.wide
def test_the_peak_is_of_a_process_of_its_own():
    ballast = np.ones(
        2**30, np.uint8
    )  # only this process holds it, not the child
    peak = memory.peak("lenet", "cross_entropy", 10, 2)
    assert 100 < peak["process"] and 0 < peak["steps"] < peak["process"]
    # In MiB. Without the ballast this process is as large as the child.
    assert peak["process"] < memory._mebibytes("VmRSS") - 512
    assert ballast.sum() == 2**30


def test_the_cost_of_a_method_is_the_sum_over_its_phases(monkeypatch):
    config = settings.default_config()
    config.clean.per_class = 10
    config.network.name = "mlp"
    asked = []

    def one_second_each(actions, rounds):
        asked.extend(actions)
        return {name: np.ones(rounds) for name in actions}

    monkeypatch.setattr(measuring, "in_turns", one_second_each)
    costs = methods.measure(config, 2)["cost"]
    assert set(costs) == set(all_methods.METHODS)
    for name, method in all_methods.METHODS.items():
        assert costs[name]["median"] == len(method.phases)
    assert len(asked) == sum(
        len(method.phases) for method in all_methods.METHODS.values()
    )


# LeNet has 61,706 weights; of them 850 in its head, and T has 100 entries.
@pytest.mark.wide
@pytest.mark.parametrize(
    "variant, numbers",
    [
        ("exact", 3 * 61_706 + 100),
        ("cross_entropy", 61_706),
        ("head", 61_706 + 2 * 850 + 100),
    ],
)
def test_the_bytes_between_replicas_are_those_of_the_variables(
    variant, numbers
):
    # Each step also sends the loss, the metric's two numbers and the norm of G.
    float32, rest = 4, 64
    sent = sum(replicas.collectives("lenet", variant))
    assert 0 <= sent - float32 * numbers < rest
