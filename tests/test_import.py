"""What `import mlc_tf` loads, and the names that it offers."""

import ast
import json
import os
import subprocess
import sys

import pytest

import mlc_tf
from mlc_tf import audit
from mlc_tf.data import images
from mlc_tf.datasets import tables
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional
from mlc_tf.run import figures
from tests.support import ROOT

_LIBRARIES = """
import json, sys

def libraries():
    names = {name.partition(".")[0] for name in sys.modules}
    return names - sys.stdlib_module_names - {"mlc_tf"}

"""
# The names that a user needs to train with the paper's method.
_TRAINING = (
    "MetaLossCorrection",
    "PairModel",
    "pair",
    "corrupt",
    "InputError",
    "transitions",
    "losses",
    "distribution",
    "data",
    "models",
    "networks",
    "baselines",
)
OPTIONAL = (
    "PIL",
    "jinja2",
    "keras_tuner",
    "matplotlib",
    "mlflow",
    "onnx",
    "pandas",
    "pyarrow",
    "tensorflow_datasets",
    "tf2onnx",
    "wandb",
)
# Hides libraries, as if they were not installed.
_HIDE = f"""
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def python(code, *arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def loaded(before, statement):
    """Returns the libraries that a statement loads after another."""
    code = (
        f"{_LIBRARIES}{before}\nbefore = libraries()\n{statement}\n"
        "print(json.dumps(sorted(libraries() - before)))"
    )
    completed = python(code)
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


@pytest.mark.parametrize("module", ["mlc_tf", "mlc_tf.launch.main"])
def test_a_bare_import_loads_no_library(module):
    assert loaded("", f"import {module}") == []


def test_training_loads_no_library_beside_tensorflow_and_keras():
    names = ", ".join(f"mlc_tf.{name}" for name in _TRAINING)
    statement = f"import mlc_tf; {names}"
    assert loaded("import tensorflow, keras", statement) == []


def test_editors_see_the_names_that_a_user_gets():
    tree = ast.parse((ROOT / "mlc_tf" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = [alias.name for node in block.body for alias in node.names]
    assert sorted(seen) == sorted(mlc_tf.__all__)
    assert mlc_tf.__all__ == sorted(mlc_tf.__all__)


@pytest.mark.parametrize("name", mlc_tf.__all__)
def test_every_name_is_reachable(name):
    assert name in dir(mlc_tf)
    value = getattr(mlc_tf, name)
    assert value.__name__ in (name, f"mlc_tf.{name}")


def test_the_baselines_and_the_settings_are_reachable():
    assert len(mlc_tf.baselines.__all__) == 18
    for name in mlc_tf.baselines.__all__:
        assert issubclass(getattr(mlc_tf.baselines, name), mlc_tf.PairModel)
    assert mlc_tf.run.settings.default_config().seed == 0


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'MetaLoss'"):
        mlc_tf.MetaLoss  # noqa: B018


def test_digits_are_trained_without_the_optional_libraries(tmp_path):
    code = f"""{_HIDE}
from mlc_tf.launch import main
sys.argv = ["mlc_tf", "train", "--config=digits:smoke", "--workdir=run"]
main.main()
"""
    completed = python(code, cwd=tmp_path)
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "run" / "result.json").exists()
    assert json.loads(completed.stdout.splitlines()[-1])["epochs"] == 2


@pytest.mark.parametrize(
    "library, extra, use",
    [
        ("pandas", "audit", lambda: audit.audit_labels(None, None)),
        ("pandas", "files", lambda: tables.read("a.csv", ())),
        ("PIL", "files", lambda: images.read_image("a.png", None)),
        ("matplotlib", "figures", lambda: figures.curves_figure([{}])),
        ("tensorflow_datasets", "tfds", lambda: mlc_tf.datasets.load("mnist")),
    ],
)
def test_a_missing_library_is_one_sentence(library, extra, use, monkeypatch):
    for name in [*sys.modules]:
        if name.partition(".")[0] == library:
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"^`{library}\b.*` should be .*: pip install 'mlc_tf\[{extra}\]'"
    with pytest.raises(InputError, match=message):
        use()


def test_a_library_that_is_installed_is_returned():
    assert import_optional("json.decoder", "all") is json.decoder


def test_a_command_needs_its_extra_and_its_help_does_not(tmp_path):
    code = f"""{_HIDE}
from mlc_tf.launch import main
sys.argv = ["mlc_tf", "tune", "--help"]
try:
    main.main()
except SystemExit as ended:
    assert not ended.code
sys.argv = ["mlc_tf", "tune"]
main.main()
"""
    completed = python(code, cwd=tmp_path)
    assert completed.returncode == 2, completed.stderr
    assert "--trials: The number of trials of a search." in completed.stdout
    assert (
        "error: `keras_tuner` should be installed for this: "
        "pip install 'mlc_tf[tune]'." in completed.stderr
    )
    assert "Traceback" not in completed.stderr
