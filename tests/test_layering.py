"""Each package imports only those below it, and only public API."""

import ast
import re

import pytest

from tests.support import ROOT

PACKAGE = ROOT / "mlc_tf"
# The sub-packages and modules, from the ground up: each may import those before
# it, and nothing else.
ORDER = (
    "errors",
    "processor",
    "transitions",
    "losses",
    "distribution",
    "data",
    "datasets",
    "networks",
    "models",
    "baselines",
    "run",
    "audit",
    "sklearn",
)
PRIVATE = re.compile(
    r"keras\.src|__internal__|tensorflow\.python|\._loss_tracker"
    r"|\._metrics|\._compile_|\._call_has|\._keras_history"
)


def modules():
    return sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "__init__.py"
    )


def package(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_packages(path):
    packages = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            packages |= {
                parts[1]
                for parts in names
                if parts[0] == "mlc_tf" and len(parts) > 1
            }
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "mlc_tf":
                names = [alias.name for alias in node.names]
                packages |= {parts[1]} if len(parts) > 1 else set(names)
    return packages


def test_every_package_has_a_place():
    assert {package(path) for path in modules()} == set(ORDER)
    assert len(list(PACKAGE.glob("*.py"))) <= 8


@pytest.mark.parametrize(
    "path", modules(), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_go_down(path):
    mine = package(path)
    for other in imported_packages(path) - {mine}:
        assert ORDER.index(other) < ORDER.index(mine), f"{mine} imports {other}"


def test_no_baseline_imports_another():
    for path in (PACKAGE / "baselines").glob("[!_]*.py"):
        assert "baselines" not in imported_packages(path)


@pytest.mark.parametrize(
    "path", modules(), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_only_public_api(path):
    assert not PRIVATE.search(path.read_text())


def test_only_one_package_knows_replicas():
    for path in modules():
        if re.search(
            r"replica_context|get_strategy|num_replicas_in_sync",
            path.read_text(),
        ):
            assert package(path) in {"distribution", "models"}


def test_only_one_package_has_the_private_hook():
    for path in modules():
        hook = "_maybe_symbolic_build" in path.read_text()
        assert hook == (path.stem == "multi_worker_fit")


def test_the_library_knows_no_flags():
    for path in modules():
        assert "absl" not in path.read_text()
