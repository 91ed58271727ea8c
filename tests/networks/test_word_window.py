import keras
import numpy as np
import pytest

from mlc_tf.errors import InputError
from mlc_tf.networks import word_window
from tests.conftest import FLOAT32

SIZES = [5, 3, 4]  # of the tables of three features


@pytest.fixture
def numbers(rng):
    """Ten windows of two words, of three features each."""
    return np.stack([rng.integers(0, n, (10, 2)) for n in SIZES], axis=2)


def perceptron(x, weights):
    """The hidden layers and the logits, in NumPy."""
    hidden = x.reshape(len(x), -1)
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2]):
        hidden = np.maximum(hidden @ kernel + bias, 0)
    return hidden @ weights[-2] + weights[-1]


def randomize(model, rng):
    weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    return weights


def test_vectors_by_hand(rng):
    model = word_window((3, 50), 25)
    shapes = [w.shape for w in model.get_weights()]
    # Two layers of 256, as the paper has them, and one of logits.
    kernels = [(150, 256), (256, 256), (256, 25)]
    assert shapes[::2] == kernels and shapes[1::2] == [(256,), (256,), (25,)]
    weights = randomize(model, rng)
    x = rng.normal(size=(8, 3, 50))
    np.testing.assert_allclose(
        model(x), perceptron(x, weights), rtol=1e-4, atol=1e-2
    )


def test_a_word_is_the_sum_of_the_embeddings_of_its_features(numbers, rng):
    model = word_window((2, 3), 4, hidden_units=(7,), table_sizes=SIZES)
    table, *others = randomize(model, rng)
    assert table.shape == (5 + 3 + 4, 50)
    tables = np.split(table, [5, 5 + 3])
    x = sum(tables[feature][numbers[..., feature]] for feature in range(3))
    np.testing.assert_allclose(
        model(numbers), perceptron(x, others), rtol=1e-4, atol=1e-3
    )


def test_an_unknown_word_is_the_first_row_of_each_table(rng):
    model = word_window((2, 3), 4, table_sizes=SIZES)
    table, *others = randomize(model, rng)
    x = np.broadcast_to(table[[0, 5, 8]].sum(axis=0), (1, 2, 50))
    np.testing.assert_allclose(
        model(np.zeros((1, 2, 3), np.int32)),
        perceptron(x, others),
        rtol=1e-4,
        atol=1e-2,
    )


def test_a_number_outside_of_its_table_is_an_unknown_one(numbers):
    model = word_window((2, 3), 4, table_sizes=SIZES)
    for feature, size in enumerate(SIZES):
        unknown, outside = numbers.copy(), numbers.copy()
        unknown[..., feature] = 0
        outside[..., feature] = size
        np.testing.assert_array_equal(model(outside), model(unknown))
        last = numbers.copy()
        last[..., feature] = size - 1
        assert (model(last) != model(unknown)).numpy().any()


@pytest.mark.parametrize("sizes", [None, SIZES])
def test_a_saved_model_gives_the_same_outputs(sizes, numbers, tmp_path):
    model = word_window((2, 3), 4, table_sizes=sizes, weight_decay=0.1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(numbers), model(numbers), **FLOAT32)
    np.testing.assert_allclose(
        float(sum(again.losses)), float(sum(model.losses)), **FLOAT32
    )


def test_the_kernels_decay_and_embeddings_do_not(rng):
    model = word_window((2, 3), 4, table_sizes=SIZES, weight_decay=0.02)
    _, *others = randomize(model, rng)
    squares = sum(np.sum(np.square(kernel)) for kernel in others[::2])
    np.testing.assert_allclose(
        float(sum(model.losses)), 0.02 / 2 * squares, rtol=1e-5
    )
    assert not word_window((2, 3), 4).losses


@pytest.mark.parametrize("sizes", [[5, 3], [5, 3, 4, 2]])
def test_as_many_tables_as_features(sizes):
    with pytest.raises(
        InputError,
        match=f"one size per feature, 3. Received: {len(sizes)}",
    ):
        word_window((2, 3), 4, table_sizes=sizes)


@pytest.mark.parametrize("shape", [(3,), (28, 28, 1)])
def test_bad_shape(shape):
    with pytest.raises(
        InputError, match=r"`input_shape` should be \(words, dimensions\) or"
    ):
        word_window(shape, 4)
