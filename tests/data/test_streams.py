import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf.data import checks
from mlc_tf.data import noise
from mlc_tf.data import order
from mlc_tf.data import sources
from mlc_tf.data import streams
from mlc_tf.errors import InputError

X = np.arange(20, dtype=np.float32).reshape(10, 2)
IDS = np.arange(10) % 3
SOFT = np.eye(3, dtype=np.float32)[IDS]


def dataset(labels=IDS):
    return tf.data.Dataset.from_tensor_slices((X, labels))


def unknown(batches):
    return batches.filter(lambda x, y: True)


def known_batches(labels):
    return dataset(labels).batch(4)


def unknown_batches(labels):
    return unknown(dataset(labels).batch(4))


def whole_batches(labels):
    return dataset(labels).batch(5, drop_remainder=True)


def uncounted(labels):
    return unknown(dataset(labels))


@pytest.mark.parametrize(
    "form", [known_batches, unknown_batches, whole_batches, uncounted]
)
@pytest.mark.parametrize(
    "labels, expected",
    [(IDS, IDS), (IDS[:, None].astype(np.uint8), IDS), (SOFT, SOFT)],
    ids=["ids", "column", "soft"],
)
def test_batches_and_unknown_lengths_are_taken(form, labels, expected):
    source = sources.as_examples("noisy", form(labels))
    assert len(source) == 10
    (x, got), *more = source.batches(20).as_numpy_iterator()
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(got, expected)
    assert more == []


def test_batches_of_several_inputs():
    source = tf.data.Dataset.from_tensor_slices(({"a": X, "b": IDS}, IDS))
    examples = sources.as_examples("noisy", source.batch(3))
    (x, _), *_ = examples.batches(10).as_numpy_iterator()
    np.testing.assert_array_equal(x["a"], X)
    np.testing.assert_array_equal(x["b"], IDS)


@pytest.fixture
def folder(tmp_path):
    for number in range(9):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        keras.utils.save_img(path, np.full((2, 2, 3), number), scale=False)
    return tmp_path


def from_folder(folder, **options):
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(2, 2), batch_size=4, verbose=False, **options
    )


def test_an_image_folder_of_keras_is_taken_as_it_comes(folder, monkeypatch):
    # Its length is known: nothing is read to count it.
    monkeypatch.setattr(streams, "read", None)
    pairs = data.pair(from_folder(folder), from_folder(folder), 9)
    (((x, labels), _),) = pairs
    numbers = x.numpy()[:, 0, 0, 0]
    assert sorted(numbers) == list(range(9))
    np.testing.assert_array_equal(labels, numbers % 2)
    assert len(sources.as_examples("noisy", from_folder(
        folder, label_mode="categorical"))) == 9  # fmt: skip
    with pytest.raises(InputError, match="integer class ids.*float32"):
        data.pair(from_folder(folder, label_mode="binary"), (X, IDS))


def test_an_image_folder_of_keras_is_shuffled(folder):
    with pytest.raises(InputError, match="same order.*shuffle=False"):
        order.check("noisy", from_folder(folder).unbatch())
    order.check("noisy", from_folder(folder, shuffle=False).unbatch())


def test_a_long_count_is_announced(monkeypatch):
    monkeypatch.setattr(streams, "PATIENCE", -1.0)
    with pytest.warns(UserWarning, match="unknown length; 1 examples") as seen:
        streams.as_unbatched("noisy", uncounted(IDS))
    assert len(seen) == 1


def generated(raised_at=None, count=10):
    def generate():
        for number in range(count):
            if number == raised_at:
                raise KeyError("no such row")
            yield X[number % 10], IDS[number % 10]

    return tf.data.Dataset.from_generator(
        generate,
        output_signature=(
            tf.TensorSpec((2,), tf.float32),
            tf.TensorSpec((), tf.int64),
        ),
    )


def declared(source, length):
    return source.apply(tf.data.experimental.assert_cardinality(length))


@pytest.mark.parametrize("count, received", [(7, "7"), (12, "more examples")])
@pytest.mark.parametrize("size", [2, 10])
def test_another_length_than_declared(count, received, size):
    source = streams.guarded("noisy", generated(count=count), 10)
    message = f"noisy set should have the 10 examples .* Received: {received}."
    for read in (list, lambda each: list(each.batch(size).prefetch(2))):
        with pytest.raises(InputError, match=message), checks.plain_errors():
            read(source)
    whole = streams.guarded("noisy", generated(), 10)
    assert len(list(whole)) == 10 and int(whole.cardinality()) == 10
    assert whole.element_spec == generated().element_spec


@pytest.mark.parametrize(
    "count, received", [(7, "only 7"), (12, "at least 11")]
)
def test_a_declared_length_that_is_wrong(count, received):
    pairs = data.pair(
        declared(generated(count=count), 10), dataset(), 5, epochs=range(1)
    )
    message = f"contain 10 elements but contained {received} elements."
    with pytest.raises(InputError, match=message), checks.plain_errors():
        list(pairs)


def test_a_generator_that_raises():
    message = "should be readable to its end. Received: KeyError: 'no such row'"
    with pytest.raises(InputError, match=f"^The noisy set {message}"):
        data.pair(generated(raised_at=4), dataset(), 5)
    pairs = data.pair(declared(generated(4), 10), dataset(), 5)
    with (
        pytest.raises(InputError, match=f"^A set {message}"),
        checks.plain_errors(),
    ):
        list(pairs)
    read = streams.read("clean", generated(raised_at=4).batch(3))
    assert len(next(read)[0]) == 3
    with pytest.raises(InputError, match=f"^The clean set {message}"):
        next(read)


class Short(keras.utils.PyDataset):
    """The middle batch is smaller than the first batch."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        size = (4, 2, 3)[index]
        return X[:size], IDS[:size]


def test_a_pydataset_with_a_small_batch_in_the_middle():
    with (
        pytest.raises(InputError, match="noisy set .* 11 examples .*: 9."),
        checks.plain_errors(),
    ):
        list(data.pair(Short(), dataset(), 5))


class Broken(keras.utils.PyDataset):
    def __init__(self, bad):
        super().__init__()
        self.bad = bad

    def __len__(self):
        return 5

    def __getitem__(self, index):
        if index == self.bad:
            raise OSError("the disk is gone")
        return X[2 * index : 2 * index + 2], IDS[2 * index : 2 * index + 2]


@pytest.mark.parametrize("bad", [0, 2, 4])
def test_a_pydataset_that_raises_is_named(bad):
    with (
        pytest.raises(
            InputError,
            match=f"^The noisy set should be readable.* OSError .the disk is "
            f"gone. in batch {bad} of Broken",
        ),
        checks.plain_errors(),
    ):
        list(data.pair(Broken(bad), dataset(), 5))


def shuffled():
    return dataset().shuffle(10)


def test_an_index_needs_one_order():
    with pytest.raises(InputError, match="noisy set should have the same ord"):
        data.pair(shuffled(), dataset(), 5, with_index=True)
    assert len(data.pair(shuffled(), shuffled(), 5)) == 2
    fixed = dataset().shuffle(10, seed=1, reshuffle_each_iteration=False)
    assert len(data.pair(fixed, dataset(), 5, with_index=True)) == 2
    with pytest.raises(InputError, match="clean set should have the same ord"):
        shuffled().apply(noise.add_noise("flip_random", 0.4, mode="exact"))


def test_equal_labels_do_not_hide_another_order():
    alike = tf.data.Dataset.from_tensor_slices((X, np.zeros(10, int)))
    with pytest.raises(InputError, match="another order at the second"):
        order.check("noisy", alike.shuffle(10))


def test_random_augmentation_is_no_other_order():
    generator = tf.random.Generator.from_seed(1)
    augmented = dataset().map(lambda x, y: (x + generator.uniform([2]), y))
    with pytest.warns(UserWarning, match="10 compared inputs that all differ"):
        order.check("noisy", augmented)


def test_texts_have_an_order():
    texts = tf.data.Dataset.from_tensor_slices((list("abcdefghij"), IDS))
    order.check("noisy", texts)
    with pytest.raises(InputError, match="another order"):
        order.check("noisy", texts.shuffle(10))
