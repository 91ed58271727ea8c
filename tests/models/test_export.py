"""Tests that other runtimes load the exports and give the same answers."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert

from mlc_tf import MetaLossCorrection
from mlc_tf import networks
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.data import noise
from mlc_tf.datasets import columns
from mlc_tf.errors import InputError
from mlc_tf.models import export
from mlc_tf.models import serving_warm_up
from mlc_tf.transitions import Projected
from mlc_tf.transitions import ProjectedColumns
from tests.conftest import FLOAT32
from tests.support import ROOT

T = noise.transition_matrix("flip_to_one", 3, 0.4, seed=0)
NAMES = ["cat", "dog", "eel"]
# Tolerances for logits, and for the probabilities of other runtimes.
EXACT = {"rtol": 1e-6, "atol": 1e-6}
PORTABLE = {"rtol": 0, "atol": 1e-5}
NETWORKS = {
    "mlp": ((4, 4, 1), {"mean": [0.3], "variance": [2.0]}),
    "lenet": ((12, 12, 3), {"mean": [0.3] * 3, "variance": [2.0] * 3}),
    "wide_resnet": ((8, 8, 3), {"depth": 10, "width": 1}),
    "resnet50": ((32, 32, 3), {"weights": ""}),
    "word_window": ((3, 2), {"table_sizes": [10, 7]}),
}
# These networks take a minute to convert, and add nothing to the other cases.
LARGE = ("resnet50",)
# A process in which `mlc_tf` cannot be imported, with each format's runtime.
PROGRAM = """
import importlib.abc, sys

class Refused(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "mlc_tf":
            raise ImportError(name)

sys.meta_path.insert(0, Refused())
import pathlib
import numpy as np
import onnxruntime
import tensorflow as tf
from ai_edge_litert import interpreter as litert

def text(array):
    if array.dtype != object:
        return array
    return np.array([tf.compat.as_text(each) for each in array])

for folder in pathlib.Path(sys.argv[1]).iterdir():
    x = np.load(folder / "x.npy", allow_pickle=False)
    found = {}
    model = tf.saved_model.load(folder / "saved_model")
    for signature, function in model.signatures.items():
        for name, value in function(inputs=tf.constant(x)).items():
            found[f"{signature}.{name}"] = text(value.numpy())
    path = str(folder / "model.tflite")
    if pathlib.Path(path).exists():
        run = litert.Interpreter(path).get_signature_runner("serving_default")
        for name, value in run(inputs=x).items():
            found[f"litert.{name}"] = text(value)
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
        names = [output.name for output in session.get_outputs()]
        for name, value in zip(names, session.run(names, {"inputs": x})):
            found[f"onnx.{name}"] = text(value)
    np.savez(folder / "found.npz", **found)
"""


def build(name, seed=0):
    keras.utils.set_random_seed(seed)
    shape, options = NETWORKS[name]
    return networks.get(name).build(shape, 3, **options)


def inputs_of(network, batch=5):
    rng = np.random.default_rng(0)
    spec = network.inputs[0]
    shape = (batch, *spec.shape[1:])
    if spec.dtype == "float32":
        return rng.normal(size=shape).astype(np.float32)
    return rng.integers(0, 7, size=shape).astype(spec.dtype)


@pytest.fixture
def mlp():
    return build("mlp")


def network_and_runtime_answers(root, names):
    """Returns the network's logits and the runtimes' answers, by network."""
    said = {}
    for name in names:
        network, folder = build(name), root / name
        model = MetaLossCorrection(network, transition=Projected(initial=T))
        model.export(folder / "saved_model", class_names=NAMES, verbose=False)
        if name not in LARGE:
            for file, format in (("tflite", "litert"), ("onnx", "onnx")):
                model.export(
                    folder / f"model.{file}",
                    format,
                    class_names=NAMES,
                    verbose=False,
                )
        x = inputs_of(network)
        np.save(folder / "x.npy", x)
        said[name] = network.predict(x, verbose=0)
    completed = subprocess.run(
        [sys.executable, "-c", PROGRAM, root],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert completed.returncode == 0, completed.stderr
    return {
        name: (said[name], dict(np.load(root / name / "found.npz")))
        for name in names
    }


def test_every_network_is_exported():
    assert set(NETWORKS) == set(networks.NETWORKS)


@pytest.mark.parametrize(
    "names",
    [
        # Inputs of floats, of bytes with convolutions, and of several integers.
        ("mlp", "lenet", "word_window"),
        pytest.param(("wide_resnet", "resnet50"), marks=pytest.mark.wide),
    ],
)
def test_other_runtimes_give_the_answers_of_the_networks(names, tmp_path):
    # One process runs all networks, since its start takes longest.
    answers = network_and_runtime_answers(tmp_path, names)
    for name, (logits, heard) in answers.items():
        np.testing.assert_allclose(
            heard["logits.logits"], logits, **EXACT, err_msg=name
        )
        probs = tf.nn.softmax(logits).numpy()
        noisy = heard["noisy_label_posterior.probabilities"]
        np.testing.assert_allclose(noisy, probs @ T, **EXACT, err_msg=name)
        same_answers(heard, "serving_default", probs, EXACT)
        if name not in LARGE:
            same_answers(heard, "litert", probs, PORTABLE)
            same_answers(heard, "onnx", probs, PORTABLE)


def same_answers(heard, where, probs, tolerance):
    np.testing.assert_allclose(
        heard[f"{where}.probabilities"], probs, **tolerance
    )
    index = probs.argmax(axis=1)
    assert heard[f"{where}.class_index"].tolist() == index.tolist()
    names = heard[f"{where}.class_name"].tolist()
    assert names == [NAMES[i] for i in index]


def test_the_command_line_of_tensorflow_runs_it(mlp, tmp_path):
    version = export.saved_model(mlp, tmp_path / "served", NAMES)
    x = inputs_of(mlp)
    np.save(tmp_path / "x.npy", x)
    run = ["run", "--dir", version, "--tag_set", "serve"]
    completed = subprocess.run(
        [Path(sys.executable).with_name("saved_model_cli"), *run]
        + ["--signature_def", "serving_default", "--outdir", tmp_path]
        + ["--inputs", f"inputs={tmp_path / 'x.npy'}"],
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    expected = tf.nn.softmax(mlp.predict(x, verbose=0))
    probs = np.load(tmp_path / "probabilities.npy")
    np.testing.assert_allclose(probs, expected, **EXACT)


def test_any_batch_size_is_served(mlp, tmp_path):
    version = export.saved_model(mlp, tmp_path / "served", NAMES)
    signatures = tf.saved_model.load(version).signatures
    # Without T there is no third signature.
    assert set(signatures) == {"serving_default", "logits"}
    for format, path in (("litert", "mlp.tflite"), ("onnx", "mlp.onnx")):
        export.write(mlp, tmp_path / path, format)
    session = onnxruntime.InferenceSession(tmp_path / "mlp.onnx")
    runner = litert.Interpreter(
        str(tmp_path / "mlp.tflite")
    ).get_signature_runner()
    for size in (1, 7):
        x = inputs_of(mlp, size)
        served = signatures["serving_default"](inputs=x)["probabilities"]
        assert served.shape == (size, 3)
        answer = runner(inputs=x)["probabilities"]
        np.testing.assert_allclose(answer, served, **PORTABLE)
        (answer,) = session.run(["probabilities"], {"inputs": x})
        np.testing.assert_allclose(answer, served, **PORTABLE)


@pytest.mark.parametrize("signature", ["serving_default", "logits"])
def test_another_dtype_or_shape_is_refused(signature, mlp, tmp_path):
    version = export.saved_model(mlp, tmp_path, NAMES)
    serve = tf.saved_model.load(version).signatures[signature]
    with pytest.raises(tf.errors.InvalidArgumentError, match="float"):
        serve(inputs=tf.zeros([2, 4, 4, 1], tf.int32))
    # Both shapes have 16 numbers per example, as many as the network takes.
    for shape, shown_shape in (
        ([2, 2, 8, 1], r"\[2,2,8,1\]"),
        ([2, 16], r"\[2,16\]"),
    ):
        message = (
            rf"Shape .* {shown_shape} is not comp.* expected shape \[\?,4,4,1\]"
        )
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            serve(inputs=tf.zeros(shape))


def test_onnx_refuses_another_dtype_or_shape(mlp, tmp_path):
    export.write(mlp, tmp_path / "mlp.onnx", "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "mlp.onnx")
    for x in (np.zeros((2, 4, 4, 1), np.int64), np.zeros((2, 16), np.float32)):
        with pytest.raises(Exception, match="(?i)expected"):
            session.run(None, {"inputs": x})


def test_litert_refuses_another_dtype_and_strictly_another_shape(mlp, tmp_path):
    export.write(mlp, tmp_path / "mlp.tflite", "litert")
    path = str(tmp_path / "mlp.tflite")
    with pytest.raises(ValueError, match="INT64.*expected type FLOAT32"):
        runner = litert.Interpreter(path).get_signature_runner()
        runner(inputs=np.zeros((2, 4, 4, 1), np.int64))
    interpreter = litert.Interpreter(path)
    (inputs,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(inputs["index"], [9, 4, 4, 1], strict=True)
    with pytest.raises(RuntimeError, match="only allows mutating unknown"):
        interpreter.resize_tensor_input(
            inputs["index"], [9, 2, 8, 1], strict=True
        )


def test_sizes_that_are_unknown_may_be_any(tmp_path):
    inputs = keras.Input((None,), dtype="uint8")
    x = keras.layers.LSTM(4)(keras.layers.Embedding(256, 5)(inputs))
    network = keras.Model(inputs, keras.layers.Dense(3)(x))
    version = export.saved_model(network, tmp_path / "served", NAMES)
    export.write(network, tmp_path / "lstm.onnx", "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "lstm.onnx")
    serve = tf.saved_model.load(version).signatures["serving_default"]
    for shape in ((2, 3), (1, 6)):
        x = np.ones(shape, np.uint8)
        probs = tf.nn.softmax(network(x))
        served = serve(inputs=x)["probabilities"]
        np.testing.assert_allclose(served, probs, **EXACT)
        (answer,) = session.run(["probabilities"], {"inputs": x})
        np.testing.assert_allclose(answer, probs, **PORTABLE)
    with pytest.raises(InputError, match="`format` = 'litert'.*TensorList"):
        export.write(network, tmp_path / "lstm.tflite", "litert")


def test_the_operation_that_onnx_lacks_is_named(tmp_path):
    inputs = keras.Input((4,))
    x = keras.layers.Lambda(tf.math.bessel_i1e)(inputs)
    network = keras.Model(inputs, keras.layers.Dense(3)(x))
    with pytest.raises(InputError, match=r"`format` = 'onnx' \(BesselI1e\)"):
        export.write(network, tmp_path / "bessel.onnx", "onnx")
    assert not [*tmp_path.iterdir()]


def test_several_inputs_keep_their_names(tmp_path):
    inputs = {
        "a": keras.Input((2,), name="a"),
        "b": keras.Input((3,), name="b"),
    }
    joined = keras.layers.Concatenate()([*inputs.values()])
    network = keras.Model(inputs, keras.layers.Dense(3)(joined))
    version = export.saved_model(network, tmp_path, NAMES)
    x = {"a": np.ones((5, 2), np.float32), "b": np.ones((5, 3), np.float32)}
    serve = tf.saved_model.load(version).signatures["logits"]
    np.testing.assert_allclose(serve(**x)["logits"], network(x), **EXACT)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.logits = keras.layers.Dense(3)

    def call(self, inputs):
        return self.logits(inputs)


def test_a_subclassed_base_is_exported_with_a_signature(tmp_path, capsys):
    base = Subclassed()
    x = np.ones((2, 4), np.float32)
    base(x)
    model = CrossEntropy(base)
    with pytest.raises(InputError, match="or `input_signature` a tf.Tensor"):
        model.export(tmp_path / "served")
    model.export(tmp_path / "served", input_signature=tf.TensorSpec([None, 4]))
    assert str(tmp_path / "served") in capsys.readouterr().out
    signatures = tf.saved_model.load(tmp_path / "served").signatures
    assert set(signatures) == {"serving_default", "logits"}
    served = signatures["logits"](inputs=x)["logits"]
    np.testing.assert_allclose(served, base(x), **EXACT)


def test_a_model_exports_its_own_transition(mlp, tmp_path):
    true = np.array([[0.7, 0.3, 0.0], [0.0, 0.6, 0.4], [0.2, 0.0, 0.8]])
    columns = MetaLossCorrection(mlp, transition=ProjectedColumns(initial=true))
    assert not np.allclose(columns.transition_matrix, true, atol=0.05)
    columns.export(tmp_path / "served", verbose=False)
    signatures = tf.saved_model.load(tmp_path / "served").signatures
    x = inputs_of(mlp)
    probs = signatures["serving_default"](inputs=x)["probabilities"]
    noisy = signatures["noisy_label_posterior"](inputs=x)["probabilities"]
    np.testing.assert_allclose(noisy, probs @ true, **FLOAT32)
    names = signatures["serving_default"](inputs=x)["class_name"].numpy()
    assert [int(name) for name in names] == list(np.argmax(probs, axis=1))


def test_versions_are_counted(mlp, tmp_path):
    (tmp_path / "notes").mkdir()
    for number in (1, 2):
        version = export.saved_model(mlp, tmp_path, NAMES, model_card="# one")
        assert version == tmp_path / str(number)
        assert (version / "model_card.md").read_text() == "# one"
    (tmp_path / "10").mkdir()
    assert export.saved_model(mlp, tmp_path, NAMES) == tmp_path / "11"
    assert not (tmp_path / "11" / "model_card.md").exists()
    assert not [*tmp_path.glob(".part*")]


def test_a_version_warms_up_by_requests_that_it_serves(mlp, tmp_path):
    version = export.saved_model(mlp, tmp_path / "zoo", NAMES, T)
    records = tf.data.TFRecordDataset(str(version / serving_warm_up.PLACE))
    signatures = tf.saved_model.load(version).signatures
    zeros = {"inputs": np.zeros((1, 4, 4, 1), np.float32)}
    assert {record.numpy() for record in records} == {
        serving_warm_up.prediction_log("zoo", signature, zeros)
        for signature in signatures
    }
    assert len(signatures) == 3


def test_an_export_that_fails_leaves_no_version(mlp, tmp_path, monkeypatch):
    def write_half(self, folder, **kwargs):
        (folder / "saved_model.pb").write_bytes(b"half")
        raise RuntimeError("power cut")

    archive = type(keras.export.ExportArchive())
    monkeypatch.setattr(archive, "write_out", write_half)
    with pytest.raises(RuntimeError, match="power cut"):
        export.saved_model(mlp, tmp_path, NAMES)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("library", ["onnx", "tf2onnx"])
def test_a_missing_library_is_named(library, mlp, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=r"pip install 'mlc_tf\[onnx\]'"):
        export.write(mlp, tmp_path / "mlp.onnx", "onnx")


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_files_are_of_float32(dtype, tmp_path):
    keras.config.set_dtype_policy(dtype)
    network = build("mlp")
    with pytest.raises(InputError, match="computes in float32 for 'litert'"):
        export.write(network, tmp_path / "mlp.tflite", "litert")
    export.write(network, tmp_path / "served")  # this format has no such limit
    x = inputs_of(network)
    serve = tf.saved_model.load(tmp_path / "served").signatures["logits"]
    served = serve(inputs=x)["logits"]
    assert served.dtype == tf.float32
    expected = tf.cast(network(x), tf.float32)
    np.testing.assert_allclose(served, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"class_names": ["a", "b"]}, "3 different names"),
        ({"class_names": ["a", "b", "b"]}, "3 different names"),
        ({"class_names": "abc"}, "3 different names"),
        ({"class_names": 3}, "3 different names"),
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


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format": "onx"}, "`format` should be one of .* mean 'onnx'"),
        ({"format": "onnx"}, r"`filepath` should be .* ends in \.onnx"),
        ({"format": "litert"}, r"`filepath` should be .* ends in \.tflite"),
        ({"filepath": "/proc/served"}, "`filepath` .* can be written"),
    ],
)
def test_bad_files_are_refused(mlp, tmp_path, changes, message):
    arguments = {"filepath": tmp_path / "served", **changes}
    with pytest.raises(InputError, match=message):
        export.write(mlp, **arguments)


def blocks_of_the_example(language):
    path = ROOT / "launch" / "serve_example.md"
    parts = path.read_text().split(f"```{language}\n")[1:]
    return [part.split("```")[0] for part in parts]


def test_the_example_of_serving_has_the_form_of_its_answers(tmp_path):
    request, answer, noisy = map(json.loads, blocks_of_the_example("json"))
    keras.utils.set_random_seed(0)
    names = [str(digit) for digit in range(10)]
    network = networks.mlp((8, 8, 1), 10)
    export.write(
        network, tmp_path / "served", "tf_saved_model", names, np.eye(10)
    )
    signatures = tf.saved_model.load(tmp_path / "served").signatures
    x = np.array(request["instances"], np.float32)
    served = signatures["serving_default"](inputs=x)
    # REST gives a row for each instance, with all outputs in it.
    (row,) = answer["predictions"]
    assert row.keys() == served.keys()
    for name, value in row.items():
        assert np.shape(value) == served[name].shape[1:]
    assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert row["class_index"] == np.argmax(row["probabilities"])
    assert row["class_name"] == names[row["class_index"]]
    # A single output has no name, only its value.
    (only,) = noisy["predictions"]
    posterior = signatures["noisy_label_posterior"](inputs=x)
    assert [np.shape(only)] == [
        output.shape[1:] for output in posterior.values()
    ]
    assert sum(only) == pytest.approx(1, abs=1e-4)


def test_the_client_of_the_example_is_python():
    (client,) = blocks_of_the_example("python")
    compile(client, "client", "exec")


def strange_batch():
    """Examples of which two have no answer."""
    x = np.ones((4, 4, 4, 1), np.float32)
    x[1].flat[0], x[3].flat[1] = np.nan, np.inf
    return x


def check_strange(answer):
    probabilities, index, name = (
        np.asarray(answer[key])
        for key in ("probabilities", "class_index", "class_name")
    )
    assert np.isnan(probabilities[[1, 3]]).all()
    np.testing.assert_allclose(probabilities[[0, 2]].sum(axis=1), 1, rtol=1e-5)
    assert index[[1, 3]].tolist() == [-1, -1] and (index[[0, 2]] >= 0).all()
    names = [
        each.decode() if isinstance(each, bytes) else str(each)
        for each in name.tolist()
    ]
    assert names[1] == names[3] == ""
    assert names[0] == NAMES[index[0]] and names[2] == NAMES[index[2]]


def test_an_example_that_is_not_finite_has_no_answer(mlp, tmp_path):
    x = strange_batch()
    version = export.saved_model(mlp, tmp_path / "served", NAMES, T)
    signatures = tf.saved_model.load(version).signatures
    check_strange(signatures["serving_default"](inputs=tf.constant(x)))
    for name, key in (
        ("logits", "logits"),
        ("noisy_label_posterior", "probabilities"),
    ):
        values = signatures[name](inputs=tf.constant(x))[key].numpy()
        assert np.isnan(values[[1, 3]]).all()
        assert np.isfinite(values[[0, 2]]).all()


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_other_formats_have_no_answer_either(suffix, mlp, tmp_path):
    x = strange_batch()
    path = tmp_path / f"model{suffix}"
    format = {".tflite": "litert", ".onnx": "onnx"}[suffix]
    export.write(mlp, path, format, NAMES)
    if suffix == ".tflite":
        interpreter = litert.Interpreter(str(path))
        runner = interpreter.get_signature_runner("serving_default")
        check_strange(runner(inputs=x))
        return
    session = onnxruntime.InferenceSession(path)
    keys = [output.name for output in session.get_outputs()]
    check_strange(dict(zip(keys, session.run(None, {"inputs": x}))))


def test_a_folder_with_other_files_is_not_written_into(mlp, tmp_path):
    folder = tmp_path / "mine"
    export.write(mlp, folder, class_names=NAMES)
    export.write(mlp, folder, class_names=NAMES)  # a SavedModel is replaced
    (folder / "keep.txt").write_text("mine")
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match="`filepath` .* which holds keep.txt"):
        export.write(mlp, folder, class_names=NAMES)
    assert sorted(folder.rglob("*")) == before


def test_two_exports_at_once_are_two_versions(mlp, tmp_path, monkeypatch):
    versions = export._versions
    seen = []

    def outdated(output):
        # The other process has just published version 1.
        seen.append(versions(output))
        if len(seen) == 1:
            (tmp_path / "served/1/assets").mkdir(parents=True)
        return seen[0] if len(seen) == 1 else versions(output)

    monkeypatch.setattr(export, "_versions", outdated)
    version = export.saved_model(mlp, tmp_path / "served", NAMES)
    assert version == tmp_path / "served/2"
    assert (version / "saved_model.pb").exists()


def test_a_full_disk_is_one_sentence(mlp, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left")

    archive = type(keras.export.ExportArchive())
    monkeypatch.setattr(archive, "write_out", full)
    for write in (
        lambda: export.saved_model(mlp, tmp_path / "served", NAMES),
        lambda: export.write(mlp, tmp_path / "one", class_names=NAMES),
    ):
        with pytest.raises(InputError, match="no space left on the disk"):
            write()


def test_a_network_of_a_table_takes_its_columns(tmp_path):
    known = (
        columns.Column("age", "numeric"),
        columns.Column("Größe in m", "categorical", ("klein", "groß")),
        columns.Column("when", "date"),
    )
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    served = columns.with_encoder(known, base)
    version = export.saved_model(
        served,
        tmp_path / "served",
        NAMES[:3],
        input_signature=columns.signature(known),
    )
    serve = tf.saved_model.load(version).signatures["serving_default"]
    answer = serve(
        age=tf.constant([30.0, 4.0, np.nan]),
        column_1=tf.constant(["klein", "riesig", "groß"]),
        when=tf.constant([0.5, 19000.0, 1.0]),
    )
    rows = np.array([[30, 1, 0, 0.5], [4, 0, 0, 19000]], np.float32)
    expected = tf.nn.softmax(base(rows))
    np.testing.assert_allclose(answer["probabilities"][:2], expected, rtol=1e-5)
    assert answer["class_index"].numpy()[2] == -1
    served.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded(
            {
                "age": tf.constant([[30.0], [4.0]]),
                "column_1": tf.constant([["klein"], ["riesig"]]),
                "when": tf.constant([[0.5], [19000.0]]),
            }
        ),
        base(rows),
        rtol=1e-5,
    )
