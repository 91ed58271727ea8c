"""The directory of a run: its config, its lock, and its atomic files."""

import fcntl
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from mlc_tf.errors import InputError

# Settings of how a run is executed, not of what it computes: a run may be
# resumed with other values.
_EXECUTION_SETTINGS = (
    "dataset.download",
    "train.strategy",
    "train.replicas",
    "train.checkpoint_every",
)
_RECORDED_PACKAGES = (
    "mlc_tf",
    "tensorflow",
    "keras",
    "numpy",
    "tensorflow-datasets",
    "scikit-learn",
)


def name_of(config: ml_collections.ConfigDict) -> str:
    """Returns the name of a run's directory: "dataset/noise/method-seedN".

    Args:
        config: The configuration of the run.

    Returns:
        For example "mnist/pair-0.45/mlc-seed1". Characters of the dataset and
        the noise that are neither letters nor digits become underscores.
    """
    dataset, noise_name = (
        "".join(letter if letter.isalnum() else "_" for letter in name)
        for name in (config.dataset.name, config.noise.kind)
    )
    # "file:PATH" and "human:SET" have no ratio either.
    if config.noise.kind != "none" and ":" not in config.noise.kind:
        noise_name += f"-{config.noise.ratio:g}"
    return f"{dataset}/{noise_name}/{config.method.name}-seed{config.seed}"


def check(workdir: str | Path, config: ml_collections.ConfigDict) -> None:
    """Raises if the directory belongs to a run with another config.

    Settings of other methods and networks, and settings of how a run is
    executed, may differ.

    Args:
        workdir: The directory. It may be missing.
        config: The configuration of the run that is to use it.

    Raises:
        InputError: names the settings that differ.
    """
    workdir = Path(workdir)
    path = workdir / "config.json"
    if not path.exists() or not _has_work(workdir):
        return
    changed = [
        name
        for name in differing(
            json.loads(config.to_json()), json.loads(path.read_text())
        )
        if name not in _EXECUTION_SETTINGS and _is_used(config, name)
    ]
    if changed:
        raise InputError(
            "`workdir` should be new or belong to a run with this config. "
            f"Received: `workdir` = '{workdir}', of a run that differs in "
            f"{', '.join(changed)}."
        )


@contextmanager
def claimed(workdir: Path, config: ml_collections.ConfigDict) -> Iterator[Path]:
    """Creates and locks the run's directory, and writes config and versions.

    No other process can claim the directory until the context ends. A resumed
    run keeps the `config.json` and `versions.json` that it started with.

    Args:
        workdir: The directory. It is created if missing.
        config: The configuration of the run.

    Yields:
        `workdir`.

    Raises:
        InputError: if the directory cannot be written, is claimed by another
            process, or belongs to a run with another config.
    """
    check(workdir, config)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = open(workdir / ".lock", "a+")  # noqa: SIM115, is the lock
    except OSError as error:
        raise _unwritable(workdir, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InputError(
                "`workdir` should not belong to a run in progress. Received: "
                f"`workdir` = '{workdir}', of process {lock.read().strip()}."
            ) from None
        except OSError as error:  # for example a network disk without locks
            raise _unwritable(workdir, error) from None
        try:
            lock.truncate(0)
            lock.write(f"{os.getpid()} on {platform.node()}\n")
            lock.flush()
            if not _has_work(workdir):
                write_json(
                    workdir / "config.json", json.loads(config.to_json())
                )
                write_json(workdir / "versions.json", versions())
        except OSError as error:
            raise _unwritable(workdir, error) from None
        yield workdir


@contextmanager
def copied(workdir: Path) -> Iterator[Path]:
    """Yields a temporary copy of a run's directory.

    All workers compute the same run, and only the first worker keeps files;
    the other workers use copies.

    Args:
        workdir: The directory of the run. It may be missing.

    Yields:
        The copy, without TensorBoard's files and hidden files. It is deleted at
        the end.
    """
    with tempfile.TemporaryDirectory(prefix="mlc_tf-worker-") as folder:
        copy = Path(folder) / "run"
        if workdir.exists():
            shutil.copytree(
                workdir,
                copy,
                ignore=shutil.ignore_patterns("tensorboard", ".*"),
            )
        copy.mkdir(exist_ok=True)
        yield copy


def finished_result(workdir: str | Path) -> dict[str, Any] | None:
    """Returns the content of `result.json`, or None if the run has none yet.

    Args:
        workdir: The directory of the run.
    """
    path = Path(workdir) / "result.json"
    return json.loads(path.read_text()) if path.exists() else None


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file atomically, as `write_atomically` does."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that readers see its old or its whole new content."""
    part = Path(path).with_name(f".{Path(path).name}")
    part.write_bytes(content)
    os.replace(part, path)


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an `.npz` so that readers see its old or its whole new content.

    Args:
        path: The file.
        arrays: The arrays by the names that the file gives them.
    """
    part = Path(path).with_name(f".{Path(path).name}")
    with open(part, "wb") as file:
        np.savez(file, **arrays)
    os.replace(part, path)


def _is_used(config: ml_collections.ConfigDict, name: str) -> bool:
    """Returns False for the settings of other methods and other networks."""
    part, *options = name.split(".")
    if part not in ("method", "network") or len(options) < 2:
        return True
    return options[0] == config[part].name


def _has_work(workdir: Path) -> bool:
    folder = workdir / "checkpoints"
    return (workdir / "metrics.jsonl").exists() or any(folder.glob("*.h5"))


def _unwritable(workdir: Path, error: OSError) -> InputError:
    return InputError(
        "`workdir` should be a directory that can be written and locked. "
        f"Received: `workdir` = '{workdir}' ({error.strerror})."
    )


def differing(ours: Any, theirs: Any, prefix: str = "") -> list[str]:
    """Returns the dotted names of the values that differ.

    Args:
        ours: JSON content; nested mappings are compared value by value.
        theirs: The JSON content to compare with.
        prefix: A dotted name to put before each name. Defaults to "".
    """
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return [] if ours == theirs else [prefix]
    return [
        name
        for key in sorted({*ours, *theirs})
        for name in differing(
            ours.get(key), theirs.get(key), f"{prefix}.{key}" if prefix else key
        )
    ]


def versions() -> dict[str, str | None]:
    """Returns the versions of Python, of packages, and of this repository.

    A package that is not installed has the version None; `git_commit` is None
    outside a checkout.
    """
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _RECORDED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    try:
        found["git_commit"] = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        found["git_commit"] = None  # the package is not in a git checkout
    return found
