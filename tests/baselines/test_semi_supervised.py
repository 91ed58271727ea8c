import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines.semi_supervised import SemiSupervised
from mlc_tf.baselines.semi_supervised import clean_posterior
from mlc_tf.baselines.semi_supervised import moved_targets
from mlc_tf.data import pair
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64
from tests.numpy_reference import softmax

pytestmark = pytest.mark.usefixtures("float64")
LABELS = np.array([0, 1, 2, 0, 1, 2])
# The labels of 0, 2 and 4 are kept; the posterior of 5 is exactly 0.5.
POSTERIOR = np.array(
    [
        [0.9, 0.1, 0.0],
        [0.7, 0.2, 0.1],
        [0.0, 0.4, 0.6],
        [0.3, 0.3, 0.4],
        [0.1, 0.8, 0.1],
        [0.5, 0.0, 0.5],
    ]
)
KEPT = np.array([True, False, True, False, True, False])


def make(rng, **arguments):
    good = {"labels": LABELS, "posterior": POSTERIOR, "momentum": 0.6}
    return SemiSupervised(one_step.two_layers(rng), **{**good, **arguments})


def element(rng, *indices):
    x, _ = one_step.half(rng, len(indices))
    indices = np.array(indices)
    return (x, LABELS[indices], indices), one_step.half(rng, 2)


def sharpened(probs):
    squares = probs**2
    return squares / squares.sum(axis=1, keepdims=True)


def test_worked_numbers():
    logits = tf.math.log([[0.6, 0.2, 0.2]])  # squares: 0.36, 0.04, 0.04
    moved = moved_targets(tf.constant([[0.0, 1.0, 0.0]]), logits, 0.5)
    expected = [[0.18 / 0.44, 0.5 + 0.02 / 0.44, 0.02 / 0.44]]
    np.testing.assert_allclose(moved, expected, rtol=1e-6)


def test_labels_that_the_posterior_confirms_are_kept(rng):
    model = make(rng)
    np.testing.assert_array_equal(model.is_kept, KEPT)
    expected = np.where(KEPT[:, np.newaxis], np.eye(3)[LABELS], POSTERIOR)
    np.testing.assert_allclose(model.targets, expected)


def test_two_steps_without_mixup_equal_numpy(rng):
    model = make(rng, mixup=False, clean_weight=0.3)
    weights, targets = model.base.get_weights(), model.targets.numpy()
    elements = [element(rng, 5, 0, 1), element(rng, 1, 4, 3)]
    for (x, _, indices), clean in elements:
        probs = softmax(one_step.two_layer_logits(weights, x))
        moved = 0.6 * targets[indices] + 0.4 * sharpened(probs)
        targets[indices] = np.where(
            KEPT[indices][:, np.newaxis], targets[indices], moved
        )

        def loss(w, x=x, q=targets[indices], clean=clean):
            logs = np.log(softmax(one_step.two_layer_logits(w, x)))
            given = one_step.losses(
                one_step.two_layer_logits(w, clean[0]), clean[1]
            )
            return -np.mean(np.sum(q * logs, axis=1)) + 0.3 * np.mean(given)

        slopes = numpy_reference.gradient(loss, weights)
        weights = [w - 0.5 * slope for w, slope in zip(weights, slopes)]
    one_step.fit(model, *elements, rate=0.5)
    np.testing.assert_allclose(model.targets, targets, **FLOAT64)
    for expected, weight in zip(weights, model.base.get_weights()):
        np.testing.assert_allclose(weight, expected, **FLOAT64)


def test_a_step_with_mixup_equals_numpy(rng):
    model = make(rng, momentum=1.0, seed=3)
    weights, targets = model.base.get_weights(), model.targets.numpy()
    (x, labels, indices), clean = element(rng, 5, 0, 1, 3)
    # The seed and the step draw the share.
    share = float(tf.random.stateless_uniform([], [3, 0], 0.5, 1.0))
    assert 0.5 <= share <= 1.0

    def mixed(values):
        return share * values + (1 - share) * np.roll(values, -1, axis=0)

    def loss(w):
        logs = np.log(softmax(one_step.two_layer_logits(w, mixed(x))))
        return -np.mean(np.sum(mixed(targets[indices]) * logs, axis=1))

    slopes = numpy_reference.gradient(loss, weights)
    logs = one_step.fit(model, ((x, labels, indices), clean))
    np.testing.assert_allclose(logs["loss"], loss(weights), rtol=1e-6)
    for old, slope, new in zip(weights, slopes, model.base.get_weights()):
        np.testing.assert_allclose(new, old - slope, rtol=1e-6, atol=1e-7)


def test_the_shares_follow_the_steps_and_repeat(rng):
    model = make(rng, seed=3)
    model.compile("sgd")
    compiled = tf.function(model._share_of_step, jit_compile=True)
    for steps, key in ((0, 0), (7, 7), (4095, 4095), (4096, 0), (4103, 7)):
        model.step.assign(steps)
        expected = tf.random.stateless_uniform([], [3, key], 0.5, 1.0)
        # XLA would draw another number.
        for share in (model._share_of_step(), compiled()):
            np.testing.assert_allclose(share, expected, rtol=1e-6)


def test_pixels_are_mixed_as_numbers(rng):
    """Mixtures of equal rows are these rows; uint8 would wrap around."""
    base = keras.Sequential(
        [
            keras.Input((4,), dtype="uint8"),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    base.set_weights([0.01 * rng.normal(size=(4, 3))])
    model = SemiSupervised(
        base, labels=LABELS, posterior=POSTERIOR, momentum=1.0
    )
    x = np.full((6, 4), 250, np.uint8)
    logs = np.log(softmax(x @ base.get_weights()[0]))
    # Mixtures of the targets have the mean of the targets.
    expected = -np.mean(np.sum(model.targets.numpy() * logs, axis=1))
    pairs = pair((x, LABELS), (x, LABELS), 6, epochs=range(1), with_index=True)
    model.compile("sgd")
    loss = model.fit(pairs, verbose=0).history["loss"][0]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_mixtures_of_integers_are_rounded():
    """Keras would cut off their fractions."""
    base = keras.Sequential(
        [
            keras.Input((1,), dtype="uint8"),
            keras.layers.Rescaling(1.0),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    base.set_weights([np.array([[0.01, 0.0, 0.0]])])
    model = SemiSupervised(
        base, labels=LABELS, posterior=POSTERIOR, momentum=1.0, seed=5
    )
    x = np.array([[10], [200], [90], [45], [3], [77]], np.uint8)
    share = float(tf.random.stateless_uniform([], [5, 0], 0.5, 1.0))

    def mixed(values):
        return share * values + (1 - share) * np.roll(values, -1, axis=0)

    logs = np.log(softmax(np.round(mixed(1.0 * x)) * [[0.01, 0.0, 0.0]]))
    targets = mixed(model.targets.numpy())
    expected = -np.mean(np.sum(targets * logs, axis=1))
    noisy = x, LABELS, np.arange(6)
    loss = one_step.fit(model, (noisy, (x, LABELS)))["loss"]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "probs, labels, message",
    [
        (POSTERIOR, POSTERIOR, "`labels` should be class ids"),
        (POSTERIOR, LABELS - 1, r"`labels` should be in \[0, 3\)"),
        (POSTERIOR[:4], LABELS, r"`probs` should be of shape \(6, 3\)"),
        (np.log(POSTERIOR + 1), LABELS, "`probs` should be rows of probab"),
        (POSTERIOR[:, 0], LABELS, "`probs` should be of shape"),
        ([["a", "b", "c"]] * 6, LABELS, "`probs` should be an array of num"),
    ],
)
def test_a_posterior_of_bad_input_is_refused(probs, labels, message):
    with pytest.raises(InputError, match=message):
        clean_posterior(probs, labels)


def test_an_index_beyond_the_labels_is_refused(rng):
    x, _ = one_step.half(rng, 2)
    noisy = x, np.array([0, 1]), np.array([0, 6])
    with pytest.raises(InputError, match=r"in \[0, 6\).*Received: index 6"):
        one_step.fit(make(rng), (noisy, one_step.half(rng, 2)))


def test_the_posterior_of_exact_predictions_finds_the_noise():
    classes = np.repeat(np.arange(3), 200)
    rng = np.random.default_rng(0)
    truth = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.0, 0.2, 0.8]])
    labels = np.array([rng.choice(3, p=truth[c]) for c in classes])
    probs = 0.97 * np.eye(3)[classes] + 0.01
    posterior = clean_posterior(probs, labels)
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    np.testing.assert_array_equal(posterior.argmax(axis=1), classes)
    model = SemiSupervised(
        one_step.two_layers(rng), labels=labels, posterior=posterior
    )
    shares = [np.mean(np.eye(3)[labels[classes == c]], 0) for c in range(3)]
    np.testing.assert_allclose(model.transition_matrix, shares, atol=0.02)
    np.testing.assert_array_equal(model.is_kept, labels == classes)


def test_the_transition_behind_the_posterior_is_the_likeliest(rng):
    """No step from it to another matrix explains the labels better."""
    probs = softmax(rng.normal(size=(300, 3)))
    labels = rng.integers(0, 3, 300)
    posterior = clean_posterior(probs, labels)
    found = posterior.T @ np.eye(3)[labels] + 1 / 3  # the prior of a row
    found /= found.sum(axis=1, keepdims=True)

    def score(matrix):
        likelihood = np.log((probs @ matrix)[np.arange(300), labels]).sum()
        return likelihood + np.log(matrix).sum() / 3

    for _ in range(50):
        other = softmax(np.log(found) + 0.05 * rng.normal(size=(3, 3)))
        assert score(other) < score(found) + 1e-6


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"labels": LABELS + 1}, r"`labels` should be in \[0, 3\)"),
        ({"posterior": POSTERIOR[:4]}, r"`posterior` should be of shape \(6,"),
        ({"posterior": 2 * POSTERIOR}, "`posterior` should be rows of probab"),
        ({"posterior": POSTERIOR - [[1, -1, 0]]}, "`posterior` should be rows"),
        ({"mixup": "no"}, "`mixup` should be True or False"),
        ({"momentum": None}, r"`momentum` should be in \[0, 1\]"),
        ({"momentum": 1.1}, r"`momentum` should be in \[0, 1\]"),
        ({"seed": -1}, "`seed` should be an integer in"),
    ],
)
def test_bad_arguments(arguments, message, rng):
    with pytest.raises(InputError, match=message):
        make(rng, **arguments)


def test_inputs_that_are_not_numbers_to_mix_are_refused():
    base = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(9, 2),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    x = np.zeros((6, 4), np.int32)
    pairs = pair((x, LABELS), (x, LABELS), 6, epochs=range(1), with_index=True)
    for mixup in (True, False):
        model = SemiSupervised(
            base, labels=LABELS, posterior=POSTERIOR, mixup=mixup
        )
        model.compile("sgd")
        if mixup:
            with pytest.raises(InputError, match="`mixup` should be False.*32"):
                model.fit(pairs, verbose=0)
        else:
            model.fit(pairs, verbose=0)
