"""A TFDS builder for Clothing1M, from the files that its authors distribute."""

import collections
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from mlc_tf.datasets.text_files import read_text
from mlc_tf.errors import InputError

CLASSES = (
    "T-Shirt",
    "Shirt",
    "Knitwear",
    "Chiffon",
    "Sweater",
    "Hoodie",
    "Windbreaker",
    "Jacket",
    "Downcoat",
    "Suit",
    "Shawl",
    "Dress",
    "Vest",
    "Underwear",
)
# For each split: the list of its images, and the file of their labels.
_FILES = {
    "noisy_train": ("noisy_train_key_list.txt", "noisy_label_kv.txt"),
    "train": ("clean_train_key_list.txt", "clean_label_kv.txt"),
    "validation": ("clean_val_key_list.txt", "clean_label_kv.txt"),
    "test": ("clean_test_key_list.txt", "clean_label_kv.txt"),
}


class Clothing1m(tfds.core.GeneratorBasedBuilder):
    """Clothing photographs with the labels that shops gave them.

    Images that are missing or cannot be decoded are skipped;
    `info.metadata["skipped"]` has their names, by split.
    """

    name = "clothing1m"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The official lists, images as they come."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Ask the authors for Clothing1M (github.com/Cysu/noisy_label), unpack it,
    and name the folder with --config.dataset.manual_dir. It should hold
    images/, noisy_train_key_list.txt, clean_{train,val,test}_key_list.txt,
    noisy_label_kv.txt and clean_label_kv.txt.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="A million photographs in 14 classes, noisy labels.",
            features=tfds.features.FeaturesDict(
                {
                    "key": tfds.features.Text(),
                    "image": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="jpeg"
                    ),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://github.com/Cysu/noisy_label",
            citation="Xiao et al., CVPR 2015: Learning from Massive Noisy "
            "Labeled Data for Image Classification",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[Any]]:
        root = str(dl_manager.manual_dir)
        wanted = {
            "images",
            *(name for pair in _FILES.values() for name in pair),
        }
        missing = sorted(
            name
            for name in wanted
            if not os.path.exists(os.path.join(root, name))
        )
        if missing:
            raise InputError(
                "`dataset.manual_dir` should hold Clothing1M as its authors "
                f"distribute it: {', '.join(sorted(wanted))}. Received: "
                f"`dataset.manual_dir` = '{root}', without "
                f"{', '.join(missing)}."
            )
        keys = {
            split: _read_keys(os.path.join(root, list_name))
            for split, (list_name, _) in _FILES.items()
        }
        _check_disjoint(keys)
        self.info.metadata["skipped"] = {split: [] for split in _FILES}
        return {
            split: self._generate_examples(
                root, split, keys[split], os.path.join(root, labels_name)
            )
            for split, (_, labels_name) in _FILES.items()
        }

    def _generate_examples(
        self, root: str, split: str, keys: dict[str, int], labels_path: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        labels = _read_labels(labels_path)
        skipped = self.info.metadata["skipped"][split]
        for key, line in keys.items():
            if key not in labels:
                raise InputError(
                    f"{labels_path} should give the label of each image of "
                    f"{_FILES[split][0]}. Received: no label for {key!r}, "
                    f"which is in line {line}."
                )
            encoded = _read_image(root, key)
            if encoded is None:
                skipped.append(key)
                continue
            yield key, {"key": key, "image": encoded, "label": labels[key]}


def _read_keys(path: str) -> dict[str, int]:
    """Returns the image names of a list, each with its line number."""
    keys: dict[str, int] = {}
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        key = text.strip()
        if not key:
            continue
        if key in keys:
            raise InputError(
                f"{path} should name each image once. Received: {key!r} in "
                f"lines {keys[key]} and {number}."
            )
        keys[key] = number
    if not keys:
        raise InputError(f"{path} should name images. Received: none.")
    return keys


def _read_labels(path: str) -> dict[str, int]:
    """Returns the class id of each image name in a file of labels."""
    labels = {}
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        key, _, label = text.strip().rpartition(" ")
        # Not `isdigit`, which holds for "²" too.
        if not label.isdecimal() or int(label) >= len(CLASSES) or not key:
            raise InputError(
                f"{path} should have lines of an image and a label in "
                f"[0, {len(CLASSES)}). Received: {text.strip()!r} in line "
                f"{number}."
            )
        labels[key] = int(label)
    return labels


def _check_disjoint(keys: dict[str, dict[str, int]]) -> None:
    """Raises if an image is in the lists of two splits."""
    counts = collections.Counter(key for part in keys.values() for key in part)
    shared = next((key for key, count in counts.items() if count > 1), None)
    if shared is not None:
        places = " and ".join(
            f"line {part[shared]} of {_FILES[split][0]}"
            for split, part in keys.items()
            if shared in part
        )
        raise InputError(
            "The lists of Clothing1M should not share an image. Received: "
            f"{shared!r} in {places}."
        )


def _read_image(root: str, key: str) -> bytes | None:
    """Returns a file's content; None if it is missing or not an image."""
    # Links are not resolved: images/ may be a link to a larger disk.
    path = os.path.normpath(os.path.join(root, key))
    if not path.startswith(os.path.normpath(root) + os.sep):
        raise InputError(
            "The lists of Clothing1M should name images in its folder. "
            f"Received: {key!r}."
        )
    if not os.path.isfile(path):  # reading a named pipe would hang
        return None
    try:
        with open(path, "rb") as file:
            encoded = file.read()
        tf.io.decode_image(encoded, channels=3, expand_animations=False)
    except (OSError, tf.errors.InvalidArgumentError):
        return None
    return encoded
