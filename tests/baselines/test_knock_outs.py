"""With T = I every correction of the loss is plain cross-entropy."""

import numpy as np
import pytest

from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.baselines.forward_correction import ForwardCorrection
from mlc_tf.baselines.gold_loss_correction import GoldLossCorrection
from mlc_tf.baselines.masking import Masking
from mlc_tf.baselines.masking_hard import MaskingHard
from mlc_tf.baselines.noise_layer import NoiseLayer
from mlc_tf.baselines.robust_bilevel import RobustBilevel
from mlc_tf.baselines.transition_revision import TransitionRevision
from mlc_tf.baselines.volume_minimization import VolumeMinimization
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.transitions import Projected
from tests.baselines import one_step
from tests.conftest import FLOAT64

IDENTITY = np.eye(one_step.CLASSES)


def noise_layer(base):
    model = NoiseLayer(base)
    model.kernel.assign(50 * IDENTITY)  # the identity after the softmax
    return model


def volume_minimization(base):
    model = VolumeMinimization(base, volume_weight=0.0)
    model.kernel.assign(np.full_like(IDENTITY, -200.0))
    return model


def masking(base):
    model = Masking(base, transition=IDENTITY, structure=IDENTITY)
    model.generator_optimizer.learning_rate = 0.0
    kernel, bias = model.generator.trainable_variables[-2:]
    kernel.assign(0 * kernel)
    bias.assign(200 * IDENTITY.ravel())
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda base: ForwardCorrection(base, transition=IDENTITY),
        lambda base: GoldLossCorrection(
            base, transition=IDENTITY, gold=np.zeros(one_step.BATCH, bool)
        ),
        lambda base: MetaLossCorrection(
            base, transition=Projected(learning_rate=0.0)
        ),
        lambda base: NoiseLayer(base, space="logits"),
        noise_layer,
        volume_minimization,
        # At the identity every importance weight is 1.
        lambda base: TransitionRevision(base, transition=IDENTITY),
        lambda base: RobustBilevel(
            base, transition=Projected(learning_rate=0.0)
        ),
        masking,
        lambda base: MaskingHard(base, transition=IDENTITY, structure=IDENTITY),
    ],
    ids=[
        "forward and true_forward",
        "glc and confusion",
        "mlc",
        "noise_layer_logits",
        "noise_layer",
        "volmin",
        "t_revision",
        "robot",
        "masking",
        "masking_hard",
    ],
)
def test_the_identity_makes_it_cross_entropy(make, rng, float64):
    base = one_step.two_layers(rng)
    start = base.get_weights()
    x, labels = one_step.half(rng)
    # The gradient of this clean half is zero: without biases, at x = 0.
    clean = np.zeros((2, one_step.WIDTH)), labels[:2]
    model = make(base)
    index = [np.arange(len(x))] if model.uses_index else []
    logs = one_step.fit(model, ((x, labels, *index), clean))
    plain = one_step.two_layers(rng)
    plain.set_weights(start)
    expected = one_step.fit(CrossEntropy(plain), ((x, labels), clean))
    np.testing.assert_allclose(logs["loss"], expected["loss"], rtol=1e-7)
    for right, weight in zip(plain.get_weights(), base.get_weights()):
        np.testing.assert_allclose(weight, right, **FLOAT64)
