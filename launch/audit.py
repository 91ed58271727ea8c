"""Finds the wrong labels in the noisy set of a finished run.

    mlc_tf audit --workdir=runs/digits

The folder `--output` then holds

    label_issues.csv, .parquet  one row per example, the most suspicious first
    classes.csv                 the noise of each class
    transition.csv              T estimated from the audited labels; often
                                nearer to the true T than the learned T
    clean_label_issues.csv      one row per example of the trusted set; missing
                                without one, and for methods that were fitted to
                                trusted labels
    to_check.csv                with --pick=N: the N examples to check next, to
                                enlarge the trusted set
    audit.json                  the noise rate of all examples, the test whether
                                the labels depend on more than the class and,
                                for injected noise, how well wrong labels were
                                found

The command trains nothing.
"""

import json

from absl import flags

from mlc_tf.audit import audit_files
from mlc_tf.audit import run_audit
from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.run import finished_run

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The directory of a finished run."
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The folder for the tables. Defaults to audit/ in the workdir.",
)
_PICK = flags.DEFINE_integer(
    "pick", 0, "The number of examples to pick for checking by hand."
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 256, "The number of examples in a batch."
)


def main(argv: list[str]) -> None:
    del argv
    if _WORKDIR.value is None:
        raise bad_argument("workdir", "the directory of a finished run", None)
    if _BATCH_SIZE.value < 1:
        raise bad_argument("batch_size", "an integer >= 1", _BATCH_SIZE.value)
    if _PICK.value < 0:
        raise bad_argument("pick", "an integer >= 0", _PICK.value)
    run = finished_run.load(_WORKDIR.value)
    output, summary = audit_files.write(
        run, _OUTPUT.value, _PICK.value, _BATCH_SIZE.value, verbose=1
    )
    if not run.result["clean_examples"]:
        print("There are no trusted labels to check.")
    elif run_audit.fits_clean(run):
        print(run_audit.why_not_checked(run))
    print(summary["instance_dependence"]["sentence"])
    print(f"{output} holds the label issues.")
    command_line.print_next(["review", f"--workdir={_WORKDIR.value}"])
    print(json.dumps(summary))


if __name__ == "__main__":
    command_line.run(main)
