"""Evaluation: labels of every form, XLA, metrics, weights, replicas."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn import metrics as sk

from mlc_tf import MetaLossCorrection
from mlc_tf import data
from mlc_tf.errors import InputError
from mlc_tf.transitions import Exponentiated

CLASSES, WIDTH = 3, 5


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 30)
    return rng.normal(size=(30, WIDTH)).astype(np.float32), labels


def make_model(compiled=True, transition=None, **options):
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [keras.Input((WIDTH,)), keras.layers.Dense(CLASSES)]
    )
    model = MetaLossCorrection(
        base, transition=transition, meta_gradient="head"
    )
    if compiled:
        model.compile("sgd", metrics=["accuracy"], **options)
    return model


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = slice(10 * index, 10 * index + 10)
        return self.x[part], self.y[part]


def as_arrays(x, y):
    return x, y


def as_dataset(x, y):
    return (tf.data.Dataset.from_tensor_slices((x, y)).batch(10),)


def as_py_dataset(x, y):
    return (Batches(x, y),)


def as_generator(x, y):
    batches = Batches(x, y)
    return ((batches[index] for index in range(3)),)


SOURCES = [as_arrays, as_dataset, as_py_dataset, as_generator]
FORMS = {
    "int64": lambda y: y,
    "uint8": lambda y: y.astype(np.uint8),
    "int8": lambda y: y.astype(np.int8),
    "uint64": lambda y: y.astype(np.uint64),
    "a column": lambda y: y[:, None],
    "one-hot": lambda y: np.eye(CLASSES)[y],
    "a list": lambda y: y.tolist(),
    "series": lambda y: pd.Series(y, index=y + 7),
    "frame": lambda y: pd.DataFrame({"label": y}),
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_evaluation_checks_labels_outside_of_the_step(
    source, jit_compile, examples
):
    x, labels = examples
    model = make_model(jit_compile=jit_compile)
    expected = np.mean(model.predict(x, verbose=0).argmax(axis=1) == labels)
    found = model.evaluate(*source(x, labels), verbose=0, return_dict=True)
    np.testing.assert_allclose(found["accuracy"], expected, rtol=1e-6)
    # Keras reads the first batch of some sources by itself.
    for place, wrong in ((17, CLASSES), (17, -1), (3, CLASSES)):
        bad = labels.copy()
        bad[place] = wrong
        message = rf"^The test labels should be in \[0, 3\), .* label {wrong}"
        with pytest.raises(InputError, match=message) as caught:
            model.evaluate(*source(x, bad), verbose=0)
        assert str(caught.value).endswith((".", f"example {place}."))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("source", SOURCES[:3])
def test_validation_checks_labels_outside_of_the_step(
    source, jit_compile, examples
):
    x, labels = examples
    pairs = data.pair(examples, examples, 10)
    model = make_model(jit_compile=jit_compile)
    given = source(x, labels)
    given = given if len(given) == 2 else given[0]
    history = model.fit(pairs, validation_data=given, epochs=2, verbose=0)
    found = model.evaluate(x, labels, verbose=0)[1]
    np.testing.assert_allclose(history.history["val_accuracy"][-1], found)
    bad = source(x, np.where(np.arange(30) == 17, 9, labels))
    bad = bad if len(bad) == 2 else bad[0]
    with pytest.raises(InputError, match="test labels .* label 9"):
        model.fit(pairs, validation_data=bad, verbose=0)


SOFT = np.eye(CLASSES, dtype=np.float32)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "row", [[0.2, 0.2, 0.2], [1.2, -0.2, 0.0], [np.nan, 0.5, 0.5]]
)
def test_rows_that_are_no_probabilities_are_no_labels(source, row, examples):
    x, labels = examples
    bad = SOFT[labels]
    bad[17] = row
    with pytest.raises(InputError, match="^The test .*should .*probabilities"):
        make_model().evaluate(*source(x, bad), verbose=0)


def test_rows_of_a_dataset_that_are_no_probabilities_train_nothing(examples):
    x, labels = examples
    bad = tf.data.Dataset.from_tensor_slices((x, 5 * SOFT[labels]))
    model = make_model()
    with pytest.raises(InputError, match="^The noisy labels .* sums to 5"):
        model.fit(data.pair(bad, examples, 10), verbose=0)


@pytest.mark.parametrize("source", SOURCES)
def test_labels_of_another_kind_get_one_sentence(source, examples):
    x, labels = examples
    with pytest.raises(InputError, match="^The test .*integer class ids"):
        make_model().evaluate(*source(x, labels + 0.5), verbose=0)


# bfloat16 has three digits.
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_soft_labels_of_few_digits_are_probabilities(dtype, examples):
    x, _ = examples
    soft = tf.cast(tf.nn.softmax(x[:, :CLASSES]), dtype)
    dataset = tf.data.Dataset.from_tensor_slices((x, soft)).batch(10)
    assert np.isfinite(make_model().evaluate(dataset, verbose=0)[0])


@pytest.mark.parametrize("form", FORMS)
def test_labels_as_users_have_them(form, examples):
    x, labels = examples
    model = make_model()
    expected = model.evaluate(x, labels, verbose=0)
    given = FORMS[form](labels)
    np.testing.assert_allclose(model.evaluate(x, given, verbose=0), expected)
    model.fit(data.pair(examples, examples, 10), validation_data=(x, given))
    if isinstance(given, np.ndarray):
        dataset = tf.data.Dataset.from_tensor_slices((x, given)).batch(10)
        np.testing.assert_allclose(
            model.evaluate(dataset, verbose=0),
            model.evaluate(x, labels, verbose=0),
            rtol=1e-6,
        )


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda y: y.astype(str),
            "labels of dtype <U21, such as '.'; class_na",
        ),
        (lambda y: y.astype(bool), "labels of dtype bool, such as .*np.unique"),
        (lambda y: y.astype(float), "labels of dtype float64"),
        (lambda y: pd.Series(list("abc" * 10), dtype="category"), "np.unique"),
        (lambda y: None, "`y` should be the labels of the test set"),
        (
            lambda y: np.eye(4)[y],
            r"of shape \(batch, 3\). Received: float64 of",
        ),
    ],
)
def test_labels_that_are_no_ids_get_the_line_that_makes_ids(
    change, message, examples
):
    x, labels = examples
    model = make_model()
    with pytest.raises(InputError, match=message):
        model.evaluate(x, change(labels), verbose=0)


def test_a_test_set_of_no_examples(examples):
    x, labels = examples
    model = make_model()
    for call in (
        lambda: model.evaluate(x[:0], labels[:0]),
        lambda: model.evaluate(*as_dataset(x[:0], labels[:0])),
        lambda: model.predict(x[:0]),
    ):
        with pytest.raises(InputError, match="test set should not be empty"):
            call()


def test_validation_data_of_more_parts(examples):
    x, labels = examples
    with pytest.raises(InputError, match="`validation_data` .* 4 parts"):
        make_model().fit(
            data.pair(examples, examples, 10),
            validation_data=(x, labels, labels, labels),
        )


def test_weights_of_test_examples_count(examples):
    x, labels = examples
    model = make_model(weighted_metrics=["sparse_categorical_accuracy", "AUC"])
    weights = np.linspace(0, 2, 30).astype(np.float32)
    right = model.predict(x, verbose=0).argmax(axis=1) == labels
    expected = np.average(right, weights=weights)
    auc = keras.metrics.AUC()
    auc.update_state(
        np.eye(CLASSES)[labels],
        probabilities(model, x),
        np.broadcast_to(weights[:, np.newaxis], (30, CLASSES)),
    )
    dataset = tf.data.Dataset.from_tensor_slices((x, labels, weights)).batch(7)
    for given in (
        {"x": x, "y": labels, "sample_weight": weights},
        {"x": dataset},
    ):
        found = model.evaluate(**given, verbose=0, return_dict=True)
        np.testing.assert_allclose(
            found["sparse_categorical_accuracy"], expected, rtol=1e-5
        )
        assert found["auc"] == pytest.approx(float(auc.result()), rel=1e-5)


@pytest.mark.parametrize("how", ["evaluate", "fit"])
def test_pairs_are_no_test_set(how, examples):
    pairs = data.pair(examples, examples, 10)
    model = make_model()
    with pytest.raises(InputError, match="pairs of noisy and clean .* only"):
        if how == "fit":
            model.fit(pairs, validation_data=pairs, verbose=0)
        else:
            model.evaluate(pairs, verbose=0)


def probabilities(model, x):
    logits = model.predict(x, verbose=0)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def micro_auc(one_hot, probs, predicted, labels):
    return sk.roc_auc_score(one_hot.ravel(), probs.ravel())


METRICS = {
    "auc": (
        lambda: keras.metrics.AUC(num_thresholds=20000),
        lambda h, p, q, y: sk.roc_auc_score(h.ravel(), p.ravel()),
    ),
    "auc of each class": (
        lambda: keras.metrics.AUC(
            num_thresholds=20000, multi_label=True, num_labels=CLASSES
        ),
        lambda h, p, q, y: sk.roc_auc_score(h, p, average="macro"),
    ),
    "f1": (
        lambda: keras.metrics.F1Score(average="macro"),
        lambda h, p, q, y: sk.f1_score(y, q, average="macro"),
    ),
    "precision": (
        lambda: keras.metrics.Precision(class_id=1, top_k=1),
        lambda h, p, q, y: sk.precision_score(y, q, average=None)[1],
    ),
    "recall": (
        lambda: keras.metrics.Recall(class_id=2, top_k=1),
        lambda h, p, q, y: sk.recall_score(y, q, average=None)[2],
    ),
    "top 2": (
        lambda: keras.metrics.TopKCategoricalAccuracy(k=2),
        lambda h, p, q, y: sk.top_k_accuracy_score(y, p, k=2),
    ),
    "sparse top 2": (
        lambda: keras.metrics.SparseTopKCategoricalAccuracy(k=2),
        lambda h, p, q, y: sk.top_k_accuracy_score(y, p, k=2),
    ),
    "categorical": (
        lambda: keras.metrics.CategoricalAccuracy(),
        lambda h, p, q, y: sk.accuracy_score(y, q),
    ),
    "sparse categorical": (
        lambda: keras.metrics.SparseCategoricalAccuracy(),
        lambda h, p, q, y: sk.accuracy_score(y, q),
    ),
    "binary": (
        lambda: keras.metrics.BinaryAccuracy(),
        lambda h, p, q, y: np.mean((p > 0.5) == h),
    ),
    "cross-entropy": (
        lambda: keras.metrics.CategoricalCrossentropy(),
        lambda h, p, q, y: sk.log_loss(y, p),
    ),
    "cross-entropy of logits": (
        lambda: keras.metrics.CategoricalCrossentropy(from_logits=True),
        lambda h, p, q, y: sk.log_loss(y, p),
    ),
    "sparse cross-entropy": (
        lambda: keras.metrics.SparseCategoricalCrossentropy(),
        lambda h, p, q, y: sk.log_loss(y, p),
    ),
    "sparse cross-entropy of logits": (
        lambda: keras.metrics.SparseCategoricalCrossentropy(from_logits=True),
        lambda h, p, q, y: sk.log_loss(y, p),
    ),
    "name: crossentropy": (
        lambda: "crossentropy",
        lambda h, p, q, y: sk.log_loss(y, p),
    ),
    "name: accuracy": (
        lambda: "accuracy",
        lambda h, p, q, y: sk.accuracy_score(y, q),
    ),
    "name: MSE": (
        lambda: "mean_squared_error",
        lambda h, p, q, y: np.mean((h - p) ** 2),
    ),
    "mean IoU": (
        lambda: keras.metrics.MeanIoU(CLASSES, sparse_y_pred=False),
        lambda h, p, q, y: sk.jaccard_score(y, q, average="macro"),
    ),
    "IoU of ids": (
        lambda: keras.metrics.IoU(CLASSES, target_class_ids=[1]),
        lambda h, p, q, y: sk.jaccard_score(y, q, average=None)[1],
    ),
    "one-hot IoU": (
        lambda: keras.metrics.OneHotMeanIoU(CLASSES),
        lambda h, p, q, y: sk.jaccard_score(y, q, average="macro"),
    ),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_get_what_they_are_made_for(name, examples):
    make, by_hand = METRICS[name]
    x, labels = examples
    model = make_model(compiled=False)
    model.compile("sgd", metrics=[make()])
    probs = probabilities(model, x)
    expected = by_hand(
        np.eye(CLASSES)[labels], probs, probs.argmax(axis=1), labels
    )
    for given in (labels, np.eye(CLASSES)[labels]):
        found = model.evaluate(x, given, batch_size=30, verbose=0)[1]
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    model.optimizer.learning_rate = 0.0
    logs = model.fit(data.pair(examples, examples, 30), verbose=0).history
    (key,) = logs.keys() - {"loss", "meta_gradient_norm"}
    np.testing.assert_allclose(logs[key][0], expected, rtol=1e-3)


def test_a_metric_of_a_users_own_class_gets_ids_and_logits(examples):
    class Own(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            assert y_true.shape.rank == 1 and y_pred.shape[-1] == CLASSES
            super().update_state(tf.reduce_min(y_pred))

    x, labels = examples
    model = make_model(compiled=False)
    model.compile(metrics=[Own(name="lowest")])
    lowest = model.predict(x, verbose=0).min()
    found = model.evaluate(x, labels, 30, verbose=0)[1]
    np.testing.assert_allclose(found, lowest, rtol=1e-5)


def test_a_metric_that_keras_does_not_know(examples):
    model = make_model(compiled=False)
    with pytest.raises(InputError, match="`metrics` .* 'accuracie'"):
        model.compile(metrics=["accuracie"])
    for metric in (keras.metrics.Mean(), keras.metrics.Sum()):
        with pytest.raises(InputError, match="metrics of labels and predict"):
            model.compile(metrics=[metric])


@pytest.mark.parametrize(
    "arguments, told",
    [
        ({"sample_weight": np.ones(30)}, "`sample_weight` should be left out"),
        ({"validation_split": 0.2}, "`validation_split` should be left out"),
        ({"class_weight": {0: 1.0}}, "`class_weight` should be left out"),
        ({"batch_size": 32}, "`batch_size` should be left out of `fit`"),
        ({"y": np.zeros(30)}, "`y` should be left out of `fit`"),
    ],
)
def test_arguments_without_effect_are_refused(arguments, told, examples):
    pairs = data.pair(examples, examples, 10)
    with pytest.raises(InputError, match=told):
        make_model().fit(pairs, verbose=0, **arguments)


@pytest.mark.parametrize(
    "name, least, value",
    [
        ("epochs", 1, 0),
        ("epochs", 1, "3"),
        ("epochs", 1, 2.5),
        ("epochs", 1, None),
        ("initial_epoch", 0, -1),
        ("steps_per_epoch", 1, 0),
        ("steps_per_epoch", 1, 1.5),
    ],
)
@pytest.mark.parametrize("transition", [None, Exponentiated()])
def test_numbers_of_epochs_and_steps(transition, name, least, value, examples):
    pairs = data.pair(examples, examples, 10)
    message = (
        f"^`{name}` should be an integer >= {least}. "
        f"Received: `{name}` = {value!r}.$"
    )
    with pytest.raises(InputError, match=message):
        make_model(transition=transition).fit(pairs, **{name: value})


def test_positional_arguments_of_fit_are_checked(examples):
    pairs = data.pair(examples, examples, 10)
    with pytest.raises(InputError, match="`batch_size` should be left out"):
        make_model().fit(pairs, None, 32)
    with pytest.raises(InputError, match="`epochs` should be an integer"):
        make_model().fit(pairs, None, None, "3")
    counts = {"epochs": np.int64(2), "steps_per_epoch": np.int32(1)}
    history = make_model().fit(pairs, verbose=0, **counts)
    assert len(history.epoch) == 2


def test_weights_of_another_form_are_refused(examples):
    x, labels = examples
    ones = np.ones(30, np.float32)
    for noisy, clean, message in (
        ((x, labels, ones[:, np.newaxis]), (x, labels), "a float, its weight"),
        ((x, labels, ones, labels), (x, labels), "a float, its weight"),
        ((x, labels), (x, labels, ones), "batched elements"),
    ):
        weighted = tf.data.Dataset.from_tensors((noisy, clean))
        with pytest.raises(InputError, match=message):
            make_model().fit(weighted, verbose=0)


def test_one_batch_trains_and_tests(examples):
    x, labels = examples
    update = Exponentiated()
    whole, single = make_model(transition=update), make_model(transition=update)
    pairs = data.pair(examples, examples, 10, epochs=range(1))
    whole.fit(pairs, verbose=0)
    for noisy, clean in pairs:
        logs = single.train_on_batch(noisy, clean, return_dict=True)
    assert {"loss", "accuracy"} <= logs.keys()
    np.testing.assert_allclose(
        single.transition_matrix, whole.transition_matrix, rtol=1e-6
    )
    np.testing.assert_allclose(
        single.test_on_batch(x, labels),
        whole.evaluate(x, labels, verbose=0),
        rtol=1e-5,
    )
    assert single.predict_on_batch(x).shape == (30, CLASSES)
    with pytest.raises(InputError, match="two halves of an element"):
        single.train_on_batch(noisy, clean, sample_weight=np.ones(10))
    with pytest.raises(InputError, match=r"label 5 at example 0"):
        single.test_on_batch(x[:1], np.array([5]))


@pytest.mark.parametrize("rest", [1, 3])
def test_a_replica_may_have_no_example(rest, examples, two_replicas):
    x, labels = examples
    with two_replicas.scope():
        model = make_model(compiled=False)
        model.compile(
            "sgd", metrics=["accuracy", keras.metrics.F1Score("macro")]
        )
    count = 8 + rest
    probs = probabilities(model, x[:count])
    found = model.evaluate(
        x[:count], labels[:count], batch_size=8, verbose=0, return_dict=True
    )
    predicted = probs.argmax(axis=1)
    np.testing.assert_allclose(
        found["accuracy"], np.mean(predicted == labels[:count]), rtol=1e-6
    )
    np.testing.assert_allclose(
        found["loss"],
        sk.log_loss(labels[:count], probs, labels=range(CLASSES)),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        found["f1_score"],
        sk.f1_score(labels[:count], predicted, average="macro"),
        rtol=1e-5,
    )


class Counted(keras.utils.PyDataset):
    """Batches that are counted without a length."""

    num_batches = 3

    def __init__(self, x, y):
        super().__init__()
        self.batches = Batches(x, y)

    def __getitem__(self, index):
        return self.batches[index]


def test_forms_of_inputs_that_keras_takes(examples):
    x, labels = examples
    model = make_model()
    expected = model.evaluate(x, labels, verbose=0)
    for given in ((pd.DataFrame(x), labels), (Counted(x, labels),)):
        np.testing.assert_allclose(
            model.evaluate(*given, verbose=0), expected, rtol=1e-6
        )
    np.testing.assert_array_equal(
        model.predict(pd.DataFrame(x), verbose=0), model.predict(x, verbose=0)
    )
