"""Each level of the house imports only lower ones, and only public API."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mlc_tf"
# DESIGN: a module may import modules of lower levels, and of its own level
# only where the pair is named here.
LEVELS = {
    "errors": 0,
    "transition": 1,
    "losses": 2,
    "networks": 1,
    "data_checks": 1,
    "augmentation": 1,
    "examples": 2,
    "data": 3,
    "noise": 2,
    "instance_noise": 3,
    "distribution": 2,
    "datasets": 4,
    "meta_gradient": 3,
    "transition_forms": 3,
    "virtual_network": 3,
    "pair_model": 5,
    "meta_loss_correction": 6,
    "baselines": 6,
    "methods": 7,
    "paper_results": 6,
    "audit": 6,
    "export": 4,
    "serving_warm_up": 1,
    "figures": 6,
    "run_directory": 6,
    "settings": 8,
    "callbacks": 7,
    "divergence": 1,
    "checkpoints": 7,
    "faults": 7,
    "multi_worker_fit": 3,
    "prediction": 4,
    "termination": 1,
    "problems": 7,
    "finished_run": 7,
    "run_audit": 8,
    "review": 8,
    "training": 9,
    "model_card": 9,
    "report": 9,
    "description": 9,
    "relabel": 8,
    "experiments": 10,
    "tuning": 10,
    "benchmarks": 10,
    "studies": 11,
}
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


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path):
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "mlc_tf":
                names = [alias.name for alias in node.names]
                rooms |= {parts[1]} if len(parts) > 1 else set(names)
    return rooms


def test_every_room_has_a_level():
    assert {room(path) for path in modules()} == set(LEVELS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_imports_go_down(path):
    mine = room(path)
    for other in imported_rooms(path) - {mine}:
        assert LEVELS[other] < LEVELS[mine], f"{mine} imports {other}"


def test_no_baseline_imports_another():
    for path in (PACKAGE / "baselines").glob("*.py"):
        assert "baselines" not in imported_rooms(path)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_only_public_api(path):
    assert not PRIVATE.search(path.read_text())


def test_only_one_room_knows_replicas():
    for path in modules():
        if re.search(
            r"replica_context|get_strategy|num_replicas_in_sync",
            path.read_text(),
        ):
            assert room(path) in {"distribution", "pair_model"}


def test_only_one_room_has_the_private_hook():
    for path in modules():
        hook = "_maybe_symbolic_build" in path.read_text()
        assert hook == (room(path) == "multi_worker_fit")


def test_the_library_knows_no_flags():
    for path in modules():
        assert "absl" not in path.read_text()
