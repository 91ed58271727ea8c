"""Writes a page for reviewing a finished run and deciding on labels.

    mlc_tf review --workdir=runs/digits

The page is one file that any browser opens offline. It shows curves, T, noise
rates and errors on the test set or the held-out set; and the most suspicious
labels, each to keep, to change or to drop. The page saves the decisions as
`decisions.csv`, whose columns `mlc_tf.audit.review` lists. The command trains
nothing.
"""

from pathlib import Path

from absl import flags

from mlc_tf.audit import relabel
from mlc_tf.audit import review
from mlc_tf.audit import run_audit
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import writable_or_error
from mlc_tf.launch import command_line
from mlc_tf.run import directory
from mlc_tf.run import finished_run

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The directory of a finished run."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The page. Defaults to review.html in the workdir."
)
_MOST = flags.DEFINE_integer(
    "most", 200, "The number of suspicious labels to show."
)


def main(argv: list[str]) -> None:
    del argv
    if _WORKDIR.value is None:
        raise bad_argument("workdir", "the directory of a finished run", None)
    if _MOST.value < 1:
        raise bad_argument("most", "an integer >= 1", _MOST.value)
    run = finished_run.load(_WORKDIR.value)
    problem, _ = finished_run.data_of(run)
    found = run_audit.audit_run(run, problem, verbose=1)
    confused = review.confusion(run.network, problem.test)
    page = review.page(run, problem, found, confused, _MOST.value)
    output = Path(_OUTPUT.value or run.workdir / "review.html")
    with writable_or_error("output", output, "file"):
        output.parent.mkdir(parents=True, exist_ok=True)
        # A file name may hold bytes that are not valid UTF-8.
        directory.write_atomically(output, page.encode(errors="replace"))
    print(f"{output} is the page; open it in a browser, and save decisions.")
    try:
        suffix = relabel.check_source(run.config)
    except InputError as error:
        print(f"The decisions cannot be applied afterwards. {error}")
        return
    command_line.print_next(
        [
            "relabel",
            f"--workdir={run.workdir}",
            "--decisions=decisions.csv",
            f"--output={run.workdir}-relabelled{suffix}",
        ]
    )


if __name__ == "__main__":
    command_line.run(main)
