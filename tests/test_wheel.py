"""The wheel: it holds the whole package, and works without the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import PurePosixPath

import pytest

from mlc_tf.launch import main
from tests import test_documents
from tests.support import ROOT

# The folders of the checkout, and where the wheel installs each.
FOLDERS = {
    "mlc_tf": "mlc_tf",
    "launch": "mlc_tf/launch",
    "configs": "mlc_tf/configs",
}


# What the wheel is built from: also in launch/cluster/Dockerfile.
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", *FOLDERS)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Returns a folder with a copy of the checkout, the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("built")
    # A copy: setuptools would take what lies in build/ of the checkout, too.
    for name in (*FOLDERS, ".ci", "docs", "results", "tests"):
        shutil.copytree(
            ROOT / name,
            folder / "checkout" / name,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
        )
    for path in ROOT.iterdir():
        # The .git of a worktree is a file.
        if path.is_file() and not path.name.startswith((".git", ".coverage")):
            shutil.copy(path, folder / "checkout")
    shutil.copy(ROOT / ".gitignore", folder / "checkout")
    # The wheel is built from the sdist.
    command = [sys.executable, "-m", "build", "--no-isolation"]
    made = subprocess.run(
        [*command, f"--outdir={folder}", str(folder / "checkout")],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture(scope="module")
def unzipped(built):
    """Returns a folder in which the wheel is unpacked."""
    (wheel,) = built.glob("mlc_tf-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(built / "unzipped")  # noqa: S202, our own
    return built / "unzipped"


def files(folder):
    return {
        PurePosixPath(path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# They run tests and build the package, neither of which a wheel has.
OF_THE_CHECKOUT = {"gpu_check.sh", "Dockerfile"}


def test_the_sdist_is_the_checkout(built):
    with tarfile.open(next(built.glob("mlc_tf-*.tar.gz"))) as archive:
        found = {
            PurePosixPath(*PurePosixPath(member.name).parts[1:])
            for member in archive
            if member.isfile()
        }
    made = {PurePosixPath(name) for name in ("PKG-INFO", "setup.cfg")}
    found = {path for path in found if not path.parts[0].endswith(".egg-info")}
    checkout = {
        path
        for path in files(built / "checkout")
        if not path.parts[0].endswith(".egg-info")
    }
    assert found - made == checkout


def test_the_wheel_holds_every_file_of_the_package(unzipped):
    expected = {
        PurePosixPath(there) / path
        for here, there in FOLDERS.items()
        for path in files(ROOT / here)
        if path.name not in OF_THE_CHECKOUT
    }
    found = {
        path
        for path in files(unzipped)
        if not path.parts[0].endswith(".dist-info")
    }
    assert found == expected
    for name in (
        "mlc_tf/py.typed",
        "mlc_tf/audit/model_card.md.j2",
        "mlc_tf/audit/review/page.html.j2",
        "mlc_tf/configs/digits.py",
        "mlc_tf/launch/cluster/slurm.sh",
    ):
        assert PurePosixPath(name) in found


def test_the_wheel_says_what_it_is(unzipped):
    (metadata,) = unzipped.glob("*.dist-info/METADATA")
    lines = metadata.read_text().splitlines()
    required = {
        line.removeprefix("Requires-Dist: ")
        for line in lines
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    }
    # Versions of setuptools differ in "-" and "_".
    names = {name.partition(">")[0].strip(" (") for name in required}
    assert {name.replace("_", "-") for name in names} == {
        "absl-py",
        "keras",
        "ml-collections",
        "numpy",
        "scikit-learn",
        "scipy",
        "tensorboard",
        "tensorflow",
    }
    extras = {line.split()[1] for line in lines if "Provides-Extra" in line}
    assert {"all", "audit", "cuda", "figures", "files", "onnx"} <= extras
    assert {"develop", "docs", "test", "tfds", "tune"} <= extras
    assert [*unzipped.glob("*.dist-info/**/LICENSE")]
    (entries,) = unzipped.glob("*.dist-info/entry_points.txt")
    assert "mlc_tf = mlc_tf.launch.main:main" in entries.read_text()


def test_the_description_has_no_link_into_the_checkout(unzipped):
    (metadata,) = unzipped.glob("*.dist-info/METADATA")
    text = metadata.read_text().partition("\n\n")[2]
    inline = re.findall(r"\]\(([^)]+)\)", text)
    named = re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    assert inline or named
    for link in (*inline, *named):
        assert link.startswith(("https:", "#")), link
    # Each name that is used is defined, each that is defined is used.
    uses = set(re.findall(r"\]\[([^\]]+)\]", text))
    assert uses == set(re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE))


def test_the_versions_are_those_that_passed(unzipped):
    (metadata,) = unzipped.glob("*.dist-info/METADATA")
    text = metadata.read_text()
    lines = (ROOT / "results/release/matrix.jsonl").read_text().splitlines()
    passed = [run for run in map(json.loads, lines) if not run["failed"]]

    def versions(name):
        return [tuple(map(int, run[name].split("."))) for run in passed]

    for package in ("tensorflow", "keras"):
        floor = re.search(rf"^Requires-Dist: {package}>=(\S+)$", text, re.M)[1]
        promised = tuple(map(int, floor.split(".")))
        assert promised in [
            version[: len(promised)] for version in versions(package)
        ]
    pythons = {f"{major}.{minor}" for major, minor, _ in versions("python")}
    # CI runs the whole suite with the oldest.
    pythons.add(re.search(r"^Requires-Python: >=(\S+)$", text, re.M)[1])
    assert pythons == set(re.findall(r":: Python :: (3\.\d+)$", text, re.M))


def test_the_wheel_works_in_an_empty_folder(unzipped, tmp_path):
    # -S leaves out the .pth files, one of which may point to a checkout.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    code = f"""
import pathlib, sys
sys.path = [{str(unzipped)!r}, *sys.path, *{libraries!r}]
import mlc_tf
assert pathlib.Path(mlc_tf.__file__).is_relative_to({str(unzipped)!r})
from mlc_tf.launch import main
main.main()
"""

    def command(*arguments):
        environment = {**os.environ}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(
            [sys.executable, "-S", "-c", code, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )

    listed = command("--help")
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in main.COMMANDS)
    trained = command("train", "--config=digits:smoke", "--workdir=run")
    assert trained.returncode == 0, trained.stderr
    reviewed = command("review", "--workdir=run")
    assert reviewed.returncode == 0, reviewed.stderr
    assert (tmp_path / "run" / "review.html").stat().st_size > 10_000


def test_the_example_of_the_readme_runs_from_the_wheel(unzipped, tmp_path):
    script, shown = test_documents.script_of("README.md")
    # After the sources of the wheel come the installed libraries alone.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    prelude = (
        f"import sys\nsys.path = {[str(unzipped)]} + sys.path + {libraries}\n"
    )
    where = "import mlc_tf\nassert mlc_tf.__file__.startswith(sys.path[0])\n"
    (tmp_path / "example.py").write_text(prelude + where + script)
    completed = subprocess.run(
        [sys.executable, "-S", "example.py"],
        cwd=tmp_path,
        env={
            name: os.environ[name]
            for name in os.environ
            if name != "PYTHONPATH"
        },
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert test_documents.same_output(completed.stdout, shown)
