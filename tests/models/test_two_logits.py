"""Binary networks with one logit."""

import keras
import numpy as np
import pytest

import mlc_tf
from mlc_tf.errors import InputError
from mlc_tf.models import two_logits
from tests.conftest import FLOAT32
from tests.support import subclassed_base


def one_logit(activation=None, units=1):
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(8, "tanh"),
            keras.layers.Dense(units, activation),
        ]
    )


def test_the_softmax_is_the_sigmoid(tmp_path):
    base = one_logit()
    network = two_logits(base)
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    sigmoid = keras.ops.sigmoid(base(x))
    softmax = keras.ops.softmax(network(x))
    np.testing.assert_allclose(softmax[:, 1:], sigmoid, **FLOAT32)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(again(x), network(x))


def test_training_moves_the_weights_of_the_given_network():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)).astype(np.float32)
    labels = (x[:, 0] > 0).astype(int)
    noisy = mlc_tf.corrupt(labels, "flip_to_one", ratio=0.3, seed=0).labels
    keras.utils.set_random_seed(0)
    base = one_logit()
    model = mlc_tf.MetaLossCorrection(two_logits(base))
    model.compile(keras.optimizers.Adam(0.02), metrics=["accuracy"])
    model.fit(
        mlc_tf.pair((x, noisy), (x[:40], labels[:40]), 32), epochs=8, verbose=0
    )
    positive = keras.ops.convert_to_numpy(base(x))[:, 0] > 0
    assert np.mean(positive == labels) > 0.95


@pytest.mark.parametrize(
    "base, message",
    [
        (one_logit("sigmoid"), "the last layer, .* is a sigmoid"),
        (one_logit(units=2), r"one output of shape \(batch, 1\).*\(None, 2\)"),
        (subclassed_base(classes=1), "outputs that are not known"),
        ("network", "Received: a str with outputs that are not known"),
    ],
)
def test_other_networks(base, message):
    with pytest.raises(InputError, match=message):
        two_logits(base)


def test_a_model_names_it():
    with pytest.raises(InputError, match="models.two_logits makes two logits"):
        mlc_tf.MetaLossCorrection(one_logit())
