import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines.masking import Masking
from mlc_tf.baselines.masking import extract_structure
from mlc_tf.baselines.masking import reconstruction_loss
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64

TRUE = np.array([[0.7, 0.3, 0.0], [0.0, 0.6, 0.4], [0.2, 0.0, 0.8]])


def make(rng, **arguments):
    good = {"transition": TRUE, "structure": TRUE > 0}
    return Masking(one_step.two_layers(rng), **{**good, **arguments})


def first_step(gradient):
    """The first step of Keras' RMSProp with rate 1e-5."""
    return 1e-5 * gradient / np.sqrt(0.1 * gradient**2 + 1e-7)


def samples_of(model, size=8, turn=0):
    return model.generator(model._noise(size, 0, turn)).numpy()


def realism(model, structure):
    return float(tf.reduce_mean(model.discriminator(structure)))


def test_the_extractor_by_hand():
    structure = extract_structure(tf.constant([0.0, 0.05, 0.1], tf.float64))
    np.testing.assert_allclose(structure[1], 0.5)
    np.testing.assert_allclose(structure[0], 4.54e-5, atol=1e-8)
    np.testing.assert_allclose(structure[2], 0.99995, atol=1e-5)


def test_each_example_has_a_transition_matrix_of_its_own(rng):
    samples = samples_of(make(rng))
    np.testing.assert_allclose(samples.sum(axis=2), 1, rtol=1e-6)
    assert len(np.unique(samples[:, 0, 0])) == 8


def test_the_loss_corrects_each_example_by_its_own_matrix(rng):
    logits, samples = rng.normal(size=(2, 3)), np.stack([TRUE, np.eye(3)])
    labels = np.array([1, 2])
    loss = reconstruction_loss(
        tf.constant(logits), tf.constant(labels), tf.constant(samples)
    )
    expected = [
        numpy_reference.corrected_loss(logits[[i]], labels[[i]], samples[i])
        for i in range(2)
    ]
    np.testing.assert_allclose(loss, expected, **FLOAT64)


def test_an_impossible_label_costs_eight_decades():
    loss = reconstruction_loss(
        tf.constant([[0.0, -500.0, -500.0]]),
        tf.constant([2]),
        tf.constant(np.eye(3, dtype=np.float32)[np.newaxis]),
    )
    np.testing.assert_allclose(loss, 8 * np.log(10), rtol=1e-6)


def test_pretraining_fits_the_generator_to_the_estimate(rng):
    model = make(rng)
    before = np.abs(model.transition_matrix - TRUE).sum(axis=1).mean()
    model.pretrain(2000)
    after = np.abs(model.transition_matrix - TRUE).sum(axis=1).mean()
    assert before > 0.5 and after < 0.1


def test_the_optimizer_takes_the_corrected_loss_and_the_game_a_hair(
    rng, float64
):
    model = make(rng)
    weights = model.base.get_weights()
    noisy = x, labels = one_step.half(rng)

    def slopes(weights, samples):
        def loss(weights):
            logits = one_step.two_layer_logits(weights, x)
            return np.mean(
                [
                    numpy_reference.corrected_loss(
                        logits[[i]], labels[[i]], sample
                    )
                    for i, sample in enumerate(samples)
                ]
            )

        return numpy_reference.gradient(loss, weights)

    played = slopes(weights, samples_of(model, len(x), 2).astype(float))
    moved = [w - first_step(g) for w, g in zip(weights, played)]
    one_step.fit(model, (noisy, noisy))
    # By the generator as the game leaves it.
    learned = slopes(moved, samples_of(model, len(x), 8).astype(float))
    for old, slope, new in zip(moved, learned, model.base.get_weights()):
        np.testing.assert_allclose(new, old - slope, atol=1e-6)


def test_the_critic_learns_to_tell_the_prior_from_what_is_generated(rng):
    model = make(rng)
    model.discriminator_optimizer.learning_rate = 1e-3
    noise = model._noise(16, 0, 0)
    generated = extract_structure(model.generator(noise))

    def gap():
        prior = np.float32(TRUE > 0)[np.newaxis]
        return realism(model, prior) - realism(model, generated)

    before = gap()
    for _ in range(10):
        model._discriminator_step(noise)
    assert gap() > before


def test_the_generator_learns_to_pass_for_the_prior(rng):
    model = make(rng)
    *_, last, _ = model.discriminator.trainable_variables
    last.assign(1e4 * last)  # so that the critic outweighs the labels
    # S near 0.05, where the extractor is not saturated.
    kernel, bias = model.generator.trainable_variables[-2:]
    kernel.assign(0.1 * kernel)
    bias.assign((2.8 * np.eye(3)).ravel())
    x, labels = one_step.half(rng)
    noise = model._noise(len(x), 0, 0)

    def generated():
        return realism(model, extract_structure(model.generator(noise)))

    before = generated()
    model.generator_optimizer.learning_rate = 1e-4
    model._generator_step(tf.constant(x), tf.constant(labels), noise)
    assert generated() > before


def test_the_weights_of_the_critic_are_clipped_after_each_step(rng):
    model = make(rng)
    model.discriminator_optimizer.learning_rate = 1.0
    model._discriminator_step(model._noise(4, 0, 0))
    for weight in model.discriminator.get_weights():
        assert np.abs(weight).max() <= np.float32(0.01)


def test_five_steps_of_the_critic_for_one_of_the_generator(rng):
    model, half = make(rng), one_step.half(rng)
    one_step.fit(model, (half, half), (half, half))
    assert int(model.discriminator_optimizer.iterations) == 10
    assert int(model.generator_optimizer.iterations) == 2


def test_noise_is_a_function_of_seed_step_and_turn(rng):
    one, same, other = make(rng), make(rng), make(rng, seed=1)

    def draw(model, *place):
        return model._noise(4, *place).numpy()

    np.testing.assert_array_equal(draw(one, 3, 2), draw(same, 3, 2))
    for noise in (draw(other, 3, 2), draw(one, 4, 2), draw(one, 3, 1)):
        assert np.all(noise != draw(one, 3, 2))


def test_the_game_is_played_in_float32_whatever_the_policy(rng):
    keras.config.set_dtype_policy("mixed_float16")
    model = make(rng)
    samples = model.generator(model._noise(2, 0, 0))
    assert samples.dtype == model.discriminator(samples).dtype == tf.float32


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"structure": TRUE}, "`structure` should be a matrix of 0 and 1"),
        ({"structure": np.eye(2)}, r"0 and 1 of shape \(3, 3\) with"),
        (
            {"transition": np.eye(2)},
            r"`transition` should be a matrix of shape \(3",
        ),
    ],
)
def test_bad_arguments(arguments, message, rng):
    with pytest.raises(InputError, match=message):
        make(rng, **arguments)
