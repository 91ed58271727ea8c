from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

import mlc_tf
from mlc_tf import baselines
from mlc_tf import data
from mlc_tf.errors import InputError
from mlc_tf.models.meta_loss_correction import META_GRADIENTS
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.pair_model import PairModel
from mlc_tf.transitions import Exponentiated
from mlc_tf.transitions import Projected
from tests.conftest import FLOAT32
from tests.support import subclassed_base

CLASSES = 3
WIDTH = 6


def make_base(seed=0, dropout=0.0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((WIDTH,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(CLASSES),
        ]
    )


def clouds():
    """Three separated clouds of points, with true labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % CLASSES
    x = rng.normal(size=(240, WIDTH)) + 4 * np.eye(WIDTH)[labels]
    x = x.astype(np.float32)
    return (x[:160], labels[:160]), (x[160:190], labels[160:190])


@pytest.fixture
def sets():
    return clouds()


def fit(model, sets, epochs=1, optimizer=None, callbacks=None, **options):
    model.compile(
        optimizer or keras.optimizers.SGD(0.1, momentum=0.9),
        metrics=["accuracy"],
        **options,
    )
    pairs = data.pair(*sets, batch_size=16, epochs=range(epochs))
    return model.fit(
        pairs,
        epochs=epochs,
        steps_per_epoch=10,
        verbose=0,
        callbacks=callbacks,
    )


def trained(sets, arguments=None, **options):
    model = MetaLossCorrection(make_base(), **(arguments or {}))
    fit(model, sets, **options)
    return model


@cache
def trained_once(meta_gradient="exact"):
    """A model that several tests look at, and none trains further."""
    return trained(clouds(), {"meta_gradient": meta_gradient})


def assert_same_state(model, other_model, **tolerance):
    for first, second in zip(model.get_weights(), other_model.get_weights()):
        np.testing.assert_allclose(first, second, **(tolerance or FLOAT32))


def functional_base():
    inputs = keras.Input((WIDTH,))
    hidden = keras.layers.Dense(8, activation="tanh")(inputs)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(hidden))


@pytest.mark.parametrize("base", [make_base, functional_base, subclassed_base])
def test_every_kind_of_base_learns(base, sets):
    model = MetaLossCorrection(base())
    history = fit(model, sets, epochs=5)
    assert model.num_classes == CLASSES
    assert history.history["accuracy"][-1] > 0.9


def test_a_keras_application_trains(rng):
    base = keras.applications.MobileNetV2(
        (32, 32, 3),
        alpha=0.35,
        weights=None,
        classes=2,
        classifier_activation=None,
    )
    x = rng.normal(size=(8, 32, 32, 3)).astype(np.float32)
    half = x, np.arange(8) % 2
    model = MetaLossCorrection(base)
    model.compile("adam", run_eagerly=True)  # tracing takes a minute
    before = base.get_weights()
    history = model.fit(data.pair(half, half, batch_size=8), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert not np.array_equal(before[0], base.get_weights()[0])


def test_a_text_model_trains(rng):
    base = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            keras.layers.Embedding(30, 4),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(2),
        ]
    )
    x = rng.integers(0, 15, (64, 5)).astype(np.int32)
    labels = np.arange(64) % 2
    x += 15 * labels[:, np.newaxis].astype(
        np.int32
    )  # each class has its own words
    model = MetaLossCorrection(base)
    model.compile(keras.optimizers.Adam(0.1), metrics=["accuracy"])
    half = x, labels
    history = model.fit(data.pair(half, half, 16), epochs=5, verbose=0)
    assert history.history["accuracy"][-1] == 1


def test_call_evaluate_and_predict_are_those_of_the_base(sets):
    model = trained_once()
    x, labels = sets[1]
    logits = model.base.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), logits)
    np.testing.assert_allclose(model(x), logits, **FLOAT32)
    results = model.evaluate(x, labels, verbose=0, return_dict=True)
    expected = keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    np.testing.assert_allclose(results["loss"], np.mean(expected), rtol=1e-5)
    np.testing.assert_allclose(
        results["accuracy"], np.mean(logits.argmax(axis=1) == labels)
    )
    assert set(results) == {"loss", "accuracy"}


def test_evaluate_takes_sample_weights(sets):
    model = trained_once()
    x, labels = sets[1]
    first = np.arange(len(x)) < 10
    weighted = model.evaluate(
        x, labels, sample_weight=first.astype(np.float32), verbose=0
    )
    loss, _ = model.evaluate(x[:10], labels[:10], verbose=0)
    np.testing.assert_allclose(weighted[0], loss, rtol=1e-5)


def test_the_loss_of_fit_is_the_corrected_one(sets):
    # The loss of one step is the loss at the initial weights under T.
    model = MetaLossCorrection(
        make_base(), transition=Projected(learning_rate=0.0)
    )
    history = fit(model, (tuple(a[:16] for a in sets[0]), sets[1]))
    base = make_base()
    logits = base(sets[0][0][:16])
    expected = keras.losses.sparse_categorical_crossentropy(
        sets[0][1][:16], logits, from_logits=True
    )
    np.testing.assert_allclose(
        history.history["loss"][0], np.mean(expected), rtol=1e-5
    )


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.AdamW(0.01),
        lambda: keras.optimizers.RMSprop(0.01),
        lambda: keras.optimizers.Lion(0.01),
    ],
    ids=["AdamW", "RMSprop", "Lion"],
)
def test_any_optimizer_learns(optimizer, sets):
    history = fit(
        MetaLossCorrection(make_base()), sets, 4, optimizer=optimizer()
    )
    assert history.history["accuracy"][-1] > 0.85


def test_schedules_move_the_rate(sets):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [5], [0.1, 0.0]
    )
    optimizer = keras.optimizers.SGD(schedule)
    model = MetaLossCorrection(make_base())
    model.compile(optimizer)
    five = data.pair(*sets, batch_size=16, epochs=range(1)).take(6)
    model.fit(five, verbose=0)  # rates of iterations 0..5 are 0.1
    before = model.base.get_weights()
    model.fit(five, verbose=0)
    assert int(optimizer.iterations) == 12
    for old, new in zip(before, model.base.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_callbacks_see_logs_and_can_stop(sets, tmp_path):
    stop = keras.callbacks.EarlyStopping("loss", min_delta=100, patience=1)
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras")
    history = fit(
        MetaLossCorrection(make_base()), sets, 5, callbacks=[stop, checkpoint]
    )
    assert len(history.history["loss"]) == 2
    assert set(history.history) == {"loss", "accuracy", "meta_gradient_norm"}
    assert isinstance(
        keras.models.load_model(tmp_path / "best.keras"), keras.Sequential
    )


def test_any_metric_is_reported(sets):
    model = MetaLossCorrection(make_base())
    model.compile(
        metrics=[
            "accuracy",
            keras.metrics.SparseTopKCategoricalAccuracy(k=3, name="top3"),
        ]
    )
    history = model.fit(data.pair(*sets, 16), verbose=0).history
    assert history["top3"] == [1.0] and history["accuracy"][0] < 1


EXECUTIONS = {
    "eager": {"run_eagerly": True},
    "steps_per_execution": {"steps_per_execution": 5},
    "jit_compile": {"jit_compile": True},
}


@pytest.mark.parametrize(
    "meta_gradient, execution",
    [
        (meta_gradient, execution)
        if meta_gradient == "exact"
        else pytest.param(meta_gradient, execution, marks=pytest.mark.wide)
        for meta_gradient in META_GRADIENTS
        for execution in EXECUTIONS
    ],
)
def test_every_way_to_execute_gives_the_same(meta_gradient, execution, sets):
    arguments = {"meta_gradient": meta_gradient}
    changed = trained(sets, arguments=arguments, **EXECUTIONS[execution])
    plain = trained_once(meta_gradient)
    assert_same_state(plain, changed, rtol=1e-3, atol=1e-4)


def test_gradient_accumulation_equals_a_larger_batch(sets):
    # With T frozen, four steps of 16 equal one step of 64.
    noisy = tuple(array[:64] for array in sets[0])
    arguments = {"transition": Exponentiated(learning_rate=0.0)}
    whole = MetaLossCorrection(make_base(), **arguments)
    whole.compile(keras.optimizers.SGD(0.1))
    whole.fit(data.pair(noisy, sets[1], 64), verbose=0)
    accumulated = MetaLossCorrection(make_base(), **arguments)
    accumulated.compile(
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)
    )
    accumulated.fit(data.pair(noisy, sets[1], 16), verbose=0)
    assert_same_state(whole.base, accumulated.base)


def test_ema_weights_replace_the_last_ones(sets):
    def after(**options):
        optimizer = keras.optimizers.SGD(0.1, **options)
        model = MetaLossCorrection(
            make_base(), transition=Exponentiated(learning_rate=0.0)
        )
        fit(model, sets, optimizer=optimizer)
        return model.base.get_weights()

    start = make_base().get_weights()
    last, averaged = after(), after(use_ema=True, ema_momentum=0.99)
    for old, new, mean in zip(start, last, averaged):
        # The average of ten steps lies behind the last one.
        assert 0 < np.abs(mean - old).sum() < np.abs(new - old).sum()


@pytest.mark.parametrize(
    "policy, meta_gradient",
    [
        ("mixed_bfloat16", "exact"),
        ("mixed_float16", "exact"),
        pytest.param("mixed_float16", "head", marks=pytest.mark.wide),
        ("mixed_float16", "finite_difference"),
    ],
)
def test_mixed_precision_trains(policy, meta_gradient, sets):
    keras.config.set_dtype_policy(policy)
    model = MetaLossCorrection(make_base(), meta_gradient=meta_gradient)
    history = fit(model, sets, epochs=6)
    assert model.transition_variable.dtype == "float32"
    assert model.base.trainable_variables[0].dtype == "float32"
    assert history.history["accuracy"][-1] > 0.9
    np.testing.assert_allclose(
        model.transition_matrix.sum(axis=1), 1, rtol=1e-5
    )
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def test_regularization_of_the_base_reaches_its_weights(sets):
    def after(penalty):
        keras.utils.set_random_seed(0)
        base = keras.Sequential(
            [
                keras.Input((WIDTH,)),
                keras.layers.Dense(
                    CLASSES, kernel_regularizer=keras.regularizers.L2(penalty)
                ),
            ]
        )
        model = MetaLossCorrection(
            base, transition=Exponentiated(learning_rate=0.0)
        )
        model.compile(keras.optimizers.SGD(0.1))
        start = base.get_weights()[0]
        pairs = data.pair(*sets, 16, epochs=range(1)).take(1)
        model.fit(pairs, verbose=0)
        return start, base.get_weights()[0]

    start, plain = after(0.0)
    _, decayed = after(0.25)
    # The gradient of 0.25 |w|^2 is 0.5 w.
    np.testing.assert_allclose(decayed, plain - 0.1 * 0.5 * start, **FLOAT32)


def test_dropout_masks_are_those_of_the_forward_pass(sets):
    model = MetaLossCorrection(make_base(dropout=0.5))
    forward = model.forward_pass.forward(tf.constant(sets[0][0][:16]))
    again = forward.logits_at(forward.weights, forward.x)
    np.testing.assert_allclose(again, forward.logits, **FLOAT32)


@pytest.mark.parametrize("meta_gradient", ["head", "finite_difference"])
def test_one_device_equals_two_replicas(meta_gradient, sets, two_replicas):
    # The conformance suite covers "exact" and all other methods.
    arguments = {
        "meta_gradient": meta_gradient,
        "transition": Exponentiated(expectation_rate=0.5),
    }
    alone = trained(sets, arguments=arguments)
    with two_replicas.scope():
        shared = MetaLossCorrection(make_base(), **arguments)
        shared.compile(
            keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"]
        )
    pairs = data.pair(*sets, batch_size=16, epochs=range(1))
    history = shared.fit(pairs, verbose=0)
    assert_same_state(alone, shared)
    assert 0 < history.history["accuracy"][0] <= 1


def test_same_seed_same_result(sets):
    assert_same_state(trained_once(), trained(sets), rtol=0, atol=0)


def test_weights_resume_where_they_were(sets, tmp_path):
    pairs = {
        epoch: data.pair(*sets, 16, epochs=range(epoch, epoch + 1))
        for epoch in range(2)
    }

    def make():
        model = MetaLossCorrection(make_base())
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
        return model

    whole = make()
    for epoch in range(2):
        whole.fit(pairs[epoch], verbose=0)
    first = make()
    first.fit(pairs[0], verbose=0)
    first.save_weights(tmp_path / "state.weights.h5")
    second = make()
    second.optimizer.build(second.trainable_variables)
    second.load_weights(tmp_path / "state.weights.h5")
    second.fit(pairs[1], verbose=0)
    assert_same_state(whole, second, rtol=0, atol=0)
    np.testing.assert_array_equal(
        whole.transition_matrix, second.transition_matrix
    )


def test_save_and_export_leave_the_package_behind(sets, tmp_path):
    model = trained_once()
    x = sets[1][0]
    model.save(tmp_path / "base.keras")
    model.export(tmp_path / "served", verbose=False)
    saved = keras.models.load_model(tmp_path / "base.keras")
    served = tf.saved_model.load(tmp_path / "served")
    expected = model.predict(x, verbose=0)
    assert not isinstance(saved, PairModel)
    np.testing.assert_allclose(saved.predict(x, verbose=0), expected)
    logits = served.signatures["logits"](inputs=x)["logits"]
    np.testing.assert_allclose(logits, expected, **FLOAT32)


def test_soft_labels_train_as_their_ids_do(sets):
    (x, labels), clean = sets
    by_row = MetaLossCorrection(make_base())
    fit(by_row, ((x, np.eye(CLASSES)[labels]), clean))
    assert_same_state(trained_once(), by_row)


def test_a_model_without_a_loss_says_so(sets):
    with pytest.raises(NotImplementedError, match="`example_loss`"):
        fit(PairModel(make_base()), sets, run_eagerly=True)


def unbuilt():
    return keras.Sequential([keras.layers.Dense(3)])


def dense(*arguments, **options):
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(*arguments, **options)]
    )


def with_softmax_layer():
    return keras.Sequential([dense(3), keras.layers.Softmax()])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: keras.layers.Dense(3), "should be a keras.Model"),
        (unbuilt, "`base` should be built"),
        (lambda: dense(3, activation="softmax"), "without a softmax"),
        (with_softmax_layer, "without a softmax"),
        (
            lambda: keras.Sequential(
                [keras.Input((4,)), dense(3, activation="softmax")]
            ),
            "without a softmax",
        ),
        (lambda: dense(1), "classes >= 2"),
        (
            lambda: keras.Sequential(
                [keras.Input((4, 4)), keras.layers.Dense(3)]
            ),
            r"outputs \(batch, classes\)",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((4,)), keras.layers.Flatten()]
            ),
            "trainable weights",
        ),
    ],
)
def test_bad_bases(make, message):
    with pytest.raises(InputError, match=message):
        MetaLossCorrection(make())


@pytest.mark.parametrize("option", [{"loss": "mse"}, {"loss_weights": [1.0]}])
def test_a_loss_is_refused(option):
    (name,) = option
    with pytest.raises(InputError, match=f"`{name}` should be left out"):
        MetaLossCorrection(make_base()).compile("sgd", **option)


def test_weights_of_classes_are_not_all_zero():
    with pytest.raises(InputError, match="`clean_class_weight` .* above 0"):
        MetaLossCorrection(make_base(), clean_class_weight=[0] * CLASSES)


def batches_of(*half):
    return tf.data.Dataset.from_tensor_slices(half).batch(4)


@pytest.mark.parametrize("which", ["noisy", "clean"])
@pytest.mark.parametrize("label", [-1, CLASSES])
def test_labels_outside_the_classes_of_the_base(which, label, sets):
    (x, labels), (x_clean, clean_labels) = sets
    wrong = {"noisy": labels.copy(), "clean": clean_labels.copy()}
    wrong[which][7] = label
    stream = tf.data.Dataset.from_tensor_slices
    pairs = data.pair(
        stream((x, wrong["noisy"])), stream((x_clean, wrong["clean"])), 16
    )
    model = MetaLossCorrection(make_base())
    model.compile(run_eagerly=True)
    with pytest.raises(
        InputError,
        match=rf"The {which} labels should be in \[0, 3\).* label {label}\.$",
    ):
        model.fit(pairs, verbose=0)


@pytest.mark.parametrize("source", [lambda *half: half, batches_of])
def test_integer_one_hot_labels_train_as_ids_do(source, sets):
    (x, labels), clean = sets
    losses = []
    for given in (labels, np.eye(CLASSES, dtype=np.int32)[labels]):
        keras.utils.set_random_seed(0)
        model = baselines.CrossEntropy(make_base())
        model.compile("sgd")
        pairs = data.pair(source(x, given), clean, 16)
        losses.append(model.fit(pairs, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_outside_the_examples_of_the_model(index):
    x, labels = np.zeros((2, WIDTH)), np.array([0, 1])
    model = baselines.Fasten(make_base(), labels=[0, 1, 2, 0])
    model.compile("sgd")
    noisy = x, labels, np.array([0, index], np.int8)
    pairs = tf.data.Dataset.from_tensors((noisy, (x, labels)))
    with pytest.raises(
        InputError, match=rf"should be in \[0, 4\).*Received: index {index}\.$"
    ):
        model.fit(pairs, verbose=0)


@pytest.mark.parametrize(
    "x, message",
    [
        (np.zeros((4, WIDTH)), "should be a tf.data.Dataset of batched"),
        (
            tf.data.Dataset.from_tensors((np.zeros((4, WIDTH)), np.zeros(4))),
            "should be a tf.data.Dataset of batched",
        ),
        (
            tf.data.Dataset.from_tensors(
                (
                    (np.zeros((4, WIDTH)), np.zeros(4)),
                    (np.zeros((4, WIDTH)), np.zeros(4, int)),
                )
            ),
            "noisy labels should be integer class ids.*float64",
        ),
        (
            tf.data.Dataset.from_tensors(
                (
                    (np.zeros((4, WIDTH)), np.zeros(4, int)),
                    (np.zeros((4, WIDTH)), np.ones((4, 5)) / 5),
                )
            ),
            "clean labels should be as wide.*width 5",
        ),
        (
            tf.data.Dataset.from_tensors(
                (
                    (np.zeros(WIDTH), np.int64(0)),
                    (np.zeros(WIDTH), np.int64(0)),
                )
            ),
            "should be a tf.data.Dataset of batched",
        ),
    ],
)
def test_bad_elements(x, message):
    model = MetaLossCorrection(make_base())
    model.compile()
    with pytest.raises(InputError, match=message):
        model.fit(x, verbose=0)


def test_the_package_lists_its_public_names():
    for name in mlc_tf.__all__:
        assert hasattr(mlc_tf, name)


def test_accuracy_is_of_ids_whatever_the_labels(sets):
    (x, labels), clean = sets
    model = MetaLossCorrection(make_base())
    fit(model, ((x, np.eye(CLASSES)[labels]), clean))
    expected = np.mean(model.predict(x, verbose=0).argmax(axis=1) == labels)
    for form in (labels, labels.astype(np.uint8), np.eye(CLASSES)[labels]):
        _, accuracy = model.evaluate(x, form, verbose=0)
        np.testing.assert_allclose(accuracy, expected, rtol=1e-6)


def test_inputs_that_do_not_fit_the_base(sets):
    (x, labels), clean = sets
    model = MetaLossCorrection(make_base())
    model.compile()
    narrow = data.pair((x[:, :4], labels), clean, 16)
    with pytest.raises(InputError, match=r"The noisy inputs .*\(6,\).* \(4,\)"):
        model.fit(narrow, verbose=0)


def test_class_weights_are_refused(sets):
    model = MetaLossCorrection(make_base())
    model.compile()
    with pytest.raises(InputError, match="`class_weight` should be left out"):
        model.fit(data.pair(*sets, 16), class_weight={0: 2.0}, verbose=0)


def test_batches_that_replicas_cannot_share(sets, two_replicas):
    with two_replicas.scope():
        model = MetaLossCorrection(make_base())
        model.compile()
    with pytest.raises(InputError, match="The clean batches should divide by"):
        model.fit(data.pair(*sets, 16, 15), verbose=0)


def test_a_base_with_two_outputs_is_refused():
    inputs = keras.Input((4,))
    outputs = [keras.layers.Dense(3)(inputs) for _ in range(2)]
    with pytest.raises(InputError, match="a model with one output"):
        MetaLossCorrection(keras.Model(inputs, outputs))
