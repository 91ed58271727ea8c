"""Twitter part of speech: which of 25 tags a word has, between its neighbours.

Words reach the network as integers, never as text. Without pretrained
embeddings a word is its number in the training vocabulary together with what
its letters tell: `FEATURES` says which columns there are. A word that the
training tweets do not know keeps all the others.
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
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional

# The columns of a word; each value is a row of an embedding of its own.
FEATURES = (
    "word",
    "lower",
    "prefix2",
    "suffix1",
    "suffix2",
    "suffix3",
    "shape",
)
# Words seen less often share one row, which is thus trained, and then serves
# for words not seen at all.
_MIN_COUNT = 2
_UNKNOWN = 0
_UNKNOWN_WORD = "UUUNKKK"  # as in the GLC code and its embeddings


def load(options: Options) -> Splits:
    """Returns windows of three words; train and dev are one, devtest is test.

    What is held out are whole tweets: of a word beside one that is trained on,
    two thirds of the window have been seen.

    Inputs are `(3, 7)` int32, `FEATURES` of each word; with `embeddings`
    `(3, dimensions)` float32, the vectors of the words.

    Args:
        options: `manual_dir`, the folder of the three files; `data_dir`;
            `embeddings`.

    References:
        Gimpel et al., ACL 2011; Hendrycks et al., 2018, its Twitter folder.
    """
    import_optional("tensorflow_datasets", "tfds")
    from mlc_tf.datasets import twitter_builder  # registers it with TFDS

    options.only("twitter", "data_dir", "manual_dir", "embeddings")
    builder = tfds_loader.prepared("twitter_pos", options)
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
        # Each word is in the middle of one window, a boundary of none.
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
    """Returns what `FEATURES` says of a word, as text."""
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
    """Returns `(examples, 3, 7)` int32 for words `(examples, 3)`.

    Args:
        words: Text.
        tables: The number of each value of each feature; 0 is for the others.
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
    """Returns the vectors of words, from lines of a word and its numbers.

    Raises:
        InputError: with the line that is no such.
    """
    vectors: dict[str, np.ndarray] = {}
    width = None
    try:
        content = existing_file("dataset.embeddings", path).read_text("utf-8")
    except UnicodeDecodeError:
        raise InputError(
            f"{path} should be text in UTF-8. Received: a file that is not."
        ) from None
    # Words of tweets may hold other kinds of space and of line end.
    for number, text in enumerate(content.split("\n"), start=1):
        if not text.strip():
            continue
        word, *numbers = re.split(r"[ \t]+", text.strip(" \t"))
        try:
            vector = np.array(numbers, np.float32)
        except ValueError:
            vector = np.zeros(0, np.float32)
        width = width or len(vector)
        if not len(vector) or len(vector) != width:
            raise InputError(
                f"{path} should have lines of a word and "
                f"{width or 'its'} numbers. Received: {text[:40]!r} in line "
                f"{number}."
            )
        vectors[word] = vector
    if not vectors:
        raise InputError(f"{path} should hold embeddings. Received: none.")
    return vectors


def look_up(words: np.ndarray, vectors: dict[str, np.ndarray]) -> np.ndarray:
    """Returns `(examples, 3, dimensions)`; unknown words have one vector.

    That of `UUUNKKK` where the file has it, as the GLC code; else the mean.
    """
    unknown = vectors.get(
        _UNKNOWN_WORD, np.mean(list(vectors.values()), axis=0)
    )
    rows = {
        word: vectors.get(str(word), vectors.get(str(word).lower(), unknown))
        for word in np.unique(words)
    }
    return np.array([[rows[w] for w in window] for window in words], np.float32)


def _texts(words: np.ndarray) -> np.ndarray:
    """Returns windows as text, the word that is tagged in brackets."""
    return np.array(
        [f"{before} [{word}] {after}" for before, word, after in words]
    )


def _tables(words: Iterable[str]) -> list[dict[str, int]]:
    """Returns for each feature the number of each value that is known."""
    counts: list[Counter[str]] = [Counter() for _ in FEATURES]
    for word, count in Counter(words).items():
        for values, value in zip(counts, features(str(word))):
            values[value] += count
    tables = []
    for values in counts:
        known = sorted(v for v, count in values.items() if count >= _MIN_COUNT)
        tables.append({v: number for number, v in enumerate(known, start=1)})
    return tables


def _shape(word: str) -> str:
    """Returns what kind of sign a word is, and how it is written."""
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
    letters = "digits" if any(c.isdigit() for c in word) else "letters"
    if word.isupper():
        case = "short upper" if len(word) == 1 else "upper"
    elif word[:1].isupper():
        case = "title"
    else:
        case = "mixed" if word.lower() != word else "lower"
    marks = " with marks" if re.search(r"[^\w]", word) else ""
    return f"{case} {letters}{marks}"
