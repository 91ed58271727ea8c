"""Runs a study: one config, with one change at a time.

    python launch/paper/study.py --what=letter
    python launch/paper/study.py --what=letter --variants=letter,he_normal

`launch/paper/studies.py` has all studies. Finished runs are not repeated, so
the same command resumes. The results go to `results/studies/WHAT.jsonl`, from
which `launch/paper/report.py` makes the tables.
"""

from pathlib import Path

from absl import flags

from mlc_tf.errors import unknown_name
from mlc_tf.launch import command_line
from mlc_tf.launch.paper import plans
from mlc_tf.launch.paper import studies
from mlc_tf.run import experiments

_WHAT = flags.DEFINE_string(
    "what", "letter", f"The study: {', '.join(studies.STUDIES)}."
)
_VARIANTS = flags.DEFINE_list(
    "variants", None, "The variants to run. Defaults to all."
)
_RUNS = flags.DEFINE_string(
    "runs", "runs", "The folder for the directories of the runs."
)
_RESULTS = flags.DEFINE_string("results", "results", "The folder for results.")
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir", "", "The folder with the files of Twitter."
)
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "The number of runs that train at the same time."
)


def main(argv: list[str]) -> None:
    del argv
    name = _WHAT.value
    if name not in studies.STUDIES:
        raise unknown_name("what", name, studies.STUDIES)
    plan = plans.study(
        studies.STUDIES[name], _VARIANTS.value, _MANUAL_DIR.value
    )
    experiments.run_all(
        plan,
        Path(_RUNS.value) / "studies" / name,
        Path(_RESULTS.value) / "studies" / f"{name}.jsonl",
        _JOBS.value,
    )


if __name__ == "__main__":
    command_line.run(main)
