"""Networks of `keras.applications` by their names."""

import keras
import numpy as np
import pytest

from mlc_tf import networks
from mlc_tf.errors import InputError
from mlc_tf.networks import applications
from mlc_tf.run import training
from tests.conftest import FLOAT32
from tests.support import small

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).integers(0, 256, (3, *SHAPE), np.uint8)


@pytest.mark.parametrize(
    "name, module",
    [("MobileNetV2", "mobilenet_v2"), ("EfficientNetB0", "efficientnet")],
)
def test_inputs_are_prepared_as_keras_does(name, module, images, tmp_path):
    build = networks.get(f"keras_applications:{name}").build
    model = build(SHAPE, 4, weights="", weight_decay=0.02)
    body = next(x for x in model.layers if isinstance(x, keras.Model))
    prepare = getattr(keras.applications, module).preprocess_input
    features = body(prepare(images.astype(np.float32)), training=False)
    kernel, bias = model.get_layer("logits").get_weights()
    logits = np.asarray(features) @ kernel + bias
    np.testing.assert_allclose(
        model(images, training=False), logits, rtol=1e-4, atol=1e-5
    )
    assert model.losses  # the kernels decay
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(images), model(images), **FLOAT32)


def test_all_names_are_networks():
    found = applications.names()
    assert {"ResNet50", "ConvNeXtTiny", "DenseNet121"} <= {*found}
    for name in found:
        prepared = applications._preprocess(name, keras.Input(SHAPE))
        assert prepared.shape == (None, *SHAPE)


def test_images_that_are_too_small_for_a_network():
    with pytest.raises(
        InputError,
        match=r"`input_shape` should be large enough for Xception .*71",
    ):
        applications.application("Xception", SHAPE, 4, weights="")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(
        InputError, match=r"`network.name`.*'EfficentNetB0'.*EfficientNetB0"
    ):
        networks.get("keras_applications:EfficentNetB0")
    with pytest.raises(InputError, match="`network.name`"):
        networks.get("keras_applications:")
    with pytest.raises(InputError, match="keras_applications:NAME"):
        networks.get("keras_aplications:ResNet50")


def test_digits_are_too_small_for_it(tmp_path):
    config = small(
        **{"network.name": "keras_applications:MobileNetV2", "train.epochs": 1}
    )
    with pytest.raises(InputError, match="at least 32 by 32"):
        training.run(config, tmp_path, 0)
