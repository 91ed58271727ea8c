"""A TFDS builder for the Twitter part-of-speech corpus: windows of words."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from mlc_tf.datasets.text_files import read_text
from mlc_tf.errors import InputError

# The tags in the order of the GLC code.
TAGS = tuple("NOS^ZLMVAR!DP&TXY#@~UE$,G")
BOUNDARY = "</s>"
WINDOW = 3
_FILES = {
    "train": "tweets-train.txt",
    "validation": "tweets-dev.txt",
    "test": "tweets-devtest.txt",
}


class TwitterPos(tfds.core.GeneratorBasedBuilder):
    """Words of tweets with their tags and their neighbouring words."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Windows of three words, boundaries padded."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get tweets-train.txt, tweets-dev.txt and tweets-devtest.txt from the folder
    Twitter/data/Tweets of github.com/mmazeika/glc, and name their folder with
    --config.dataset.manual_dir.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="1,827 tweets, each word with one of 25 tags.",
            features=tfds.features.FeaturesDict(
                {
                    "words": tfds.features.Sequence(
                        tfds.features.Text(), length=WINDOW
                    ),
                    "tweet": tfds.features.Scalar(np.int64),
                    "label": tfds.features.ClassLabel(names=TAGS),
                }
            ),
            supervised_keys=("words", "label"),
            homepage="http://www.cs.cmu.edu/~ark/TweetNLP/",
            citation="Gimpel et al., ACL 2011: Part-of-Speech Tagging for "
            "Twitter: Annotation, Features, and Experiments",
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[Any]]:
        root = str(dl_manager.manual_dir)
        missing = [
            name
            for name in _FILES.values()
            if not os.path.isfile(os.path.join(root, name))
        ]
        if missing:
            raise InputError(
                f"`dataset.manual_dir` should hold {', '.join(_FILES.values())}"
                f". Received: `dataset.manual_dir` = '{root}', without "
                f"{', '.join(missing)}."
            )
        return {
            split: self._generate_examples(os.path.join(root, name))
            for split, name in _FILES.items()
        }

    def _generate_examples(
        self, path: str
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        key = 0
        for number, tweet in enumerate(_read_tweets(path)):
            words = [BOUNDARY, *(word for word, _ in tweet), BOUNDARY]
            for place, (_, tag) in enumerate(tweet):
                window = words[place : place + WINDOW]
                yield key, {"words": window, "tweet": number, "label": tag}
                key += 1


def _read_tweets(path: str) -> Iterator[list[tuple[str, str]]]:
    """Yields each tweet as a list of (word, tag); a blank line ends a tweet."""
    tweet: list[tuple[str, str]] = []
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            word, tab, tag = text.partition("\t")
            if not tab or not word or tag not in TAGS:
                raise InputError(
                    f"{path} should have lines of a word, a tab and a tag. "
                    f"Received: {text!r} in line {number}."
                )
            tweet.append((word, tag))
        elif tweet:
            yield tweet
            tweet = []
    if tweet:
        yield tweet
