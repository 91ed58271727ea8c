"""Ties a run to its data: `data.json` in the directory of the run.

The file has a digest of the inputs and of the labels of each set. Inputs in
memory and in image files are all read for it, once; the loader has the digests
of image files from its own search for equal images. The inputs of a stream are
not read: of a stream, only the labels are compared.
"""

import zlib
from pathlib import Path
from typing import Any

import ml_collections

from mlc_tf import distribution
from mlc_tf.data import identity
from mlc_tf.data.examples import Examples
from mlc_tf.errors import InputError
from mlc_tf.run import directory
from mlc_tf.run import problems
from mlc_tf.run.problems import Problem

_FILE = "data.json"
_SETS = ("noisy", "clean", "test")


def of(problem: Problem) -> dict[str, Any]:
    """Returns what distinguishes the data of a run from other data, as JSON.

    Args:
        problem: The data of the run.
    """
    return {
        "class_names": list(problem.class_names),
        **{name: _digest(getattr(problem, name)) for name in _SETS},
    }


def _digest(examples: Examples | None) -> dict[str, Any]:
    if examples is None:
        return {"examples": 0, "inputs": None, "labels": None}
    return identity.digest(examples)


def claim(workdir: Path, problem: Problem) -> dict[str, Any]:
    """Writes `data.json` in a new run, or compares it in a resumed run.

    Args:
        workdir: The directory of the run.
        problem: The data of the run.

    Returns:
        The content of `data.json`.

    Raises:
        InputError: if the data are not the data of the run, or if the workers
            of the run have different data.
    """
    found = of(problem)
    content = directory.json_bytes(found)
    if not distribution.all_have([zlib.crc32(content) >> 1]):
        raise InputError(
            "All workers should read the same data. Received: worker "
            f"{distribution.worker()} has data that differ from the data of "
            "another worker."
        )
    if directory.has_work(workdir):
        _compare(workdir, found)
    else:
        directory.write_json(workdir / _FILE, found)
    return found


def check(workdir: str | Path, problem: Problem) -> None:
    """Checks that the data of a run are still what the run was trained on.

    Args:
        workdir: The directory of the run.
        problem: The data as they are loaded now, by the config of the run.

    Raises:
        InputError: names what differs.
    """
    _compare(Path(workdir), of(problem))


def check_config(workdir: Path, config: ml_collections.ConfigDict) -> None:
    """Checks that the data of a finished run are still what it was trained on.

    If the data can no longer be read, a printed line reports that.

    Args:
        workdir: The directory of the run.
        config: The configuration of the run.

    Raises:
        InputError: names what differs.
    """
    try:
        problem = problems.load(config)
    except InputError as error:
        print(f"The data of {workdir} cannot be compared. {error}", flush=True)
        return
    check(workdir, problem)


def class_names(workdir: str | Path) -> list[str] | None:
    """Returns the class names of a run; None for a run of an older version.

    Args:
        workdir: The directory of the run.
    """
    recorded = _read(Path(workdir))
    return None if recorded is None else recorded["class_names"]


def _read(workdir: Path) -> dict[str, Any] | None:
    path = workdir / _FILE
    if not path.exists():
        return None
    recorded = directory.read_json(path)
    if {"class_names", *_SETS} - recorded.keys():
        raise directory.damaged(path, "it lacks entries")
    return recorded


def _compare(workdir: Path, found: dict[str, Any]) -> None:
    recorded = _read(workdir)
    if recorded is None:
        print(
            f"{workdir} has no {_FILE}: an older version wrote it. Its data "
            "cannot be compared with the data of now.",
            flush=True,
        )
        return
    differences = []
    if recorded["class_names"] != found["class_names"]:
        differences.append("other class names")
    for name in _SETS:
        now, then = found[name], recorded[name]
        if now["examples"] != then["examples"]:
            differences.append(
                f"{now['examples']:,} instead of {then['examples']:,} "
                f"{name} examples"
            )
        else:
            differences += [
                f"other {name} {part}"
                for part in ("inputs", "labels")
                if now[part] != then[part]
            ]
    if differences:
        raise InputError(
            "The data of a run should stay as they were when it began. "
            f"Received: {', '.join(differences)} than the run in {workdir} "
            "has; restore the data, or train in a new `workdir`."
        )
