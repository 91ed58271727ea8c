import keras
import numpy as np
import pytest

from mlc_tf.errors import InputError
from mlc_tf.networks import resnet50
from tests.conftest import FLOAT32

SHAPE = (64, 64, 3)  # 2 by 2 where the features are averaged


@pytest.fixture(scope="module")
def plain():
    """What Keras has under this name, with values also in its statistics."""
    keras.utils.set_random_seed(1)
    model = keras.applications.ResNet50(
        weights=None, include_top=False, pooling="avg"
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(
                [rng.uniform(0.5, 1, w.shape) for w in layer.get_weights()]
            )
    return model


@pytest.fixture(scope="module")
def weights(plain, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet50.weights.h5"
    plain.save_weights(path)
    return str(path)


@pytest.fixture(scope="module")
def model(weights):
    return resnet50(SHAPE, 4, weights=weights, weight_decay=0.02)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).integers(0, 256, (3, *SHAPE), np.uint8)


def body(model):
    return next(x for x in model.layers if isinstance(x, keras.Model))


def test_weights_of_a_file_are_loaded_exactly(model, plain):
    loaded, expected = body(model).get_weights(), plain.get_weights()
    assert len(loaded) == len(expected) == 318
    for got, weight in zip(loaded, expected):
        np.testing.assert_array_equal(got, weight)


def test_it_has_as_many_weights_as_the_paper_of_he_et_al(model):
    # 23.5 million without a last layer, two moving statistics per channel.
    assert model.count_params() == 23_587_712 + 4 * (2048 + 1)
    statistics = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
    assert statistics == 53_120


def test_inputs_are_prepared_as_the_pretrained_weights_expect(
    model, plain, images
):
    prepared = keras.applications.resnet50.preprocess_input(
        images.astype(np.float32)
    )
    features = plain(prepared, training=False).numpy()
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_allclose(
        model(images, training=False),
        features @ kernel + bias,
        rtol=1e-4,
        atol=1e-4 * np.abs(features @ kernel).max(),
    )
    # Red and blue are not the same to it.
    flipped = model(images[..., ::-1], training=False)
    assert np.abs(flipped - features @ kernel).max() > 1e-2


def test_the_kernels_decay_and_nothing_else(model):
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert len(kernels) == 53 + 1
    squares = sum(float(np.sum(np.square(kernel))) for kernel in kernels)
    np.testing.assert_allclose(
        float(sum(model.losses)), 0.02 / 2 * squares, rtol=1e-5
    )


def test_a_saved_model_gives_the_same_outputs_and_decay(
    model, images, tmp_path
):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(images), model(images), **FLOAT32)
    np.testing.assert_allclose(
        float(sum(again.losses)), float(sum(model.losses)), rtol=1e-6
    )


def test_random_weights_of_other_shapes_without_decay():
    model = resnet50((40, 36, 3), 5, weights="")
    assert model.output_shape == (None, 5) and not model.losses
    kernel = body(model).get_layer("conv1_conv").kernel
    assert kernel.numpy().std() > 0.01


@pytest.mark.parametrize(
    "shape", [(32, 32), (32, 32, 1), (31, 32, 3), (32, 31, 3), (3, 32, 32)]
)
def test_bad_shape(shape):
    with pytest.raises(
        InputError, match=r"`input_shape` .* 3\), at least 32 by 32"
    ):
        resnet50(shape, 4, weights="")


def test_weights_that_are_no_file(tmp_path):
    for path in (str(tmp_path), str(tmp_path / "none.weights.h5"), "image_net"):
        with pytest.raises(
            InputError,
            match="`network.weights` should be 'imagenet', '' or a file",
        ):
            resnet50(SHAPE, 4, weights=path)


def test_a_file_that_holds_no_such_weights(tmp_path):
    text, other = tmp_path / "text.weights.h5", tmp_path / "net.weights.h5"
    text.write_text("no weights")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(
        other
    )
    for path in (text, other):
        with pytest.raises(
            InputError,
            match=r"`network.weights` should be weights of keras.applications."
            rf"ResNet50\(include_top=False\). Received: '{path}', which",
        ):
            resnet50(SHAPE, 4, weights=str(path))


def test_imagenet_weights_come_from_keras(monkeypatch):
    def offline(**options):
        assert options["weights"] == "imagenet" and not options["include_top"]
        raise OSError("URL fetch failure\non weights")

    monkeypatch.setattr(keras.applications, "ResNet50", offline)
    with pytest.raises(
        InputError,
        match=r"'imagenet', which cannot be loaded \(URL fetch failure on wei",
    ):
        resnet50(SHAPE, 4)
