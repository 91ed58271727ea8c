import itertools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.data import checks
from mlc_tf.data import examples
from mlc_tf.data import images as images_module
from mlc_tf.data import sources
from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import DiskArrays
from mlc_tf.data.examples import ImageFiles
from mlc_tf.data.examples import Stream
from mlc_tf.errors import InputError

SHAPE = (4, 5, 3)
FORMS = ("arrays", "disk", "files", "stream", "decoded")


def images(first, count):
    """Images that show their number, in every pixel and first of all."""
    rows = [
        np.random.default_rng(number).integers(0, 256, SHAPE, np.uint8)
        for number in range(first, first + count)
    ]
    x = np.stack(rows)
    x[:, 0, 0, 0] = np.arange(first, first + count)
    return x


def labels_of(x):
    """A label that shows whether it still belongs to its example."""
    return (x[:, 0, 0, 0].astype(int) * 7 + 3) % 5


def encoded(x):
    return [tf.io.encode_png(image).numpy() for image in x]


def decode(png):
    return tf.ensure_shape(tf.io.decode_png(png, channels=3), SHAPE)


def write(folder, x, first=0):
    paths = [folder / f"{first + index}.png" for index in range(len(x))]
    for path, content in zip(paths, encoded(x)):
        path.write_bytes(content)
    return paths


def build(form, folder, first, count):
    x = images(first, count)
    labels = labels_of(x)
    if form == "arrays":
        return Arrays(x, labels)
    if form == "disk":
        path = folder / f"{first}_{count}.npy"
        np.save(path, x)
        return DiskArrays(path, labels)
    if form == "files":
        return ImageFiles(write(folder, x, first), labels, SHAPE[:2])
    inputs = x if form == "stream" else encoded(x)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels))
    return Stream(dataset, decode if form == "decoded" else None)


@pytest.fixture(params=FORMS)
def make(request, tmp_path):
    """Builds examples FIRST, FIRST + 1, ... in each of the forms."""

    def built(first, count):
        return build(request.param, tmp_path, first, count)

    return built


def content(source, size=3):
    """Returns all inputs and labels, in order."""
    parts = zip(*source.batches(size).as_numpy_iterator())
    return tuple(np.concatenate(part) for part in parts)


def assert_holds(source, numbers):
    x, labels = content(source)
    expected = images(0, max(numbers) + 1)[numbers]
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(labels, labels_of(expected))
    np.testing.assert_array_equal(source.labels, labels)
    assert len(source) == len(numbers)


def numbers_of(x):
    return x[..., 0, 0, 0].astype(int)


def loaded(source, key, size, steps):
    batches = source.raw_batches(tf.constant(key, tf.int64), size, steps)
    # Zipped, for `map` would spread the (x, label) of a stream.
    return tf.data.Dataset.zip((batches,)).map(source.load)


def drawn(source, key, size, steps):
    """Returns the numbers of the examples of raw batches, `(steps, size)`."""
    numbers = []
    for x, labels in loaded(source, key, size, steps).as_numpy_iterator():
        np.testing.assert_array_equal(labels, labels_of(x))
        np.testing.assert_array_equal(x, images(0, 8)[numbers_of(x)])
        numbers.append(numbers_of(x))
    return np.array(numbers)


def test_batches_are_in_order_and_the_last_is_smaller(make):
    source = make(0, 7)
    assert_holds(source, list(range(7)))
    sizes = [len(x) for x, _ in source.batches(3)]
    assert sizes == [3, 3, 1]
    assert source.input_spec == tf.TensorSpec(SHAPE, tf.uint8)
    x, _ = source.batches(3).element_spec
    assert x.shape[1:] == SHAPE and x.dtype == tf.uint8


def test_take_keeps_each_label_with_its_input(make):
    source = make(0, 8)
    taken = source.take(np.array([1, 2, 5, 7]))
    assert_holds(taken, [1, 2, 5, 7])
    assert_holds(taken.take(np.array([0, 3])), [1, 7])
    assert_holds(source, list(range(8)))


def test_take_of_examples_whose_labels_were_read(make):
    source = make(0, 6)
    assert len(source.labels) == 6
    assert_holds(source.take(np.array([2, 4])), [2, 4])


@pytest.mark.parametrize(
    "labels",
    [np.array([9, 8, 7, 6], np.int32), np.eye(4, dtype=np.float32)],
    ids=["ids", "soft"],
)
def test_relabel_changes_the_labels_alone(make, labels):
    source = make(0, 4)
    changed = source.relabel(labels)
    x, given = content(changed)
    np.testing.assert_array_equal(x, images(0, 4))
    np.testing.assert_array_equal(given, labels)
    assert given.dtype == labels.dtype
    np.testing.assert_array_equal(changed.labels, labels)
    assert_holds(source, list(range(4)))
    x, given = content(changed.take(np.array([1, 3])))
    np.testing.assert_array_equal(numbers_of(x), [1, 3])
    np.testing.assert_array_equal(given, labels[[1, 3]])


def test_what_was_taken_can_be_relabelled(make):
    taken = make(0, 6).take(np.array([0, 3, 5])).relabel(np.array([4, 5, 6]))
    x, labels = content(taken)
    np.testing.assert_array_equal(numbers_of(x), [0, 3, 5])
    np.testing.assert_array_equal(labels, [4, 5, 6])
    np.testing.assert_array_equal(taken.labels, [4, 5, 6])


def test_raw_batches_hold_every_example_once_per_pass(make):
    numbers = drawn(make(0, 6), [0, 1], size=4, steps=5)
    assert numbers.shape == (5, 4)
    passes = numbers.ravel()[:18].reshape(3, 6)
    np.testing.assert_array_equal(np.sort(passes), [np.arange(6)] * 3)
    assert len(np.unique(passes, axis=0)) == 3


def test_raw_batches_are_a_function_of_the_key(make):
    source = make(0, 8)
    tf.random.set_seed(1)
    first = drawn(source, [3, 4], 8, 2)
    tf.random.set_seed(2)
    np.testing.assert_array_equal(drawn(source, [3, 4], 8, 2), first)
    np.testing.assert_array_equal(drawn(make(0, 8), [3, 4], 8, 2), first)
    assert not np.array_equal(drawn(source, [3, 5], 8, 2), first)
    assert not np.array_equal(drawn(source, [4, 4], 8, 2), first)


def test_raw_batches_repeat_themselves_when_iterated_again(make):
    batches = loaded(make(0, 6), [0, 1], 6, 2)
    first, second = (
        [labels.tolist() for _, labels in batches.as_numpy_iterator()]
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_a_sample_has_the_size_asked_for_or_all(make, count):
    source = make(0, 7)
    sample = source.sample(count)
    numbers = numbers_of(sample)
    np.testing.assert_array_equal(sample, images(0, 7)[numbers])
    assert len(set(numbers)) == len(numbers) >= min(count, 7)


@pytest.mark.parametrize("form", ["disk", "files"])
def test_a_sample_is_spread_over_the_whole(form, tmp_path):
    source = build(form, tmp_path, 0, 7).take(np.arange(1, 7))
    np.testing.assert_array_equal(numbers_of(source.sample(2)), [1, 6])
    np.testing.assert_array_equal(numbers_of(source.sample(3)), [1, 3, 6])


@pytest.mark.parametrize("form", ["arrays", "disk", "files"])
def test_equal_inputs_have_equal_fingerprints(form, tmp_path):
    source = build(form, tmp_path, 0, 4)
    prints = source.fingerprints()
    assert len(set(prints)) == 4
    part = source.take(np.array([1, 3])).fingerprints()
    assert part == [prints[1], prints[3]]
    (tmp_path / "other").mkdir()
    twin = build(form, tmp_path / "other", 2, 1).fingerprints()
    assert twin == [prints[2]]


@pytest.mark.parametrize("form", ["arrays", "disk", "files"])
def test_one_other_pixel_is_another_fingerprint(form, tmp_path, monkeypatch):
    first = build(form, tmp_path, 0, 1).fingerprints()
    x = images(0, 1)
    x[-1, -1, -1, -1] ^= 1
    monkeypatch.setitem(globals(), "images", lambda first, count: x)
    assert build(form, tmp_path, 0, 1).fingerprints() != first


def test_a_stream_has_no_fingerprints(tmp_path):
    assert build("decoded", tmp_path, 0, 2).fingerprints() is None


def test_fingerprints_of_files_of_one_size_tell_their_content(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, text in zip(paths, ("same", "same", "else")):
        path.write_text(text)
    a, b, c = ImageFiles(paths, np.zeros(3, int), SHAPE[:2]).fingerprints()
    assert a == b != c


def test_names_are_those_of_files_or_numbers(tmp_path):
    assert build("arrays", tmp_path, 0, 3).name_of(2) == "example 2"
    source = build("files", tmp_path, 0, 3).take(np.array([0, 2]))
    assert source.name_of(1) == str(tmp_path / "2.png")


def test_names_and_texts_go_with_their_inputs(tmp_path):
    x = build("arrays", tmp_path, 0, 3).x
    texts = np.array(["a", "b", "c"])
    source = Arrays(x, np.zeros(3, int), ["p", "q", "r"], texts)
    chosen = source.take(np.array([0, 2])).relabel(np.ones(2, int))
    assert [chosen.text_of(index) for index in range(2)] == ["a", "c"]
    assert [chosen.name_of(index) for index in range(2)] == ["p", "r"]
    for kind in ("arrays", "files"):
        assert build(kind, tmp_path, 0, 3).text_of(1) is None


def test_a_stream_that_is_told_its_labels_reads_none():
    source, asked = flowing(6)
    told = Stream(source.dataset, labels=np.arange(6) % 5)
    assert told.labels[4] == 4 and asked == []
    np.testing.assert_array_equal(source.labels, told.labels)
    assert asked == list(range(6)) and len(source.labels) == 6
    assert len(asked) == 6


class Batches(keras.utils.PyDataset):
    def __init__(self, *batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


class WithoutLength(keras.utils.PyDataset):
    def __getitem__(self, index):
        return images(0, 2), np.array([0, 1])


@pytest.mark.parametrize("sizes", [[4], [3, 3], [3, 3, 1]])
@pytest.mark.parametrize("kind", [tuple, list])
def test_a_pydataset_flows_with_its_last_partial_batch(sizes, kind):
    x = images(0, sum(sizes))
    parts = np.split(x, np.cumsum(sizes)[:-1])
    source = sources.as_examples(
        "noisy", Batches(*(kind((part, labels_of(part))) for part in parts))
    )
    assert isinstance(source, Stream)
    assert_holds(source, list(range(sum(sizes))))
    assert source.input_spec == tf.TensorSpec(SHAPE, tf.uint8)


def test_a_dataset_becomes_a_stream():
    x = images(0, 5)
    dataset = tf.data.Dataset.from_tensor_slices((x, labels_of(x)))
    source = sources.as_examples("noisy", dataset)
    assert isinstance(source, Stream)
    assert_holds(source, list(range(5)))


@pytest.mark.parametrize("kind", [tuple, list])
def test_arrays_may_come_as_lists(kind):
    x = images(0, 3)
    pair = kind((x.tolist(), labels_of(x).tolist()))
    source = sources.as_examples("noisy", pair)
    assert isinstance(source, Arrays)
    assert_holds(source, [0, 1, 2])


def test_examples_pass_through(make):
    source = make(0, 3)
    assert sources.as_examples("noisy", source) is source


X = images(0, 2)


@pytest.mark.parametrize("which", ["noisy", "clean"])
@pytest.mark.parametrize(
    "source, message",
    [
        (None, r"`clean` .* \(x, labels\), a tf\.data\.Dataset"),
        ((X,), r"`clean` .* \(x, labels\), a tf\.data\.Dataset"),
        ((X, np.array([0, -1])), "clean set .* >= 0.* -1 at example 1"),
        (Batches(), "clean set should not be empty"),
        (WithoutLength(), "`clean` .* a PyDataset that has a length"),
        (Batches((X, X, X)), "clean set .* three parts; weights of noisy"),
        (
            Batches((X, np.array([0, 1])), X),
            r"`clean` .* PyDataset of batches \(x, labels\)",
        ),
        (Batches((X, np.ones(2))), "clean set .* integer class ids"),
    ],
)
def test_refused_sources(which, source, message):
    message = message.replace("clean", which)
    with pytest.raises(InputError, match=message):
        sources.as_examples(which, source)


@pytest.mark.parametrize(
    "first, second", list(itertools.combinations_with_replacement(FORMS, 2))
)
def test_join_holds_all_examples_of_both_once(first, second, tmp_path):
    joined = examples.join(
        build(first, tmp_path, 0, 5), build(second, tmp_path, 5, 3)
    )
    assert len(joined) == 8
    x, labels = content(joined)
    np.testing.assert_array_equal(np.sort(numbers_of(x)), np.arange(8))
    np.testing.assert_array_equal(x, images(0, 8)[numbers_of(x)])
    np.testing.assert_array_equal(labels, labels_of(x))
    np.testing.assert_array_equal(joined.labels, labels)


def test_joined_files_stay_files(tmp_path):
    first, second = (build("files", tmp_path, n, 2) for n in (0, 2))
    joined = examples.join(first, second)
    assert isinstance(joined, ImageFiles)
    assert joined.paths == first.paths + second.paths


def test_joined_streams_flow_in_proportion(tmp_path):
    first = build("stream", tmp_path, 0, 160)
    joined = examples.join(first, build("arrays", tmp_path, 160, 40))
    numbers = numbers_of(content(joined)[0])
    quarters = (numbers.reshape(4, 50) >= 160).sum(axis=1)
    # 10 of each; six standard deviations, drawn without replacement.
    assert quarters.sum() == 40 and abs(quarters - 10).max() < 15
    assert quarters.min() > 0


def test_joined_streams_have_an_order_whatever_the_global_seed(tmp_path):
    def order(seed):
        tf.random.set_seed(seed)
        joined = examples.join(
            build("stream", tmp_path, 0, 8), build("stream", tmp_path, 8, 8)
        )
        return numbers_of(content(joined)[0]).tolist()

    assert order(0) == order(1) == order(7)


def labelled(form, labels, shape=SHAPE):
    x = np.zeros((len(labels), *shape), np.uint8)
    if form == "arrays":
        return Arrays(x, labels)
    return Stream(tf.data.Dataset.from_tensor_slices((x, labels)))


JOINED = pytest.mark.parametrize(
    "first, second",
    [
        ("arrays", "arrays"),
        ("arrays", "stream"),
        ("stream", "arrays"),
        ("stream", "stream"),
    ],
)


@JOINED
@pytest.mark.parametrize("width", [3, None])
def test_join_wants_labels_of_one_kind(first, second, width):
    soft = np.eye(2)
    other = np.arange(2) if width is None else np.eye(2, width)
    with pytest.raises(
        InputError, match=r"the same kind.* \(2,\) and \((3,)?\)\."
    ):
        examples.join(labelled(first, soft), labelled(second, other))
    joined = examples.join(labelled(first, soft), labelled(second, soft))
    assert joined.labels.sum(axis=0).tolist() == [2, 2]


@JOINED
def test_join_wants_inputs_of_one_shape(first, second):
    ids = np.arange(2)
    with pytest.raises(
        InputError, match=r"the same shape.*\(4, 5, 3\) and \(4, 5, 1\)"
    ):
        examples.join(
            labelled(first, ids), labelled(second, ids, (*SHAPE[:2], 1))
        )


@JOINED
def test_join_takes_integers_of_two_sizes(first, second):
    joined = examples.join(
        labelled(first, np.array([1, 2], np.int32)),
        labelled(second, np.array([3, 4], np.int64)),
    )
    assert sorted(content(joined)[1].tolist()) == [1, 2, 3, 4]
    assert joined.labels.dtype == np.int64


@JOINED
def test_join_promotes_the_inputs_as_numpy_does(first, second):
    def source(form, x):
        if form == "arrays":
            return Arrays(x, np.arange(2))
        return Stream(tf.data.Dataset.from_tensor_slices((x, np.arange(2))))

    joined = examples.join(
        source(first, np.array([[1], [255]], np.uint8)),
        source(second, np.array([[0.5], [2.5]], np.float32)),
    )
    x, _ = content(joined)
    assert x.dtype == np.float32
    assert sorted(x.flat) == [0.5, 1, 2.5, 255]


# What the first pixels of 300 images show, 8 bits each.
WRAPPED = np.arange(300) % 256


def counting(folder, first, count, fail_at=None):
    """Returns a stream, and the list of what it has decoded so far."""
    seen = []

    def note(number):
        seen.append(int(number))
        if number == fail_at:
            raise RuntimeError("interrupted")
        return images(int(number), 1)[0]

    def decode_number(number):
        x = tf.numpy_function(note, [number], tf.uint8)
        return tf.ensure_shape(x, SHAPE)

    numbers = np.arange(first, first + count)
    labels = labels_of(images(first, count))
    dataset = tf.data.Dataset.from_tensor_slices((numbers, labels))
    return Stream(dataset, decode_number), seen


def test_in_memory_holds_the_same(make):
    kept = examples.in_memory(make(0, 5))
    assert isinstance(kept, Arrays)
    assert_holds(kept, list(range(5)))


def test_in_memory_reads_the_source_once(tmp_path):
    source, seen = counting(tmp_path, 0, 300)
    kept = examples.in_memory(source)
    content(kept), content(kept)
    assert sorted(seen) == list(range(300))
    assert examples.in_memory(kept) is kept


def test_on_disk_holds_the_same(make, tmp_path):
    kept = examples.on_disk(make(0, 5), tmp_path / "new" / "x.npy")
    assert isinstance(kept, DiskArrays)
    assert_holds(kept, list(range(5)))


def test_on_disk_decodes_the_source_once(tmp_path):
    source, seen = counting(tmp_path, 0, 300)
    path = tmp_path / "x.npy"
    first = examples.on_disk(source, path)
    assert sorted(seen) == list(range(300))
    second = examples.on_disk(source, path)
    np.testing.assert_array_equal(numbers_of(first.sample(300)), WRAPPED)
    np.testing.assert_array_equal(numbers_of(second.sample(300)), WRAPPED)
    assert len(seen) == 300


def test_on_disk_reads_no_file_a_second_time(tmp_path):
    source = build("files", tmp_path, 0, 4)
    path = tmp_path / "x.npy"
    examples.on_disk(source, path)
    for file in source.paths:
        file.unlink()
    assert_holds(examples.on_disk(source, path), [0, 1, 2, 3])


def test_an_interrupted_on_disk_leaves_nothing_and_can_be_repeated(tmp_path):
    folder = tmp_path / "cache"
    broken, seen = counting(tmp_path, 0, 300, fail_at=280)
    with pytest.raises(tf.errors.UnknownError, match="interrupted"):
        examples.on_disk(broken, folder / "x.npy")
    assert len(seen) > 256 and list(folder.iterdir()) == []
    whole, _ = counting(tmp_path, 0, 300)
    kept = examples.on_disk(whole, folder / "x.npy")
    np.testing.assert_array_equal(numbers_of(content(kept)[0]), WRAPPED)
    assert [path.name for path in folder.iterdir()] == ["x.npy"]


def test_two_that_write_the_same_file_do_not_meet(tmp_path, monkeypatch):
    path = tmp_path / "x.npy"
    inner, _ = counting(tmp_path, 0, 3)

    class Slow(Arrays):
        def batches(self, size):
            # Another process begins, and ends, while this one writes.
            with monkeypatch.context() as patch:
                patch.setattr("os.getpid", lambda: -1)
                examples.on_disk(inner, path)
            return super().batches(size)

    kept = examples.on_disk(Slow(images(0, 3), labels_of(images(0, 3))), path)
    assert_holds(kept, [0, 1, 2])
    assert [file.name for file in tmp_path.iterdir()] == ["x.npy"]


def test_disk_arrays_read_the_rows_they_are_told(tmp_path):
    np.save(tmp_path / "x.npy", images(0, 5))
    rows = np.array([4, 0, 2])
    source = DiskArrays(tmp_path / "x.npy", labels_of(images(0, 5))[rows], rows)
    assert_holds(source, [4, 0, 2])


def save(path, image):
    keras.utils.save_img(path, image, scale=False)
    return path


def test_files_of_several_sizes_make_one_batch(tmp_path):
    paths = [
        save(tmp_path / f"{height}.png", np.full((height, 3, 3), height))
        for height in (2, 5, 9)
    ]
    ((x, _),) = ImageFiles(paths, np.arange(3), (4, 6)).batches(3)
    expected = np.array([2, 5, 9])[:, None, None, None]
    np.testing.assert_array_equal(x, np.ones((3, 4, 6, 3)) * expected)


def cut(content):
    return content[: len(content) * 2 // 3]


@pytest.fixture
def spoilt(tmp_path):
    """Twelve image files, of which the eighth is cut off."""
    source = build("files", tmp_path, 0, 12)
    path = source.paths[7]
    path.write_bytes(cut(path.read_bytes()))
    message = f"Each image should be readable. Received: {path}, which is not ("
    return source, f"^{re.escape(message)}.*"


def test_an_unreadable_file_is_named_when_all_are_read(spoilt, tmp_path):
    source, message = spoilt
    with pytest.raises(InputError, match=message):
        examples.in_memory(source)
    with pytest.raises(InputError, match=message):
        examples.on_disk(source, tmp_path / "x.npy")
    assert not (tmp_path / "x.npy").exists()
    with pytest.raises(InputError, match=message):
        source.sample(12)
    with pytest.raises(InputError, match=message), checks.plain_errors():
        content(source)


def model():
    base = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    network = CrossEntropy(base)
    network.compile("sgd")
    return network


@pytest.mark.parametrize("which", ["noisy", "clean"])
def test_an_unreadable_file_is_named_by_fit(which, spoilt, tmp_path):
    source, message = spoilt
    halves = {
        "noisy": build("arrays", tmp_path, 0, 12),
        "clean": build("arrays", tmp_path, 0, 12),
        which: source,
    }
    with pytest.raises(InputError, match=message):
        model().fit(data.pair(**halves, batch_size=4), verbose=0)


def test_an_unreadable_file_is_named_by_evaluate(spoilt):
    source, message = spoilt
    with pytest.raises(InputError, match=message):
        model().evaluate(source.batches(4), verbose=0)


def test_a_bug_in_a_reader_is_no_input_error(tmp_path, monkeypatch):
    def broken(path, size):
        raise ValueError("a bug")

    source = build("files", tmp_path, 0, 3)
    monkeypatch.setattr(images_module, "read_image", broken)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a bug"):
        examples.in_memory(source)


def flowing(count):
    """Returns a stream of `count` numbers, and which were asked for."""
    asked = []

    def generate():
        for number in range(count):
            asked.append(number)
            yield number, number % 5

    dataset = tf.data.Dataset.from_generator(
        generate,
        output_signature=(
            tf.TensorSpec((), tf.int64),
            tf.TensorSpec((), tf.int64),
        ),
    ).apply(tf.data.experimental.assert_cardinality(count))
    return Stream(dataset), asked


def test_a_stream_is_not_read_beyond_its_shuffle_buffer(monkeypatch):
    monkeypatch.setattr(examples, "SHUFFLE_BUFFER", 20)
    source, asked = flowing(20_000)
    batches = source.raw_batches([0, 1], 4, 50).prefetch(0)
    x, _ = next(batches.as_numpy_iterator())
    # Two for each shuffled one that left, at most, or one batch ahead.
    assert 20 <= len(asked) <= 20 + 2 * 4
    assert len(x) == 4


def test_pairs_of_a_long_stream_begin_at_once(monkeypatch):
    monkeypatch.setattr(examples, "SHUFFLE_BUFFER", 20)
    source, asked = flowing(20_000)
    clean = np.arange(4), np.arange(4)
    pairs = data.pair(source, clean, 4, epochs=range(1))
    next(pairs.as_numpy_iterator())
    # The buffer, and what is loaded ahead.
    assert 20 <= len(asked) < 1000


def test_a_stream_is_shuffled_within_its_buffer(monkeypatch):
    monkeypatch.setattr(examples, "SHUFFLE_BUFFER", 20)
    source, _ = flowing(200)
    batches = source.raw_batches([0, 1], 1, 200).as_numpy_iterator()
    numbers = np.array([x[0] for x, _ in batches])
    ahead = numbers - np.arange(200)
    # Each is drawn from the 20 that were read and have not yet left.
    assert 10 <= ahead.max() <= 19
    np.testing.assert_array_equal(np.sort(numbers), np.arange(200))


def test_examples_stay_in_the_memory_of_the_host():
    """Another device may be in scope, such as a GPU: here the second CPU."""
    set_ = Arrays(np.zeros((4, 2), np.float32), np.arange(4))
    with tf.device("CPU:1"):
        next(iter(set_.batches(2)))
        x, labels = set_._as_tensors()
    assert {x.device[-5:], labels.device[-5:]} == {"CPU:0"}
