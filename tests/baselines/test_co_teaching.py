import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines.co_teaching import CoTeaching
from mlc_tf.baselines.co_teaching import smallest_losses
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.errors import InputError
from tests.baselines import one_step
from tests.conftest import FLOAT64
from tests.support import subclassed_base

pytestmark = pytest.mark.usefixtures("float64")


def make(forget_rate, **arguments):
    base, peer = (
        one_step.two_layers(np.random.default_rng(seed)) for seed in (1, 2)
    )
    arguments = {"peer": peer, "steps": 5, "ramp": 0.0, **arguments}
    return CoTeaching(base, forget_rate=forget_rate, **arguments)


def test_the_least_losses_by_hand():
    losses = tf.constant([[0.1, 2.0, 0.3, 4.0], [3.0, 0.2, 0.1, 5.0]])
    np.testing.assert_array_equal(smallest_losses(losses[0], 2), [1, 0, 1, 0])
    np.testing.assert_array_equal(smallest_losses(losses[1], 2), [0, 1, 1, 0])
    np.testing.assert_array_equal(smallest_losses(tf.ones(4), 3), [1, 1, 1, 0])


def test_each_network_learns_only_what_the_other_chooses(rng):
    model = make(0.5)
    noisy = x, labels = one_step.half(rng)
    networks = model.base, model.peer
    weights = [network.get_weights() for network in networks]
    chosen = [
        np.argsort(one_step.losses(one_step.two_layer_logits(w, x), labels))[:3]
        for w in weights
    ]
    assert set(chosen[0]) != set(chosen[1])
    expected = []
    for mine, others in zip(weights, reversed(chosen)):
        slopes = one_step.slopes(mine, x[others], labels[others])
        expected += [w - slope for w, slope in zip(mine, slopes)]
    one_step.fit(model, (noisy, noisy))
    learned = [w for network in networks for w in network.get_weights()]
    for new, right in zip(learned, expected):
        np.testing.assert_allclose(new, right, **FLOAT64)


def test_the_loss_is_that_of_the_base_on_what_the_peer_chooses(rng):
    model = make(0.5)
    noisy = x, labels = one_step.half(rng)
    ours, theirs = (
        one_step.losses(
            one_step.two_layer_logits(network.get_weights(), x), labels
        )
        for network in (model.base, model.peer)
    )
    logs = one_step.fit(model, (noisy, noisy))
    expected = np.mean(ours[np.argsort(theirs)[:3]])
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-6)


def test_who_forgets_nothing_runs_cross_entropy_twice(rng):
    elements = [(one_step.half(rng), one_step.half(rng)) for _ in range(2)]
    model = make(0.0)
    one_step.fit(model, *elements)
    for seed, network in ((1, model.base), (2, model.peer)):
        alone = one_step.two_layers(np.random.default_rng(seed))
        one_step.fit(CrossEntropy(alone), *elements)
        for expected, weight in zip(alone.get_weights(), network.get_weights()):
            np.testing.assert_allclose(weight, expected, **FLOAT64)


def test_the_forget_rate_rises_over_a_share_of_the_steps():
    model = make(0.2, steps=100, ramp=0.1)
    forgotten = [1 - float(model.keep_rate(step)) for step in range(12)]
    expected = [*np.linspace(0, 0.2, 11), 0.2]
    np.testing.assert_allclose(forgotten, expected, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 3, 2345])
def test_every_length_of_run_has_a_ramp(steps):
    # A ramp that rounding takes away forgets from the first, random step on.
    model = make(0.4, steps=steps, ramp=0.3)
    assert model.keep_rate(0) == 1
    np.testing.assert_allclose(model.keep_rate(steps), 0.6, rtol=1e-6)


@pytest.mark.parametrize(
    "forget_rate, size, kept",
    # (1 - 0.6) * 10 is less than 4 in float32.
    [(0.2, 128, 102), (0.6, 10, 4), (0.99, 4, 1), (0.0, 5, 5)],
)
def test_how_many_are_kept(forget_rate, size, kept):
    model = make(forget_rate)
    model.compile("sgd")
    chosen = model._easy(tf.range(size, dtype=tf.float32))
    np.testing.assert_array_equal(chosen, np.arange(size) < kept)


# An update of the optimizer takes the mean gradient of so many steps.
@pytest.mark.parametrize("accumulated", [None, 2])
def test_the_number_of_steps_sets_the_rate(accumulated, rng):
    model = make(0.5, steps=2, ramp=1.0)
    element = one_step.half(rng), one_step.half(rng)
    one_step.fit(model, *[element] * 2, gradient_accumulation_steps=accumulated)
    assert int(model.optimizer.iterations) == 2 / (accumulated or 1)
    assert float(tf.reduce_sum(model._easy(tf.range(6.0)))) == 3


def test_the_peer_is_by_default_a_clone_with_weights_of_its_own(rng):
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model = CoTeaching(base, forget_rate=0.2, steps=1)
    assert model.peer.output_shape == (None, 3)
    kernel, other = base.get_weights()[0], model.peer.get_weights()[0]
    assert np.all(kernel != other)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"forget_rate": 1.0}, r"`forget_rate` should be in \[0, 1\)"),
        ({"forget_rate": -0.1}, r"`forget_rate` should be in \[0, 1\)"),
        ({"steps": 0}, "`steps` should be an integer >= 1"),
        ({"steps": 1.5}, "`steps` should be an integer"),
        ({"ramp": 1.5}, r"`ramp` should be in \[0, 1\]"),
        ({"ramp": "0.3"}, r"`ramp` should be in \[0, 1\]"),
        ({"forget_rate": None}, r"`forget_rate` should be in \[0, 1\)"),
        ({"steps": True}, "`steps` should be an integer >= 1"),
        (
            {"peer": one_step.linear(np.zeros((4, 2)))},
            "`peer` should be a model with 3 outputs",
        ),
        ({"peer": keras.layers.Dense(3)}, "should be a keras.Model"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        make(**{"forget_rate": 0.2, **arguments})


def test_a_network_is_not_its_own_peer(rng):
    base = one_step.two_layers(rng)
    with pytest.raises(InputError, match="`peer` should be another network"):
        CoTeaching(base, forget_rate=0.2, steps=np.int64(3), peer=base)


def test_a_base_that_cannot_be_cloned_is_refused():
    keras.config.set_dtype_policy("float32")
    with pytest.raises(
        InputError, match="or `peer` should be given.*a Subclassed"
    ):
        CoTeaching(subclassed_base(), forget_rate=0.2, steps=1)
