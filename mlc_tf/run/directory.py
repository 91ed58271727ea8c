"""The directory of a run: its config, its lock, and its atomic files."""

import fcntl
import hashlib
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
    "train.tracker",
)
# Files that only training writes.
_WORK = (
    "result.json",
    "metrics.jsonl",
    "model.keras",
    "transition.npz",
)
# File systems take names of up to 255 bytes.
_LONGEST_PART = 60
_SEAL = "seal.json"
_SEALED = ("result.json", "model.keras", "transition.npz", "columns.json")
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
    dataset, noise_name = map(
        as_file_name, (config.dataset.name, config.noise.kind)
    )
    # "file:PATH" and "human:SET" have no ratio either.
    if config.noise.kind != "none" and ":" not in config.noise.kind:
        noise_name += f"-{config.noise.ratio:g}"
    return f"{dataset}/{noise_name}/{config.method.name}-seed{config.seed}"


def as_file_name(name: str) -> str:
    """Returns the name of a dataset or a noise as a name for files.

    Args:
        name: The name in a config, which may contain a path.

    Example:

    >>> as_file_name("npz:../mine.npz")
    'npz____mine_npz'
    """
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def default_workdir(config: ml_collections.ConfigDict) -> Path:
    """Returns the directory of a run whose user names none.

    Runs that compute different things have different directories; runs that
    differ only in how they are executed share one.

    Args:
        config: The configuration of the run.

    Returns:
        For example `runs/mnist/pair-0.45/mlc-seed1-0f3a9c52`: `name_of`, and
        a digest of the settings that the run uses, the path of the data among
        them.
    """
    # The digest distinguishes long names that begin alike.
    *folders, name = (
        part[:_LONGEST_PART] for part in name_of(config).split("/")
    )
    digest = _short_digest(_used_settings(config))
    return Path("runs", *folders, f"{name}-{digest}")


def default_data_folder(config: ml_collections.ConfigDict) -> Path:
    """Returns the folder of a description of a run's data.

    Args:
        config: The configuration of the run.

    Returns:
        For example `runs/mnist/pair-0.45/data-seed1-91d2c07a`, with a digest of
        the settings of the data.
    """
    settings = json.loads(config.to_json())
    of_data = {
        name: settings[name] for name in ("seed", "dataset", "noise", "clean")
    }
    folder = default_workdir(config).parent
    return folder / f"data-seed{config.seed}-{_short_digest(of_data)}"


def _used_settings(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns the settings that decide what a run computes."""
    return {
        name: value
        for name, value in flat(json.loads(config.to_json())).items()
        if name not in _EXECUTION_SETTINGS and _is_used(config, name)
    }


def _short_digest(content: Any, size: int = 4) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the values of nested mappings by dotted names.

    Args:
        settings: A mapping, whose values may be mappings.
        prefix: A dotted name to put before each name. Defaults to "".
    """
    if not isinstance(settings, dict):
        return {prefix: settings}
    named: dict[str, Any] = {}
    for key, value in settings.items():
        named |= flat(value, f"{prefix}.{key}" if prefix else key)
    return named


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
    try:
        work = _work(workdir)
    except OSError as error:  # a name that is too long, for example
        raise _unwritable(workdir, error) from None
    if not work:
        return
    if not path.exists():
        raise InputError(
            "`workdir` should be new or belong to a run with this config. "
            f"Received: `workdir` = '{workdir}', which holds {work[0].name} of "
            "a run, but no config.json."
        )
    ours, theirs = json.loads(config.to_json()), read_json(path)
    # An older version lacks settings that are off unless somebody sets them.
    new_and_off = {
        name
        for name, value in flat(ours).items()
        if not value and name not in flat(theirs)
    }
    changed = [
        name
        for name in differing(ours, theirs)
        if name not in _EXECUTION_SETTINGS
        and name not in new_and_off
        and _is_used(config, name)
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
            if not has_work(workdir):
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

    Raises:
        InputError: if the file is damaged.
    """
    path = Path(workdir) / "result.json"
    return read_json(path) if path.exists() else None


def run_digest(config: ml_collections.ConfigDict, data: Any) -> str:
    """Returns a digest of all that decides what a run computes.

    Args:
        config: The configuration of the run.
        data: The content of `data.json`.
    """
    # Settings that are off count as missing, as in an older version.
    on = {
        name: value for name, value in _used_settings(config).items() if value
    }
    return _short_digest([on, data], 16)


def finish(workdir: Path, run: str, result: dict[str, Any]) -> None:
    """Writes `seal.json`, which has digests of the files, and `result.json`.

    The result comes last: a run that has a result is finished.

    Args:
        workdir: The directory of the run, with all other files.
        run: The `run_digest` of the run.
        result: The content of `result.json`.
    """
    files = {
        name: _checksum(workdir / name)
        for name in _SEALED[1:]
        if (workdir / name).exists()
    }
    content = json_bytes(result)
    files["result.json"] = hashlib.sha256(content).hexdigest()
    write_json(workdir / _SEAL, {"run": run, "files": files})
    write_atomically(workdir / "result.json", content)


def check_seal(workdir: Path) -> None:
    """Checks the files of a finished run against its seal.

    Args:
        workdir: The directory of the run.

    Raises:
        InputError: names the file that is not as it was written.
    """
    path = workdir / _SEAL
    if not path.exists():
        print(
            f"{workdir} has no {_SEAL}: an older version wrote it, so whether "
            "its files belong together cannot be checked.",
            flush=True,
        )
        return
    sealed = read_json(path).get("files")
    if not isinstance(sealed, dict):
        raise damaged(path, "it lacks entries")
    for name in _SEALED:
        now = _checksum(workdir / name) if (workdir / name).exists() else None
        if now != sealed.get(name):
            state = "it has another content" if now else "it is missing"
            raise damaged(workdir / name, state)


def _checksum(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from None


def damaged(path: Path, state: str) -> InputError:
    """Returns the error for a file of a run that is not as it was written.

    Args:
        path: The file.
        state: What is wrong with the file.
    """
    return InputError(
        "`workdir` should hold the files of its run as they were written. "
        f"Received: '{path}' ({state}); restore it, or train in a new "
        "`workdir`."
    )


def read_json(path: Path) -> dict[str, Any]:
    """Returns the mapping in a JSON file of a run.

    Args:
        path: The file.

    Raises:
        InputError: if the file cannot be read, or holds anything else.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from None
    except ValueError:
        raise damaged(path, "it is not JSON") from None
    if not isinstance(content, dict):
        raise damaged(path, f"it holds {json.dumps(content)[:20]}")
    return content


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file atomically, as `write_atomically` does."""
    write_atomically(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """Returns the text of a JSON file."""
    return (json.dumps(content, indent=2) + "\n").encode()


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


def has_work(workdir: Path) -> bool:
    """Returns whether a directory holds files that training writes.

    Args:
        workdir: The directory. It may be missing.
    """
    return bool(_work(workdir))


def _work(workdir: Path) -> list[Path]:
    named = [workdir / name for name in _WORK]
    return [
        *(path for path in named if path.exists()),
        *(workdir / "checkpoints").glob("*.h5"),
    ]


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
