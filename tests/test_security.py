"""What SECURITY.md says of files from others: they are read, never run."""

import hashlib
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

from mlc_tf import datasets
from mlc_tf.data.examples import Arrays
from mlc_tf.datasets import cache
from mlc_tf.errors import InputError
from mlc_tf.run import callbacks
from mlc_tf.run import finished_run
from mlc_tf.run import training
from tests.support import own_arrays
from tests.support import small

# tests/datasets/test_npz.py and tests/data/test_noise.py have the data and T of
# a user; tests/audit/test_review.py has a page with hostile names.


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


def in_history(folder, objects):
    arrays = {"epochs": np.array([1]), "learned": objects[None, None]}
    np.savez(folder / "transition.npz", **arrays)
    callbacks.read_history(folder / "transition.npz")


def in_cache(folder, objects):
    examples = Arrays(np.zeros((1, 2), np.float32), np.zeros(1, np.int64))
    cache.cached(examples, f"disk:{folder}", "")
    (file,) = folder.glob("*.npy")
    np.save(file, objects)
    cache.cached(examples, f"disk:{folder}", "")


@pytest.mark.parametrize("read", [in_history, in_cache])
def test_objects_are_never_unpickled(read, tmp_path):
    sprung = tmp_path / "sprung"
    objects = np.array([Trap(sprung)], object)
    np.save(tmp_path / "objects.npy", objects)
    np.load(tmp_path / "objects.npy", allow_pickle=True)
    assert sprung.exists()
    sprung.unlink()
    (tmp_path / "read").mkdir()
    with pytest.raises(InputError):
        read(tmp_path / "read", objects)
    assert not sprung.exists()


def make_run(folder):
    config = small(**own_arrays(folder / "data.npz"))
    training.run(config, folder / "run", verbose=0)


@pytest.fixture
def run(made_once, tmp_path):
    """The directory of a finished run, which a test may change."""
    made = made_once("security", make_run)
    return shutil.copytree(made / "run", tmp_path / "run")


def replace_network(run, network):
    """Puts a network into a run, with a seal as whoever made it would write."""
    shutil.copy(network, run / "model.keras")
    seal = json.loads((run / "seal.json").read_text())
    content = (run / "model.keras").read_bytes()
    seal["files"]["model.keras"] = hashlib.sha256(content).hexdigest()
    (run / "seal.json").write_text(json.dumps(seal))


def dense(folder):
    """Saves a network that is nothing but a layer; returns its file."""
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.save(folder / "dense.keras")
    return folder / "dense.keras"


def with_layer(file, module, name, settings):
    """Puts another class in the place of the layer in a saved network."""
    with zipfile.ZipFile(file) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1] = {
        "module": module,
        "class_name": name,
        "config": settings,
        "registered_name": None,
    }
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


def test_a_network_of_a_run_is_loaded(run, tmp_path):
    replace_network(run, dense(tmp_path))
    assert finished_run.load(run).network.count_params() == 10


def test_python_in_a_network_is_not_run(run, tmp_path):
    inputs = keras.Input((4,))
    code = keras.layers.Lambda(lambda x: x[:, :2])
    keras.Model(inputs, code(inputs)).save(tmp_path / "lambda.keras")
    replace_network(run, tmp_path / "lambda.keras")
    with pytest.raises(InputError, match="model.keras.*Lambda.*Python lambda"):
        finished_run.load(run)


def test_a_program_that_a_network_names_is_not_started(run, tmp_path):
    sprung, file = tmp_path / "sprung", dense(tmp_path)
    with_layer(
        file, "subprocess", "check_call", {"popenargs": ["touch", str(sprung)]}
    )
    replace_network(run, file)
    with pytest.raises(InputError, match="model.keras"):
        finished_run.load(run)
    assert not sprung.exists()


def test_a_network_within_a_network_file_is_not_loaded(run, tmp_path):
    file = dense(tmp_path)
    settings = {"filepath": str(tmp_path), "call_endpoint": "serve"}
    with_layer(file, "keras.layers", "TFSMLayer", settings)
    replace_network(run, file)
    with pytest.raises(InputError, match="model.keras.*`TFSMLayer`"):
        finished_run.load(run)


@pytest.mark.parametrize(
    "name", ["some_lab:images", "huggingface:mnist", "some_lab:images:1.0.0"]
)
def test_a_namespace_of_tfds_is_refused(name, tmp_path):
    with pytest.raises(
        InputError, match=f"without a namespace.* Received: '{name}'"
    ):
        datasets.load(f"tfds:{name}", data_dir=str(tmp_path))


def test_a_version_of_tfds_is_no_namespace(tmp_path):
    with pytest.raises(InputError, match="'mnist:3.0.1' should be prepared"):
        datasets.load("tfds:mnist:3.0.1", data_dir=str(tmp_path))
