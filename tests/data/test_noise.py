import io
import re

import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.data import noise
from mlc_tf.errors import InputError

# Sizes like the sizes of MNIST's classes, and 30 % of each, rounded by hand.
UNEVEN = [592, 674, 596, 613, 584, 542, 592, 627, 586, 598]
SELECTED = [178, 202, 179, 184, 175, 163, 178, 188, 176, 179]
T = np.array([[0.5, 0.3, 0.2], [0.25, 0.25, 0.5], [0.0, 0.0, 1.0]])
EVERY_NOISE = [*((kind, 0.3) for kind in noise.KINDS), (T, None)]
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
LOOKS_LIKE = {
    "truck": "automobile",
    "bird": "airplane",
    "deer": "horse",
    "cat": "dog",
    "dog": "cat",
}


def classes_of(kind):
    return len(T) if kind is T else 10


def balanced(num_classes, each):
    return np.arange(num_classes * each) % num_classes


def confusion(clean, noisy, num_classes):
    pairs = clean * num_classes + noisy
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def off_diagonal(matrix):
    return matrix[~np.eye(len(matrix), dtype=bool)]


@pytest.mark.parametrize(
    "kind, diagonal, elsewhere",
    [("uniform", 0.7, 0.1), ("flip_random", 0.6, 0.4 / 3)],
)
def test_transition_matrix_by_hand(kind, diagonal, elsewhere):
    expected = np.full((4, 4), elsewhere)
    np.fill_diagonal(expected, diagonal)
    np.testing.assert_allclose(
        noise.transition_matrix(kind, 4, 0.4), expected, rtol=1e-12
    )


def test_pair_is_the_next_class():
    np.testing.assert_allclose(
        noise.transition_matrix("pair", 3, 0.4),
        [[0.6, 0.4, 0], [0, 0.6, 0.4], [0.4, 0, 0.6]],
    )


def test_asymmetric_cifar10_is_the_class_it_looks_like():
    expected = np.eye(10)
    for clean, noisy in LOOKS_LIKE.items():
        row = expected[CIFAR10.index(clean)]
        row[CIFAR10.index(clean)] = 0.6
        row[CIFAR10.index(noisy)] = 0.4
    np.testing.assert_allclose(
        noise.transition_matrix("asymmetric_cifar10", 10, 0.4), expected
    )


@pytest.mark.parametrize("num_classes", [3, 9, 11])
@pytest.mark.parametrize("mode", noise.MODES)
def test_asymmetric_cifar10_is_for_ten_classes(mode, num_classes):
    clean = np.arange(num_classes)
    message = (
        "`num_classes` should be 10 for asymmetric_cifar10. Received: "
        f"`num_classes` = {num_classes}."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        noise.corrupt(clean, "asymmetric_cifar10", 0.2, mode=mode)


def test_flip_to_one_has_one_target_per_row():
    matrix = noise.transition_matrix("flip_to_one", 5, 0.3, seed=1)
    np.testing.assert_allclose(np.diag(matrix), 0.7)
    np.testing.assert_allclose(
        np.sort(matrix, axis=1), [[0, 0, 0, 0.3, 0.7]] * 5
    )


def test_flip_targets_are_any_other_class():
    maps = np.stack([noise.flip_targets(4, seed) for seed in range(900)])
    for label in range(4):
        counts = np.bincount(maps[:, label], minlength=4)
        assert counts[label] == 0
        # Binomial(900, 1/3): 300 expected, standard deviation 14.1.
        others = np.delete(counts, label)
        assert np.abs(others - 300).max() < 4.5 * 14.1
    assert any(len(set(targets)) < 4 for targets in maps)


def test_uniform_at_30_percent_of_cifar10_is_exact():
    clean = balanced(10, 5000)
    result = noise.corrupt(clean, "uniform", 0.3, seed=3)
    counts = np.full((10, 10), 150)
    np.fill_diagonal(counts, 3650)  # 3,500 not selected, 150 drew their own
    np.testing.assert_array_equal(confusion(clean, result.labels, 10), counts)
    np.testing.assert_allclose(result.empirical, counts / 5000, rtol=1e-12)
    np.testing.assert_allclose(result.expected, counts / 5000, rtol=1e-12)


def test_flip_random_changes_an_exact_count():
    clean = balanced(10, 2000)
    result = noise.corrupt(clean, "flip_random", 0.3)
    counts = confusion(clean, result.labels, 10)
    np.testing.assert_array_equal(np.diag(counts), 1400)
    np.testing.assert_allclose(off_diagonal(result.expected), 0.3 / 9)
    np.testing.assert_allclose(np.diag(result.expected), 0.7)
    # Each target is Binomial(600, 1/9); equal counts would have no spread.
    z = (off_diagonal(counts) - 600 / 9) / np.sqrt(600 * 8 / 81)
    assert np.abs(z).max() < 4.5
    assert 0.7 < z.std() < 1.3


def test_flip_to_one_changes_an_exact_count_to_one_class():
    clean = balanced(10, 100)
    result = noise.corrupt(clean, "flip_to_one", 0.3, seed=4)
    counts = confusion(clean, result.labels, 10)
    np.testing.assert_array_equal(
        np.sort(counts, axis=1), [[0] * 8 + [30, 70]] * 10
    )
    np.testing.assert_array_equal(np.diag(counts), 70)
    np.testing.assert_allclose(result.empirical, result.expected)


@pytest.mark.parametrize("kind", ["pair", "asymmetric_cifar10"])
def test_a_fixed_flip_changes_an_exact_count(kind):
    clean = balanced(10, 100)
    result = noise.corrupt(clean, kind, 0.3)
    np.testing.assert_allclose(
        confusion(clean, result.labels, 10), 100 * result.expected
    )
    np.testing.assert_allclose(result.empirical, result.expected)


def test_flip_to_one_keeps_its_map_for_every_ratio():
    clean = balanced(10, 100)

    def targets(ratio, seed):
        result = noise.corrupt(clean, "flip_to_one", ratio, seed)
        counts = confusion(clean, result.labels, 10)
        np.fill_diagonal(counts, 0)
        return counts.argmax(axis=1).tolist()

    assert {tuple(targets(ratio, 6)) for ratio in (0.1, 0.2, 0.4, 1.0)} == {
        tuple(noise.flip_targets(10, 6))
    }
    assert len({tuple(targets(0.2, seed)) for seed in range(5)}) == 5


@pytest.mark.parametrize("kind", noise.KINDS)
def test_classes_of_uneven_sizes(kind):
    clean = np.repeat(np.arange(10), UNEVEN)
    result = noise.corrupt(clean, kind, 0.3)
    counts = confusion(clean, result.labels, 10)
    if kind == "uniform":
        # What the selected examples of each class got.
        counts -= np.diag(np.subtract(UNEVEN, SELECTED))
        floor = np.array(SELECTED)[:, np.newaxis] // 10
        extra = counts - floor
        assert set(extra.flat) == {0, 1}
        # About 6 of the 10 remainders reach a class; none is left out.
        assert extra.sum(axis=0).min() > 2
    else:
        changes = np.diag(result.expected) < 1
        np.testing.assert_array_equal(
            np.diag(counts), UNEVEN - changes * SELECTED
        )


@pytest.mark.parametrize("ratio, count", [(0.1, 50), (0.3, 150)])
def test_uniform_on_cifar100_has_too_few_for_equal_counts(ratio, count):
    with pytest.raises(
        InputError,
        match=f"a multiple of 100 .*: {count} selected of class 0; .*'iid'",
    ):
        noise.corrupt(balanced(100, 500), "uniform", ratio)


@pytest.mark.parametrize("ratio, each", [(0.2, 1), (0.4, 2)])
def test_uniform_on_cifar100_with_equal_counts(ratio, each):
    clean = balanced(100, 500)
    result = noise.corrupt(clean, "uniform", ratio)
    counts = confusion(clean, result.labels, 100)
    assert set(off_diagonal(counts)) == {each}
    assert set(np.diag(counts)) == {500 - 99 * each}


def test_uniform_refuses_a_remainder_above_a_quarter():
    noise.corrupt(balanced(10, 130), "uniform", 0.1)  # 3 of 13
    with pytest.raises(InputError, match="14 selected of class 0"):
        noise.corrupt(balanced(10, 140), "uniform", 0.1)


@pytest.mark.parametrize("kind, ratio", EVERY_NOISE)
def test_iid_draws_each_label_from_its_row(kind, ratio):
    size = classes_of(kind)
    clean = balanced(size, 2000)
    result = noise.corrupt(clean, kind, ratio, mode="iid", num_classes=size)
    counts = confusion(clean, result.labels, size)
    possible = result.expected > 0
    np.testing.assert_array_equal(counts[~possible], 0)
    uncertain = possible & (result.expected < 1)
    p = result.expected[uncertain]
    z = (counts[uncertain] - 2000 * p) / np.sqrt(2000 * p * (1 - p))
    # Exact counts would have |z| < 0.05.
    assert 0.3 < np.abs(z).max() < 4


@pytest.mark.parametrize("mode", noise.MODES)
def test_a_given_matrix_is_the_expected_one(mode):
    result = noise.corrupt([0, 1, 2, 0], T.tolist(), mode=mode)
    np.testing.assert_array_equal(result.expected, T)


def test_a_given_matrix_gets_its_counts_by_largest_remainder():
    clean = np.repeat([0, 1, 2], [7, 6, 3])
    noisy = noise.corrupt(clean, T).labels
    # Shares (3.5, 2.1, 1.4) and, with a tie, (1.5, 1.5, 3).
    np.testing.assert_array_equal(
        confusion(clean, noisy, 3), [[4, 2, 1], [2, 1, 3], [0, 0, 3]]
    )


@pytest.mark.parametrize("mode", noise.MODES)
@pytest.mark.parametrize("kind", noise.KINDS)
def test_ratio_0_changes_nothing(kind, mode):
    clean = balanced(10, 25)
    result = noise.corrupt(clean, kind, 0, mode=mode)
    np.testing.assert_array_equal(result.labels, clean)
    np.testing.assert_array_equal(result.expected, np.eye(10))


@pytest.mark.parametrize("mode", noise.MODES)
def test_flip_to_one_at_ratio_1_changes_all(mode):
    clean = balanced(4, 25)
    noisy = noise.corrupt(clean, "flip_to_one", 1.0, seed=2, mode=mode).labels
    np.testing.assert_array_equal(noisy, noise.flip_targets(4, 2)[clean])


@pytest.mark.parametrize("mode", noise.MODES)
@pytest.mark.parametrize("kind, ratio", EVERY_NOISE)
def test_the_seed_decides(kind, ratio, mode):
    clean = balanced(classes_of(kind), 100)

    def labels(seed):
        return noise.corrupt(clean, kind, ratio, seed, mode).labels

    np.random.seed(1)
    tf.random.set_seed(1)
    first = labels(5)
    np.random.seed(2)
    tf.random.set_seed(2)
    np.testing.assert_array_equal(labels(5), first)
    assert not np.array_equal(labels(6) != clean, first != clean)


@pytest.mark.parametrize("mode", noise.MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_the_labels_handed_in_stay_as_they_are(dtype, mode):
    clean = balanced(4, 25).astype(dtype)
    result = noise.corrupt(clean, "flip_random", 0.4, mode=mode)
    assert result.labels.dtype == dtype
    np.testing.assert_array_equal(clean, balanced(4, 25))
    assert not np.array_equal(result.labels, clean)


def test_num_classes_may_exceed_the_labels():
    result = noise.corrupt([0] * 40, "uniform", 1.0, num_classes=4)
    np.testing.assert_array_equal(np.bincount(result.labels), [10] * 4)
    np.testing.assert_array_equal(result.empirical[1:], np.eye(4)[1:])


def test_empirical_transition_by_hand():
    clean, noisy = np.array([0, 2, 0, 0, 0]), np.array([0, 0, 1, 2, 1])
    np.testing.assert_array_equal(
        noise.empirical_transition(clean, noisy, 3),
        [[0.25, 0.5, 0.25], [0, 1, 0], [1, 0, 0]],
    )


def stream(clean):
    """A dataset whose inputs are their positions."""
    return tf.data.Dataset.from_tensor_slices((np.arange(len(clean)), clean))


def by_position(dataset):
    x, labels = zip(*dataset.as_numpy_iterator())
    x, labels = np.hstack(x), np.hstack(labels)
    np.testing.assert_array_equal(np.sort(x), np.arange(len(x)))
    return labels[np.argsort(x)]


@pytest.mark.parametrize("mode", noise.MODES)
@pytest.mark.parametrize("kind, ratio", [("flip_random", 0.3), (T, None)])
def test_add_noise_equals_corrupt(kind, ratio, mode):
    clean = balanced(3, 40).astype(np.int32)
    arguments = {"seed": 8, "mode": mode, "num_classes": 3}
    noisy = stream(clean).apply(noise.add_noise(kind, ratio, **arguments))
    assert noisy.element_spec[1].dtype == tf.int32
    np.testing.assert_array_equal(
        by_position(noisy),
        noise.corrupt(clean, kind, ratio, **arguments).labels,
    )


@pytest.mark.parametrize("mode", noise.MODES)
def test_an_example_keeps_its_wrong_label_whatever_comes_after(mode):
    clean = balanced(3, 40)
    noisy = stream(clean).apply(
        noise.add_noise("flip_random", 0.3, mode=mode, num_classes=3)
    )
    labels = by_position(noisy)
    assert (labels != clean).any()
    parallel = noisy.map(
        lambda x, label: (x, label),
        num_parallel_calls=4,
        deterministic=False,
    )
    for later in (
        noisy,  # a second epoch
        noisy.batch(1),
        noisy.batch(64),
        noisy.shuffle(200, seed=1).batch(7),
        parallel,
    ):
        np.testing.assert_array_equal(by_position(later), labels)


def test_add_noise_leaves_the_inputs(rng):
    x = {"image": rng.normal(size=(6, 2, 2)), "name": np.array(list("abcdef"))}
    dataset = tf.data.Dataset.from_tensor_slices((x, balanced(2, 3)))
    noisy = dataset.apply(noise.add_noise("flip_to_one", 1.0, num_classes=2))
    for index, (element, label) in enumerate(noisy.as_numpy_iterator()):
        np.testing.assert_array_equal(element["image"], x["image"][index])
        assert element["name"].decode() == x["name"][index]
        assert label == 1 - index % 2


@pytest.mark.parametrize("ratio", [1.4, -0.1, np.nan, "0.4", True, None])
def test_bad_ratio(ratio):
    with pytest.raises(
        InputError,
        match=r"`ratio` should be in \[0, 1\]\. Received: `ratio` = "
        f"{ratio!r}",
    ):
        noise.corrupt([0, 1], "uniform", ratio)


@pytest.mark.parametrize(
    "labels, message",
    [
        ([0.0, 1.0], "integer class ids .* float64.*astype"),
        ([[0, 1]], r"integer class ids .* 'int64 of shape \(1, 2\)'"),
        (["a", "b"], "integer class ids"),
        (1, r"integer class ids .* of shape \(\)"),
        (np.array([], int), "`labels` should be at least one class id"),
        ([1, 0, -1], r"in \[0, 3\)\. Received: label -1 at example 2"),
        ([0, 3, 7], r"in \[0, 3\)\. Received: label 3 at example 1"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(InputError, match=message):
        noise.corrupt(labels, "uniform", 0.2, num_classes=3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("unifrom", 0.2), "uniform, flip_random.*Did you mean 'uniform'"),
        (("uniform", 0.2, 0, "exactly"), "exact, iid.*Did you mean 'exact'"),
        ((np.eye(2), 0.2), "`ratio` should be left out with a T"),
        (([[1.5, -0.5], [0, 1]],), r"`transition\[0, 1\]` .* non-negative"),
        (([[0.5, 0.4], [0, 1]],), r"`transition\[0\]` .* sums to 1.* 0\.9"),
    ],
)
def test_bad_noise(arguments, message):
    with pytest.raises(InputError, match=message):
        noise.corrupt([0, 1], *arguments)
    with pytest.raises(InputError, match=message):
        noise.add_noise(*arguments, num_classes=2)


def test_labels_of_several_lengths():
    with pytest.raises(InputError, match="clean set .*ragged lists"):
        noise.corrupt([[0], [0, 1]], "uniform", 0.2)


@pytest.mark.parametrize("num_classes", [0, 1, 2.0])
def test_bad_num_classes(num_classes):
    with pytest.raises(InputError, match="`num_classes` .* an integer >= 2"):
        noise.corrupt([0, 1], "uniform", 0.2, num_classes=num_classes)


def test_a_matrix_of_another_size_than_num_classes():
    with pytest.raises(InputError, match=r"`transition` .* shape \(4, 4\)"):
        noise.corrupt([0, 1], T, num_classes=4)


def test_add_noise_in_mode_iid_cannot_count_the_classes():
    with pytest.raises(
        InputError, match="`num_classes` .* given in mode 'iid'"
    ):
        noise.add_noise("uniform", 0.2)


def batched(dataset):
    return dataset.batch(4)


def without_labels(dataset):
    return dataset.map(lambda x, label: x)


def with_weights(dataset):
    return dataset.map(lambda x, label: (x, label, label))


def with_dicts(dataset):
    return dataset.map(lambda x, label: (x, {"label": label}))


def with_float_labels(dataset):
    return dataset.map(lambda x, label: (x, tf.cast(label, tf.float32)))


@pytest.mark.parametrize("mode", noise.MODES)
@pytest.mark.parametrize(
    "change",
    [
        batched,
        without_labels,
        with_weights,
        with_float_labels,
        with_dicts,
    ],
)
def test_add_noise_wants_unbatched_pairs(change, mode):
    apply = noise.add_noise("uniform", 0.2, mode=mode, num_classes=3)
    with pytest.raises(InputError, match=r"unbatched .*\(x, integer label\)"):
        change(stream(balanced(3, 4))).apply(apply)


def test_add_noise_checks_the_labels_in_mode_exact():
    apply = noise.add_noise("uniform", 0.2, mode="exact", num_classes=2)
    with pytest.raises(InputError, match="label 2 at example 2"):
        stream(balanced(3, 4)).apply(apply)


def test_add_noise_takes_small_integers():
    clean = balanced(3, 40).astype(np.uint8)
    arguments = {"seed": 8, "mode": "iid", "num_classes": 3}
    noisy = stream(clean).apply(noise.add_noise("uniform", 0.3, **arguments))
    np.testing.assert_array_equal(
        by_position(noisy),
        noise.corrupt(clean, "uniform", 0.3, **arguments).labels,
    )


@pytest.mark.parametrize("mode", noise.MODES)
def test_more_classes_than_the_dtype_of_the_labels_holds(mode):
    clean = np.zeros(1000, np.int8)
    with pytest.raises(InputError, match="`num_classes`"):
        noise.corrupt(clean, "flip_random", 0.5, mode=mode, num_classes=200)


def test_bad_seed():
    with pytest.raises(InputError, match="`seed`"):
        noise.corrupt([0, 1], "flip_random", 0.2, seed=-1)
    with pytest.raises(InputError, match="`target_seed` should be"):
        noise.corrupt([0, 1], "flip_to_one", 0.2, target_seed=-1)
    with pytest.raises(InputError, match="`target_seed` should be"):
        noise.add_noise("flip_to_one", 0.2, num_classes=2, target_seed=-1)


@pytest.mark.parametrize("mode", noise.MODES)
def test_a_target_seed_draws_the_targets_alone(mode):
    clean = balanced(10, 100)
    one, other, same = (
        noise.corrupt(
            clean, "flip_to_one", 0.4, seed, mode, target_seed=targets
        )
        for seed, targets in ((1, 5), (2, 5), (1, None))
    )
    np.testing.assert_array_equal(one.expected, other.expected)
    assert np.any(one.labels != other.labels)
    expected = noise.transition_matrix("flip_to_one", 10, 0.4, seed=1)
    np.testing.assert_array_equal(same.expected, expected)
    flowing = stream(clean).apply(
        noise.add_noise(
            "flip_to_one", 0.4, 1, mode, num_classes=10, target_seed=5
        )
    )
    np.testing.assert_array_equal(
        [int(label) for _, label in flowing], one.labels
    )


@pytest.mark.parametrize("row", [[0.500004, 0.500004], [0.5, 0.499993]])
def test_rows_within_the_tolerance_of_their_sum(row):
    clean = np.zeros(1_000_000, int)
    noisy = noise.corrupt(clean, [row, [0, 1]]).labels
    assert abs(noisy.mean() - 0.5) < 1e-5


@pytest.mark.parametrize("mode", noise.MODES)
def test_add_noise_with_more_classes_than_the_dtype_holds(mode):
    apply = noise.add_noise("uniform", 0.5, mode=mode, num_classes=200)
    with pytest.raises(InputError, match="`num_classes`"):
        stream(np.zeros(1000, np.int8)).apply(apply)


def test_bad_seed_of_a_transition_matrix():
    with pytest.raises(InputError, match="`seed`"):
        noise.transition_matrix("flip_to_one", 3, 0.2, seed=-1)


def test_add_noise_exactly_wants_a_known_length():
    endless = stream(np.zeros(4, np.int64)).repeat()
    with pytest.raises(InputError, match="of known length in mode 'exact'"):
        endless.apply(noise.add_noise("uniform", 0.2, mode="exact"))


@pytest.mark.parametrize("name", ["T.npy", "T.csv"])
def test_a_transition_is_read_from_a_file(name, tmp_path):
    path = tmp_path / name
    if name == "T.npy":
        np.save(path, T)
    else:
        path.write_text("0.5,0.3,0.2\n0.25,0.25,0.5\n0,0,1\n")
    for given in (path, str(path)):
        matrix = noise.read_transition(given)
        assert matrix.dtype == np.float64
        np.testing.assert_array_equal(matrix, T)


def npy_of(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("T.npy", None, "T.npy', which cannot be read .*No such file"),
        ("T.csv", None, "T.csv', which cannot be read .*not found"),
        ("T.npy", b"", "T.npy', which cannot be read"),
        ("T.npy", b"1,0\n0,1\n", "T.npy', which cannot be read"),
        ("T.npy", npy_of(T)[:-8], "T.npy', which cannot be read"),
        ("T.npy", npy_of(T)[:60], "T.npy', which cannot be read"),
        (
            "T.npy",
            npy_of(T).replace(b"(3, 3)", b"(3, 3 "),
            "T.npy', which cannot be read",
        ),
        ("T.npy", b"PK\x03\x04 no zip", "T.npy', which cannot be read"),
        ("T.csv", b"a,b\n1,0\n0,1\n", "T.csv', which cannot be read .*'a'"),
        ("T.csv", b"1,0\n1\n", "T.csv', which cannot be read"),
        (
            "T.csv",
            b"1,0\n",
            r"`transition` should be a matrix of shape \(1, 1\)",
        ),
        (
            "T.npy",
            npy_of(T[:2]),
            r"`transition` should be a matrix of shape \(2, 2\)",
        ),
        ("T.npy", npy_of(T.T), r"`transition\[0\]` .* sums to 1 .* 0\.75"),
        ("T.csv", b"1,0\n.5,.4\n", r"`transition\[1\]` .* sums to 1 .* 0\.9"),
        ("T.csv", b"1,0\n2,-1\n", r"`transition\[1, 1\]` .* non-negative"),
        ("T.csv", b"1,0\nnan,1\n", r"`transition\[1, 0\]` .* finite"),
        ("T.npz", npy_of(T), r"a .npy or .csv file of a .* '.*T.npz'\.$"),
        ("T", npy_of(T), r"`noise.kind` should name a .npy or .csv file"),
    ],
)
def test_a_file_that_holds_no_transition(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        noise.read_transition(tmp_path / name)


class Unpickled(Exception):
    pass


class Bomb:
    def __reduce__(self):
        return _explode, ()


def _explode():
    raise Unpickled


def test_objects_in_a_transition_file_are_never_unpickled(tmp_path):
    bombs = np.empty((2, 2), object)
    bombs[:] = Bomb()
    np.save(tmp_path / "T.npy", bombs, allow_pickle=True)
    with pytest.raises(Unpickled):
        np.load(tmp_path / "T.npy", allow_pickle=True)
    with pytest.raises(InputError, match="which cannot be read .*allow_pickle"):
        noise.read_transition(tmp_path / "T.npy")
