"""Renews the tables of the documents from the result files.

    python launch/paper/report.py
    python launch/paper/report.py --document=README.md

Without `--document` the command renews each Markdown file of this folder and of
`docs/` that has marks, and prints the files that changed.
"""

from pathlib import Path

from absl import flags

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.launch import command_line
from mlc_tf.launch.paper import documents

_DOCUMENT = flags.DEFINE_string(
    "document", None, "The Markdown file to renew. Defaults to all with marks."
)
_RESULTS = flags.DEFINE_string(
    "results", "results", "The folder of the results."
)


def main(argv: list[str]) -> None:
    del argv
    if _DOCUMENT.value is None:
        paths = documents.with_marks(Path())
        if not paths:
            raise InputError("This folder has no document with marks.")
    else:
        paths = [Path(_DOCUMENT.value)]
        if not paths[0].is_file():
            raise bad_argument("document", "a file", _DOCUMENT.value)
    for path in paths:
        old = path.read_text()
        new = documents.fill_tables(old, _RESULTS.value)
        if new != old:
            path.write_text(new)
            print(path)


if __name__ == "__main__":
    command_line.run(main)
