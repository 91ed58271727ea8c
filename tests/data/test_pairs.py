import time

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf.data import checks
from mlc_tf.data import examples
from mlc_tf.data import noise
from mlc_tf.data import sources
from mlc_tf.data.examples import DiskArrays
from mlc_tf.data.examples import ImageFiles
from mlc_tf.data.examples import Stream
from mlc_tf.errors import InputError

NOISY, CLEAN = 24, 6


def labels_of(x):
    """A label that shows whether it still belongs to its example."""
    return (x[:, 0].astype(int) * 7 + 3) % 5


def make(first, count):
    x = np.stack([np.arange(first, first + count), np.ones(count)], axis=1)
    x = x.astype(np.float32)
    return x, labels_of(x)


def as_arrays(half):
    return half


def as_dataset(half):
    return tf.data.Dataset.from_tensor_slices(half)


@pytest.fixture(
    params=[
        (as_arrays, as_arrays),
        (as_dataset, as_dataset),
        (as_arrays, as_dataset),
        (as_dataset, as_arrays),
    ],
    ids=["arrays", "datasets", "array_dataset", "dataset_array"],
)
def sets(request):
    """24 noisy examples, 0 to 23, and 6 clean ones, 100 to 105."""
    noisy_form, clean_form = request.param
    return noisy_form(make(0, NOISY)), clean_form(make(100, CLEAN))


def join(noisy, clean):
    return examples.join(
        sources.as_examples("noisy", noisy),
        sources.as_examples("clean", clean),
    )


def drawn(dataset):
    """Returns the ids of the examples, `(steps, batch)`, noisy and clean."""
    ids = [], []
    for element in dataset.as_numpy_iterator():
        for half, (x, labels) in zip(ids, element):
            np.testing.assert_array_equal(labels, labels_of(x))
            half.append(x[:, 0].astype(int))
    return tuple(np.stack(half) for half in ids)


def same_order(one, other):
    return all(np.array_equal(*halves) for halves in zip(one, other))


def test_every_noisy_example_once_per_epoch(sets):
    pairs = data.pair(*sets, batch_size=8)
    assert len(pairs) == 3
    noisy, _ = drawn(pairs)
    assert noisy.shape == (3, 8)
    np.testing.assert_array_equal(np.sort(noisy.flat), np.arange(NOISY))
    assert not np.array_equal(noisy.ravel(), np.arange(NOISY))


def test_an_index_is_the_place_in_the_noisy_set(sets):
    pairs = data.pair(*sets, batch_size=8, epochs=range(2), with_index=True)
    plain = data.pair(*sets, batch_size=8, epochs=range(2))
    seen = []
    for element, other in zip(pairs, plain):
        (x, labels, indices), clean = element
        seen += indices.numpy().tolist()
        # The noisy examples are 0 to 23; and the order is what it was.
        np.testing.assert_array_equal(x[:, 0], indices)
        np.testing.assert_array_equal(other[0][0], x)
        np.testing.assert_array_equal(other[0][1], labels)
        assert indices.dtype == tf.int64 and len(clean) == 2
    assert sorted(seen) == sorted([*range(NOISY)] * 2)


def test_an_index_starts_anew_with_each_pass(sets):
    pairs = data.pair(
        *sets, 10, epochs=range(1), steps_per_epoch=5, with_index=True
    )
    for (x, _, indices), _ in pairs:
        np.testing.assert_array_equal(x[:, 0], indices)


def test_no_partial_batch(sets):
    pairs = data.pair(*sets, batch_size=7)
    assert len(pairs) == 3
    noisy, _ = drawn(pairs)
    assert noisy.shape == (3, 7)
    assert len(set(noisy.flat)) == 21


# 6 is a pass; 4 and 5 straddle two.
@pytest.mark.parametrize("size, passes", [(6, 4), (4, 2), (5, 3)])
def test_each_clean_pass_holds_every_example_once(sets, size, passes):
    pairs = data.pair(*sets, batch_size=6, clean_batch_size=size)
    _, clean = drawn(pairs)
    assert clean.shape == (4, size)
    whole = clean.ravel()[: passes * CLEAN].reshape(passes, CLEAN)
    np.testing.assert_array_equal(
        np.sort(whole, axis=1), [np.arange(100, 106)] * passes
    )
    assert len(np.unique(whole, axis=0)) == passes


@pytest.mark.parametrize("batch_size, expected", [(4, 4), (6, 6), (8, 6)])
def test_the_clean_batch_is_as_large_as_it_can_be(sets, batch_size, expected):
    (x, _), (x_clean, _) = data.pair(*sets, batch_size).element_spec
    assert x.shape == (batch_size, 2)
    assert x_clean.shape == (expected, 2)


def test_the_default_batch_is_64():
    (x, _), _ = data.pair(make(0, 70), make(100, 6)).element_spec
    assert x.shape == (64, 2)


def test_each_iteration_has_a_new_order(sets):
    pairs = data.pair(*sets, batch_size=8)
    first, second = drawn(pairs), drawn(pairs)
    for one, other in zip(first, second):
        assert not np.array_equal(one, other)
    np.testing.assert_array_equal(np.sort(second[0].flat), np.arange(NOISY))


def test_the_seed_decides(sets):
    def two_epochs(seed):
        pairs = data.pair(*sets, batch_size=8, seed=seed)
        return *drawn(pairs), *drawn(pairs)

    first = two_epochs(3)
    assert same_order(two_epochs(3), first)
    for one, other in zip(two_epochs(4), first):
        assert not np.array_equal(one, other)


def epochs(which, seed=0):
    keras.utils.set_random_seed(which.start + 10)  # as in another process
    return data.pair(
        make(0, NOISY), make(100, CLEAN), batch_size=8, seed=seed, epochs=which
    )


def test_epochs_can_be_taken_up_where_they_were_left():
    whole = drawn(epochs(range(2)))
    parts = drawn(epochs(range(0, 1))), drawn(epochs(range(1, 2)))
    for half in (0, 1):
        joined = np.concatenate([part[half] for part in parts])
        np.testing.assert_array_equal(joined, whole[half])


def test_each_of_the_epochs_is_one_pass_in_its_own_order():
    pairs = epochs(range(2))
    assert len(pairs) == 6
    noisy, clean = drawn(pairs)
    np.testing.assert_array_equal(
        np.sort(noisy.reshape(2, NOISY), axis=1), [np.arange(NOISY)] * 2
    )
    for half in (noisy, clean):
        assert not np.array_equal(half[:3], half[3:])
    assert same_order(drawn(pairs), (noisy, clean))


def test_epochs_of_another_seed_have_another_order():
    for one, other in zip(drawn(epochs(range(1))), drawn(epochs(range(1), 1))):
        assert not np.array_equal(one, other)


def test_equal_halves_are_shuffled_apart():
    half = make(0, NOISY)
    noisy, clean = drawn(data.pair(half, half, batch_size=8))
    assert not np.array_equal(noisy, clean)


@pytest.mark.parametrize("form", [as_arrays, as_dataset])
def test_soft_labels_stay_with_their_example(form, rng):
    x = np.arange(12, dtype=np.float32)
    soft = rng.dirichlet(np.ones(3), 12)
    pairs = data.pair(form((x, soft)), form((x, np.arange(12))), 4)
    seen = []
    for (ids, rows), (clean_ids, labels) in pairs.as_numpy_iterator():
        np.testing.assert_array_equal(rows, soft[ids.astype(int)])
        np.testing.assert_array_equal(labels, clean_ids)
        seen.extend(ids)
    assert sorted(seen) == x.tolist()


@pytest.mark.parametrize("form", [as_arrays, as_dataset])
def test_dtypes_are_kept(form):
    x = np.zeros((4, 2, 2, 3), np.uint8)
    half = form((x, np.arange(4, dtype=np.int32)))
    for x_spec, label_spec in data.pair(half, half, 4).element_spec:
        assert x_spec.dtype == tf.uint8 and label_spec.dtype.is_integer


def test_a_class_weight_makes_the_clean_set_as_frequent_as_the_given_labels():
    weights = data.class_weight([0, 0, 0, 1], [1, 0, 2, 1], 4)
    # The shares are 3/4, 1/4, 0, 0 and 1/4, 2/4, 1/4, 0.
    np.testing.assert_allclose(weights, [3, 0.5, 0, 0])
    with pytest.raises(InputError, match=r"`labels` should be in \[0, 4\)"):
        data.class_weight([0, 4], [0], 4)


def test_join_appends_the_clean_set():
    joined = join(make(0, 2), make(100, 3))
    x, labels = joined.x, joined.labels
    np.testing.assert_array_equal(x[:, 0], [0, 1, 100, 101, 102])
    np.testing.assert_array_equal(labels, labels_of(x))


def pairs_of(noisy_labels, clean_labels):
    halves = (
        (np.zeros((len(labels), 2)), labels)
        for labels in map(np.array, (noisy_labels, clean_labels))
    )
    return tf.data.Dataset.from_tensors(tuple(halves))


@pytest.mark.parametrize(
    "noisy_labels, clean_labels, which, label",
    [
        ([0, 7, 1, 9], [0, 1], "noisy", 7),
        ([0, -1], [0, 1], "noisy", -1),
        ([0, 2], [2, 3], "clean", 3),
    ],
)
def test_check_labels_names_the_first_bad_one(
    noisy_labels, clean_labels, which, label
):
    checked = checks.check_labels(pairs_of(noisy_labels, clean_labels), 3)
    with (
        pytest.raises(
            InputError,
            match=rf"^The {which} labels should be in \[0, 3\), the classes "
            rf"of the base\. Received: label {label}\.$",
        ),
        checks.plain_errors(),
    ):
        list(checked)


@pytest.mark.parametrize("noisy_labels", [[0, 2], [[0.25, 0.0, 0.75]]])
def test_check_labels_changes_nothing(noisy_labels):
    pairs = pairs_of(noisy_labels, [1])
    (checked,) = checks.check_labels(pairs, 3).as_numpy_iterator()
    (expected,) = pairs.as_numpy_iterator()
    for half, expected_half in zip(checked, expected):
        for array, expected_array in zip(half, expected_half):
            np.testing.assert_array_equal(array, expected_array)


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.InvalidArgumentError(None, None, "another one"),
        tf.errors.OutOfRangeError(None, None, "|mlc_tf|not ours|mlc_tf|"),
    ],
)
def test_other_errors_pass_through(error):
    with pytest.raises(type(error)) as caught, checks.plain_errors():
        raise error
    assert caught.value is error


X, LABELS = make(0, NOISY)
SOFT = np.eye(2)[LABELS % 2]


def with_value(array, value, *index):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize("which", ["noisy", "clean"])
@pytest.mark.parametrize(
    "half, message",
    [
        ((X[:0], LABELS[:0]), "should not be empty. Received: none"),
        ((X, LABELS[:-1]), r"Received: 24 examples, labels of shape \(23,\)"),
        ((X, LABELS[:, None, None]), r"one label .* of shape \(24, 1, 1\)"),
        ((with_value(X, np.nan, 5, 1), LABELS), "infinity in example 5"),
        ((with_value(X, -np.inf, 7, 0), LABELS), "infinity in example 7"),
        ((X, LABELS / 1), "integer class ids .* dtype float64"),
        ((X, with_value(LABELS, -2, 9)), "label -2 at example 9"),
        ((X.astype(complex), LABELS), "should hold numbers. .* complex128"),
        ((X, LABELS.astype(str)), "integer class ids .* dtype <U"),
        ((X, with_value(LABELS / 1, np.nan, 5)), "Received: 1 missing labels"),
        (
            (X, [None, "a", np.nan, pd.NaT, *"b" * 20]),
            "Received: 3 missing labels",
        ),
        (
            (X, pd.Series([pd.NA, "None", *"b" * 22], dtype="string")),
            "Received: 1 missing labels",
        ),
        ((X, with_value(SOFT, 0.9, 4)), r"sum to 1 .*1\.8 at example 4"),
        ((X, with_value(SOFT, np.nan, 4, 1)), "sum to 1 .* at example 4"),
        ((X, with_value(SOFT, [-1, 2], 3)), "sum to 1 .* at example 3"),
    ],
)
def test_bad_arrays(which, half, message):
    sets = {"noisy": (X, LABELS), "clean": (X, LABELS), which: half}
    with pytest.raises(InputError, match=f"^The {which} set .*{message}"):
        data.pair(**sets, batch_size=8)


# `np.unique` of a set that lacks a class would give other ids.
def test_the_advice_for_texts_gives_the_ids_of_the_other_set():
    names, ids = np.unique(["a", "b", "c"] * 8, return_inverse=True)
    texts = np.array(["b", "c"] * 12)
    with pytest.raises(InputError, match=r"np.searchsorted\(class_names, lab"):
        data.pair((X, ids), (X, texts), 8)
    np.testing.assert_array_equal(np.searchsorted(names, texts), [1, 2] * 12)


def repeated(dataset):
    return dataset.repeat()


def repeated_batches(dataset):
    return dataset.repeat().batch(4)


def emptied_batches(dataset):
    return dataset.filter(lambda x, label: label > 100).batch(4)


def one_hot_integers(dataset):
    return dataset.map(
        lambda x, label: (x, tf.one_hot(label, 5, dtype="int32"))
    )


def filtered(dataset):
    return dataset.filter(lambda x, label: label > 0)


def emptied(dataset):
    return dataset.take(0)


def batched_floats(dataset):
    return float_labels(dataset).batch(4)


def inputs_only(dataset):
    return dataset.map(lambda x, label: x)


def float_labels(dataset):
    return dataset.map(lambda x, label: (x, tf.cast(label, tf.float32)))


@pytest.mark.parametrize("which", ["noisy", "clean"])
@pytest.mark.parametrize(
    "change, message",
    [
        (repeated, "should be a tf.data.Dataset that ends.*infinite"),
        (repeated_batches, "should be a tf.data.Dataset that ends.*infinite"),
        (emptied, "should not be empty. Received: none"),
        (emptied_batches, "should not be empty. Received: none"),
        (batched_floats, "integer class ids .* dtype float32"),
        (one_hot_integers, r"int32 of shape \(5,\).*argmax"),
        (inputs_only, r"a tf.data.Dataset of \(x, label\)"),
        (float_labels, "integer class ids .* dtype float32"),
    ],
)
def test_bad_datasets(which, change, message):
    good = as_dataset((X, LABELS))
    sets = {"noisy": good, "clean": good, which: change(good)}
    with pytest.raises(InputError, match=f"{which}.*{message}"):
        data.pair(**sets, batch_size=8)


def test_a_filtered_dataset_may_tell_its_length():
    kept = int((LABELS > 0).sum())
    noisy = filtered(as_dataset((X, LABELS))).apply(
        tf.data.experimental.assert_cardinality(kept)
    )
    ids, _ = drawn(data.pair(noisy, make(100, CLEAN), kept))
    np.testing.assert_array_equal(np.sort(ids[0]), X[LABELS > 0, 0])


@pytest.mark.parametrize("half", [X, (X,), "mnist"])
def test_no_pair_of_inputs_and_labels(half):
    with pytest.raises(InputError, match=r"`noisy` .* \(x, labels\), a tf"):
        data.pair(half, (X, LABELS))


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("first_step", -1, "an integer >= 0"),
        ("first_step", 1.5, "an integer >= 0"),
        ("steps_per_epoch", True, "an integer >= 1"),
        ("with_index", "no", "True or False"),
        ("augment", "crop", "a function"),
        ("input_context", 3, "what `fit` passes to its function"),
    ],
)
def test_bad_options(option, value, message):
    half = X, LABELS
    with pytest.raises(InputError, match=f"^`{option}` should be {message}"):
        data.pair(half, half, 8, epochs=range(1), **{option: value})


@pytest.mark.parametrize("form", [as_arrays, as_dataset])
@pytest.mark.parametrize(
    "count, options, message",
    [
        (
            1,
            {"batch_size": 64},
            "`batch_size` .* 1 examples of the noisy .* 64",
        ),
        (24, {"batch_size": 25}, "at most the 24 examples of the noisy .* 25"),
        (24, {"batch_size": 0}, "`batch_size` should be an integer >= 1.* 0"),
        (24, {"batch_size": 8.0}, "`batch_size` should be an integer >= 1"),
        (
            24,
            {"batch_size": 8, "clean_batch_size": 7},
            "`clean_batch_size` .* at most the 6 examples of the clean .* 7",
        ),
        (
            24,
            {"batch_size": 8, "clean_batch_size": 0},
            "`clean_batch_size` should be an integer >= 1",
        ),
    ],
)
def test_bad_batch_sizes(form, count, options, message):
    with pytest.raises(InputError, match=message):
        data.pair(form(make(0, count)), form(make(100, CLEAN)), **options)


@pytest.mark.parametrize("form", [as_arrays, as_dataset])
def test_the_order_of_an_epoch_is_that_of_its_seed_and_number(form):
    def orders(global_seed, seed, epochs):
        tf.random.set_seed(global_seed)
        pairs = data.pair(
            form(make(0, NOISY)),
            form(make(100, CLEAN)),
            batch_size=4,
            seed=seed,
            epochs=epochs,
        )
        steps = NOISY // 4
        drawn = [
            np.concatenate([noisy[0][:, 0], clean[0][:, 0]])
            for noisy, clean in pairs.as_numpy_iterator()
        ]
        return np.reshape(drawn, [len(epochs), steps, -1])

    whole = orders(0, 5, range(3))
    np.testing.assert_array_equal(orders(7, 5, range(1, 3)), whole[1:])
    assert not np.array_equal(whole[0], whole[1])
    assert not np.array_equal(orders(0, 6, range(1)), whole[:1])


def test_equal_datasets_are_shuffled_apart():
    half = as_dataset(make(0, NOISY))
    noisy, clean = drawn(data.pair(half, half, batch_size=8))
    assert not np.array_equal(noisy, clean)


@pytest.mark.parametrize(
    "half",
    [
        (X[:2], [[1], [0, 1]]),
        ([[1], [1, 2]], [0, 1]),
        (X[:2], [["a", "b"], ["a", "b"]]),
    ],
)
def test_ragged_sets_and_words_as_soft_labels(half):
    with pytest.raises(InputError, match="^The noisy set"):
        data.pair(half, (X, LABELS), batch_size=1)


@pytest.mark.parametrize("form", [as_arrays, as_dataset])
@pytest.mark.parametrize("with_index", [False, True])
def test_without_a_clean_set_the_noisy_half_is_the_same(form, with_index):
    options = {"batch_size": 8, "epochs": range(2), "with_index": with_index}
    noisy = form(make(0, NOISY))
    alone = data.pair(noisy, augment=added_key, **options)
    both = data.pair(noisy, make(100, 6), augment=added_key, **options)
    assert len(alone) == len(both) == 6
    for (half, clean), (expected, _) in zip(alone, both):
        assert clean == ()
        tf.nest.map_structure(np.testing.assert_array_equal, half, expected)
    with pytest.raises(InputError, match="left out without a clean set"):
        data.pair(noisy, batch_size=8, clean_batch_size=4)


def added_key(x, key):
    return x + tf.cast(key[0] % 1000, x.dtype)


def test_without_a_clean_set_a_worker_has_its_part():
    context = tf.distribute.InputContext(2, 1, 4)
    noisy = make(0, NOISY)
    whole = data.pair(noisy, batch_size=8, epochs=range(1))
    part = data.pair(
        noisy, batch_size=8, epochs=range(1), input_context=context
    )
    rows = [half[0].numpy() for half, _ in part]
    expected = [half[0].numpy()[4:] for half, _ in whole]
    np.testing.assert_array_equal(
        np.concatenate(rows), np.concatenate(expected)
    )


def test_epochs_should_be_a_range():
    with pytest.raises(InputError, match="`epochs` should be a range"):
        data.pair((X, LABELS), (X, LABELS), batch_size=8, epochs=2)


def test_a_message_about_many_classes_is_one_line():
    soft = np.full((NOISY, 100), 0.5)
    with pytest.raises(InputError, match="sum to 1") as caught:
        data.pair((X, soft), (X, LABELS), batch_size=8)
    assert "\n" not in str(caught.value)


class Batches(keras.utils.PyDataset):
    """Batches of five, the last one of four."""

    def __init__(self, half):
        super().__init__()
        self.half = half

    def __len__(self):
        return -(-len(self.half[0]) // 5)

    def __getitem__(self, index):
        return tuple(part[5 * index : 5 * index + 5] for part in self.half)


@pytest.mark.parametrize("which", ["noisy", "clean"])
@pytest.mark.parametrize("form", ["pydataset", "lists", "disk", "stream"])
def test_pair_accepts_all_forms(which, form, tmp_path):
    first = {"noisy": 0, "clean": 100}[which]
    half = make(first, NOISY)
    if form == "pydataset":
        source = Batches(half)
    elif form == "lists":
        source = [part.tolist() for part in half]
    elif form == "disk":
        np.save(tmp_path / "x.npy", half[0])
        source = DiskArrays(tmp_path / "x.npy", half[1])
    else:
        source = Stream(as_dataset(half))
    sets = {"noisy": make(0, NOISY), "clean": make(100, NOISY), which: source}
    noisy, clean = drawn(data.pair(**sets, batch_size=6, seed=2))
    np.testing.assert_array_equal(np.sort(noisy.flat), np.arange(NOISY))
    np.testing.assert_array_equal(np.sort(clean.flat), 100 + np.arange(NOISY))


def test_pair_reads_image_files(tmp_path):
    numbers = np.arange(8)
    paths = [tmp_path / f"{number}.png" for number in numbers]
    for number, path in enumerate(paths):
        image = np.full((2, 3, 3), 10 * number)
        keras.utils.save_img(path, image, scale=False)
    files = ImageFiles(paths, numbers, (2, 3))
    for halves in data.pair(files, files, 4).as_numpy_iterator():
        for x, labels in halves:
            assert x.shape == (4, 2, 3, 3) and x.dtype == np.uint8
            np.testing.assert_array_equal(
                x, np.ones_like(x) * 10 * labels[:, None, None, None]
            )


def test_steps_per_epoch_may_be_fewer_or_more_than_a_pass(sets):
    few = data.pair(*sets, batch_size=6, steps_per_epoch=3)
    assert len(few) == 3
    assert len(set(drawn(few)[0].flat)) == 18
    many = data.pair(*sets, batch_size=6, steps_per_epoch=np.int64(8))
    assert len(many) == 8
    passes = drawn(many)[0].reshape(2, NOISY)
    np.testing.assert_array_equal(
        np.sort(passes, axis=1), [np.arange(NOISY)] * 2
    )
    assert not np.array_equal(*passes)


def test_epochs_of_some_steps_are_those_of_their_numbers(sets):
    def order(which):
        return drawn(
            data.pair(*sets, 6, seed=1, epochs=which, steps_per_epoch=3)
        )

    whole, last = order(range(3)), order(range(2, 3))
    assert whole[0].shape == (9, 6)
    assert same_order(last, [half[6:] for half in whole])
    assert not np.array_equal(whole[0][:3], whole[0][3:6])


@pytest.mark.parametrize("steps", [0, -1, 2.0, "3"])
def test_steps_per_epoch_should_be_a_positive_integer(steps):
    with pytest.raises(
        InputError, match=f"`steps_per_epoch` .* integer >= 1.* = {steps!r}"
    ):
        data.pair((X, LABELS), (X, LABELS), 8, steps_per_epoch=steps)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_the_seed_should_be_an_integer(seed):
    with pytest.raises(InputError, match=f"`seed` .* integer in .* {seed}"):
        data.pair((X, LABELS), (X, LABELS), 8, seed=seed)


def key_as_input(x, key):
    """An augmentation that shows its key in place of each input."""
    return tf.zeros_like(x) + tf.cast(key, x.dtype)


def keys(seed=0, which=range(3), form=as_arrays, batch_size=4):
    """Returns the key of each batch, `(epochs, steps, 2 halves, 2)`."""
    half = form((np.zeros((12, 2), np.int64), np.arange(12)))
    pairs = data.pair(
        half,
        half,
        batch_size,
        seed=seed,
        epochs=which,
        steps_per_epoch=3,
        augment=key_as_input,
    )
    rows = []
    for element in pairs.as_numpy_iterator():
        for x, _ in element:
            assert (x == x[0]).all()
            rows.append(x[0])
    return np.reshape(rows, [len(which), 3, 2, 2])


@pytest.mark.parametrize("form", [as_arrays, as_dataset])
def test_each_half_of_each_batch_has_a_key_of_its_own(form):
    assert len(np.unique(keys(form=form).reshape(-1, 2), axis=0)) == 18


def test_the_key_is_a_function_of_seed_epoch_and_step():
    tf.random.set_seed(1)
    whole = keys()
    tf.random.set_seed(2)
    np.testing.assert_array_equal(keys(which=range(2, 3)), whole[2:])
    np.testing.assert_array_equal(keys(batch_size=2), whole)
    np.testing.assert_array_equal(keys(form=as_dataset), whole)
    assert (keys(seed=1) != whole).any(axis=-1).all()


def test_each_iteration_has_new_keys():
    half = np.zeros((12, 2), np.int64), np.arange(12)
    pairs = data.pair(half, half, 4, augment=key_as_input)
    first, second = (
        [element[0][0][0].tolist() for element in pairs.as_numpy_iterator()]
        for _ in range(2)
    )
    assert len({tuple(key) for key in first + second}) == 6


def slow(x):
    """Takes the longer, the earlier an example stands in its set."""
    time.sleep(0.02 * (x[0] % 4 == 0))
    return x


def slow_stream(half):
    def decode(x):
        return tf.ensure_shape(tf.numpy_function(slow, [x], x.dtype), [2])

    return Stream(as_dataset(half), decode)


def with_noise(x, key):
    return x + tf.random.stateless_uniform(tf.shape(x), key)


@pytest.mark.parametrize("form", [as_arrays, slow_stream])
def test_batches_are_the_same_whatever_the_parallelism(form):
    def batches(threads, deterministic):
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        options.deterministic = deterministic
        pairs = data.pair(
            form(make(0, NOISY)),
            form(make(100, CLEAN)),
            batch_size=2,
            seed=4,
            epochs=range(2),
            augment=with_noise,
        ).with_options(options)
        return [
            np.concatenate([x for x, _ in element])
            for element in pairs.as_numpy_iterator()
        ]

    one = batches(1, True)
    assert len(one) == 24
    np.testing.assert_array_equal(batches(8, True), one)
    np.testing.assert_array_equal(batches(8, False), one)


def test_noise_is_the_same_whatever_surrounds_it():
    x = np.arange(200, dtype=np.float32)
    clean = np.arange(200) % 3
    add = noise.add_noise("flip_random", 0.4, seed=6, num_classes=3)
    plain = as_dataset((x, clean))
    mapped = plain.map(
        lambda x, label: (tf.numpy_function(slow_row, [x], x.dtype), label),
        num_parallel_calls=8,
    ).map(lambda x, label: (tf.ensure_shape(x, []), label))

    def by_example(dataset, size):
        source = Stream(dataset.apply(add))
        labels = np.full(200, -1)
        pairs = data.pair(source, (np.arange(3.0), np.arange(3)), size)
        for (x, noisy), _ in pairs.as_numpy_iterator():
            labels[x.astype(int)] = noisy
        return labels

    expected = noise.corrupt(
        clean, "flip_random", 0.4, 6, "iid", num_classes=3
    ).labels
    assert (expected != clean).any()
    for dataset in (plain, mapped):
        for size in (1, 64):
            labels = by_example(dataset, size)
            seen = labels >= 0
            assert seen.sum() == 200 // size * size
            np.testing.assert_array_equal(labels[seen], expected[seen])


def slow_row(x):
    time.sleep(0.002 * (x % 4 == 0))
    return x


def test_join_takes_any_two_forms():
    joined = join(Batches(make(0, NOISY)), as_dataset(make(100, CLEAN)))
    ((x, labels),) = joined.batches(NOISY + CLEAN).as_numpy_iterator()
    np.testing.assert_array_equal(labels, labels_of(x))
    np.testing.assert_array_equal(
        np.sort(x[:, 0]), [*range(NOISY), *range(100, 100 + CLEAN)]
    )
