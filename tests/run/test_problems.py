import dataclasses
import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import datasets
from mlc_tf.data import instance_noise
from mlc_tf.data import noise
from mlc_tf.data.examples import ImageFiles
from mlc_tf.data.examples import Stream
from mlc_tf.datasets import digits
from mlc_tf.errors import InputError
from mlc_tf.run import problems
from mlc_tf.run import training
from tests.support import own_arrays
from tests.support import small

T = np.array([[0.7, 0.3], [0.1, 0.9]])


def small_npz(path, **overrides):
    """Sixty examples of two classes, without a clean set."""
    own = own_arrays(path, x_clean=None, y_clean=None)
    own.update({"noise.kind": "pair", "noise.ratio": 0.2, **overrides})
    return small(**own)


def checksum(x):
    """A label that an image keeps wherever it goes."""
    return np.asarray(x).sum(axis=(1, 2, 3)).astype(int) % 10


def with_human_labels(options):
    splits = digits.load(options)
    labels = checksum(splits.train.x)
    sets = {"worst": labels, "best": splits.train.labels.copy()}
    return dataclasses.replace(splits, human_labels=sets)


def streamed(options):
    """Digits as TFDS would yield them, to be decoded from strings."""
    splits = digits.load(options)

    def decode(raw):
        return tf.reshape(tf.io.decode_raw(raw, tf.float32), (8, 8, 1))

    def stream(examples):
        raw = [row.tobytes() for row in examples.x]
        elements = tf.data.Dataset.from_tensor_slices((raw, examples.labels))
        return Stream(elements, decode)

    return dataclasses.replace(
        splits, train=stream(splits.train), test=stream(splits.test)
    )


@pytest.fixture
def as_stream(monkeypatch):
    monkeypatch.setitem(datasets.DATASETS, "streamed", streamed)


@pytest.fixture
def human(monkeypatch):
    monkeypatch.setitem(datasets.DATASETS, "human", with_human_labels)


def test_the_problem_is_what_the_config_says():
    problem = problems.load(small())
    assert len(problem.noisy) == 1247 and len(problem.clean) == 50
    assert len(problem.test) == 500
    np.testing.assert_array_equal(np.bincount(problem.clean.labels), 5)
    assert problem.class_names == tuple("0123456789")
    expected = noise.transition_matrix("flip_to_one", 10, 0.4, seed=0)
    np.testing.assert_array_equal(problem.true_transition, expected)
    shown = np.array(problem.noise_report["empirical_transition"])
    error = np.abs(shown - expected).max()
    assert error < 0.5 / 100  # counts are rounded, classes have above 100


def test_a_validation_set_replaces_the_test_set():
    config = small(**{"dataset.validation": 0.25})
    problem, truth = problems.load_with_truth(config)
    assert len(problem.test) == round(0.25 * 1297)
    assert len(problem.noisy) == len(truth) == 1297 - len(problem.test) - 50
    train = {row.tobytes(): label for row, label in labelled_digits()}
    # It is measured on true labels.
    for row, label in zip(problem.test.x, problem.test.labels):
        assert train[row.tobytes()] == label


@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_the_seed_draws_the_clean_and_the_validation_set(validation):
    def drawn(seed, name):
        config = small(**{"dataset.validation": validation, "seed": seed})
        return {row.tobytes() for row in getattr(problems.load(config), name).x}

    for name in ("clean", "test"):
        assert drawn(1, name) == drawn(1, name)
        fixed = name == "test" and not validation
        assert (drawn(1, name) == drawn(2, name)) == fixed


def test_the_notes_of_a_dataset_are_those_of_the_problem(monkeypatch):
    noted = dataclasses.replace(digits.load(), notes=("Small.", "Grey."))
    monkeypatch.setitem(datasets.DATASETS, "digits", lambda options: noted)
    assert problems.load(small()).notes == ("Small.", "Grey.")


def labelled_digits():
    train = digits.load().train
    return zip(train.x, train.labels)


@pytest.mark.parametrize("kind", ["flip_random", "instance"])
def test_load_with_truth_tells_the_true_labels(kind):
    config = small(seed=1, **{"noise.kind": kind})
    problem, truth = problems.load_with_truth(config)
    train = {row.tobytes(): label for row, label in labelled_digits()}
    assert [train[row.tobytes()] for row in problem.noisy.x] == truth.tolist()
    np.testing.assert_allclose(np.mean(problem.noisy.labels != truth), 0.4, 0.1)
    again = problems.load(config)
    np.testing.assert_array_equal(again.noisy.labels, problem.noisy.labels)


def arrays_in(thing):
    """Every array and list of numbers that can be reached from an object."""
    if isinstance(thing, (np.ndarray, np.generic, tf.Tensor)):
        yield np.asarray(thing)
    elif isinstance(thing, dict):
        yield from arrays_in(list(thing.values()))
    elif isinstance(thing, (list, tuple)):
        if all(isinstance(item, (int, float)) for item in thing):
            yield np.array(thing)
        for item in thing:
            yield from arrays_in(item)
    elif hasattr(thing, "__dict__"):
        yield from arrays_in(vars(thing))


def tells(problem, truth):
    """Whether some array in it holds the labels, as ids or row by row."""
    return any(
        len(array) == len(truth)
        and np.mean(array.reshape(len(truth), -1)[:, 0] == truth) > 0.5
        for array in arrays_in(problem)
        if array.ndim
    )


@pytest.mark.parametrize("kind", ["flip_random", "instance", "human:worst"])
def test_true_labels_of_noisy_examples_are_nowhere_in_a_problem(kind, human):
    config = small(**{"noise.kind": kind, "noise.ratio": 0.9})
    config.dataset.name = "human"
    problem, truth = problems.load_with_truth(config)
    list(problem.noisy.batches(500))  # makes its tensors
    assert not tells(problem, truth)
    told = dataclasses.replace(problem, noisy=problem.noisy.relabel(truth))
    assert tells(told, truth)


def test_true_labels_cannot_be_had_from_the_images():
    config = small(**{"noise.kind": "uniform", "noise.ratio": 1.0})
    problem = problems.load(config)
    # Labels drawn without regard to the image agree with it by chance.
    x, labels = problem.noisy.x, problem.noisy.labels
    clean_x, clean_labels = problem.clean.x, problem.clean.labels
    distances = ((x[:, None] - clean_x[None]) ** 2).sum(axis=(2, 3, 4))
    nearest = clean_labels[distances.argmin(axis=1)]
    assert np.mean(labels == nearest) < 0.15


@pytest.mark.parametrize("mode", noise.MODES)
def test_labels_are_those_of_corrupt(mode):
    overrides = {"noise.kind": "pair", "noise.mode": mode, "seed": 3}
    problem, truth = problems.load_with_truth(small(**overrides))
    result = noise.corrupt(truth, "pair", 0.4, 3, mode)
    np.testing.assert_array_equal(problem.noisy.labels, result.labels)
    np.testing.assert_array_equal(problem.true_transition, result.expected)


def test_instance_noise_sees_the_inputs():
    config = small(**{"noise.kind": "instance", "seed": 3})
    problem, truth = problems.load_with_truth(config)
    whole = [(problem.noisy.x, truth)]
    result = instance_noise.corrupt(whole, 10, 0.4, 3)
    np.testing.assert_array_equal(problem.noisy.labels, result.labels)
    # In float32, by batches of another size: the last bits differ.
    np.testing.assert_allclose(
        problem.true_transition, result.expected, rtol=1e-5
    )


def test_an_image_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    paths = [tmp_path / f"{index}.png" for index in range(20)]
    for index, path in enumerate(paths):
        path.write_text("no image" + index * " ")
    files = ImageFiles(paths, np.arange(20) % 2, (8, 8))
    splits = datasets.Splits(files, files, ("even", "odd"), twins_are_one=False)
    monkeypatch.setitem(datasets.DATASETS, "files", lambda options: splits)
    config = small(**{"dataset.name": "files", "noise.kind": "instance"})
    with pytest.raises(InputError, match=r"Received: .*\.png, which is not"):
        problems.load(config)


@pytest.mark.parametrize("suffix", ["npy", "csv"])
def test_a_transition_in_a_file(suffix, tmp_path):
    path = tmp_path / f"T.{suffix}"
    np.save(path, T) if suffix == "npy" else np.savetxt(path, T, delimiter=",")
    overrides = {"noise.kind": f"file:{path}", "clean.per_class": 10}
    problem, truth = problems.load_with_truth(
        small_npz(tmp_path / "own.npz", **overrides)
    )
    np.testing.assert_array_equal(problem.true_transition, T)
    assert len(truth) == 40
    for label, wrong in ((0, 6), (1, 2)):  # of 20
        assert np.sum(problem.noisy.labels[truth == label] != label) == wrong


def test_a_transition_of_other_classes_is_refused(tmp_path):
    np.save(tmp_path / "T.npy", T)
    config = small(**{"noise.kind": f"file:{tmp_path / 'T.npy'}"})
    with pytest.raises(InputError, match=r"`transition` .* shape \(10, 10\)"):
        problems.load(config)


@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_human_labels_stay_with_their_images(validation, human):
    overrides = {"dataset.name": "human", "noise.kind": "human:worst"}
    config = small(**overrides, **{"dataset.validation": validation})
    problem, truth = problems.load_with_truth(config)
    given = problem.noisy.labels
    np.testing.assert_array_equal(given, checksum(problem.noisy.x))
    # The clean set and the one to measure on keep the true ones.
    train = {row.tobytes(): label for row, label in labelled_digits()}
    for row, label in zip(problem.clean.x, problem.clean.labels):
        assert train[row.tobytes()] == label
    shown = noise.empirical_transition(truth, given, 10)
    np.testing.assert_array_equal(problem.true_transition, shown)
    report = problem.noise_report
    assert report["kind"] == "human:worst" and report["empirical_l1"] == 0
    assert report["mode"] is None and report["ratio"] is None


def test_an_unknown_human_set_names_the_known(human):
    config = small(**{"dataset.name": "human", "noise.kind": "human:wrost"})
    with pytest.raises(
        InputError,
        match="`noise.kind` should be one of human:worst, human:best. "
        "Received: `noise.kind` = 'human:wrost'. Did you mean 'human:worst'",
    ):
        problems.load(config)


def test_human_labels_of_a_dataset_without_are_refused():
    with pytest.raises(InputError, match="one of uniform, .*, instance. Rec"):
        problems.load(small(**{"noise.kind": "human:worst"}))


def test_labels_that_are_noisy_as_they_come(tmp_path):
    problem, truth = problems.load_with_truth(
        small(**own_arrays(tmp_path / "own.npz"))
    )
    assert truth is problem.true_transition is problem.noise_report is None
    with np.load(tmp_path / "own.npz") as own:
        np.testing.assert_array_equal(problem.noisy.labels, own["y_train"])
        np.testing.assert_array_equal(problem.clean.x, own["x_clean"])


@pytest.mark.parametrize(
    "changes, overrides, message",
    [
        ({}, {"noise.kind": "uniform"}, "`noise.kind` should be 'none'"),
        ({}, {"dataset.validation": 1.0}, "`dataset.validation` should be in"),
        (
            {"x_test": None, "y_test": None},
            {"dataset.validation": 1.0},
            "`dataset.validation` should be in",
        ),
    ],
)
def test_what_does_not_go_together(changes, overrides, message, tmp_path):
    own = own_arrays(tmp_path / "own.npz", **changes)
    with pytest.raises(InputError, match=message):
        problems.load(small(**{**own, **overrides}))


NO_TEST = {"x_test": None, "y_test": None}
NO_CLEAN = {"x_clean": None, "y_clean": None}


@pytest.mark.parametrize(
    "left_out, overrides, tested, evaluated_on, said",
    [
        ({}, {}, 10, "test", []),
        (NO_CLEAN, {}, 10, "test", []),
        (NO_TEST, {}, 6, "noisy_validation", ["no test set", "given labels"]),
        (
            NO_TEST | NO_CLEAN,
            {"dataset.validation": 0.5},
            30,
            "noisy_validation",
            ["no test set: 30 of 60", "on 30 of 60 training"],
        ),
        (
            {},
            {"dataset.validation": 0.2},
            12,
            "noisy_validation",
            ["how often the network agrees"],
        ),
        (
            NO_TEST | NO_CLEAN,
            {"noise.kind": "uniform", "clean.per_class": 3},
            6,
            "validation",
            ["no test set: 6 of 60"],
        ),
    ],
)
def test_held_out_examples_take_the_place_of_a_test_set(
    left_out, overrides, tested, evaluated_on, said, tmp_path
):
    own = own_arrays(tmp_path / "own.npz", **left_out)
    problem, truth = problems.load_with_truth(small(**{**own, **overrides}))
    assert problem.evaluated_on == evaluated_on
    assert len(problem.test) == tested
    notes = " ".join(problem.notes)
    assert all(text in notes for text in said)
    assert said or "held out" not in notes
    with np.load(tmp_path / "own.npz") as file:
        x, y = file["x_train"], file["y_train"]
    if evaluated_on == "test":
        return
    # No example is in two sets, none is lost, and each keeps its label.
    labels = problem.noisy.labels if truth is None else truth
    of_train = dict(zip(map(bytes, x), y))
    parts = [(problem.noisy.x, labels), (problem.test.x, problem.test.labels)]
    if "clean.per_class" in overrides:
        parts.append((problem.clean.x, problem.clean.labels))
    found = [pair for x, y in parts for pair in zip(map(bytes, x), y)]
    assert len(found) == 60 and dict(found) == of_train


def test_no_trusted_set_may_be_asked_for():
    with_set = problems.load(small())
    without = problems.load(small(**{"clean.per_class": 0}))
    assert without.clean is None
    assert len(without.noisy) == len(with_set.noisy) + len(with_set.clean)
    with pytest.raises(InputError, match="`folds` should be 0 without"):
        without.folds(2, seed=0)
    with pytest.raises(InputError, match="`clean.per_class` should be"):
        problems.load(small(**{"clean.per_class": -1}))


def test_a_clean_set_of_the_data_is_not_left_out_in_silence(tmp_path):
    own = own_arrays(tmp_path / "own.npz")
    with pytest.raises(InputError, match="`clean.per_class` should be left ou"):
        problems.load(small(**{**own, "clean.per_class": 0}))


@pytest.mark.parametrize(
    "kind, ratio, mode",
    [("pair", 0.25, "iid"), ("instance", 0.25, None), ("file", None, "iid")],
)
def test_the_noise_report_tells_what_was_injected(kind, ratio, mode, tmp_path):
    if kind == "file":
        np.save(tmp_path / "T.npy", T)
        kind = f"file:{tmp_path / 'T.npy'}"
    config = small_npz(tmp_path / "own.npz")
    config.update({"seed": 5, "clean": {"per_class": 3}})
    config.noise.update({"kind": kind, "ratio": 0.25, "mode": "iid"})
    problem, truth = problems.load_with_truth(config)
    given, report = problem.noisy.labels, problem.noise_report
    changed = sum(a != b for a, b in zip(truth, given))
    counts = np.array(
        [[np.sum((truth == i) & (given == j)) for j in (0, 1)] for i in (0, 1)]
    )
    shares = counts / counts.sum(axis=1, keepdims=True)
    expected = problem.true_transition
    digest = hashlib.blake2b(given.astype("<i8").tobytes(), digest_size=16)
    assert 0 < changed < 54
    assert json.loads(json.dumps(report)) == {
        "kind": kind,
        "ratio": ratio,
        "mode": mode,
        "seed": 5,
        "target_seed": None,
        "examples": 54,
        "changed": changed,
        "changed_share": changed / 54,
        "class_names": ["0", "1"],
        "true_counts": [27, 27],
        "noisy_counts": counts.sum(axis=0).tolist(),
        "expected_transition": expected.tolist(),
        "empirical_transition": shares.tolist(),
        "empirical_l1": pytest.approx(np.abs(shares - expected).sum() / 2),
        "labels_digest": digest.hexdigest(),
    }


def test_the_digest_is_that_of_the_labels():
    def digest(**overrides):
        report = problems.load(small(**overrides)).noise_report
        return report["labels_digest"]

    first = digest()
    assert digest(**{"method.name": "ce_control"}) == first
    assert len({first, digest(seed=1), digest(**{"noise.ratio": 0.3})}) == 3


def test_the_digest_does_not_depend_on_the_dtype(tmp_path):
    labels = np.arange(60) % 2
    digests = set()
    for dtype in (np.uint8, np.int32, np.int64):
        config = small_npz(tmp_path / "own.npz")
        with np.load(tmp_path / "own.npz") as own:
            arrays = {**own, "y_train": labels.astype(dtype)}
        np.savez(tmp_path / "own.npz", **arrays)
        problem = problems.load(config)
        assert problem.noisy.labels.dtype == np.int64
        digests.add(problem.noise_report["labels_digest"])
    assert len(digests) == 1


@pytest.mark.parametrize("kind", ["flip_to_one", "instance"])
def test_a_stream_gets_the_labels_that_arrays_get(kind, as_stream):
    overrides = {"noise.kind": kind, "dataset.validation": 0.1}
    arrays, truth = problems.load_with_truth(small(**overrides))
    stream, same_truth = problems.load_with_truth(
        small(**overrides, **{"dataset.name": "streamed"})
    )
    assert isinstance(stream.noisy, Stream)
    np.testing.assert_array_equal(same_truth, truth)
    assert stream.noise_report == arrays.noise_report
    for name in ("noisy", "clean", "test"):
        expected = getattr(arrays, name)
        parts = getattr(stream, name).batches(300).as_numpy_iterator()
        x, labels = (np.concatenate(part) for part in zip(*parts))
        np.testing.assert_array_equal(x, expected.x)
        np.testing.assert_array_equal(labels, expected.labels)


def test_a_run_on_a_stream_learns_and_keeps_its_noise_report(
    as_stream, tmp_path
):
    overrides = {"dataset.name": "streamed", "train.epochs": 1}
    result = training.run(small(**overrides), tmp_path, verbose=0)
    assert result["train_steps"] == 1247 // 32
    assert result["test_accuracy"] > 0.2  # as in arrays, above chance
    report = json.loads((tmp_path / "noise.json").read_text())
    assert report == problems.load(small()).noise_report


def test_runs_of_other_seeds_flip_to_the_same_classes():
    first, second = (problems.load(small(seed=seed)) for seed in (0, 1))
    np.testing.assert_array_equal(first.true_transition, second.true_transition)
    assert np.any(first.noisy.labels != second.noisy.labels)
    other = problems.load(small(**{"noise.target_seed": 1}))
    np.testing.assert_array_equal(
        other.true_transition,
        noise.transition_matrix("flip_to_one", 10, 0.4, seed=1),
    )
    assert other.noise_report["target_seed"] == 1


def test_folds_divide_the_trusted_set():
    problem = problems.load(small())  # 5 of each class
    folds = problem.folds(2, seed=3)
    assert [len(fold.test) for fold in folds] == [30, 20]
    seen = np.concatenate([fold.test.x for fold in folds])
    order = np.lexsort(seen.reshape(50, -1).T)
    whole = problem.clean.x[np.lexsort(problem.clean.x.reshape(50, -1).T)]
    np.testing.assert_array_equal(seen[order], whole)
    for fold in folds:
        assert len(fold.clean) + len(fold.test) == 50
        assert np.all(np.bincount(fold.clean.labels) >= 2)
        np.testing.assert_array_equal(fold.noisy.labels, problem.noisy.labels)
    again = problem.folds(2, seed=3)
    np.testing.assert_array_equal(again[0].test.x, folds[0].test.x)


def test_the_only_trusted_example_of_a_class_stays_trusted():
    problem = problems.load(small())
    kept = np.flatnonzero(problem.clean.labels != 7)
    one = np.flatnonzero(problem.clean.labels == 7)[:1]
    problem = dataclasses.replace(
        problem, clean=problem.clean.take(np.sort([*kept, *one]))
    )
    for fold in problem.folds(5, seed=0):
        assert np.sum(fold.clean.labels == 7) == 1
        assert 7 not in fold.test.labels


def test_more_folds_than_trusted_examples_are_refused():
    with pytest.raises(InputError, match="at most the trusted.* class, 5"):
        problems.load(small()).folds(6, seed=0)
