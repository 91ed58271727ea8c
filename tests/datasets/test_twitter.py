import functools
import os
import shutil

import numpy as np
import pytest

from mlc_tf import datasets
from mlc_tf.datasets import Options
from mlc_tf.datasets import tfds_loader
from mlc_tf.datasets import twitter
from mlc_tf.datasets import twitter_builder
from mlc_tf.errors import InputError

TRAIN = """\
@ann\t@
is\tV
running\tV

sing\tV
:)\tE
"""
DEV = "@bob\t@\nis\tV\nrunning\tV\nhome\tR\n"
TEST = "singing\tV\nZoning\tV\n\nis\tV\n"
FILES = {
    "tweets-train.txt": TRAIN,
    "tweets-dev.txt": DEV,
    "tweets-devtest.txt": TEST,
}


@pytest.fixture
def root(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def load(root):
    return functools.partial(
        datasets.load,
        "twitter",
        data_dir=str(root / "tfds"),
        manual_dir=str(root),
    )


def column(root, name, split="train"):
    options = Options(data_dir=str(root / "tfds"), manual_dir=str(root))
    builder = tfds_loader.prepared("twitter_pos", options, downloads=False)
    return tfds_loader.columns(builder, split, (name,))[0]


def of(words, feature):
    """The numbers of one feature of the words in the middle."""
    return words[:, 1, twitter.FEATURES.index(feature)].tolist()


def test_windows_end_with_their_tweet(root):
    assert column(root, "words").tolist() == [
        [b"</s>", b"@ann", b"is"],
        [b"@ann", b"is", b"running"],
        [b"is", b"running", b"</s>"],
        [b"</s>", b"sing", b":)"],
        [b"sing", b":)", b"</s>"],
    ]
    assert column(root, "tweet").tolist() == [0, 0, 0, 1, 1]
    assert column(root, "words", "test")[2].tolist() == [
        b"</s>",
        b"is",
        b"</s>",
    ]


def test_labels_are_tags_in_the_order_of_the_glc_code(load):
    splits = load()
    assert "".join(splits.class_names) == "NOS^ZLMVAR!DP&TXY#@~UE$,G"
    tags = [splits.class_names[label] for label in splits.train.labels]
    assert "".join(tags) == "@VVVE" + "@VVR"  # train, then dev
    assert splits.test.labels.tolist() == [7, 7, 7]
    assert splits.clean is None


def test_whole_tweets_are_held_out(load):
    splits = load()
    assert splits.groups.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert len({len(splits.hold_out(0.3, s).test) for s in range(9)}) == 3


def test_windows_can_be_read(load):
    splits = load()
    assert splits.train.text_of(0) == "</s> [@ann] is"
    assert splits.train.text_of(8) == "running [home] </s>"
    assert splits.test.text_of(0) == "</s> [singing] Zoning"


def test_inputs_are_numbers_of_words_and_of_what_their_letters_tell(load):
    splits = load()
    assert (
        splits.train.x.shape == (9, 3, 7) and splits.train.x.dtype == np.int32
    )
    # Seen twice: is and running, and the boundary, which comes first.
    assert of(splits.train.x, "word") == [0, 1 + 1, 3, 0, 0, 0, 2, 3, 0]
    assert splits.train.x[0, 0, 0] == splits.train.x[2, 2, 0] == 1
    # The last three letters, but one in "is"; seen twice are "ing" and "is".
    assert of(splits.train.x, "suffix3") == [0, 3, 2, 2, 0, 0, 3, 2, 0]


def test_words_seen_once_share_the_row_of_unknown_words(load):
    splits = load()
    seen_once = [0, 3, 4, 5, 8]  # @ann, sing, :), @bob, home
    words = np.array(of(splits.train.x, "word"))
    assert np.flatnonzero(words == 0).tolist() == seen_once
    assert of(splits.test.x, "word")[:2] == [0, 0]


def test_unknown_words_keep_what_their_letters_tell(load):
    splits = load()
    singing, zoning, known = splits.test.x[:, 1]
    running = splits.train.x[2, 1]
    ing = twitter.FEATURES.index("suffix3")
    assert singing[ing] == zoning[ing] == running[ing] > 0
    shape = twitter.FEATURES.index("shape")
    assert singing[shape] == running[shape] > 0
    assert zoning[shape] == 0  # no training word begins with a capital
    assert known[0] == splits.train.x[1, 1, 0] > 0
    assert (singing != zoning).any()


def test_equal_windows_are_examples_of_their_own(load):
    assert not load().twins_are_one


def test_the_features_of_a_word():
    assert dict(zip(twitter.FEATURES, twitter.features("Loving"))) == {
        "word": "Loving",
        "lower": "loving",
        "prefix2": "lo",
        "suffix1": "g",
        "suffix2": "ng",
        "suffix3": "ing",
        "shape": "title letters",
    }


@pytest.mark.parametrize(
    "word, shape",
    [
        ("</s>", "boundary"),
        ("@ann_1", "mention"),
        ("#now", "hashtag"),
        ("http://t.co/x", "url"),
        ("www.x.y", "url"),
        ("bit.ly/9", "url"),
        ("3,000.5", "number"),
        ("10:30", "number"),
        (":-)", "emoticon"),
        ("<3", "emoticon"),
        ("^_^", "emoticon"),
        ("...", "punctuation"),
        ("@", "punctuation"),
        ("I", "short upper letters"),
        ("LOL", "upper letters"),
        ("Ann", "title letters"),
        ("iPhone", "mixed letters"),
        ("word", "lower letters"),
        ("don't", "lower letters with marks"),
        ("2nite", "lower digits"),
        ("é", "lower letters"),
    ],
)
def test_the_shape_of_a_word(word, shape):
    assert twitter.features(word)[-1] == shape


def test_encode_by_hand():
    tables = [{} for _ in twitter.FEATURES]
    tables[0], tables[1] = {"B": 4}, {"b": 2, "a": 1}
    words = np.array([["a", "B", "c"], ["B", "b", "a"]])
    encoded = twitter.encode(words, tables)
    assert encoded[..., 0].tolist() == [[0, 4, 0], [4, 0, 0]]
    assert encoded[..., 1].tolist() == [[1, 2, 0], [2, 2, 1]]
    assert not encoded[..., 2:].any() and encoded.shape == (2, 3, 7)


VECTORS = {"is": [1, 2], "ann": [3, 5], "UUUNKKK": [-1, -2.5]}


def write_vectors(path, vectors, space=" ", end="\n"):
    lines = (
        space.join([word, *map(str, vector)]) + end
        for word, vector in vectors.items()
    )
    path.write_bytes("".join(lines).encode())
    return path


def test_words_are_looked_up_in_pretrained_vectors(root, load):
    path = write_vectors(root / "vectors.txt", VECTORS)
    splits = load(embeddings=str(path))
    assert splits.train.x.shape == (9, 3, 2)
    assert splits.train.x.dtype == np.float32
    unknown = VECTORS["UUUNKKK"]
    assert splits.train.x[1].tolist() == [unknown, [1, 2], unknown]
    assert splits.test.x[2].tolist() == [unknown, [1, 2], unknown]


def test_a_word_is_looked_up_in_lower_case_too():
    vectors = {"ann": np.float32([3, 5]), "Is": np.float32([0, 1])}
    found = twitter.look_up(np.array([["Ann", "ann", "Is"]]), vectors)
    assert found.tolist() == [[[3, 5], [3, 5], [0, 1]]]
    assert found.dtype == np.float32


def test_unknown_words_have_the_mean_vector_where_the_file_has_none():
    vectors = {"is": np.float32([1, 2]), "ann": np.float32([3, 5])}
    found = twitter.look_up(np.array([["x", "is", "X"]]), vectors)
    assert found.tolist() == [[[2, 3.5], [1, 2], [2, 3.5]]]


@pytest.mark.parametrize(
    "space, end", [(" ", "\n"), ("\t", "\r\n"), ("  ", " \n")]
)
def test_embeddings_are_read(space, end, tmp_path):
    # The second word holds a space that is none here, the third a line end.
    content = {"is": [1, -2e-3], "a\u00a0b": [3, 4], "c\u2028d": [5, 6]}
    path = write_vectors(tmp_path / "vectors.txt", content, space, end)
    vectors = twitter.read_embeddings(path)
    assert list(vectors) == list(content)
    for word, vector in content.items():
        np.testing.assert_array_equal(vectors[word], np.float32(vector))


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", "should hold embeddings. Received: none"),
        (
            b"is 1 2\nann 3\n",
            "a word and 2 finite numbers. .*'ann 3' in line 2",
        ),
        (
            b"is 1 2\n\nann 3 4 5\n",
            "2 finite numbers. Received: 'ann 3 4 5' in line 3",
        ),
        (b"is 1 2\nann 3 x\n", "2 finite numbers. .*: 'ann 3 x' in line 2"),
        (b"is 1 2\nann 3 nan\n", "2 finite numbers. .*: 'ann 3 nan' in line 2"),
        (b"is 1 2\nann 3 1e39\n", "finite numbers. .*: 'ann 3 1e39' in line 2"),
        (b"is\n", "a word and its finite numbers. Received: 'is' in line 1"),
        (b"is 1 2\nis 1 \xff\n", "in UTF-8. Received: the byte 0xff in line 2"),
    ],
)
def test_bad_embeddings(content, told, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=f"{path} should .*{told}|{path} {told}"
    ):
        twitter.read_embeddings(path)


def test_embeddings_that_are_no_file(load, root):
    with pytest.raises(
        InputError, match="`dataset.embeddings` should be a fil"
    ):
        load(embeddings=str(root))


@pytest.mark.parametrize(
    "line", ["word N", "word\tnoun", "\tN", "word\t", "a\tN\tV"]
)
def test_bad_line(line, root, load):
    (root / "tweets-dev.txt").write_text(f"is\tV\n\n{line}\n")
    with pytest.raises(
        InputError,
        match=r"tweets-dev.txt should have lines of a word, a tab and a tag. "
        "Received: .* in line 3",
    ):
        load()


def test_missing_files(root, load):
    for name in ("tweets-dev.txt", "tweets-train.txt"):
        (root / name).unlink()
    with pytest.raises(
        InputError,
        match=f"should hold tweets-train.txt, .*'{root}', without "
        "tweets-train.txt, tweets-dev.txt",
    ):
        load()


@pytest.mark.parametrize(
    "options", [{"cache": "none"}, {"clean": "split:validation"}]
)
def test_options_without_use(options, load):
    with pytest.raises(InputError, match="left out for the dataset twitter"):
        load(**options)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = os.environ.get("TWITTER_POS_DIR")
    if not folder:
        pytest.skip("TWITTER_POS_DIR names no folder of the corpus")
    return Options(
        data_dir=str(tmp_path_factory.mktemp("real")), manual_dir=folder
    )


@pytest.fixture(scope="module")
def real_splits(real):
    return datasets.load("twitter", real)


def test_the_real_tweets(real):
    builder = tfds_loader.prepared("twitter_pos", real, downloads=False)
    for split, tweets, tokens in (
        ("train", 1000, 14_619),
        ("validation", 327, 4_823),
        ("test", 500, 7_152),
    ):
        numbers, words = tfds_loader.columns(builder, split, ("tweet", "words"))
        assert np.unique(numbers).tolist() == list(range(tweets))
        assert len(numbers) == tokens
        assert (words[:, 0] == b"</s>").sum() == tweets
        assert (words[:, 2] == b"</s>").sum() == tweets


def test_the_real_splits(real_splits):
    splits = real_splits
    assert splits.train.x.shape == (14_619 + 4_823, 3, 7)
    assert splits.test.x.shape == (7_152, 3, 7)
    assert splits.num_classes == len(twitter_builder.TAGS) == 25
    assert set(splits.train.labels) == set(range(25))
    sizes = splits.train.x.max(axis=(0, 1)) + 1
    assert (splits.test.x < sizes).all() and splits.test.x.min() == 0
    # As many words are seen but once as were never seen before.
    once = np.mean(np.array(of(splits.train.x, "word")) == 0)
    new = np.mean(np.array(of(splits.test.x, "word")) == 0)
    assert 0.1 < once < new < 0.3


def test_rare_tags_give_all_but_one_of_their_words(real_splits):
    splits = real_splits
    available = np.bincount(splits.train.labels)
    assert sorted(available)[:3] == [2, 3, 19]  # Y, M and X
    with pytest.raises(InputError, match=r"8, with 3 of class 6 \(M\)"):
        splits.draw_clean(8, seed=0)
    drawn = splits.draw_clean(8, seed=0, fewer_if_rare=True)
    taken = np.bincount(drawn.clean.labels)
    np.testing.assert_array_equal(taken, np.minimum(8, available - 1))
    np.testing.assert_array_equal(
        np.bincount(drawn.train.labels), available - taken
    )


def test_tweets_in_another_encoding_are_named(root, load):
    (root / "tweets-dev.txt").write_bytes("é\tN\nü\tN\n".encode("latin1"))
    with pytest.raises(
        InputError,
        match="^.*/tweets-dev.txt .*UTF-8. Received: the byte 0xe9 in line 1",
    ):
        load()


def test_tweets_of_windows_are_read(root, load):
    expected = load().test.x
    path = root / "tweets-devtest.txt"
    text = path.read_text("utf-8").replace("\n", "\r\n")
    path.write_bytes(text.encode("utf-8-sig"))
    shutil.rmtree(root / "tfds")
    np.testing.assert_array_equal(load().test.x, expected)
