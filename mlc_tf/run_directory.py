"""The directory of a run: whose it is, and files that are whole or absent."""

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import ml_collections

from mlc_tf.errors import InputError

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
    """Raises if the directory holds the epochs of a run of another config."""
    workdir = Path(workdir)
    path = workdir / "config.json"
    if not path.exists() or not (workdir / "metrics.jsonl").exists():
        return
    differing = _differing(
        json.loads(config.to_json()), json.loads(path.read_text())
    )
    if differing:
        raise InputError(
            "`workdir` should be new or of a run with this config. Received: "
            f"`workdir` = '{workdir}', of one that differs in "
            f"{', '.join(differing)}."
        )


def claim(workdir: Path, config: ml_collections.ConfigDict) -> None:
    """Makes the run's directory, with its config and the versions used.

    That of a run which has epochs is left as it is: it tells what made them.

    Raises:
        InputError: if it cannot be written, or as `check`.
    """
    check(workdir, config)
    if (workdir / "metrics.jsonl").exists():
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / "config.json", json.loads(config.to_json()))
        write_json(workdir / "versions.json", versions())
    except OSError as error:
        raise InputError(
            f"`workdir` should be a directory that can be written. Received: "
            f"`workdir` = '{workdir}' ({error.strerror})."
        ) from None


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


def _differing(ours: Any, theirs: Any, prefix: str = "") -> list[str]:
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return [] if ours == theirs else [prefix]
    return [
        name
        for key in sorted({*ours, *theirs})
        for name in _differing(
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
