"""Renews the tables of a document from the result files.

python launch/paper/report.py --document=README.md
"""

from pathlib import Path

from absl import flags

from mlc_tf.errors import InputError
from mlc_tf.launch import command_line
from mlc_tf.launch.paper import documents

_DOCUMENT = flags.DEFINE_string("document", "README.md", "A Markdown file.")
_RESULTS = flags.DEFINE_string("results", "results", "Where results are.")


def main(argv: list[str]) -> None:
    del argv
    path = Path(_DOCUMENT.value)
    if not path.is_file():
        raise InputError(
            f"`document` should be a file. Received: `document` = '{path}'."
        )
    path.write_text(documents.fill_tables(path.read_text(), _RESULTS.value))


if __name__ == "__main__":
    command_line.run(main)
