import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.baselines.robust_bilevel import RobustBilevel
from mlc_tf.errors import InputError
from mlc_tf.transitions import Projected
from tests import numpy_reference
from tests.baselines import one_step

pytestmark = pytest.mark.usefixtures("float64")

ALPHA, BETA = 0.7, 0.5


def absolute_error(logits, labels):
    rows = np.arange(len(labels))
    return 2 * (1 - numpy_reference.softmax(logits)[rows, labels])


def corrected(weights, x, labels, transition):
    logits = one_step.two_layer_logits(weights, x)
    return numpy_reference.corrected_loss(logits, labels, transition)


def central_differences(function, array, step=1e-5):
    slope = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        change = np.zeros_like(array)
        change[place] = step
        ahead, behind = function(array + change), function(array - change)
        slope[place] = (ahead - behind) / (2 * step)
    return slope


def meta_loss(transition, weights, x, labels):
    """The error of half a batch after a step on the other half, of T."""
    slopes = numpy_reference.gradient(
        lambda w: corrected(w, x[::2], labels[::2], transition), weights
    )
    moved = [w - ALPHA * slope for w, slope in zip(weights, slopes)]
    logits = one_step.two_layer_logits(moved, x[1::2])
    return np.mean(absolute_error(logits, labels[1::2]))


def test_the_loss_in_worked_numbers():
    logits = tf.constant(np.log([[0.6, 0.3, 0.1]]))
    found = [
        float(losses.mean_absolute_error(logits, tf.constant([label]))[0])
        for label in (0, 2)
    ]
    np.testing.assert_allclose(found, [0.4 + 0.3 + 0.1, 0.6 + 0.3 + 0.9])
    soft = losses.mean_absolute_error(logits, tf.constant([[0.5, 0.5, 0.0]]))
    np.testing.assert_allclose(soft, [0.1 + 0.2 + 0.1])


def test_the_loss_is_robust_to_noise_that_is_spread_evenly():
    """The sum over all labels does not depend on the prediction."""
    for f in ([0.6, 0.3, 0.1], [0.1, 0.1, 0.8]):
        logits = tf.constant(np.log([f] * 3))
        labels = tf.constant([0, 1, 2])
        total = tf.reduce_sum(losses.mean_absolute_error(logits, labels))
        np.testing.assert_allclose(total, 4.0)


def test_a_step_equals_numpy(rng):
    base = one_step.two_layers(rng)
    start = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    model = RobustBilevel(
        base,
        transition=Projected(
            learning_rate=BETA, initial=start, smoothing=0.0, max_step=None
        ),
        virtual_learning_rate=ALPHA,
    )
    weights = base.get_weights()
    x, labels = one_step.half(rng)
    slope = central_differences(
        lambda t: meta_loss(t, weights, x, labels), start
    )
    transition = np.maximum(start - BETA * slope, 0)
    transition /= transition.sum(axis=1, keepdims=True)
    slopes = numpy_reference.gradient(
        lambda w: corrected(w, x, labels, transition), weights
    )
    one_step.fit(model, ((x, labels), one_step.half(rng, 2)), rate=0.3)
    np.testing.assert_allclose(
        model.transition_matrix, transition, rtol=1e-5, atol=1e-7
    )
    assert np.abs(transition - start).max() > 1e-3
    for old, slope, new in zip(weights, slopes, base.get_weights()):
        np.testing.assert_allclose(new, old - 0.3 * slope, rtol=1e-5)


def test_the_clean_half_is_not_read(rng):
    noisy, learned = one_step.half(rng), []
    for clean in (one_step.half(rng), one_step.half(rng, 2)):
        base = one_step.two_layers(np.random.default_rng(1))
        model = RobustBilevel(base)
        one_step.fit(model, (noisy, clean))
        learned.append([model.transition_matrix, *base.get_weights()])
    for one, other in zip(*learned, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_three_meta_gradients_agree_where_they_should(rng):
    noisy, moved = one_step.half(rng), {}
    for kind in ("exact", "finite_difference", "head"):
        base = one_step.two_layers(np.random.default_rng(1))
        model = RobustBilevel(base, meta_gradient=kind)
        one_step.fit(model, (noisy, one_step.half(rng)))
        moved[kind] = model.transition_matrix
    np.testing.assert_allclose(
        moved["exact"], moved["finite_difference"], rtol=1e-3, atol=1e-5
    )
    assert np.abs(moved["exact"] - moved["head"]).max() > 1e-6


def test_a_batch_of_one_or_of_an_unknown_number_is_refused(rng):
    model = RobustBilevel(one_step.two_layers(rng))
    with pytest.raises(InputError, match="at least two.* Received: 1\\."):
        one_step.fit(model, (one_step.half(rng, 1), one_step.half(rng)))
    pairs = tf.data.Dataset.from_tensor_slices(one_step.half(rng, 7)).batch(6)
    model.compile("sgd")
    with pytest.raises(InputError, match="Received: an unknown number"):
        model.fit(pairs.map(lambda *half: (half, ())), verbose=0)


def test_an_odd_batch_is_divided_too(rng):
    model = RobustBilevel(one_step.two_layers(rng))
    one_step.fit(model, (one_step.half(rng, 5), one_step.half(rng)))
    assert np.isfinite(model.transition_matrix).all()


def test_bad_arguments(rng):
    with pytest.raises(InputError, match="`virtual_learning_rate` should be"):
        RobustBilevel(one_step.two_layers(rng), virtual_learning_rate=-1.0)
    with pytest.raises(InputError, match="`meta_gradient` should be one of"):
        RobustBilevel(one_step.two_layers(rng), meta_gradient="heads")
