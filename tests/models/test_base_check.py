"""What a network may be: logits, known inputs, weights that can move."""

import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import MetaLossCorrection
from mlc_tf import PaperMetaLossCorrection
from mlc_tf import audit
from mlc_tf import data
from mlc_tf.errors import InputError
from mlc_tf.models import base_check
from tests.support import ROOT

CLASSES, WIDTH = 3, 6
L = keras.layers


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 32)
    return rng.normal(size=(32, WIDTH)).astype(np.float32), labels


class Subclassed(keras.Model):
    """Layers in another order than they are called in."""

    def __init__(self, end):
        super().__init__()
        self.out = L.Dense(CLASSES)
        self.hidden = L.Dense(8, "relu")
        self.end = end

    def call(self, x):
        return self.end(self.out(self.hidden(x)))


def subclassed(end):
    base = Subclassed(end)
    base(np.zeros((2, WIDTH), np.float32))
    return base


def functional(end):
    inputs = keras.Input((WIDTH,))
    return keras.Model(inputs, end(L.Dense(8, "relu")(inputs)))


def sequential(*ends):
    return keras.Sequential([keras.Input((WIDTH,)), L.Dense(8), *ends])


def softmax_then_linear(x):
    x = L.Dense(CLASSES, activation="softmax")(x)
    return L.Activation("linear", dtype="float32")(x)


NO_LOGITS = {
    "activation": lambda: sequential(L.Dense(CLASSES, "softmax")),
    "layer": lambda: sequential(L.Dense(CLASSES), L.Softmax()),
    "activation layer": lambda: sequential(
        L.Dense(CLASSES), L.Activation("softmax")
    ),
    "operation": lambda: functional(
        lambda x: keras.ops.softmax(L.Dense(CLASSES)(x))
    ),
    "linear after": lambda: functional(softmax_then_linear),
    "dropout after": lambda: functional(
        lambda x: L.Dropout(0.5)(L.Dense(CLASSES, "softmax")(x))
    ),
    "nested": lambda: keras.Sequential(
        [keras.Input((WIDTH,)), sequential(L.Dense(CLASSES, "softmax"))]
    ),
    "lambda": lambda: sequential(L.Dense(CLASSES), L.Lambda(tf.nn.softmax)),
    "subclassed": lambda: subclassed(tf.nn.softmax),
    "sigmoid": lambda: sequential(L.Dense(CLASSES, "sigmoid")),
    "sigmoid in call": lambda: subclassed(tf.nn.sigmoid),
    "tanh in call": lambda: subclassed(tf.nn.tanh),
    "relu": lambda: sequential(L.Dense(CLASSES, "relu")),
    "relu layer": lambda: sequential(L.Dense(CLASSES), L.ReLU()),
}


@pytest.mark.parametrize("name", NO_LOGITS)
def test_outputs_that_are_no_logits_are_refused(name):
    keras.utils.set_random_seed(0)
    with pytest.raises(InputError, match="`base` should end in logits"):
        base_check.check(NO_LOGITS[name]())


def test_a_relu_that_is_only_seen_in_the_outputs_is_a_warning():
    keras.utils.set_random_seed(0)
    with pytest.warns(UserWarning, match="as after a relu: they should be log"):
        base_check.check(subclassed(tf.nn.relu))


LOGITS = {
    "dense": lambda: sequential(L.Dense(CLASSES)),
    "float32 after": lambda: functional(
        lambda x: L.Activation("linear", dtype="float32")(L.Dense(CLASSES)(x))
    ),
    "temperature": lambda: functional(lambda x: L.Dense(CLASSES)(x) / 2.0),
    "log-softmax": lambda: subclassed(tf.nn.log_softmax),
    "log-softmax activation": lambda: sequential(
        L.Dense(CLASSES, "log_softmax")
    ),
    "zeros": lambda: functional(
        lambda x: L.Dense(CLASSES, kernel_initializer="zeros")(x) * 1.0
    ),
    "normalised": lambda: functional(
        lambda x: L.LayerNormalization()(L.Dense(CLASSES)(x))
    ),
    "subclassed": lambda: subclassed(tf.identity),
    "pooled": lambda: keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(CLASSES, 3),
            L.GlobalAveragePooling2D(),
        ]
    ),
    "texts": lambda: keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            L.Hashing(10, output_mode="one_hot"),
            L.Dense(CLASSES),
        ]
    ),
    "ids": lambda: keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            L.Embedding(7, 5),
            L.Flatten(),
            L.Dense(CLASSES),
        ]
    ),
}


@pytest.mark.parametrize("name", LOGITS)
def test_logits_are_taken_and_nothing_is_changed(name):
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        base = LOGITS[name]()
        before = [np.array(variable) for variable in base.variables]
        drawn = tf.random.get_global_generator().state.numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert base_check.check(base) == CLASSES
        after = [np.array(variable) for variable in base.variables]
        for one, two in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, two)
        now = tf.random.get_global_generator().state.numpy()
        np.testing.assert_array_equal(now, drawn)


def two_inputs():
    keras.utils.set_random_seed(0)
    inputs = {
        "b": keras.Input((2,), name="b"),
        "a": keras.Input((2,), name="a"),
    }
    joined = keras.ops.concatenate([inputs["a"], inputs["b"]], axis=-1)
    return keras.Model(inputs, L.Dense(CLASSES)(L.Dense(8, "tanh")(joined)))


def named(seed=0, **more):
    rng = np.random.default_rng(seed)
    labels = np.arange(32) % CLASSES
    x = {
        "a": rng.normal(size=(32, 2)).astype(np.float32),
        "b": (labels[:, None] + np.zeros((1, 2))).astype(np.float32),
        **more,
    }
    return x, labels


def as_stream(x, labels):
    return tf.data.Dataset.from_tensor_slices((x, labels))


@pytest.mark.parametrize("way", ["exact", "head", "finite_difference"])
def test_named_inputs_are_those_that_the_base_takes(way):
    model = MetaLossCorrection(two_inputs(), meta_gradient=way)
    model.compile(keras.optimizers.Adam(0.05), metrics=["accuracy"])
    stream = as_stream(*named())
    pairs = data.pair(stream.repeat(20), stream, 16)
    model.fit(pairs, epochs=4, verbose=0)
    x, labels = named()
    assert model.evaluate(x, labels, verbose=0)[1] > 0.9
    assert (model.predict(x, verbose=0).argmax(1) == labels).mean() > 0.9
    issues = audit.find_label_issues(model, stream, transition=None)
    assert not issues["is_label_issue"].any()


extra = np.zeros((32, 2), np.float32)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda x: {**x, "c": extra}, "takes, a, b. Received: a, b, c"),
        (lambda x: {"a": x["a"]}, "takes, a, b. Received: a"),
        (lambda x: {"a": x["a"], "B": x["b"]}, "Received: B, a"),
        (lambda x: x["a"], "dict with the keys"),
        (
            lambda x: {**x, "b": extra[:, :1]},
            r"b inputs .* \(2,\). Rec.* \(1,\)",
        ),
        (
            lambda x: {**x, "b": extra.astype(str)},
            "dtype .* float32. .* string",
        ),
    ],
)
def test_other_inputs_are_refused_wherever_they_are_given(change, told):
    x, labels = named()
    model = MetaLossCorrection(two_inputs(), meta_gradient="head")
    model.compile("sgd")
    wrong = change(x)
    right = as_stream(x, labels)
    for noisy, clean, which in (
        (as_stream(wrong, labels), right, "noisy"),
        (right, as_stream(wrong, labels), "clean"),
    ):
        with pytest.raises(InputError, match=f"The {which} .*{told}"):
            model.fit(data.pair(noisy, clean, 16), verbose=0)
    batched = as_stream(wrong, labels).batch(8)
    for use in (
        lambda: model.evaluate(batched, verbose=0),
        lambda: model.predict(wrong, verbose=0),
        lambda: model.fit(
            data.pair(right, right, 16), validation_data=batched, verbose=0
        ),
        lambda: audit.find_label_issues(model, as_stream(wrong, labels)),
    ):
        with pytest.raises(InputError, match=told):
            use()


def freeze_last(base):
    base.layers[-1].trainable = False


def adapt_last(base):
    base.layers[-1].enable_lora(2)


def quantize(base):
    base.quantize("int8")


def freeze_all(base):
    base.trainable = False


def freeze_first(base):
    base.layers[0].trainable = False


@pytest.mark.parametrize("way", ["exact", "head", "finite_difference"])
@pytest.mark.parametrize(
    "change, told",
    [
        (freeze_all, {"exact", "head", "finite_difference"}),
        (quantize, {"exact", "head", "finite_difference"}),
        (freeze_last, {"head"}),
        (adapt_last, {"head"}),
        (freeze_first, set()),
    ],
)
def test_a_base_that_was_changed_after_it_was_wrapped(
    change, told, way, examples
):
    model = MetaLossCorrection(sequential(L.Dense(CLASSES)), meta_gradient=way)
    change(model.base)
    model.compile("sgd")
    pairs = data.pair(examples, examples, 16)
    if way in told:
        with pytest.raises(InputError, match="`base` should"):
            model.fit(pairs, verbose=0)
    else:
        frozen = [np.array(v) for v in model.base.non_trainable_variables]
        history = model.fit(pairs, verbose=0).history
        assert np.isfinite(history["loss"][0])
        assert history["meta_gradient_norm"][0] > 0
        for one, two in zip(frozen, model.base.non_trainable_variables):
            np.testing.assert_array_equal(one, np.array(two))


def test_weights_in_float16_are_refused():
    inputs = keras.Input((WIDTH,))
    base = keras.Model(inputs, L.Dense(CLASSES, dtype="float16")(inputs))
    with pytest.raises(
        InputError, match="float32: with the policy 'mixed_floa"
    ):
        MetaLossCorrection(base)
    mixed = keras.Model(inputs, L.Dense(CLASSES, dtype="mixed_float16")(inputs))
    MetaLossCorrection(mixed)


@pytest.mark.parametrize("eager", [False, True])
def test_a_layer_without_a_second_derivative_is_named(eager):
    rng = np.random.default_rng(0)
    images = rng.random((8, 6, 6, 1)).astype(np.float32)
    examples = images, np.arange(8) % CLASSES
    base = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            L.Conv2D(2, 3),
            L.Resizing(3, 3, interpolation="nearest", name="smaller"),
            L.Flatten(),
            L.Dense(CLASSES),
        ]
    )
    pairs = data.pair(examples, examples, 4)
    for make in (MetaLossCorrection, PaperMetaLossCorrection):
        model = make(base)
        model.compile("sgd", run_eagerly=eager)
        with pytest.raises(InputError, match="Received: smaller with the oper"):
            model.fit(pairs, verbose=0)
    for way in ("head", "finite_difference"):
        model = MetaLossCorrection(base, meta_gradient=way)
        model.compile("sgd", run_eagerly=eager)
        model.fit(pairs, verbose=0)


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_another_backend_of_keras_is_one_sentence(backend):
    # Whether the package of the backend is installed or not.
    code = (
        "import mlc_tf\n"
        "try:\n"
        "    mlc_tf.MetaLossCorrection\n"
        "except mlc_tf.InputError as error:\n"
        "    print(error)\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert completed.stdout.startswith("Keras should run on TensorFlow, whose")
    assert f"Received: the backend '{backend}'; set" in completed.stdout


def test_a_command_with_another_backend_is_one_sentence():
    completed = subprocess.run(
        [sys.executable, "-m", "mlc_tf.launch.main", "train"],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 2
    assert completed.stderr.startswith("error: Keras should run on TensorFlow")
    assert "Traceback" not in completed.stderr


def test_a_backend_that_keras_was_set_to_is_refused():
    code = (
        "import keras\n"
        "keras.config.backend = lambda: 'jax'\n"
        "import mlc_tf\n"
        "try:\n"
        "    mlc_tf.PairModel\n"
        "except mlc_tf.InputError as error:\n"
        "    print(error)\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert "Received: the backend 'jax'" in completed.stdout


class Nested(keras.Model):
    """A base whose last layer in the list is not the one with the logits."""

    def __init__(self, join):
        super().__init__()
        self.join = join
        self.out = keras.layers.Dense(3)
        self.hidden = keras.layers.Dense(8, activation="tanh")

    def call(self, inputs):
        return self.out(self.hidden(self.join(inputs)))


@pytest.mark.parametrize("form", ["dict", "list"])
def test_the_classes_of_a_subclassed_base_of_several_inputs(form):
    if form == "dict":
        base = Nested(lambda x: keras.ops.concatenate([x["a"], x["b"]], -1))
        base({"a": np.zeros((2, 4)), "b": np.zeros((2, 5))})
    else:
        base = Nested(lambda x: keras.ops.concatenate(x, -1))
        base([np.zeros((2, 4)), np.zeros((2, 5))])
    assert base_check.check(base) == 3


def test_a_base_whose_outputs_stay_unknown_is_refused():
    base = Nested(lambda x: keras.ops.one_hot(keras.ops.cast(x, "int32"), 7))
    base.join = lambda x: keras.ops.concatenate([x["a"], x["b"]], -1)
    base({"a": np.zeros((2, 4)), "b": np.zeros((2, 5))})
    base.join = lambda x: x["c"]  # what no random inputs have
    with pytest.raises(InputError, match="known output shape.*keras.Model"):
        base_check.check(base)
