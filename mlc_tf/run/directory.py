"""The directory of a run: whose it is, and files that are whole or absent."""

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

# Settings that say how a run is done, not what it computes: a run may be
# resumed with others.
_FREE = ("train.strategy", "train.replicas", "train.checkpoint_every")
_RECORDED_PACKAGES = (
    "mlc_tf",
    "tensorflow",
    "keras",
    "numpy",
    "tensorflow-datasets",
    "scikit-learn",
)


def name_of(config: ml_collections.ConfigDict) -> str:
    """Returns "dataset/kind-ratio/method-seed" for a run's directory."""
    dataset, noise_name = (
        "".join(c if c.isalnum() else "_" for c in name)
        for name in (config.dataset.name, config.noise.kind)
    )
    # "file:PATH" and "human:SET" have no ratio either.
    if config.noise.kind != "none" and ":" not in config.noise.kind:
        noise_name += f"-{config.noise.ratio:g}"
    return f"{dataset}/{noise_name}/{config.method.name}-seed{config.seed}"


def check(workdir: str | Path, config: ml_collections.ConfigDict) -> None:
    """Raises if the directory holds the work of a run of another config."""
    workdir = Path(workdir)
    path = workdir / "config.json"
    if not path.exists() or not _has_work(workdir):
        return
    other = [
        name
        for name in differing(
            json.loads(config.to_json()), json.loads(path.read_text())
        )
        if name not in _FREE and _is_used(config, name)
    ]
    if other:
        raise InputError(
            "`workdir` should be new or of a run with this config. Received: "
            f"`workdir` = '{workdir}', of one that differs in "
            f"{', '.join(other)}."
        )


@contextmanager
def claimed(workdir: Path, config: ml_collections.ConfigDict) -> Iterator[Path]:
    """Makes the run's directory, with its config and the versions used.

    No other process may claim it until this one leaves it, or ends. The files
    of a run which has begun are left as they are: they tell what made them.

    Yields:
        `workdir`.

    Raises:
        InputError: if it cannot be written or is claimed, or as `check`.
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
                "`workdir` should be of no run that is under way. Received: "
                f"`workdir` = '{workdir}', of process {lock.read().strip()}."
            ) from None
        except OSError as error:  # as where a network's disk has no locks
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
    """Yields a copy of a run's directory, to be thrown away.

    For workers which compute the same run, one of which keeps its files.
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
    """Returns the result in a run's directory, or None if it has none yet."""
    path = Path(workdir) / "result.json"
    return json.loads(path.read_text()) if path.exists() else None


def write_json(path: Path, content: Any) -> None:
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that it is either the old one or the whole new one."""
    part = Path(path).with_name(f".{Path(path).name}")
    part.write_bytes(content)
    os.replace(part, path)


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an `.npz` so that it is the old one or the whole new one."""
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
    """Returns the dotted names of what differs in two JSON contents.

    Args:
        ours: One; mappings are looked into.
        theirs: The other.
        prefix: Of the names. Defaults to none.
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
    """Returns the versions of the packages used, and the commit of this one."""
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
        found["git_commit"] = None  # an installed package, no checkout
    return found
