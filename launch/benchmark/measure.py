"""Measures training steps on this machine, and writes ratios.

    python launch/benchmark/measure.py --what=step --networks=lenet
    python launch/benchmark/measure.py --what=methods --config=configs/mnist.py
    python launch/benchmark/measure.py --what=input \\
        --config=configs/cifar10.py --config.train.augment=crop_and_flip

`--what` is one of

    step         the variants of Meta Loss Correction, against cross-entropy;
                 with --peer=torch also the same steps in PyTorch
    stages       the time of each stage of an exact step
    compilation  steps with XLA, in bfloat16 and, on a GPU, in TF32
    classes      steps with 10, 100 and 1,000 classes
    memory       the peak memory of steps, each in its own process
    replicas     the bytes that two replicas exchange in a step
    methods      all methods, on the config's dataset and network
    input        the throughput of the input pipeline, and the time that pairing
                 and noise add to a step

All but `input` and `methods` measure `--networks`. `--device` picks the GPU or
the CPU of a machine that has both; results of a GPU have `-gpu` in their names.
The results go to `results/benchmark.jsonl`, and a picture of all measured steps
goes to `results/benchmark.png`. No other program should run at the same time.
"""

import json
import os
import platform
import re
from pathlib import Path

import tensorflow as tf
from absl import flags

from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch import benchmark
from mlc_tf.launch import command_line
from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark import torch_peer
from mlc_tf.launch.benchmark.subjects import SUBJECTS
from mlc_tf.launch.paper import charts
from mlc_tf.run import directory
from mlc_tf.run import results
from mlc_tf.run import settings

_CONFIG = command_line.define_config("cifar10")
_BENCHMARK = flags.DEFINE_string(
    "what", "step", f"The benchmark: one of {', '.join(benchmark.BENCHMARKS)}."
)
_NETWORKS = flags.DEFINE_list(
    "networks",
    "lenet,wide_resnet_40_2",
    f"The networks to measure, from {', '.join(SUBJECTS)}.",
)
_DEVICE = flags.DEFINE_enum(
    "device", None, ["cpu", "gpu"], "Defaults to the GPU, if there is one."
)
_PEER = flags.DEFINE_enum(
    "peer", None, ["torch"], "What --what=step compares with."
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 50, "The number of measurements of each time."
)
_RESULTS = flags.DEFINE_string("results", "results", "The folder for results.")


def main(argv: list[str]) -> None:
    del argv
    config, chosen = _CONFIG.value, _BENCHMARK.value
    if chosen not in benchmark.BENCHMARKS:
        raise unknown_name("what", chosen, benchmark.BENCHMARKS)
    for name in _NETWORKS.value:
        if name not in SUBJECTS:
            raise unknown_name("networks", name, SUBJECTS)
    if not _NETWORKS.value:
        raise bad_argument("networks", f"among {', '.join(SUBJECTS)}", "none")
    for name in ("dtype", "jit_compile", "strategy"):
        if config.train[name] != settings.default_config().train[name]:
            raise bad_argument(
                f"train.{name}",
                "left as it is: --what=compilation compares precisions and XLA",
                config.train[name],
            )
    if _ROUNDS.value < 1:
        raise bad_argument("rounds", "an integer >= 1", _ROUNDS.value)
    settings.check(config)
    device = _choose_device()
    request = benchmark.Request(
        config, tuple(_NETWORKS.value), _ROUNDS.value, _PEER.value or ""
    )
    if request.peer:
        if chosen != "step":
            raise bad_argument("peer", "given with --what=step", request.peer)
        for name in request.networks:
            torch_peer.check(SUBJECTS[name])
    try:
        Path(_RESULTS.value).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise bad_argument(
            "results", "a folder that can be made", f"{error.filename}"
        ) from None
    file = Path(_RESULTS.value) / "benchmark.jsonl"
    for name, measured in benchmark.BENCHMARKS[chosen](request):
        content = {
            "what": chosen,
            "device": device,
            **measured,
            "versions": directory.versions(),
        }
        if measuring.has_gpu():
            name += "-gpu"
        results.write(file, [{"run": name, **content}])
        print(json.dumps(content, indent=2), flush=True)
    if chosen == "step":
        ratios = {
            measured["network"]: measured["ratio_to_cross_entropy"]
            for run, measured in results.read(file).items()
            if run == f"step-{measured.get('network')}"
        }
        if ratios:  # a peer's ratios have a result of their own
            figure = charts.ratios_figure(ratios)
            figure.savefig(file.with_suffix(".png"), dpi=150)


def _choose_device() -> str:
    """Returns the name of the device on which steps run.

    Raises:
        InputError: if a GPU is asked for, and there is none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if _DEVICE.value == "gpu" and not gpus:
        raise bad_argument("device", "'cpu' on a machine without GPUs", "gpu")
    if gpus and _DEVICE.value != "cpu":
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("device_name", gpus[0].name)
    tf.config.set_visible_devices([], "GPU")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # of the processes that it starts
    found = re.search(
        r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M
    )
    name = found[1] if found else platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores, {name}"


if __name__ == "__main__":
    command_line.run(main)
