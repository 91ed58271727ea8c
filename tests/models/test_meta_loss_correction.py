import inspect
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import networks
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.baselines.forward_correction import ForwardCorrection
from mlc_tf.errors import InputError
from mlc_tf.models.forward_pass import coarsest_dtype
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection
from mlc_tf.transitions import Exponentiated
from mlc_tf.transitions import Projected
from mlc_tf.transitions import ProjectedColumns
from tests import numpy_reference
from tests.conftest import FLOAT64
from tests.models.small_models import BATCH
from tests.models.small_models import BN_MOMENTUM
from tests.models.small_models import CLASSES
from tests.models.small_models import CLEAN_BATCH
from tests.models.small_models import TOLERANCE
from tests.models.small_models import compiled
from tests.models.small_models import convolutional_base
from tests.models.small_models import convolutional_logits
from tests.models.small_models import convolve
from tests.models.small_models import dataset
from tests.models.small_models import dense_base
from tests.models.small_models import dense_logits
from tests.models.small_models import random_pair

# T stays frozen at the given start.
FROZEN = Projected(learning_rate=0.0)
# This T is not symmetric, and steps of rate 2 push entries below 0.
START = np.array(
    [[0.9, 0.099, 0.001], [0.001, 0.6, 0.399], [0.4, 0.001, 0.599]]
)
EXPONENTIATED = Exponentiated(2.0, initial=START, smoothing=0.0, max_step=None)


@pytest.mark.parametrize(
    "update",
    [
        EXPONENTIATED,
        Projected(2.0, initial=START),
        ProjectedColumns(2.0, initial=START),
    ],
    ids=["exponentiated", "projected", "projected columns"],
)
@pytest.mark.parametrize(
    "make_base, logits_of, dtype",
    [
        (dense_base, dense_logits, "float64"),
        (dense_base, dense_logits, "float32"),
        (convolutional_base, convolutional_logits, "float64"),
    ],
    ids=["dense", "dense float32", "convolution and BatchNorm"],
)
def test_steps_equal_the_numpy_reference(
    make_base, logits_of, dtype, update, rng
):
    base = make_base(dtype)
    model = MetaLossCorrection(
        base, virtual_learning_rate=0.5, transition=update
    )
    exponentiated = isinstance(update, Exponentiated)
    kind = "exponentiated" if exponentiated else "projected"
    matrix = check_against_reference(
        model,
        logits_of,
        dtype,
        rng,
        alpha=0.5,
        beta=2.0,
        transition_update=kind,
    )
    # Eq. 9 changed T.
    assert (matrix == 0).any() != exponentiated


def check_against_reference(
    model, logits_of, dtype, rng, *, alpha, beta, transition_update
):
    """Trains two steps beside the reference; returns the reference's T."""
    base, gamma = model.base, 0.1
    elements = [random_pair(rng, base, dtype) for _ in range(2)]
    weights = [
        variable.numpy().astype(np.float64)
        for variable in base.trainable_variables
    ]
    velocities = [np.zeros_like(weight) for weight in weights]
    matrix = numpy_reference.normalize(START, model.normalization)
    for noisy, clean in elements:
        weights, velocities, matrix = numpy_reference.step(
            logits_of,
            weights,
            velocities,
            matrix,
            (noisy[0].astype(np.float64), noisy[1]),
            (clean[0].astype(np.float64), clean[1]),
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            momentum=0.9,
            normalization=model.normalization,
            transition_update=transition_update,
        )
    compiled(model, gamma, momentum=0.9).fit(dataset(*elements), verbose=0)
    np.testing.assert_allclose(
        model.transition_matrix, matrix, **TOLERANCE[dtype]
    )
    for variable, weight in zip(base.trainable_variables, weights):
        np.testing.assert_allclose(variable, weight, **TOLERANCE[dtype])
    return matrix


@pytest.mark.parametrize(
    "make_base, logits_of, dtype",
    [
        (dense_base, dense_logits, "float64"),
        (dense_base, dense_logits, "float32"),
        (convolutional_base, convolutional_logits, "float64"),
    ],
    ids=["dense", "dense float32", "convolution and BatchNorm"],
)
def test_the_papers_steps_equal_the_numpy_reference(
    make_base, logits_of, dtype, rng
):
    model = PaperMetaLossCorrection(
        make_base(dtype),
        virtual_learning_rate=0.5,
        transition_learning_rate=2.0,
        transition=START,
    )
    matrix = check_against_reference(
        model,
        logits_of,
        dtype,
        rng,
        alpha=0.5,
        beta=2.0,
        transition_update="projected",
    )
    assert (matrix == 0).any()


@pytest.mark.parametrize("clean_weight", [0.0, 0.5])
def test_only_the_actual_pass_moves_batch_norm_statistics(clean_weight, rng):
    base = convolutional_base("float64")
    model = compiled(MetaLossCorrection(base, clean_weight=clean_weight))
    element = random_pair(rng, base, "float64")
    kernel, bias = base.layers[0].get_weights()
    y = convolve(element[0][0], kernel, bias)
    mean, variance = y.mean(axis=(0, 1, 2)), y.var(axis=(0, 1, 2))
    model.fit(dataset(element), verbose=0)
    norm = base.layers[1]
    np.testing.assert_allclose(
        norm.moving_mean, (1 - BN_MOMENTUM) * mean, **FLOAT64
    )
    np.testing.assert_allclose(
        norm.moving_variance,
        BN_MOMENTUM + (1 - BN_MOMENTUM) * variance,
        **FLOAT64,
    )


@pytest.mark.parametrize(
    "meta_gradient", ["exact", "head", "finite_difference"]
)
def test_frozen_identity_equals_cross_entropy(meta_gradient, rng):
    elements = [random_pair(rng, dense_base()) for _ in range(3)]
    base, plain_base = dense_base("float64"), dense_base("float64")
    plain_base.set_weights(base.get_weights())
    frozen = MetaLossCorrection(
        base,
        transition=FROZEN,
        meta_gradient=meta_gradient,
    )
    compiled(frozen, momentum=0.9).fit(dataset(*elements), verbose=0)
    compiled(CrossEntropy(plain_base), momentum=0.9).fit(
        dataset(*elements), verbose=0
    )
    np.testing.assert_array_equal(frozen.transition_matrix, np.eye(CLASSES))
    for weights, plain in zip(base.get_weights(), plain_base.get_weights()):
        np.testing.assert_allclose(weights, plain, **FLOAT64)


@pytest.mark.parametrize(
    "meta_gradient", ["exact", "head", "finite_difference"]
)
def test_a_clean_weight_adds_the_loss_of_the_clean_batch(meta_gradient, rng):
    # With this weight the two mean losses sum to the mean over all examples.
    noisy, clean = random_pair(rng, dense_base("float64"), "float64")
    base, plain_base = dense_base("float64"), dense_base("float64")
    plain_base.set_weights(base.get_weights())
    model = MetaLossCorrection(
        base,
        transition=FROZEN,
        meta_gradient=meta_gradient,
        clean_weight=CLEAN_BATCH / BATCH,
    )
    compiled(model, 0.1).fit(dataset((noisy, clean)), verbose=0)
    both = tuple(np.concatenate(halves) for halves in zip(noisy, clean))
    rate = 0.1 * (1 + CLEAN_BATCH / BATCH)
    compiled(CrossEntropy(plain_base), rate).fit(
        dataset((both, clean)), verbose=0
    )
    for weights, plain in zip(base.get_weights(), plain_base.get_weights()):
        np.testing.assert_allclose(weights, plain, **FLOAT64)


@pytest.mark.parametrize(
    "meta_gradient", ["exact", "head", "finite_difference"]
)
def test_a_class_weight_counts_clean_examples_as_often(meta_gradient, rng):
    noisy, (x, _) = random_pair(rng, dense_base("float64"), "float64")
    labels = np.arange(len(x)) % CLASSES
    counts = np.array([2, 1, 0])
    repeated = np.repeat(np.arange(len(x)), counts[labels])
    start = rng.dirichlet(np.ones(CLASSES), CLASSES)
    bases = [dense_base("float64") for _ in range(2)]
    bases[1].set_weights(bases[0].get_weights())
    models = [
        MetaLossCorrection(
            base,
            transition=Exponentiated(
                initial=start, smoothing=0.0, max_step=None
            ),
            meta_gradient=meta_gradient,
            clean_weight=0.5,
            clean_class_weight=weight,
        )
        for base, weight in zip(
            bases, [counts * len(x) / len(repeated), None], strict=True
        )
    ]
    cleans = (x, labels), (x[repeated], labels[repeated])
    for model, clean in zip(models, cleans, strict=True):
        compiled(model).fit(dataset((noisy, clean)), verbose=0)
    np.testing.assert_allclose(
        *[model.transition_matrix for model in models], **FLOAT64
    )
    assert not np.allclose(models[0].transition_matrix, start)
    for weights, plain in zip(*[base.get_weights() for base in bases]):
        np.testing.assert_allclose(weights, plain, **FLOAT64)


@pytest.mark.parametrize("soft", [False, True])
def test_the_transition_follows_the_noisy_labels(soft, rng):
    # T first takes the meta-gradient step, then this step, which uses the
    # outputs from before any step.
    (x, labels), clean = random_pair(rng, dense_base("float64"), "float64")
    bases = [dense_base("float64") for _ in range(2)]
    bases[1].set_weights(bases[0].get_weights())
    probs = tf.nn.softmax(bases[0](x)).numpy()
    noisy = (x, np.eye(CLASSES)[labels] if soft else labels)
    plain, following = (
        compiled(
            MetaLossCorrection(
                base, transition=Exponentiated(expectation_rate=rate)
            )
        )
        for base, rate in zip(bases, (0.0, 1.5), strict=True)
    )
    for model in (plain, following):
        model.fit(dataset((noisy, clean)), verbose=0)
    before = plain.transition_matrix
    expected = np.zeros((CLASSES, CLASSES))
    for f, label in zip(probs, labels, strict=True):
        expected[:, label] += f * before[:, label] / (f @ before[:, label])
    expected /= len(labels)
    share = 1.5 * expected.sum(axis=1, keepdims=True)
    rows = expected / expected.sum(axis=1, keepdims=True)
    after = before + np.minimum(share, 1) * (rows - before)
    np.testing.assert_allclose(following.transition_matrix, after, **FLOAT64)
    assert not np.allclose(before, after, atol=1e-2)
    for weights, expected in zip(*[base.get_weights() for base in bases]):
        np.testing.assert_allclose(weights, expected, **FLOAT64)


@pytest.mark.parametrize(
    "weight",
    [
        [1.0, 2.0],
        [1.0, -1.0, 0.0],
        [1.0, math.nan, 0.0],
        "balanced",
        [[1], [1, 2], 3],
        [1j, 1, 1],
    ],
)
def test_bad_clean_class_weight(weight):
    with pytest.raises(InputError, match="should be 3 finite numbers >= 0"):
        MetaLossCorrection(dense_base(), clean_class_weight=weight)


def test_frozen_true_matrix_equals_forward_correction(rng):
    matrix = rng.dirichlet(np.ones(CLASSES), CLASSES)
    elements = [random_pair(rng, dense_base()) for _ in range(3)]
    base, plain_base = dense_base("float64"), dense_base("float64")
    plain_base.set_weights(base.get_weights())
    frozen = MetaLossCorrection(base, transition=Projected(0.0, initial=matrix))
    compiled(frozen).fit(dataset(*elements), verbose=0)
    compiled(ForwardCorrection(plain_base, transition=matrix)).fit(
        dataset(*elements), verbose=0
    )
    for weights, plain in zip(base.get_weights(), plain_base.get_weights()):
        np.testing.assert_allclose(weights, plain, **FLOAT64)


def test_no_virtual_step_leaves_the_transition(rng):
    matrix = rng.dirichlet(np.ones(CLASSES), CLASSES)
    base = dense_base("float64")
    model = compiled(
        MetaLossCorrection(
            base,
            virtual_learning_rate=0.0,
            transition=Exponentiated(initial=matrix, smoothing=0.0),
        )
    )
    model.fit(dataset(random_pair(rng, base)), verbose=0)
    np.testing.assert_allclose(model.transition_matrix, matrix, **FLOAT64)


def test_a_long_step_of_the_transition_is_shortened(rng):
    element = random_pair(rng, dense_base(), "float64")
    matrices = {}
    weights = dense_base("float64").get_weights()
    start = np.full((CLASSES, CLASSES), 1 / CLASSES)
    start += 0.1 * (np.eye(CLASSES) - 1 / CLASSES)
    for limit in (None, 0.01, 1e6):
        base = dense_base("float64")
        base.set_weights(weights)
        model = MetaLossCorrection(
            base, transition=Projected(50.0, initial=start, max_step=limit)
        )
        compiled(model).fit(dataset(element), verbose=0)
        matrices[limit] = model.transition_matrix
    np.testing.assert_array_equal(matrices[None], matrices[1e6])
    assert np.abs(matrices[None] - matrices[0.01]).max() > 0.01
    step = np.linalg.norm(matrices[0.01] - start)
    assert 0 < step <= 0.01 + 1e-9


def test_the_steps_of_the_transition_fall_along_a_cosine(rng):
    steps = []
    for decay_steps in (0, 4):
        base = dense_base("float64")
        model = MetaLossCorrection(
            base,
            transition=Exponentiated(
                1e6, max_step=0.1, decay_steps=decay_steps
            ),
        )
        compiled(model, rate=1e-9)
        lengths = []
        for _ in range(6):
            before = np.log(model.transition_matrix)
            model.fit(dataset(random_pair(rng, base)), verbose=0)
            moved = np.log(model.transition_matrix) - before
            # Only the normalized rows are known.
            lengths.append(np.linalg.norm(moved - moved.mean(1)[:, None]))
        steps.append(lengths)
    constant, falling = steps
    assert min(constant) > 0.02
    limits = 0.1 * 0.5 * (1 + np.cos(np.pi * np.arange(6) / 4))
    assert (np.array(falling[:4]) <= limits[:4] + 1e-9).all()
    assert falling[0] > 0.02 and falling[4:] == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"virtual_learning_rate": -1}, "`virtual_learning_rate` should be"),
        ({"transition": "identity"}, "an object of mlc_tf.transitions"),
        ({"transition": np.eye(3)}, "argument `initial` takes a matrix"),
        (
            {"transition": Exponentiated(initial=np.eye(4))},
            r"`initial` should be a matrix of shape \(3, 3\)",
        ),
        ({"meta_gradient": "exakt"}, "Did you mean 'exact'"),
        ({"clean_weight": -1.0}, "`clean_weight` should be a finite float"),
        (
            {"transition_learning_rate": 3.0},
            r"transition=mlc_tf.transitions.Exponentiated\(learning_rate=",
        ),
        ({"smoothing": 0.2}, r"Exponentiated\(smoothing=.*= 0.2\."),
        ({"max_transition_step": 1.0}, r"Exponentiated\(max_step="),
        ({"transition_decay_steps": 9}, r"Exponentiated\(decay_steps="),
        ({"expectation_rate": 0.3}, r"Exponentiated\(expectation_rate="),
        ({"transition_update": "projected"}, r"left out.*\.Projected\("),
        (
            {"smoothing": 0.2, "transition_update": "projected"},
            r"Projected\(smoothing=",
        ),
        ({"rank": 3}, "`rank` should be left out: T has all of its entries"),
        ({"meta_interval": 2}, "`meta_interval` should be left out: T moves"),
        ({"normalization": "columns"}, r"ProjectedColumns\("),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        MetaLossCorrection(dense_base(), **arguments)


def test_an_argument_that_never_was_is_refused_as_python_does():
    with pytest.raises(TypeError, match="unexpected keyword argument 'beta'"):
        MetaLossCorrection(dense_base(), beta=1.0)


def test_the_arguments_are_few():
    parameters = inspect.signature(MetaLossCorrection).parameters
    assert len(parameters) <= 8


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(5, activation="tanh")
        self.out = keras.layers.Dense(CLASSES)

    def call(self, x):
        return self.out(self.hidden(x))


def activation_last():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(CLASSES),
            keras.layers.Activation("linear", dtype="float32"),
        ]
    )


def subclassed():
    base = Subclassed()
    base(np.zeros((1, 4), np.float32))
    return base


def log_softmax_last():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(CLASSES, "log_softmax")]
    )


@pytest.mark.parametrize(
    "make_base", [log_softmax_last, activation_last, subclassed]
)
def test_head_needs_a_linear_dense_layer_last(make_base):
    with pytest.raises(InputError, match="'exact' and 'finite_difference'"):
        MetaLossCorrection(make_base(), meta_gradient="head")


def convolutions(model):
    """Counts the convolutions in a step's graph that its results need."""
    model.compile("sgd")
    model.optimizer.build(model.trainable_variables)
    half = tf.zeros([4, *model.base.input_shape[1:]]), tf.zeros([4], tf.int64)
    step = tf.function(model.train_step).get_concrete_function((half, half))
    needed, ahead = set(), [*step.graph.control_outputs]
    ahead += [output.op for output in step.graph.outputs]
    while ahead:
        operation = ahead.pop()
        if operation not in needed:
            needed.add(operation)
            ahead += [tensor.op for tensor in operation.inputs]
            ahead += operation.control_inputs
    return sum(operation.type.startswith("Conv2D") for operation in needed)


def with_step(base, **options):
    """A model whose step works without `fit`."""
    return MetaLossCorrection(
        base, transition=Exponentiated(expectation_rate=0.03), **options
    )


@pytest.mark.parametrize(
    "make_base",
    [
        lambda: networks.lenet((28, 28, 1), 10),
        lambda: networks.wide_resnet((8, 8, 3), 10, depth=10, width=1),
    ],
    ids=["LeNet", "WRN-10-1"],
)
@pytest.mark.parametrize(
    "make, forward_passes, backward_passes",
    [
        (CrossEntropy, 1, 1),
        # Forward: noisy and clean. Backward: Virtual-Train, the clean gradient,
        # the reverse pass through the operations on T, and Actual-Train.
        (with_step, 2, 4),
        (PaperMetaLossCorrection, 2, 4),
        # Forward: noisy and clean. Backward: Actual-Train.
        (lambda b: with_step(b, meta_gradient="head"), 2, 1),
        # Forward: noisy, clean, and noisy at moved weights. Backward:
        # Virtual-Train, the clean gradient, and Actual-Train.
        (lambda b: with_step(b, meta_gradient="finite_difference"), 3, 3),
    ],
    ids=["cross-entropy", "exact", "paper", "head", "finite difference"],
)
def test_a_step_computes_nothing_twice(
    make, forward_passes, backward_passes, make_base
):
    base = make_base()
    layers = sum(isinstance(x, keras.layers.Conv2D) for x in base.layers)
    # A backward pass has two per layer, but the images need no gradient.
    expected = forward_passes * layers + backward_passes * (2 * layers - 1)
    assert convolutions(make(base)) == expected


@pytest.mark.parametrize("soft", [False, True])
def test_nothing_of_a_step_is_larger_than_t(soft):
    classes, batch = 50, 7
    base = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(classes)]
    )
    model = with_step(base)
    model.compile("sgd")
    model.optimizer.build(base.trainable_variables)
    labels = tf.zeros([batch], tf.int64)
    noisy = tf.one_hot(labels, classes) if soft else labels
    x = tf.zeros([batch, 4])
    step = tf.function(model.train_step).get_concrete_function(
        ((x, noisy), (x, labels))
    )
    largest = max(
        output.shape.num_elements()
        for operation in step.graph.get_operations()
        for output in operation.outputs
        if output.shape.is_fully_defined()
    )
    # Soft labels need every column of T for every example.
    assert largest == (batch if soft else 1) * classes**2


def test_epochs_trace_the_step_once(rng):
    traces = []

    class Traced(MetaLossCorrection):
        def train_step(self, data):
            traces.append(data)
            return super().train_step(data)

    base = dense_base()
    model = compiled(Traced(base))
    elements = [random_pair(rng, base, "float32") for _ in range(3)]
    model.fit(dataset(*elements), epochs=3, verbose=0)
    assert len(traces) == 1


def text_network():
    words = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(20, 8)(words)
    x += keras.layers.MultiHeadAttention(2, 4)(x, x)
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(words, keras.layers.Dense(10)(x))


def small_wide_resnet():
    return networks.wide_resnet((8, 8, 3), 10, depth=10, width=1)


def small_lenet():
    return networks.lenet((12, 12, 1), 10)


@pytest.mark.parametrize(
    "make, form",
    [
        (small_lenet, "exact"),
        (small_lenet, "head"),
        pytest.param(small_lenet, "finite_difference", marks=pytest.mark.wide),
        pytest.param(small_wide_resnet, "exact", marks=pytest.mark.wide),
        pytest.param(small_wide_resnet, "head", marks=pytest.mark.wide),
        (text_network, "exact"),
        pytest.param(text_network, "head", marks=pytest.mark.wide),
    ],
)
def test_xla_takes_the_same_step(make, form, rng):
    shape = make().input_shape[1:]
    high = 20 if make is text_network else 1
    x = (high * rng.random((12, *shape))).astype(np.float32)
    noisy, clean = tf.constant(rng.integers(0, 10, (2, 12)))
    element = (tf.constant(x), noisy), (tf.constant(x), clean)
    start = 0.6 * np.eye(10) + 0.04  # each entry can grow or shrink
    matrices = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        # The step has the maximum length, so the test compares its direction.
        model = MetaLossCorrection(
            make(),
            meta_gradient=form,
            transition=Exponentiated(
                1e6, initial=start, smoothing=0.0, max_step=1.0
            ),
        )
        model.compile("sgd", jit_compile=jit_compile)
        model.optimizer.build(model.base.trainable_variables)
        # Not by `fit`, so that the compilation is explicit.
        step = tf.function(model.train_step, jit_compile=jit_compile)
        step(element)
        matrices.append(model.transition_matrix)
    assert np.abs(matrices[0] - start).max() > 5e-3
    np.testing.assert_allclose(*matrices, atol=5e-4)


def test_the_coarsest_precision_decides_the_length_of_a_difference():
    def dense(last):
        return keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(3, dtype="mixed_bfloat16"),
                keras.layers.Dense(3, dtype=last),
            ]
        )

    assert coarsest_dtype(dense("float32")) == "bfloat16"
    assert coarsest_dtype(dense_base("float64")) == "float64"
    assert coarsest_dtype(dense_base()) == "float32"
    inputs = keras.Input((4,), dtype="float64")
    outputs = keras.layers.Dense(3, dtype="float64")(inputs)
    assert coarsest_dtype(keras.Model(inputs, outputs)) == "float64"
    nested = keras.Sequential([keras.Input((4,)), dense("float32")])
    assert coarsest_dtype(nested) == "bfloat16"


def test_finite_difference_is_one(rng):
    element = random_pair(rng, dense_base(), "float64")
    weights = dense_base("float64").get_weights()
    matrices = {}
    for form in ("exact", "finite_difference"):
        base = dense_base("float64")
        base.set_weights(weights)
        model = MetaLossCorrection(
            base, meta_gradient=form, transition=Exponentiated(max_step=None)
        )
        compiled(model).fit(dataset(element), verbose=0)
        start = model.transition.start(CLASSES)
        matrices[form] = model.transition_matrix - start
    exact, approximate = matrices.values()
    error = np.abs(approximate - exact).max() / np.abs(exact).max()
    assert 0 < error < 1e-6
