"""The wheel: it holds the whole package, and works without the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import PurePosixPath

import pytest

from mlc_tf.launch import main
from tests import test_documents
from tests.support import ROOT

pytest.importorskip("setuptools")
pytest.importorskip("wheel")
# The folders of the checkout, and where the wheel installs each.
FOLDERS = {
    "mlc_tf": "mlc_tf",
    "launch": "mlc_tf/launch",
    "configs": "mlc_tf/configs",
}


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory):
    """Returns a folder in which the wheel is unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy: setuptools would take what lies in build/ of the checkout, too.
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FOLDERS:
        shutil.copytree(
            ROOT / name,
            source / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    options = "--no-deps", "--no-build-isolation", "--quiet"
    pip = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    built = subprocess.run(pip, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("mlc_tf-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unzipped")
    return folder / "unzipped"


def files(folder):
    return {
        PurePosixPath(path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# It runs tests, which a wheel does not have.
OF_THE_CHECKOUT = {"gpu_check.sh"}


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
    assert {name.partition(">")[0].strip(" (") for name in required} == {
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
    assert {"docs", "test", "tfds", "tune"} <= extras
    assert [*unzipped.glob("*.dist-info/**/LICENSE")]
    (entries,) = unzipped.glob("*.dist-info/entry_points.txt")
    assert "mlc_tf = mlc_tf.launch.main:main" in entries.read_text()


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
