"""XLA is chosen where it pays and works, and its errors are one sentence."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf.errors import InputError
from mlc_tf.models import MetaLossCorrection
from mlc_tf.models import xla
from tests.models.small_models import CLASSES
from tests.models.small_models import dense_base


@pytest.fixture
def examples(rng):
    x = rng.normal(size=(24, 4)).astype(np.float32)
    return x, rng.integers(0, CLASSES, 24)


@pytest.fixture
def on_a_gpu(monkeypatch):
    """A machine that shows a GPU to the choice, and to nothing else."""
    listed = tf.config.list_logical_devices

    def devices(kind=None):
        return ["a GPU"] if kind == "GPU" else listed(kind)

    monkeypatch.setattr(tf.config, "list_logical_devices", devices)


def rounded(x):
    """An operation on strings, of which XLA has none; its gradient is 0."""
    text = tf.strings.as_string(tf.stop_gradient(x), precision=2)
    return x + 0.0 * tf.strings.to_number(text)


def base_with_strings():
    base = dense_base()
    inputs = keras.Input((4,))
    return keras.Model(inputs, base(keras.layers.Lambda(rounded)(inputs)))


def fitted(base, examples, **arguments):
    model = MetaLossCorrection(base, meta_gradient="exact")
    model.compile("sgd", **arguments)
    pairs = data.pair(examples, examples, 8)
    history = model.fit(pairs, verbose=0).history
    return model, history["loss"]


def test_without_a_gpu_the_steps_are_not_compiled(examples):
    for arguments in ({}, {"jit_compile": "auto"}):
        model, _ = fitted(dense_base(), examples, **arguments)
        assert model.jit_compile is False


def test_with_a_gpu_xla_compiles_the_same_steps(on_a_gpu, examples):
    losses = {}
    for choice in ("auto", False):
        keras.utils.set_random_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model, losses[choice] = fitted(
                dense_base(), examples, jit_compile=choice
            )
        assert model.jit_compile is (choice == "auto")
        assert np.isfinite(model.evaluate(*examples, verbose=0))
    np.testing.assert_allclose(losses["auto"], losses[False], rtol=1e-5)


def test_xla_is_chosen_for_batches_of_a_function(on_a_gpu, examples):
    """`training.run` passes a function of the input context."""
    model = MetaLossCorrection(dense_base())
    model.compile("sgd")
    model.fit(
        lambda context: data.pair(examples, examples, 8, input_context=context),
        steps_per_epoch=2,
        verbose=0,
    )
    assert model.jit_compile is True


def test_what_xla_lacks_is_a_warning_where_xla_was_not_asked_for(
    on_a_gpu, examples
):
    with pytest.warns(UserWarning, match="XLA lacks the operation AsString"):
        model, losses = fitted(base_with_strings(), examples)
    assert model.jit_compile is False and np.isfinite(losses).all()
    with warnings.catch_warnings():  # a second `fit` does not try again
        warnings.simplefilter("error")
        model.fit(data.pair(examples, examples, 8), verbose=0)


def test_what_xla_lacks_is_one_sentence_where_xla_was_asked_for(examples):
    x, labels = examples
    model = MetaLossCorrection(base_with_strings())
    model.compile("sgd", jit_compile=True)
    for use in (
        lambda: model.fit(data.pair(examples, examples, 8), verbose=0),
        lambda: model.evaluate(x, labels, verbose=0),
        lambda: model.predict(x, verbose=0),
    ):
        with pytest.raises(
            InputError,
            match="`jit_compile` should be False .* the operation AsString",
        ):
            use()


def test_several_replicas_are_not_compiled(on_a_gpu, two_replicas):
    assert xla.pays(tf.distribute.get_strategy())
    assert not xla.pays(two_replicas)


def test_open_dimensions_count_as_some_size():
    spec = (tf.TensorSpec([None, 4]), tf.TensorSpec([None], tf.int64))
    taken = []

    def step(element):
        taken.append([part.shape.as_list() for part in element])
        return tf.reduce_sum(element[0]) * tf.cast(element[1][0], tf.float32)

    assert xla.obstacle(step, spec) is None
    assert taken == [[[8, 4], [8]]]
    assert xla.obstacle(
        lambda element: tf.strings.as_string(element[0]), spec
    ) == ("XLA lacks the operation AsString")


def test_a_model_that_was_not_compiled_says_so(examples):
    with pytest.raises(ValueError, match="compile"):
        MetaLossCorrection(dense_base()).fit(data.pair(examples, examples, 8))


@pytest.mark.parametrize(
    "spec", [tf.TensorSpec(None), tf.TensorSpec([4], tf.string)]
)
def test_inputs_that_xla_cannot_take_are_an_obstacle(spec):
    assert xla.obstacle(lambda x: tf.identity(x), spec)


@pytest.mark.parametrize("value", ["on", 1, None])
def test_other_values_are_refused(value):
    model = MetaLossCorrection(dense_base())
    with pytest.raises(InputError, match="`jit_compile` should be True, False"):
        model.compile("sgd", jit_compile=value)
