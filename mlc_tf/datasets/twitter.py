"""Loads Twitter part of speech: one of 25 tags for each word of a tweet.

The network gets words as numbers, never as text. Without pretrained embeddings,
a word is its index in the training vocabulary together with the indices of its
prefix, suffixes and shape (`FEATURES`). For a word that the training tweets do
not contain, the other features are still known.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mlc_tf.data.examples import Arrays
from mlc_tf.datasets import tfds_loader
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.options import existing_file
from mlc_tf.datasets.splits import Splits
from mlc_tf.datasets.text_files import read_text
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional

# The features of a word, in the order of the columns. Each feature has its own
# embedding table.
FEATURES = (
    "word",
    "lower",
    "prefix2",
    "suffix1",
    "suffix2",
    "suffix3",
    "shape",
)
# Feature values that occur less often share one row of the table. Training thus
# learns that row, and unknown values then use it.
_MIN_COUNT = 2
_UNKNOWN = 0
_UNKNOWN_WORD = "UUUNKKK"  # as in the GLC code and its embeddings


def load(options: Options) -> Splits:
    """Returns windows of three words; the label is the tag of the middle word.

    The training set is the union of train and dev; the test set is devtest.
    Inputs are `(3, 7)` int32, the `FEATURES` of each word. With `embeddings`
    they are `(3, dimensions)` float32, the vectors of the words.

    `Splits.groups` is the tweet of each word, so that whole tweets are held
    out: the windows of neighbouring words share two of their three words.

    Args:
        options: `manual_dir`, the folder of the three files; `data_dir`;
            `embeddings`, a file for `read_embeddings`.

    Raises:
        InputError: if a file is missing or a line is invalid; the message names
            the line.

    References:
        Gimpel et al., ACL 2011. Hendrycks et al., 2018: the Twitter folder of
        their code.
    """
    import_optional("tensorflow_datasets", "tfds")
    from mlc_tf.datasets import twitter_builder  # registers it with TFDS

    options.only("twitter", "data_dir", "manual_dir", "embeddings")
    builder = tfds_loader.prepared("twitter_pos", options, downloads=False)
    windows, labels, tweets = {}, {}, {}
    for split in ("train", "validation", "test"):
        words, labels[split], tweets[split] = tfds_loader.columns(
            builder, split, ("words", "label", "tweet")
        )
        windows[split] = np.char.decode(words.astype(bytes), "utf-8")
    training = np.concatenate([windows["train"], windows["validation"]])
    if options.embeddings:
        vectors = read_embeddings(options.embeddings)
        encoded = [
            look_up(part, vectors) for part in (training, windows["test"])
        ]
    else:
        # Each word is the middle of one window; a boundary is never the middle,
        # and is added here.
        known = [*training[:, 1], *[twitter_builder.BOUNDARY] * _MIN_COUNT]
        tables = _tables(known)
        encoded = [encode(part, tables) for part in (training, windows["test"])]
    return Splits(
        Arrays(
            encoded[0],
            np.concatenate([labels["train"], labels["validation"]]),
            texts=_texts(training),
        ),
        Arrays(encoded[1], labels["test"], texts=_texts(windows["test"])),
        twitter_builder.TAGS,
        groups=np.concatenate(
            [tweets["train"], 1 + tweets["train"].max() + tweets["validation"]]
        ),
        twins_are_one=False,
    )


def features(word: str) -> tuple[str, ...]:
    """Returns the value of each of the `FEATURES` of a word, as text.

    Args:
        word: A word of a tweet.

    Example:

    >>> features("Going")
    ('Going', 'going', 'go', 'g', 'ng', 'ing', 'title letters')
    """
    lower = word.lower()
    return (
        word,
        lower,
        lower[:2],
        lower[-1:],
        lower[-2:],
        lower[-3:],
        _shape(word),
    )


def encode(words: np.ndarray, tables: list[dict[str, int]]) -> np.ndarray:
    """Returns the indices of the features of words.

    Args:
        words: `(examples, 3)` strings.
        tables: For each feature, the index (from 1) of each known value.

    Returns:
        `(examples, 3, 7)` int32; 0 stands for an unknown value.
    """
    known, places = np.unique(words, return_inverse=True)
    rows = [
        [
            table.get(value, _UNKNOWN)
            for table, value in zip(tables, features(str(word)))
        ]
        for word in known
    ]
    return np.array(rows, np.int32)[places.reshape(words.shape)]


def read_embeddings(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the vectors of words from a text file.

    Args:
        path: A file in UTF-8. Each line has a word and the numbers of its
            vector, separated by spaces or tabs.

    Returns:
        The vector of each word, `(dimensions,)` float32.

    Raises:
        InputError: if the file has no vectors, or a line has another form. The
            message names the line.
    """
    vectors: dict[str, np.ndarray] = {}
    width = None
    content = read_text(existing_file("dataset.embeddings", path))
    # Not `splitlines` and `split`: words of tweets may contain other Unicode
    # line ends and spaces.
    for number, text in enumerate(content.split("\n"), start=1):
        if not text.strip():
            continue
        word, *numbers = re.split(r"[ \t]+", text.strip(" \t"))
        try:
            with np.errstate(over="ignore"):  # checked below
                vector = np.array(numbers, np.float32)
        except ValueError:
            vector = np.zeros(0, np.float32)
        width = width or len(vector)
        if len(vector) != width or not width or not np.isfinite(vector).all():
            raise InputError(
                f"{path} should have lines of a word and "
                f"{width or 'its'} finite numbers. Received: {text[:40]!r} in "
                f"line {number}."
            )
        vectors[word] = vector
    if not vectors:
        raise InputError(f"{path} should hold embeddings. Received: none.")
    return vectors


def look_up(words: np.ndarray, vectors: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the vectors of words.

    A word that is unknown, also in lower case, gets the vector of `UUUNKKK`, as
    in the GLC code; if the file lacks `UUUNKKK`, it gets the mean vector.

    Args:
        words: `(examples, 3)` strings.
        vectors: The vector of each word, `(dimensions,)`.

    Returns:
        `(examples, 3, dimensions)` float32.
    """
    unknown = vectors.get(
        _UNKNOWN_WORD, np.mean(list(vectors.values()), axis=0)
    )
    rows = {
        word: vectors.get(str(word), vectors.get(str(word).lower(), unknown))
        for word in np.unique(words)
    }
    return np.array(
        [[rows[word] for word in window] for window in words], np.float32
    )


def _texts(words: np.ndarray) -> np.ndarray:
    """Returns windows as text, with the tagged word in brackets."""
    return np.array(
        [f"{before} [{word}] {after}" for before, word, after in words]
    )


def _tables(words: Iterable[str]) -> list[dict[str, int]]:
    """Returns for each feature the index (from 1) of each known value."""
    counts: list[Counter[str]] = [Counter() for _ in FEATURES]
    for word, count in Counter(words).items():
        for values, value in zip(counts, features(str(word))):
            values[value] += count
    tables = []
    for values in counts:
        known = sorted(
            value for value, count in values.items() if count >= _MIN_COUNT
        )
        tables.append(
            {value: index for index, value in enumerate(known, start=1)}
        )
    return tables


def _shape(word: str) -> str:
    """Returns the kind of a word (url, number, ...), or how it is written."""
    for kind, pattern in (
        ("boundary", r"</s>"),
        ("mention", r"@\w+"),
        ("hashtag", r"#\w+"),
        ("url", r"(https?://|www\.)\S+|\S+\.(com|net|org|ly)(/\S*)?"),
        ("number", r"[\d.,:/%$-]*\d[\d.,:/%$-]*"),
        (
            "emoticon",
            r"[<>]?[:;=8xX][-o*']?[)\](\[dDpP/\\|@3]+|<3+|[\^oOT>][_.]+[\^oOT<]",
        ),
        ("punctuation", r"[^\w\s]+"),
    ):
        if re.fullmatch(pattern, word):
            return kind
    letters = "digits" if any(sign.isdigit() for sign in word) else "letters"
    if word.isupper():
        case = "short upper" if len(word) == 1 else "upper"
    elif word[:1].isupper():
        case = "title"
    else:
        case = "mixed" if word.lower() != word else "lower"
    marks = " with marks" if re.search(r"[^\w]", word) else ""
    return f"{case} {letters}{marks}"
