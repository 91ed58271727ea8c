"""Training on the clean half of each element, as several methods can."""

import numpy as np
import pytest

from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.baselines.forward_correction import ForwardCorrection
from mlc_tf.baselines.learning_to_reweight import LearningToReweight
from mlc_tf.baselines.meta_weight_net import MetaWeightNet
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.conftest import FLOAT64

pytestmark = pytest.mark.usefixtures("float64")

TRANSITION = [[0.7, 0.3, 0.0], [0.0, 0.6, 0.4], [0.2, 0.0, 0.8]]
MODELS = {
    "cross_entropy": CrossEntropy,
    "forward": lambda base, **arguments: ForwardCorrection(
        base, transition=TRANSITION, **arguments
    ),
    "lre": LearningToReweight,
    "meta_weight_net": lambda base, **arguments: MetaWeightNet(
        base, meta_learning_rate=0.0, **arguments
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_step_has_the_gradient_of_the_clean_loss_besides(name, rng):
    elements = one_step.half(rng), one_step.half(rng, 4)
    bases = [one_step.two_layers(np.random.default_rng(1)) for _ in range(2)]
    weight_nets = []
    start = bases[0].get_weights()
    for base, weight in zip(bases, [0.0, 0.5], strict=True):
        model = MODELS[name](base, clean_weight=weight)
        if name == "meta_weight_net":  # random weights of its own
            weight_nets.append(model.weight_net)
            for variable, value in zip(model.weight_net, weight_nets[0]):
                variable.assign(value)
        one_step.fit(model, elements, rate=0.1)
    clean_slopes = one_step.slopes(start, *elements[1])
    for without, with_term, slope in zip(
        bases[0].get_weights(), bases[1].get_weights(), clean_slopes
    ):
        np.testing.assert_allclose(
            with_term, without - 0.1 * 0.5 * slope, **FLOAT64
        )


def test_class_weights_weigh_the_clean_loss(rng):
    noisy, (x, labels) = one_step.half(rng), one_step.half(rng, 4)
    bases = [one_step.two_layers(np.random.default_rng(1)) for _ in range(2)]
    start = bases[0].get_weights()
    weights = np.array([0.5, 2.0, 0.0])
    for base, clean_weight in zip(bases, [0.0, 1.0], strict=True):
        model = CrossEntropy(
            base, clean_weight=clean_weight, clean_class_weight=weights
        )
        one_step.fit(model, (noisy, (x, labels)), rate=0.1)
    slopes = numpy_reference.gradient(
        lambda w: np.mean(
            weights[labels]
            * one_step.losses(one_step.two_layer_logits(w, x), labels)
        ),
        start,
    )
    for without, with_term, slope in zip(
        bases[0].get_weights(), bases[1].get_weights(), slopes
    ):
        np.testing.assert_allclose(with_term, without - 0.1 * slope, **FLOAT64)


@pytest.mark.parametrize("name", MODELS)
def test_a_bad_weight_is_refused(name):
    base = one_step.two_layers(np.random.default_rng(1))
    with pytest.raises(InputError, match="`clean_weight` should be"):
        MODELS[name](base, clean_weight=-1.0)
