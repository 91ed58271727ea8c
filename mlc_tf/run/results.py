"""Result files: JSON lines, each with the name of its `run`, sorted by it.

Only the process that starts the runs writes a file, one process at a time.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlc_tf.errors import InputError
from mlc_tf.errors import writable_or_error
from mlc_tf.run import directory

Result = dict[str, Any]


def read(path: str | Path) -> dict[str, Result]:
    """Returns the results in a file by the names of their runs.

    A file that does not exist has no results.

    Raises:
        InputError: if a line is no JSON object with a `run` of its own.
    """
    path, results = Path(path), dict[str, Result]()
    lines = path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            result = json.loads(line)
            new = result["run"] not in results
        except (ValueError, KeyError, TypeError):
            new = False
        if not new:
            raise InputError(
                "`results` should have a JSON object with a `run` of its own "
                f"in each line. Received: line {number} of {path}."
            )
        results[result["run"]] = result
    return results


def write(path: str | Path, results: Iterable[Result]) -> None:
    """Adds results to a file, in place of older results of the same runs.

    Args:
        path: The file. It is made if it does not exist.
        results: Mappings for JSON, each with its `run`.

    Raises:
        InputError: as `read`, or if the file cannot be written.
    """
    path = Path(path)
    merged = read(path) | {result["run"]: result for result in results}
    lines = [json.dumps(merged[run]) + "\n" for run in sorted(merged)]
    with writable_or_error("results", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        directory.write_atomically(path, "".join(lines).encode())
