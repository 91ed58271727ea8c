"""Measures training steps on this machine, and writes ratios.

    python launch/benchmark/measure.py --what=step --networks=lenet
    python launch/benchmark/measure.py --what=methods --config=configs/mnist.py
    python launch/benchmark/measure.py --what=input \\
        --config=configs/cifar10.py --config.train.augment=crop_and_flip

`--what` is one of

    step         Meta Loss Correction in its forms, against cross-entropy
    stages       where the time of an exact step goes
    compilation  steps with XLA and in bfloat16
    classes      steps with 10, 100 and 1,000 classes
    memory       the most memory that steps hold, each in its own process
    replicas     the bytes that two replicas exchange in a step
    methods      all methods, on the config's dataset and network
    input        what the input pipeline supplies, and what pairing and noise
                 add to a step

The results go to `results/benchmark.jsonl`, and a picture of all steps that
were measured to `results/benchmark.png`. Nothing else should run meanwhile.
"""

import json
from pathlib import Path

from absl import flags

from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch import benchmark
from mlc_tf.launch import command_line
from mlc_tf.launch.benchmark.subjects import SUBJECTS
from mlc_tf.launch.paper import charts
from mlc_tf.run import directory
from mlc_tf.run import results
from mlc_tf.run import settings

_CONFIG = command_line.define_config("cifar10")
_WHAT = flags.DEFINE_string("what", "step", "What to measure.")
_NETWORKS = flags.DEFINE_list(
    "networks", "lenet,wide_resnet_40_2", f"Of {', '.join(SUBJECTS)}."
)
_ROUNDS = flags.DEFINE_integer("rounds", 50, "Times that all is measured.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")


def main(argv: list[str]) -> None:
    del argv
    config, what = _CONFIG.value, _WHAT.value
    if what not in benchmark.BENCHMARKS:
        raise unknown_name("what", what, benchmark.BENCHMARKS)
    for name in _NETWORKS.value:
        if name not in SUBJECTS:
            raise unknown_name("networks", name, SUBJECTS)
    if not _NETWORKS.value:
        raise bad_argument("networks", f"of {', '.join(SUBJECTS)}", "none")
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
    request = benchmark.Request(config, tuple(_NETWORKS.value), _ROUNDS.value)
    try:
        Path(_RESULTS.value).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise bad_argument(
            "results", "a folder that can be made", f"{error.filename}"
        ) from None
    file = Path(_RESULTS.value) / "benchmark.jsonl"
    for name, measured in benchmark.BENCHMARKS[what](request):
        content = {"what": what, **measured, "versions": directory.versions()}
        results.write(file, [{"run": name, **content}])
        print(json.dumps(content, indent=2), flush=True)
    if what == "step":
        ratios = {
            measured["network"]: measured["ratio_to_cross_entropy"]
            for measured in results.read(file).values()
            if measured["what"] == "step"
        }
        charts.ratios_figure(ratios).savefig(file.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    command_line.run(main)
