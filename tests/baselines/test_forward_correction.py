import keras
import numpy as np
import pytest

from mlc_tf.baselines.forward_correction import ForwardCorrection
from mlc_tf.errors import InputError
from tests.test_meta_loss_correction import dataset


def base():
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros"),
        ]
    )


def test_one_step_by_hand():
    # f = (.5, .5), noisy label 1: loss -log .6, gradient (.25, -.25).
    model = ForwardCorrection(base(), transition=[[0.7, 0.3], [0.1, 0.9]])
    model.compile(keras.optimizers.SGD(1.0))
    one = np.ones((1, 1), np.float32)
    pair = (one, np.ones(1, int)), (one, np.ones(1, int))
    history = model.fit(dataset(pair), verbose=0).history
    np.testing.assert_allclose(history["loss"], [0.510826], atol=1e-6)
    np.testing.assert_allclose(
        model.base.get_weights()[0], [[-0.25, 0.25]], atol=1e-6
    )


def test_a_bad_matrix_is_refused():
    with pytest.raises(InputError, match="sums to 1"):
        ForwardCorrection(base(), transition=np.ones((2, 2)))
