import keras
import numpy as np
import pytest

from mlc_tf import networks
from mlc_tf.errors import InputError
from mlc_tf.networks import lenet
from mlc_tf.networks import mlp
from mlc_tf.networks import wide_resnet
from tests.conftest import FLOAT32

Conv2D = keras.layers.Conv2D


def small(build, **options):
    """Any of the networks, on 12 by 12 images of 3 channels."""
    if build is wide_resnet:
        options["depth"] = 10
    return build((12, 12, 3), 4, **options)


def randomize(model, rng):
    """Gives biases and moving averages values, too."""
    model.set_weights(
        [rng.uniform(0.1, 0.3, weight.shape) for weight in model.get_weights()]
    )


def layers(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def test_lenet_is_lenet_5():
    model = lenet((28, 28, 1), 10, mean=[33.0], variance=[6000.0])
    # 156 = 6 (25 + 1), 2,416 = 16 (6 * 25 + 1), 48,120 = 120 (16 * 25 + 1),
    # 10,164 = 84 (120 + 1), 850 = 10 (84 + 1); normalisation is constant.
    sizes = [156, 2416, 48120, 10164, 850]
    assert trainable(model) == model.count_params() == sum(sizes) == 61706
    weighty = layers(model, (Conv2D, keras.layers.Dense))
    assert [layer.count_params() for layer in weighty] == sizes
    for layer in weighty[:-1]:
        assert layer.activation is keras.activations.relu
    assert len(layers(model, keras.layers.MaxPooling2D)) == 2


def block_size(inputs, outputs):
    """Trainable numbers of two BN-ReLU-conv and, if need be, a projection."""
    norms = 2 * inputs + 2 * outputs
    projection = inputs * outputs if inputs != outputs else 0
    return norms + 9 * inputs * outputs + 9 * outputs**2 + projection


def test_wide_resnet_40_2_has_2_2_million_parameters():
    model = wide_resnet((32, 32, 3), 10)
    blocks = 0
    for inputs, outputs in ((16, 32), (32, 64), (64, 128)):
        blocks += block_size(inputs, outputs) + 5 * block_size(outputs, outputs)
    ends = 9 * 3 * 16 + 2 * 128 + 10 * (128 + 1)
    assert trainable(model) == blocks + ends == 2_243_546
    assert model.name == "wrn_40_2"


# 6 n 3x3 convolutions in the blocks, one before them, and projections where
# the width or the size changes.
@pytest.mark.parametrize(
    "depth, width, projections", [(10, 2, 3), (16, 1, 2), (22, 3, 3)]
)
def test_wide_resnet_counts_its_depth(depth, width, projections):
    model = wide_resnet((32, 32, 3), 10, depth=depth, width=width)
    sizes = [layer.kernel_size for layer in layers(model, Conv2D)]
    assert sizes.count((3, 3)) == depth - 4 + 1
    assert sizes.count((1, 1)) == projections
    assert len(sizes) == depth - 4 + 1 + projections
    filters = {layer.filters for layer in layers(model, Conv2D)[1:]}
    assert filters == {16 * width, 32 * width, 64 * width}
    assert len(layers(model, keras.layers.Add)) == (depth - 4) // 2


def test_wide_resnet_activates_before_each_convolution():
    model = wide_resnet((32, 32, 3), 10, depth=16)
    maker = {id(layer.output): layer for layer in model.layers}
    first, *others = layers(model, Conv2D)
    assert maker[id(first.input)] is model.layers[0]
    for layer in others:
        relu = maker[id(layer.input)]
        assert isinstance(relu, keras.layers.ReLU)
        norm = maker[id(relu.input)]
        assert isinstance(norm, keras.layers.BatchNormalization)
    shortcuts = [
        maker[id(layer.input[0])] for layer in layers(model, keras.layers.Add)
    ]
    # The first block of each of three stages projects, the second does not.
    assert [getattr(layer, "strides", "identity") for layer in shortcuts] == [
        (1, 1),
        "identity",
        (2, 2),
        "identity",
        (2, 2),
        "identity",
    ]
    for previous, layer in zip(shortcuts[::2], shortcuts[1::2]):
        assert isinstance(previous, Conv2D)
        assert isinstance(layer, keras.layers.Add)
    # Nor do the last features go out without it.
    pool = layers(model, keras.layers.GlobalAveragePooling2D)[0]
    relu = maker[id(pool.input)]
    assert isinstance(relu, keras.layers.ReLU)
    assert isinstance(maker[id(relu.input)], keras.layers.BatchNormalization)


def test_wide_resnet_ends_at_a_quarter_of_the_size():
    model = wide_resnet((32, 32, 3), 10, depth=10)
    adds = layers(model, keras.layers.Add)
    assert [layer.output.shape[1:] for layer in adds] == [
        (32, 32, 32),
        (16, 16, 64),
        (8, 8, 128),
    ]


def test_wide_resnet_halves_in_the_first_convolution_of_a_stage():
    model = wide_resnet((32, 32, 3), 10, depth=16)
    strides = [
        layer.strides
        for layer in layers(model, Conv2D)
        if layer.kernel_size == (3, 3)
    ]
    # One before the stages, four in each.
    halving, keeping = (2, 2), (1, 1)
    stage = [halving, keeping, keeping, keeping]
    assert strides == [keeping] * 5 + stage * 2


def test_wide_resnet_normalises_as_pytorch_does_by_default():
    model = wide_resnet((8, 8, 3), 2, depth=10)
    for layer in layers(model, keras.layers.BatchNormalization):
        assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)


def test_mlp_by_hand(rng):
    model = mlp((2, 3), 4, hidden_units=(5, 7))
    weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    assert [w.shape for w in weights] == [
        (6, 5),
        (5,),
        (5, 7),
        (7,),
        (7, 4),
        (4,),
    ]
    model.set_weights(weights)
    x = rng.normal(size=(8, 2, 3))
    hidden = x.reshape(8, 6)
    for kernel, bias in (weights[:2], weights[2:4]):
        hidden = np.maximum(hidden @ kernel + bias, 0)
    np.testing.assert_allclose(
        model(x), hidden @ weights[4] + weights[5], **FLOAT32
    )


def test_mlp_has_128_hidden_units_by_default():
    assert trainable(mlp((8, 8, 1), 10)) == 128 * (64 + 1) + 10 * (128 + 1)


@pytest.mark.parametrize(
    "build, shape, num_classes",
    [
        (mlp, (6,), 3),
        (mlp, (8, 8, 1), 10),
        (lenet, (12, 12, 1), 2),
        (lenet, (32, 28, 3), 100),
        (wide_resnet, (8, 8, 3), 2),
        (wide_resnet, (28, 20, 1), 100),
    ],
)
def test_the_outputs_are_logits(build, shape, num_classes, rng):
    options = {"depth": 10} if build is wide_resnet else {}
    model = build(shape, num_classes, **options)
    logits = model(rng.normal(size=(5, *shape))).numpy()
    assert logits.shape == (5, num_classes)
    assert logits.min() < 0
    assert np.abs(logits.sum(axis=1) - 1).min() > 1e-3


@pytest.mark.parametrize("build", [mlp, lenet, wide_resnet])
def test_the_inputs_are_standardised_inside(build, rng):
    mean, variance = [10.0, 20.0, -3.0], [4.0, 9.0, 0.25]
    plain, model = small(build), small(build, mean=mean, variance=variance)
    model.set_weights(plain.get_weights())
    x = rng.normal(size=(2, 12, 12, 3)) * np.sqrt(variance) + mean
    np.testing.assert_allclose(
        model(x), plain((x - mean) / np.sqrt(variance)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("build", [mlp, lenet, wide_resnet])
def test_the_kernels_decay_and_nothing_else(build, rng):
    model = small(build, weight_decay=0.02)
    randomize(model, rng)
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert len(kernels) == len(layers(model, (Conv2D, keras.layers.Dense)))
    squares = sum(float(np.sum(np.square(kernel))) for kernel in kernels)
    np.testing.assert_allclose(
        float(sum(model.losses)), 0.02 / 2 * squares, rtol=1e-5
    )
    assert not small(build).losses


@pytest.mark.parametrize("depth", [41, 39, 4, -2])
def test_bad_depth(depth):
    with pytest.raises(
        InputError, match=f"`depth` should be 6 n \\+ 4 .* = {depth}\\."
    ):
        wide_resnet((32, 32, 3), 10, depth=depth)


@pytest.mark.parametrize("width", [0, -1])
def test_bad_width(width):
    with pytest.raises(
        InputError, match=f"`width` should be an integer >= 1.* = {width}\\."
    ):
        wide_resnet((32, 32, 3), 10, width=width)


@pytest.mark.parametrize(
    "option", [{"hidden_units": 8}, {"weight_decay": "1e-3"}]
)
def test_bad_options_of_mlp(option):
    (name,) = option
    with pytest.raises(InputError, match=f"`{name}` should be"):
        mlp((4,), 3, **option)


def test_networks_by_name():
    for name in networks.NETWORKS:
        assert networks.get(name).build is getattr(networks, name)
    with pytest.raises(
        InputError,
        match="mlp, lenet, wide_resnet, resnet50, word_window. .*"
        "Did you mean 'wide_resnet'",
    ):
        networks.get("wideresnet")


@pytest.mark.parametrize(
    "build, shape, options, message",
    [
        (wide_resnet, (8, 8, 3), {"depth": 10.0}, "`depth`"),
        (wide_resnet, (8, 8, 3), {"width": 1.5}, "`width`"),
        (lenet, (11, 11, 1), {}, "12 by 12"),
        (wide_resnet, (8, 8, 3), {"depth": "40"}, "`depth`"),
    ],
)
def test_other_bad_arguments(build, shape, options, message):
    with pytest.raises(InputError, match=message):
        build(shape, 2, **options)


@pytest.mark.parametrize("name", ["mean", "variance"])
def test_mean_and_variance_come_together(name):
    with pytest.raises(InputError, match="`mean` and `variance`"):
        mlp((3,), 2, **{name: [1.0, 2.0, 3.0]})
