"""SavedModels that strangers load, with what the model said."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import export
from mlc_tf import networks
from mlc_tf import noise
from mlc_tf.errors import InputError

T = noise.transition_matrix("flip_to_one", 3, 0.4, seed=0)
NAMES = ["cat", "dog", "eel"]
NETWORKS = {
    "mlp": ((4,), {}),
    "lenet": ((28, 28, 1), {}),
    "wide_resnet": ((8, 8, 3), {"depth": 10, "width": 1}),
}
# A process in which `mlc_tf` cannot be imported, with plain TensorFlow.
STRANGER = """
import importlib.abc, json, sys

class Refused(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "mlc_tf":
            raise ImportError(name)

sys.meta_path.insert(0, Refused())
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
x = np.load(sys.argv[2], allow_pickle=False)
found = {
    signature: {
        name: value.numpy().astype(str).tolist()
        if value.dtype == tf.string else value.numpy().tolist()
        for name, value in function(inputs=tf.constant(x)).items()
    }
    for signature, function in model.signatures.items()
}
print(json.dumps(found))
"""


def build(name):
    network = networks.get(name)
    shape, options = NETWORKS[name]
    return network.build(shape, 3, **options), shape


@pytest.fixture
def mlp():
    return build("mlp")[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stranger_gets_what_the_network_says(name, tmp_path, rng):
    network, shape = build(name)
    version = export.saved_model(network, tmp_path / "served", NAMES, T)
    x = rng.normal(size=(5, *shape)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    completed = subprocess.run(
        [sys.executable, "-c", STRANGER, version, tmp_path / "x.npy"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert completed.returncode == 0, completed.stderr
    found = json.loads(completed.stdout.splitlines()[-1])
    expected = network.predict(x, verbose=0)
    logits = np.array(found["logits"]["logits"])
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-6)
    probs = tf.nn.softmax(expected).numpy()
    served = found["serving_default"]
    np.testing.assert_allclose(served["probabilities"], probs, atol=1e-6)
    index = probs.argmax(axis=1)
    assert served["class_index"] == index.tolist()
    assert served["class_name"] == [NAMES[i] for i in index]
    noisy = found["noisy_label_posterior"]["probabilities"]
    np.testing.assert_allclose(noisy, probs @ T, atol=1e-6)


def test_any_batch_size_is_served(mlp, tmp_path):
    version = export.saved_model(mlp, tmp_path, NAMES)
    signatures = tf.saved_model.load(version).signatures
    assert set(signatures) == {"serving_default", "logits"}  # no T, no more
    for size in (1, 7):
        served = signatures["serving_default"](inputs=tf.zeros([size, 4]))
        assert served["probabilities"].shape == (size, 3)


def test_other_inputs_are_refused_by_the_signature(mlp, tmp_path):
    version = export.saved_model(mlp, tmp_path, NAMES)
    serve = tf.saved_model.load(version).signatures["serving_default"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="float"):
        serve(inputs=tf.zeros([2, 4], tf.int32))


def test_versions_are_counted(mlp, tmp_path):
    (tmp_path / "notes").mkdir()
    for number in (1, 2):
        version = export.saved_model(mlp, tmp_path, NAMES)
        assert version == tmp_path / str(number)
    (tmp_path / "10").mkdir()
    assert export.saved_model(mlp, tmp_path, NAMES) == tmp_path / "11"
    assert not [*tmp_path.glob(".part*")]


def test_an_export_that_fails_leaves_no_version(mlp, tmp_path, monkeypatch):
    def write_half(self, folder, **kwargs):
        (folder / "saved_model.pb").write_bytes(b"half")
        raise RuntimeError("power cut")

    archive = type(keras.export.ExportArchive())
    monkeypatch.setattr(archive, "write_out", write_half)
    with pytest.raises(RuntimeError, match="power cut"):
        export.saved_model(mlp, tmp_path, NAMES)
    assert not [*tmp_path.iterdir()]


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"class_names": ["a", "b"]}, "3 different names"),
        ({"class_names": ["a", "b", "b"]}, "3 different names"),
        ({"transition": np.eye(2)}, r"of shape \(3, 3\)"),
        ({"transition": np.ones((3, 3))}, "sum"),
        ({"network": Subclassed()}, "functional or Sequential"),
        ({"output": "/proc/served"}, "a folder that can be written"),
    ],
)
def test_bad_arguments_are_refused(mlp, tmp_path, changes, message):
    arguments = {
        "network": mlp,
        "output": tmp_path / "served",
        "class_names": NAMES,
        "transition": T,
        **changes,
    }
    with pytest.raises(InputError, match=message):
        export.saved_model(**arguments)
