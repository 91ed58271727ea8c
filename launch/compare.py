"""Runs several methods and seeds of one config, and prints their table.

    python launch/compare.py --config=configs/digits.py
    python launch/compare.py --config=configs/mnist.py \\
        --methods=mlc,cross_entropy --seeds=0

Each run is a `launch/train.py` of its own, in a process of its own. What is
done is not run again. Results are copied to `results/`, from which the tables
in README.md are made (`launch/report.py`).
"""

import shutil
import subprocess
import sys
from pathlib import Path

import command_line
from absl import flags
from ml_collections import config_flags

from mlc_tf import methods
from mlc_tf import problems
from mlc_tf import report
from mlc_tf import run_directory
from mlc_tf.errors import InputError

_CONFIG = config_flags.DEFINE_config_file(
    "config", "configs/digits.py", "The experiment, configs/DATASET.py."
)
_METHODS = flags.DEFINE_list(
    "methods", "all", "Names of methods, or all of them."
)
_SEEDS = flags.DEFINE_list("seeds", "0,1,2", "Seeds.")
_RUNS = flags.DEFINE_string("runs", "runs", "Where the runs' directories go.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")


def main(argv: list[str]) -> None:
    del argv
    config = _CONFIG.value
    names = _METHODS.value
    if names == ["all"]:
        names = list(methods.METHODS)
    for name in names:
        methods.get(name)
    seeds = [_seed(text) for text in _SEEDS.value]
    for seed in seeds:
        for name in names:
            config.seed, config.method.name = seed, name
            run_name = run_directory.name_of(config)
            run_directory.check(Path(_RUNS.value) / run_name, config)
            _run(run_name, seed, name)
    results = [
        result
        for result in report.load_results(_RESULTS.value)
        if result["method"] in names and result["seed"] in seeds
    ]
    rows = report.summarize(
        results,
        config.dataset.name,
        config.noise.kind,
        config.noise.ratio if problems.has_ratio(config.noise.kind) else None,
        "validation" if config.dataset.validation else "test",
    )
    print(report.markdown_table(rows))


def _run(run_name: str, seed: int, method: str) -> None:
    workdir = Path(_RUNS.value) / run_name
    copy = Path(_RESULTS.value) / f"{run_name}.json"
    if run_directory.finished_result(workdir) is None:
        print(f"running {run_name}", flush=True)
        # The overrides of this command line are those of each run.
        overrides = [
            argument
            for argument in sys.argv[1:]
            if argument.startswith("--config")
        ]
        if not all("=" in argument for argument in overrides):
            raise InputError("Config flags should be written --config...=...")
        completed = subprocess.run(
            [
                sys.executable,
                Path(__file__).with_name("train.py"),
                *(overrides or [f"--config={_CONFIG.default}"]),
                f"--config.seed={seed}",
                f"--config.method.name={method}",
                f"--workdir={workdir}",
            ],
            stdout=subprocess.DEVNULL,
        )
        if completed.returncode:
            raise InputError(f"The run {run_name} failed, as it said above.")
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(workdir / "result.json", copy)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise InputError(
            f"`seeds` should be integers. Received: `seeds` = {text!r}."
        )
    return int(text)


if __name__ == "__main__":
    command_line.run(main)
