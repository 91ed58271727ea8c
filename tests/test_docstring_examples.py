import doctest
import importlib
from pathlib import Path

import pytest

import mlc_tf

PACKAGE = Path(mlc_tf.__file__).parent
MODULES = sorted(
    ".".join(("mlc_tf", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_right(name):
    module = importlib.import_module(name.removesuffix(".__init__"))
    results = doctest.testmod(module)
    assert results.attempted and not results.failed
