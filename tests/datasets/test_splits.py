from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import DiskArrays
from mlc_tf.data.examples import ImageFiles
from mlc_tf.data.examples import Stream
from mlc_tf.datasets import Splits
from mlc_tf.errors import InputError

NAMES = ("ant", "bee", "cat")


def examples(first, count):
    """Inputs that show their number, with labels 0, 1, 2, 0, ..."""
    x = np.stack([np.arange(first, first + count)] * 2, axis=1)
    return Arrays(x.astype(np.float32), np.arange(first, first + count) % 3)


@pytest.fixture
def splits():
    """24 examples to train on, from 0, and 9 to test, from 300."""
    return Splits(examples(0, 24), examples(300, 9), NAMES)


def ids(x):
    return x[:, 0].astype(int).tolist()


def assert_labels_belong(splits):
    for which in ("train", "test", "clean"):
        part = getattr(splits, which)
        assert (part.x[:, 0] % 3 == part.labels).all()


def test_draw_clean_takes_as_many_of_each_class(splits):
    drawn = splits.draw_clean(2, seed=0)
    np.testing.assert_array_equal(np.bincount(drawn.clean.labels), [2, 2, 2])
    assert_labels_belong(drawn)


def test_draw_clean_moves_examples_out_of_training(splits):
    drawn = splits.draw_clean(2, seed=0)
    assert len(drawn.train.x) == 18
    assert sorted(ids(drawn.clean.x) + ids(drawn.train.x)) == list(range(24))
    np.testing.assert_array_equal(drawn.test.x, splits.test.x)
    assert splits.clean is None and len(splits.train.x) == 24


def test_draw_clean_is_decided_by_its_seed(splits):
    np.random.seed(1)
    first = ids(splits.draw_clean(2, seed=5).clean.x)
    np.random.seed(2)
    assert ids(splits.draw_clean(2, seed=5).clean.x) == first
    others = [ids(splits.draw_clean(2, seed).clean.x) for seed in range(20)]
    assert set(np.concatenate(others)) == set(range(24))


def test_draw_clean_leaves_one_of_each_class_to_train_on(splits):
    drawn = splits.draw_clean(7, seed=0)
    np.testing.assert_array_equal(np.bincount(drawn.train.labels), [1, 1, 1])
    with pytest.raises(
        InputError,
        match=r"`clean.per_class` .* Received: 8, with 8 of class 0 \(ant\)",
    ):
        splits.draw_clean(8, seed=0)


@pytest.mark.parametrize("per_class", [0, -1, 2.0, "2"])
def test_draw_clean_wants_a_positive_integer(splits, per_class):
    with pytest.raises(
        InputError, match=f"`clean.per_class` .* >= 1.* {per_class!r}"
    ):
        splits.draw_clean(per_class, seed=0)


@pytest.mark.parametrize("twin_of", ["test", "train"])
def test_draw_clean_draws_no_example_that_has_a_twin(splits, twin_of):
    part = getattr(splits, twin_of)
    x = part.x.copy()
    x[4] = splits.train.x[0]
    twins = replace(splits, **{twin_of: Arrays(x, part.labels)})
    for seed in range(10):
        drawn = twins.draw_clean(3, seed)
        assert not (drawn.clean.x == splits.train.x[0]).all(axis=1).any()
    with pytest.raises(InputError, match="with 7 of class|with 6 of class"):
        twins.draw_clean(7, seed=0)  # there are 8 of a class


def test_hold_out_replaces_the_test_set(splits):
    held = splits.draw_clean(1, seed=0).hold_out(0.32, seed=0)
    # 0.32 of 21 is 6.72.
    assert len(held.test.x) == 7 and len(held.train.x) == 14
    everything = ids(held.test.x) + ids(held.train.x) + ids(held.clean.x)
    assert sorted(everything) == list(range(24))
    assert_labels_belong(held)
    assert ids(held.test.x) != ids(splits.train.x)[:7]
    assert held.class_names == NAMES


def test_hold_out_keeps_groups_together(splits):
    groups = np.repeat([4, 7, 5, 6, 2, 9], 4)
    grouped = replace(splits, groups=groups).draw_clean(1, seed=0)
    held = grouped.hold_out(0.4, seed=0)  # 2.4 of six groups
    there, left = (
        set(groups[ids(part)]) for part in (held.test.x, held.train.x)
    )
    assert len(there) == 2 and not there & left
    everything = ids(held.test.x) + ids(held.train.x) + ids(held.clean.x)
    assert sorted(everything) == list(range(24))
    np.testing.assert_array_equal(held.groups, groups[ids(held.train.x)])
    assert_labels_belong(held)


def test_hold_out_is_decided_by_its_seed(splits):
    first = ids(splits.hold_out(0.25, seed=1).test.x)
    assert ids(splits.hold_out(0.25, seed=1).test.x) == first
    assert ids(splits.hold_out(0.25, seed=2).test.x) != first


def test_hold_out_holds_at_least_one(splits):
    assert len(splits.hold_out(0.001, seed=0).test.x) == 1


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, np.nan])
def test_bad_share(splits, share):
    with pytest.raises(
        InputError, match=rf"`dataset.validation` .* in \(0, 1\).* {share!r}"
    ):
        splits.hold_out(share, seed=0)


def test_hold_out_leaves_one_to_train_on(splits):
    with pytest.raises(InputError, match="`dataset.validation`"):
        splits.hold_out(0.99, seed=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_an_overlap_is_seen_across_dtypes(splits, dtype):
    clean = splits.train.x[:3].astype(dtype)
    overlapping = replace(splits, clean=Arrays(clean, splits.train.labels[:3]))
    with pytest.raises(InputError, match="overlap the train set"):
        overlapping.checked()


def test_no_overlap_by_rounding(splits):
    clean = splits.train.x[:3].astype(np.uint8)
    replace(
        splits,
        train=Arrays(splits.train.x + 0.5, splits.train.labels),
        clean=Arrays(clean, splits.train.labels[:3]),
    ).checked()


@pytest.mark.parametrize("method", ["draw_clean", "hold_out"])
def test_bad_seed(method, splits):
    argument = {"draw_clean": 1, "hold_out": 0.5}[method]
    with pytest.raises(InputError, match="`seed`"):
        getattr(splits, method)(argument, seed=-1)


def test_set_clean_moves_the_chosen_out_of_training(splits):
    chosen = splits.set_clean(np.array([0, 7, 20]))
    assert ids(chosen.clean.x) == [0, 7, 20]
    assert sorted(ids(chosen.train.x) + [0, 7, 20]) == list(range(24))
    assert_labels_belong(chosen)


def test_set_clean_leaves_something_to_train_on(splits):
    with pytest.raises(InputError, match="leave examples to train on"):
        splits.set_clean(np.arange(24))


def test_set_clean_wants_every_class(splits):
    with pytest.raises(InputError, match=r"no example of class 2 \(cat\)"):
        splits.set_clean(np.array([0, 1, 3, 4]))


@pytest.mark.parametrize("per_class, drawn", [(2, 2), (3, 3), (4, 3), (9, 3)])
def test_rare_classes_give_all_but_one(per_class, drawn):
    # Classes of 10, 9 and 4 examples.
    labels = np.array([0] * 10 + [1] * 9 + [2] * 4)
    train = Arrays(examples(0, 23).x, labels)
    rare = Splits(train, examples(300, 9), NAMES)
    got = rare.draw_clean(per_class, seed=0, fewer_if_rare=True)
    np.testing.assert_array_equal(
        np.bincount(got.clean.labels), [per_class, min(per_class, 8), drawn]
    )
    if per_class > 3:
        with pytest.raises(InputError, match="with 4 of class 2|with 9 of"):
            rare.draw_clean(per_class, seed=0)


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_too_rare_for_any_rule(count):
    labels = np.array([0, 0, 1, 1, 2][: 4 + count])
    train = Arrays(examples(0, 4 + count).x, labels)
    rare = Splits(train, examples(300, 9), NAMES)
    with pytest.raises(InputError, match=f"with {count} of class 2"):
        rare.draw_clean(1, seed=0, fewer_if_rare=True)


def test_twins_may_be_examples_of_their_own(splits):
    x = np.zeros_like(splits.train.x)
    alike = replace(splits, train=Arrays(x, splits.train.labels))
    with pytest.raises(InputError, match="with 0 of class 0"):
        alike.draw_clean(2, seed=0)
    drawn = replace(alike, twins_are_one=False).draw_clean(2, seed=0)
    assert len(drawn.clean) == 6 and len(drawn.train) == 18


def test_human_labels_stay_with_their_examples(splits):
    human = {"worst": np.arange(24), "best": -np.arange(24)}
    splits = replace(splits, human_labels=human)
    for part in (
        splits.draw_clean(2, seed=0),
        splits.hold_out(0.25, seed=0),
        splits.hold_out(0.25, seed=0).draw_clean(2, seed=0),
    ):
        left = np.array(ids(part.train.x))
        assert len(left) < 24
        np.testing.assert_array_equal(part.human_labels["worst"], left)
        np.testing.assert_array_equal(part.human_labels["best"], -left)


@pytest.fixture(params=["files", "disk", "stream"])
def elsewhere(request, tmp_path):
    """As `splits`, with inputs that lie in no array."""
    x = np.zeros((33, 1, 1, 3), np.uint8)
    x[..., 0] = np.arange(33)[:, np.newaxis, np.newaxis]
    labels = np.arange(33) % 3
    parts = []
    for chosen in (slice(0, 24), slice(24, 33)):
        if request.param == "stream":
            pairs = tf.data.Dataset.from_tensor_slices((x, labels))
            part = Stream(pairs).take(np.arange(33)[chosen])
        elif request.param == "disk":
            np.save(tmp_path / "x.npy", x)
            rows = np.arange(33)[chosen]
            part = DiskArrays(tmp_path / "x.npy", labels[chosen], rows)
        else:
            paths = [tmp_path / f"{index}.png" for index in range(33)]
            for path, image in zip(paths, x):
                Image.fromarray(image).save(path)
            part = ImageFiles(paths[chosen], labels[chosen], (1, 1))
        parts.append(part)
    return Splits(*parts, NAMES).checked()


def numbers(part):
    batches = list(part.batches(5).as_numpy_iterator())
    x, labels = (np.concatenate(arrays) for arrays in zip(*batches))
    first = x[:, 0, 0, 0].astype(int)
    np.testing.assert_array_equal(labels, part.labels)
    np.testing.assert_array_equal(labels, first % 3)
    return first.tolist()


def test_a_clean_set_is_drawn_from_what_lies_elsewhere(elsewhere):
    drawn = elsewhere.draw_clean(2, seed=0)
    assert type(drawn.clean) is type(elsewhere.train)
    np.testing.assert_array_equal(np.bincount(drawn.clean.labels), [2, 2, 2])
    both = numbers(drawn.clean) + numbers(drawn.train)
    assert sorted(both) == list(range(24)) and len(drawn.train) == 18


def test_a_test_set_is_held_out_of_what_lies_elsewhere(elsewhere):
    held = elsewhere.hold_out(0.25, seed=0)
    assert len(held.test) == 6
    both = numbers(held.test) + numbers(held.train)
    assert sorted(both) == list(range(24))


def test_the_same_examples_are_drawn_wherever_they_lie(elsewhere, splits):
    drawn = splits.hold_out(0.25, seed=1).draw_clean(2, seed=1)
    other = elsewhere.hold_out(0.25, seed=1).draw_clean(2, seed=1)
    assert numbers(other.clean) == ids(drawn.clean.x)


def files(folder, contents):
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{folder.name}{number}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), content, np.uint8)).save(paths[-1])
    return ImageFiles(paths, np.arange(len(contents)) % 3, (4, 4))


def test_twins_among_files_are_seen_in_another_set(tmp_path):
    train = files(tmp_path / "train", range(12))
    test = files(tmp_path / "test", [90, 91, 5])
    splits = Splits(train, test, NAMES)
    for seed in range(10):
        drawn = splits.draw_clean(2, seed)
        assert tmp_path / "train/train5.png" not in drawn.clean.paths
    with pytest.raises(
        InputError,
        match="overlap the test set. .* clean .*train5.png and .*test2.png",
    ):
        splits.set_clean(np.arange(3, 6))


def change(splits, which, **arrays):
    part = getattr(splits, which)
    arrays = {"x": part.x, "labels": part.labels, **arrays}
    return replace(splits, **{which: Arrays(arrays["x"], arrays["labels"])})


@pytest.mark.parametrize(
    "arrays, told",
    [
        ({"labels": np.full(9, 3)}, r"in \[0, 3\). .*label 3 at example 0"),
        ({"labels": np.full(9, -1)}, "labels >= 0. .*label -1 at example 0"),
        ({"labels": np.eye(3)[[0] * 9]}, r"class ids .*shape \(9, 3\)"),
        ({"x": np.zeros((9, 3))}, r"inputs of shape \(2,\), .*: \(3,\)"),
        ({"x": np.full((9, 2), np.nan)}, "NaN or infinity in example 0"),
    ],
)
def test_what_is_checked_of_each_split(arrays, told, splits):
    for which in ("train", "test") if "x" not in arrays else ("test",):
        broken = change(splits, "test", **arrays)
        if which == "train":
            broken = replace(splits, train=broken.test)
        with pytest.raises(InputError, match=f"The {which} set .*{told}"):
            broken.checked()


def test_labels_of_files_are_checked_too(tmp_path):
    train = files(tmp_path / "train", range(12))
    test = train.relabel(np.full(12, 3))
    with pytest.raises(InputError, match=r"label 3 at .*train0.png\."):
        Splits(train, test, NAMES).checked()


def test_there_are_as_many_classes_as_names(splits):
    assert splits.num_classes == 3


def test_equal_inputs_are_counted():
    x = np.arange(24, dtype=np.float32)[:, np.newaxis]
    labels = np.arange(24) % 3
    x[[5, 7, 9]] = x[[2, 3, 4]]  # of the classes 2 and 2, 1 and 0, 0 and 1
    # Another dtype, in which two test inputs are training inputs.
    test = Arrays(np.array([[3.0], [99.0], [6.0]]), np.array([0, 1, 2]))
    splits = Splits(Arrays(x, labels), test, NAMES, notes=("Old.",))
    assert splits.with_twin_notes().notes == (
        "Old.",
        "2 of 3 test inputs are training inputs too, such as test example 0 "
        "and train example 3.",
        "2 of 24 training inputs equal another training input of another "
        f"class, such as example 7 ({NAMES[1]}) and example 3 ({NAMES[0]}).",
    )
    apart = replace(splits, twins_are_one=False)
    assert apart.with_twin_notes() is apart


def test_overlap_with_the_clean_set_is_counted_with_ten_examples():
    x = np.arange(40, dtype=np.float32)[:, np.newaxis]
    train = Arrays(x, np.arange(40) % 3)
    splits = Splits(train, Arrays(-1 - x, train.labels), NAMES)
    clean = train.take(np.arange(12))
    with pytest.raises(
        InputError, match="12 inputs of train that are clean inputs too"
    ) as caught:
        replace(splits, clean=clean).checked()
    assert str(caught.value).count(" and train example ") == 10
