import keras
import numpy as np
import pytest

from mlc_tf.baselines.meta_weight_net import MetaWeightNet
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64

pytestmark = pytest.mark.usefixtures("float64")
RATE, META_RATE, DECAY = 0.5, 2.0, 1e-4


def weigh(phi, losses):
    """V of each loss; of complex numbers, ReLU goes by the real part."""
    hidden = losses[:, np.newaxis] @ phi[0] + phi[1]
    hidden = hidden * (hidden.real > 0)
    return 1 / (1 + np.exp(-(hidden @ phi[2] + phi[3])))[:, 0]


def phi_of(model):
    return [variable.numpy() for variable in model.weight_net]


def test_a_last_layer_of_zeros_halves_every_loss(rng):
    model = MetaWeightNet(one_step.two_layers(rng), meta_learning_rate=0.0)
    model.weight_net[2].assign(np.zeros((100, 1)))
    noisy = x, labels = one_step.half(rng)
    weights = model.base.get_weights()

    def half_the_loss(w):
        logits = one_step.two_layer_logits(w, x)
        return 0.5 * np.mean(one_step.losses(logits, labels))

    slopes = numpy_reference.gradient(half_the_loss, weights)
    logs = one_step.fit(model, (noisy, one_step.half(rng)))
    assert logs["mean_weight"] == 0.5
    np.testing.assert_allclose(logs["loss"], half_the_loss(weights), rtol=1e-6)
    for old, slope, new in zip(weights, slopes, model.base.get_weights()):
        np.testing.assert_allclose(new, old - slope, **FLOAT64)


@pytest.mark.parametrize(
    "rate",
    [
        RATE,
        keras.optimizers.schedules.PiecewiseConstantDecay([5], [RATE, 9.0]),
    ],
    ids=["constant", "scheduled"],
)
def test_a_step_equals_numpy(rate, rng):
    model = MetaWeightNet(one_step.two_layers(rng))
    # Plain descent in the place of Adam shows the gradient itself.
    model.meta_optimizer = keras.optimizers.SGD(META_RATE)
    model.meta_optimizer.build(model.weight_net)
    model.weight_net[1].assign(rng.normal(size=100))
    noisy, clean = (x, labels), _ = one_step.half(rng), one_step.half(rng, 2)
    weights, phi = model.base.get_weights(), phi_of(model)

    losses = one_step.losses(one_step.two_layer_logits(weights, x), labels)
    slopes = [
        one_step.slopes(weights, x[[i]], labels[[i]]) for i in range(len(x))
    ]

    def mean_of(factors):
        return [
            np.mean([f * slope for f, slope in zip(factors, parts)], axis=0)
            for parts in zip(*slopes)
        ]

    fast = [w - RATE * g for w, g in zip(weights, mean_of(weigh(phi, losses)))]
    clean_slopes = one_step.slopes(fast, *clean)
    alignments = np.array(
        [
            sum(np.sum(a * b) for a, b in zip(mine, clean_slopes))
            for mine in slopes
        ]
    )
    meta = numpy_reference.gradient(
        lambda p: -RATE * np.mean(weigh(p, losses) * alignments), phi
    )
    phi = [p - META_RATE * (g + DECAY * p) for p, g in zip(phi, meta)]
    factors = weigh(phi, losses)
    logs = one_step.fit(model, (noisy, clean), rate=rate)
    for expected, learned in zip(phi, phi_of(model)):
        np.testing.assert_allclose(learned, expected, **FLOAT64)
    for old, step, new in zip(
        weights, mean_of(factors), model.base.get_weights()
    ):
        np.testing.assert_allclose(new, old - RATE * step, **FLOAT64)
    np.testing.assert_allclose(logs["mean_weight"], factors.mean(), rtol=1e-6)


def test_the_first_step_of_adam_is_its_rate(rng):
    model = MetaWeightNet(one_step.two_layers(rng), meta_learning_rate=0.25)
    before = phi_of(model)
    one_step.fit(model, (one_step.half(rng), one_step.half(rng)))
    steps = np.abs(phi_of(model)[2] - before[2])
    np.testing.assert_allclose(steps.max(), 0.25, rtol=1e-3)


def test_a_bad_rate_is_refused(rng):
    with pytest.raises(InputError, match="`meta_learning_rate` should be a fi"):
        MetaWeightNet(one_step.two_layers(rng), meta_learning_rate=-1.0)
