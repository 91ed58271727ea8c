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
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(images), model(images), **FLOAT32)


@pytest.mark.parametrize(
    "name, least, num_depthwise",
    [
        ("ConvNeXtTiny", 32, 18),  # depthwise kernels of Conv2D, and Dense
        ("MobileNetV2", 32, 17),
        ("Xception", 71, 34),  # SeparableConv2D
    ],
)
def test_all_kernels_but_depthwise_decay(name, least, num_depthwise, tmp_path):
    shape = (least, least, 3)
    model = applications.application(
        name, shape, 4, weights="", weight_decay=0.02
    )
    kernels, depthwise = [], []
    for weight in model.trainable_weights:
        if weight.path.endswith("kernel"):
            # A depthwise kernel sees one channel, or has one output of each.
            is_depthwise = len(weight.shape) == 4 and (
                "depthwise" in weight.path or weight.shape[2] == 1
            )
            (depthwise if is_depthwise else kernels).append(weight.numpy())
    assert len(depthwise) == num_depthwise
    expected = 0.01 * sum(np.square(kernel).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert float(sum(again.losses)) == pytest.approx(expected, rel=1e-4)


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
