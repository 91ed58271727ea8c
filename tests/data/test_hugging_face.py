"""Hugging Face's datasets, from input to audit."""

from decimal import Decimal

import datasets
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

import mlc_tf
from mlc_tf.audit import audit_labels
from mlc_tf.audit import to_datalab
from mlc_tf.data import examples
from mlc_tf.data import sources
from mlc_tf.errors import InputError

NAMES = [str(digit) for digit in range(10)]
FEATURES = datasets.Features(
    {
        "pixels": datasets.Array2D((8, 8), "float32"),
        "label": datasets.ClassLabel(names=NAMES),
    }
)


def make(x, labels):
    return datasets.Dataset.from_dict(
        {"pixels": x, "label": labels}, features=FEATURES
    )


def test_from_input_to_audit():
    images, labels = load_digits(return_X_y=True)
    x = (images.reshape(-1, 8, 8) / 16).astype(np.float32)
    wrong = mlc_tf.corrupt(labels[700:], "flip_to_one", ratio=0.4, seed=0)
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(10),
        ]
    )
    model = mlc_tf.MetaLossCorrection(
        base, meta_gradient="head", clean_weight=0.3
    )
    model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
    noisy = make(x[700:], wrong.labels)
    test = make(x[:500], labels[:500])
    history = model.fit(
        mlc_tf.pair(noisy, make(x[500:700], labels[500:700])),
        validation_data=test,
        epochs=20,
        verbose=0,
    )
    _, accuracy = model.evaluate(test, verbose=0)
    assert accuracy > 0.88
    predicted = model.predict(test, verbose=0)
    np.testing.assert_allclose(
        predicted, model.predict(x[:500], verbose=0), atol=1e-5
    )
    unlabelled = test.remove_columns("label")
    hidden = make(x[:500], np.full(500, -1))
    for without in (unlabelled, hidden):
        np.testing.assert_array_equal(
            model.predict(without, verbose=0), predicted
        )
    with pytest.raises(InputError, match="one column of class ids"):
        model.evaluate(unlabelled)
    with pytest.raises(InputError, match="`y` should be None"):
        model.evaluate(test, labels[:500])
    for dataset in (test, iter([(x[:500], labels[:500])])):
        with pytest.raises(InputError, match="the inputs of one batch"):
            model.test_on_batch(dataset)
    assert history.history["val_accuracy"][-1] == pytest.approx(accuracy)
    audited = audit_labels(model, noisy)
    suspected = audited.label_issues["is_label_issue"]
    np.testing.assert_array_equal(
        audited.label_issues["given_label"], wrong.labels
    )
    assert np.mean(suspected == (wrong.labels != labels[700:])) > 0.85
    lab = to_datalab(audited, noisy)
    assert lab.get_issues("audited_label").shape[0] == len(noisy)


def test_images_texts_and_several_columns():
    images = [Image.fromarray(np.full((4, 5), n, np.uint8)) for n in range(3)]
    dataset = datasets.Dataset.from_dict(
        {"image": images, "text": ["a", "b", "é"], "labels": [1, 0, 1]}
    ).cast_column("image", datasets.Image())
    read = sources.as_examples("noisy", dataset)
    assert isinstance(read, examples.Arrays)
    assert read.x["image"].shape == (3, 4, 5)
    assert read.x["image"].dtype == np.uint8
    np.testing.assert_array_equal(read.x["image"][:, 0, 0], [0, 1, 2])
    assert read.x["text"].tolist() == [b"a", b"b", "é".encode()]
    np.testing.assert_array_equal(read.labels, [1, 0, 1])


def test_what_is_too_large_for_memory_is_streamed(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1100, 8, 8)).astype(np.float32)
    labels = rng.integers(0, 10, 1100)
    dataset = make(x, labels)
    in_memory = sources.as_examples("noisy", dataset)
    monkeypatch.setattr(sources, "_MOST_BYTES", 10_000)
    streamed = sources.as_examples("noisy", dataset)
    assert isinstance(streamed, examples.Stream) and len(streamed) == 1100
    np.testing.assert_array_equal(streamed.labels, labels)
    for one, other in zip(streamed.batches(300), in_memory.batches(300)):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


PIXELS = {"pixels": np.zeros((4, 2)).tolist()}


@pytest.mark.parametrize(
    "content, message",
    [
        (
            {**PIXELS, "y": [0, 1] * 2},
            "one column of class ids.*pixels, y",
        ),
        ({"label": [0, 1]}, "a column of inputs beside 'label'"),
        ({"pixels": [], "label": []}, "should have examples"),
        ({**PIXELS, "label": ["a", "b"] * 2}, "integer class ids as labels"),
        ({**PIXELS, "label": [0, 1, -1, 0]}, "labels >= 0. Received: label -1"),
        (
            {"pixels": [[1.0], [1.0, 2.0]] * 2, "label": [0, 1] * 2},
            r"one shape in the column 'pixels'. .* \(1,\) and \(2,\)",
        ),
        (
            {"v": [1.0, None] * 2, "label": [0, 1] * 2},
            "NaN or infinity in",
        ),
        (
            {"text": [None, "a", "b", "c"], "label": [0, 1] * 2},
            "^The noisy set should have a value in each row in the column",
        ),
        (
            {"text": ["a", None, None, "c"], "label": [0, 1] * 2},
            "Received: 2 rows of 4 without a value",
        ),
        (
            {"v": [{"a": 1}] * 4, "label": [0, 1] * 2},
            "numbers or texts in the column 'v'. Received: dict",
        ),
        (
            {"v": [["a", None], [None, None]] * 2, "label": [0, 1] * 2},
            "Received: 4 rows of 4 without a value",
        ),
        (
            {"v": [Decimal("1.5")] * 4, "label": [0, 1] * 2},
            "numbers or texts in the column 'v'. Received: Decimal",
        ),
        ({"v": [[]] * 4, "label": [0, 1] * 2}, "at least one value per"),
    ],
)
def test_bad_columns(content, message):
    with pytest.raises(InputError, match=message):
        sources.as_examples("noisy", datasets.Dataset.from_dict(content))


def test_splits_and_streams_of_hugging_face():
    dataset = make(np.zeros((2, 8, 8)), [0, 1])
    with pytest.raises(InputError, match="one split .* splits train, test"):
        mlc_tf.pair(datasets.DatasetDict(train=dataset, test=dataset))
    with pytest.raises(InputError, match="that has a length"):
        mlc_tf.pair(dataset.to_iterable_dataset())


def test_shapes_that_differ_between_batches():
    rows = [[1.0]] * 512 + [[1.0, 2.0]] * 512
    dataset = datasets.Dataset.from_dict(
        {"pixels": rows, "label": [0, 1] * 512}
    )
    with pytest.raises(InputError, match="inputs of one shape"):
        sources.as_examples("noisy", dataset)
