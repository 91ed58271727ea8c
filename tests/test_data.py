import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf import data_checks
from mlc_tf.errors import InputError

NOISY, CLEAN = 24, 6


def labels_of(x):
    """A label that tells whether it still belongs to its example."""
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
    half = form((x, np.zeros(4, np.int32)))
    for x_spec, label_spec in data.pair(half, half, 4).element_spec:
        assert x_spec.dtype == tf.uint8 and label_spec.dtype == tf.int32


def test_one_clean_example_is_enough():
    pairs = data.pair(make(0, NOISY), make(100, 1), batch_size=8)
    np.testing.assert_array_equal(drawn(pairs)[1], [[100]] * 3)


def test_merge_appends_the_clean_set():
    merged = data.merge(make(0, 2), make(100, 3))
    x, labels = merged.x, merged.labels
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
    checked = data_checks.check_labels(pairs_of(noisy_labels, clean_labels), 3)
    with (
        pytest.raises(
            InputError,
            match=rf"^The {which} labels should be in \[0, 3\), the classes "
            rf"of the base\. Received: label {label}\.$",
        ),
        data_checks.plain_errors(),
    ):
        list(checked)


@pytest.mark.parametrize("noisy_labels", [[0, 2], [[0.0, 0.0, 7.0]]])
def test_check_labels_changes_nothing(noisy_labels):
    pairs = pairs_of(noisy_labels, [1])
    (checked,) = data_checks.check_labels(pairs, 3).as_numpy_iterator()
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
    with pytest.raises(type(error)) as caught, data_checks.plain_errors():
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
        ((X.astype(str), LABELS), "should hold numbers. .* dtype <U32"),
        ((X, LABELS.astype(str)), "integer class ids .* dtype <U"),
        ((X, with_value(SOFT, 0.9, 4)), r"sum to 1 .*1\.8 at example 4"),
        ((X, with_value(SOFT, np.nan, 4, 1)), "sum to 1 .* at example 4"),
        ((X, with_value(SOFT, [-1, 2], 3)), "sum to 1 .* at example 3"),
    ],
)
def test_bad_arrays(which, half, message):
    sets = {"noisy": (X, LABELS), "clean": (X, LABELS), which: half}
    with pytest.raises(InputError, match=f"^The {which} set .*{message}"):
        data.pair(**sets, batch_size=8)


def repeated(dataset):
    return dataset.repeat()


def filtered(dataset):
    return dataset.filter(lambda x, label: label > 0)


def emptied(dataset):
    return dataset.take(0)


def batched(dataset):
    return dataset.batch(4)


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
        (repeated, "known length. Received: an infinite or unknown one"),
        (filtered, "known length. Received: an infinite or unknown one"),
        (emptied, "should not be empty. Received: none"),
        (batched, r"an unbatched tf.data.Dataset of \(x, label\)"),
        (batched_floats, r"an unbatched tf.data.Dataset of \(x, label\)"),
        (inputs_only, r"an unbatched tf.data.Dataset of \(x, label\)"),
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


@pytest.mark.parametrize("half", [X, (X,), (X, LABELS, LABELS), "mnist"])
def test_no_pair_of_inputs_and_labels(half):
    with pytest.raises(InputError, match=r"`noisy` .* \(x, labels\), a tf"):
        data.pair(half, (X, LABELS))


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


def test_a_dataset_batched_without_remainder():
    whole = as_dataset((X, LABELS)).batch(4, drop_remainder=True)
    with pytest.raises(InputError, match="an unbatched tf.data.Dataset"):
        data.pair(whole, (X, LABELS), batch_size=2)


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


def test_epochs_should_be_a_range():
    with pytest.raises(InputError, match="`epochs` should be a range"):
        data.pair((X, LABELS), (X, LABELS), batch_size=8, epochs=2)


def test_inputs_in_a_dict():
    with pytest.raises(InputError, match="should be an array"):
        data.pair(({"x": X}, LABELS), (X, LABELS), batch_size=8)


def test_a_message_about_many_classes_is_one_line():
    soft = np.full((NOISY, 100), 0.5)
    with pytest.raises(InputError, match="sum to 1") as caught:
        data.pair((X, soft), (X, LABELS), batch_size=8)
    assert "\n" not in str(caught.value)


def test_merge_wants_labels_of_one_kind():
    soft = np.full((NOISY, 2), 0.5)
    with pytest.raises(InputError, match="labels of one kind"):
        data.merge((X, soft), (X, LABELS))
