"""Rates of T that follow from the number of steps of `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf import transitions
from mlc_tf.baselines.robust_bilevel import RobustBilevel
from mlc_tf.errors import InputError
from mlc_tf.models import run_length
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from tests.models.small_models import CLASSES
from tests.models.small_models import dense_base

STEPS = 4  # of an epoch
MODELS = pytest.mark.parametrize("kind", [MetaLossCorrection, RobustBilevel])


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 40)
    x = rng.normal(size=(40, 4)).astype(np.float32)
    return (x[:32], labels[:32]), (x[32:], labels[32:])


def make(kind, transition=None):
    keras.utils.set_random_seed(0)
    model = kind(dense_base(), transition=transition)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def always(*element):
    return tf.constant(True)


def fit(model, sets, epochs, initial_epoch=0, **options):
    pairs = data.pair(*sets, 8, epochs=range(initial_epoch, epochs))
    model.fit(
        pairs,
        epochs=epochs,
        initial_epoch=initial_epoch,
        steps_per_epoch=STEPS,
        verbose=0,
        **options,
    )
    return model


@MODELS
def test_fit_takes_the_rates_of_its_length(kind, sets):
    model = fit(make(kind), sets, 3)
    expected = transitions.for_run(3 * STEPS, CLASSES)
    assert model.transition.get_config() == expected.get_config()
    given = fit(make(kind, expected), sets, 3)
    np.testing.assert_array_equal(
        model.transition_matrix, given.transition_matrix
    )


@MODELS
def test_each_fit_is_a_run(kind, sets):
    model, second = fit(make(kind), sets, 1), make(kind)
    second.set_weights(model.get_weights())
    after_one = model.transition_matrix
    # A second model has taken no step, so this is the start of a run for it.
    second.step.assign(0)
    for each in (model, second):
        each.compile(keras.optimizers.SGD(0.1))
        fit(each, sets, 2)
    np.testing.assert_array_equal(
        model.transition_matrix, second.transition_matrix
    )
    # T moves again, though it had come to rest.
    assert np.abs(model.transition_matrix - after_one).max() > 1e-2


@MODELS
def test_a_continued_run_is_the_whole_run(kind, sets):
    whole, halves = fit(make(kind), sets, 4), make(kind)
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(
            halves, "stop_training", epoch == 1
        )
    )
    fit(halves, sets, 4, callbacks=[stop])
    assert int(halves.step) == 2 * STEPS
    fit(halves, sets, 4, initial_epoch=2)
    np.testing.assert_allclose(
        whole.transition_matrix, halves.transition_matrix, atol=1e-6
    )


def test_the_dataset_has_the_number_of_steps(sets):
    pairs = data.pair(*sets, 8)
    assert run_length.of_fit(pairs, epochs=5) == (5 * STEPS, 0)
    assert run_length.of_fit(pairs, None, None, 5) == (5 * STEPS, 0)
    assert run_length.of_fit(
        pairs.repeat(), epochs=5, steps_per_epoch=2, initial_epoch=3
    ) == (10, 6)


@pytest.mark.parametrize(
    "without_length",
    [
        lambda pairs: pairs.repeat(),
        lambda pairs: pairs.take_while(always),
        lambda pairs: lambda context: pairs,
    ],
    ids=["infinite", "unknown", "of each worker"],
)
def test_a_run_of_unknown_length(without_length, sets):
    model, pairs = make(MetaLossCorrection), without_length(data.pair(*sets, 8))
    with pytest.raises(InputError, match="^`steps_per_epoch` should be given"):
        model.fit(pairs, verbose=0)
    model.fit(pairs, steps_per_epoch=2, verbose=0)
    assert model.transition.decay_steps == 2


@MODELS
def test_a_single_step_has_no_length(kind, sets):
    model = make(kind)
    element = next(iter(data.pair(*sets, 8)))
    with pytest.raises(InputError, match="for `train_on_batch`, which does"):
        model.train_on_batch(*element)
    with pytest.raises(InputError, match="for `train_step`, which does not"):
        model.train_step(element)
    assert model.normalization == "rows"
    model = make(kind, transitions.Exponentiated())
    model.train_on_batch(*element)


def test_a_clone_takes_the_rates_of_its_own_run(sets):
    model = fit(make(MetaLossCorrection), sets, 2)
    clone = keras.models.clone_model(model)
    assert clone.transition is None
    clone.compile("sgd")
    fit(clone, sets, 1)
    assert clone.transition.decay_steps == STEPS


@MODELS
def test_bad_inputs_are_named_first(kind):
    with pytest.raises(InputError, match="tf.data.Dataset"):
        make(kind).fit(np.zeros((3, 4)), verbose=0)
    with pytest.raises(InputError, match="batched elements"):
        make(kind).fit(tf.data.Dataset.range(3), verbose=0)


def test_replicas_take_the_rates_of_the_run(sets, two_replicas):
    single = fit(make(MetaLossCorrection), sets, 2)
    with two_replicas.scope():
        model = make(MetaLossCorrection)
    for epochs in (1, 2):  # the second run begins where the first began
        model.set_weights(make(MetaLossCorrection).get_weights())
        fit(model, sets, epochs)
    assert int(np.asarray(model.step.value)) == 2 * STEPS
    np.testing.assert_allclose(
        model.transition_matrix, single.transition_matrix, atol=1e-5
    )
