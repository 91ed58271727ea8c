"""Runs the checks of a release, each in its own environment.

    nox                        # the whole matrix of versions
    nox -s "core(python='3.12', tensorflow='2.21.0', keras='3.15.1')"
    nox -s core -- -x -k saving    # options for pytest; records nothing
    nox -s coverage
    nox -s release installed       # the wheel and the sdist

The sessions `core` and `coverage` record what they found in `results`. The
Pythons have to be on the PATH.
"""

import datetime
import json
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections import defaultdict
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["core"]

MATRIX_FILE = Path("results/release/matrix.jsonl")
COVERAGE_FILE = Path("results/release/coverage.jsonl")
DIST = Path("dist")
# T, losses, data, and every method: its steps, its replicas and its export. The
# rest of the suite takes far longer, and CI runs it with the newest versions.
CORE = (
    "tests/transitions",
    "tests/test_losses.py",
    "tests/data",
    "tests/conformance",
)
COVERED = (
    *CORE,
    "tests/baselines",
    "tests/datasets",
    "tests/networks",
    "tests/audit",
)
# After so many failures the versions have failed.
MOST_FAILURES = 5
# (Python, TensorFlow, Keras): the newest versions on each Python, the oldest
# that are promised (`setup.py`), and the versions before each of these.
MATRIX = [
    ("3.11", "2.21.0", "3.15.1"),
    ("3.12", "2.21.0", "3.15.1"),
    ("3.13", "2.21.0", "3.15.1"),
    ("3.11", "2.21.0", "3.15.0"),
    ("3.11", "2.21.0", "3.14.1"),
    ("3.11", "2.20.0", "3.15.1"),
]


@nox.session
@nox.parametrize("python,tensorflow,keras", MATRIX)
def core(session: nox.Session, tensorflow: str, keras: str) -> None:
    """Runs the core tests with some versions."""
    folder = Path(session.create_tmp()).resolve()
    # The requirements of `setup.py`, with other versions of these two.
    overrides = folder / "overrides.txt"
    overrides.write_text(f"tensorflow=={tensorflow}\nkeras=={keras}\n")
    session.install("--overrides", str(overrides), "-e", ".[test]")
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    ran = session.run(
        *("pytest", "-o", "addopts=", "-q", "--disable-warnings"),
        *(f"--maxfail={MOST_FAILURES}", f"--junitxml={report}"),
        *(session.posargs or CORE),
        # 1: tests failed; 2: too many did. Both are a result.
        success_codes=[0, 1, 2],
    )
    if ran is None:  # nox --install-only
        return
    outcome = _outcome(report)
    if not session.posargs:
        code = "import platform; print(platform.python_version())"
        printed = session.run("python", "-c", code, silent=True)
        versions = {
            "python": str(printed).strip(),
            "tensorflow": tensorflow,
            "keras": keras,
        }
        run = {"run": " ".join(versions.values()), **versions, **outcome}
        _write(MATRIX_FILE, [run])
    if outcome["failed"]:
        session.error(f"{outcome['failed']} tests failed")


def _outcome(report: Path) -> dict[str, object]:
    """Returns the counts in a JUnit report, and which tests failed."""
    root = ElementTree.parse(report).getroot()  # noqa: S314, pytest wrote it
    suite = root.find("testsuite")
    assert suite is not None, report
    count = {
        name: int(suite.attrib[name])
        for name in ("tests", "failures", "errors", "skipped")
    }
    failed = count["failures"] + count["errors"]
    failures = [
        f"{case.attrib['classname']}.{case.attrib['name']}: "
        + child.attrib["message"].splitlines()[0][:200]
        for case in suite.iter("testcase")
        for child in case
        if child.tag in ("failure", "error")
    ]
    return {
        "passed": count["tests"] - failed - count["skipped"],
        "failed": failed,
        "skipped": count["skipped"],
        "stopped": failed >= MOST_FAILURES,
        "failures": failures,
        "tests": CORE,
        "date": _today(),
    }


def _write(path: Path, entries: list[dict[str, Any]]) -> None:
    """Writes results as `mlc_tf.run.results` does, which nox cannot import."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    known = {entry["run"]: entry for entry in map(json.loads, lines)}
    known |= {entry["run"]: entry for entry in entries}
    path.write_text(
        "".join(f"{json.dumps(known[run])}\n" for run in sorted(known))
    )


@nox.session(python="3.12")
def coverage(session: nox.Session) -> None:
    """Measures which lines of the library its tests run."""
    session.install("-e", ".[test]", "coverage>=7.10")
    folder = Path(session.create_tmp()).resolve()
    data, report = folder / "coverage", folder / "coverage.json"
    session.env["COVERAGE_FILE"] = str(data)
    session.run("coverage", "erase")
    session.run(
        *("coverage", "run", "-m", "pytest", "-o", "addopts=", "-q"),
        *("--disable-warnings", *(session.posargs or COVERED)),
        # A failed test is for `core`: the lines have been run.
        success_codes=[0, 1],
    )
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--sort=cover", "--skip-covered")
    session.run("coverage", "json", "--quiet", "-o", str(report))
    if not session.posargs:
        files = json.loads(report.read_text())["files"]
        _write(COVERAGE_FILE, _by_package(files))


def _by_package(files: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the lines of each package and of all, and those that ran."""
    lines: dict[str, Counter[str]] = defaultdict(Counter)
    for path, found in files.items():
        package = ".".join(Path(path).with_suffix("").parts[:2])
        for name in (package, "all"):
            lines[name].update(
                lines=found["summary"]["num_statements"],
                covered=found["summary"]["covered_lines"],
            )
    return [
        {"run": name, **count, "tests": COVERED, "date": _today()}
        for name, count in lines.items()
        if count["lines"]
    ]


@nox.session(python="3.12")
def release(session: nox.Session) -> None:
    """Builds the sdist, the wheel from the sdist, and checks both."""
    session.install("build", "check-wheel-contents", "twine")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(DIST))
    files = [str(path) for path in DIST.iterdir()]
    session.run("twine", "check", "--strict", *files)
    session.run("check-wheel-contents", str(DIST))


@nox.session(python=["3.11", "3.12", "3.13"])
def installed(session: nox.Session) -> None:
    """Trains with the wheel that `release` built, in an empty folder."""
    (wheel,) = DIST.resolve().glob("*.whl")
    session.install(str(wheel))
    session.run("uv", "pip", "check", external=True)
    folder = Path(session.create_tmp()).resolve() / "empty"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    session.chdir(folder)
    session.run("mlc_tf", "train", "--config=digits", "--workdir=run")


def _today() -> str:
    return datetime.date.today().isoformat()
