"""Loads any dataset of TensorFlow Datasets that has class labels, by name."""

import functools
import os
import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf.data import checks
from mlc_tf.data.examples import Examples
from mlc_tf.data.examples import Stream
from mlc_tf.datasets.cache import cached
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import first_line
from mlc_tf.errors import hint
from mlc_tf.errors import import_optional
from mlc_tf.errors import unknown_name

OPTIONS = (
    "data_dir",
    "manual_dir",
    "download",
    "clean",
    "cache",
    "image_size",
)
KEYS = ("input_key", "label_key", "train_split", "test_split")
# "NAMESPACE:NAME"; what follows the colon of a version is a digit or "*".
_NAMESPACED = re.compile(r"[\w-]+:[A-Za-z]")


def loader(name: str) -> Callable[[Options], Splits]:
    """Returns a function from `Options` to the splits of the TFDS dataset."""
    return lambda options: load(name, options)


def load(name: str, options: Options) -> Splits:
    """Returns the splits of a TFDS dataset, after preparing it if necessary.

    Args:
        name: A name for `tfds.load`: "mnist", "food101", "cifar10_n:1.0.4".
        options: Any options except `labels` and `embeddings`. `clean` may be
            "split:NAME", where NAME is any TFDS split ("validation",
            "train[:1%]"). A dataset whose only split is "train" needs no
            `test_split`.

    Raises:
        InputError: if the dataset is not prepared and cannot be downloaded, or
            if it lacks a split or feature.
    """
    options.only(f"tfds:{name}", *OPTIONS, *KEYS)
    builder = prepared(name, options)
    input_key, label_key = _keys(builder, options)
    _, clean_split = options.trusted(f"tfds:{name}", "split")
    test_split = options.test_split
    if list(builder.info.splits) == ["train"] and test_split == "test":
        test_split = ""
    train, test, clean = (
        read(builder, split, input_key, label_key, options) if split else None
        for split in (options.train_split, test_split, clean_split)
    )
    if train is None:
        raise bad_argument("dataset.train_split", "a split of TFDS", "")
    return Splits(train, test, class_names(builder, label_key), clean)


def prepared(name: str, options: Options, downloads: bool = True) -> Any:
    """Returns the builder of a TFDS dataset, after preparing it if necessary.

    TFDS writes into a temporary folder and renames it at the end, so an
    interrupted preparation leaves no incomplete dataset.

    Args:
        name: A name for `tfds.builder`.
        options: `data_dir`, `manual_dir` and `download` are used.
        downloads: Whether the preparation has to download, which
            `options.download` must then allow. Defaults to True.

    Raises:
        InputError: if the dataset is unknown or has a namespace, is not
            prepared and may not or cannot be downloaded, or its description is
            damaged.
    """
    if _NAMESPACED.match(name):
        # Whatever `download` says; and a name may come from a received run.
        raise InputError(
            "`dataset.name` should name a dataset without a namespace, since "
            "TFDS downloads the code of a namespace and runs it. Received: "
            f"{name!r}."
        )
    tfds = import_optional("tensorflow_datasets", "tfds")
    folder = options.data_dir or "TFDS_DATA_DIR or ~/tensorflow_datasets"
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise bad_argument("dataset.data_dir", "a folder", folder)
    again = functools.partial(
        tfds.builder, name, data_dir=options.data_dir or None
    )
    try:
        builder = again()
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        raise InputError(
            "`dataset.name` should name a dataset of TFDS, or a dataset that "
            f"is prepared in the folder {folder}. Received: {name!r}."
            f"{hint(name.partition(':')[0], known)}"
        ) from None
    except Exception as error:  # any error of TFDS' parsers
        raise InputError(
            f"The dataset {name!r} should be whole in the TFDS folder "
            f"{folder}, with its dataset_info.json and features.json. "
            f"Received: {type(error).__name__}: {_first_line(error)}"
        ) from error
    if not builder.is_prepared() and Path(builder.data_dir).exists():
        # A run that started at the same time may have prepared it meanwhile.
        builder = again()
        if not builder.is_prepared():
            # TFDS would take this folder for the prepared dataset.
            raise InputError(
                f"The dataset {name!r} should be whole in {builder.data_dir}. "
                "Received: a folder without dataset_info.json; remove it, and "
                "prepare the dataset again."
            )
    if builder.is_prepared():
        return builder
    if downloads and not options.download:
        raise _not_downloaded(name, builder)
    print(f"Preparing {name} in {builder.data_dir}", flush=True)
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=options.manual_dir or None
            )
        )
    except InputError:
        raise
    except Exception as error:  # any error of TFDS' downloader
        if not again().is_prepared():
            raise InputError(
                f"The dataset {name!r} should be in the TFDS folder {folder}, "
                f"or be downloadable. Received: {type(error).__name__}: "
                f"{_first_line(error)}"
            ) from error
    # Another run may have been faster, and `builder` knows nothing of it.
    return again()


def _not_downloaded(name: str, builder: Any) -> InputError:
    size = sum(part.size or 0 for part in (builder.url_infos or {}).values())
    amount = f"{size / 1e6:,.0f} MB" if size else "TFDS does not know how much"
    return InputError(
        f"The dataset {name!r} should be prepared in {builder.data_dir}, or "
        f"`dataset.download` be True (downloads: {amount}): "
        "--config.dataset.download=True. Received: `dataset.download` = False, "
        "and no such folder of a whole dataset."
    )


def read(
    builder: Any,
    split: str,
    input_key: str,
    label_key: str,
    options: Options,
    decode: Callable[[Any], tf.Tensor] | None = None,
) -> Examples:
    """Returns one split of a prepared dataset, in the order of its files.

    Args:
        builder: The TFDS builder of a prepared dataset.
        split: Name of a TFDS split, or a slice such as "train[:1%]".
        input_key: Name of the feature that is the network's input.
        label_key: Name of the feature that is the label.
        options: `cache` and `image_size` are used.
        decode: Maps the encoded feature to an input, inside a graph. Defaults
            to None: TFDS decodes the feature, and images are resized to
            `image_size`.

    Raises:
        InputError: if the split is unknown or empty, or the feature is neither
            an image nor numeric with a fixed shape.
    """
    feature = builder.info.features[input_key]
    decode = decode or _decoder(feature, input_key, options.image_size)
    dataset = _features(builder, split, (input_key, label_key), (input_key,))
    pairs = dataset.map(lambda row: (row[input_key], row[label_key]))
    stream = Stream(pairs, decode)
    identity = ""
    if options.cache.startswith("disk:"):
        # Not by `data_path.stat()`, which counts whole seconds.
        written = os.stat(builder.data_path / "dataset_info.json").st_mtime_ns
        identity = (
            f"{builder.data_dir} {written} {split} {input_key} "
            f"{options.image_size} {decode.__module__}"
        )
    with _whole(builder, split):
        # Reads all records now: a file that is damaged shows here, and not
        # while a network trains.
        if options.cache == "none":
            stream.labels  # noqa: B018
        return cached(stream, options.cache, identity)


def columns(builder: Any, split: str, keys: Sequence[str]) -> list[np.ndarray]:
    """Returns features of all examples of a split.

    Args:
        builder: The TFDS builder of a prepared dataset.
        split: Name of a TFDS split.
        keys: Names of the features.

    Returns:
        One array `(examples, ...)` per feature, in the order of `read`.
    """
    batches = _features(builder, split, tuple(keys), ()).batch(1024)
    with _whole(builder, split):
        rows = list(batches.as_numpy_iterator())
    return [np.concatenate([row[key] for row in rows]) for key in keys]


def class_names(builder: Any, label_key: str) -> tuple[str, ...]:
    """Returns the names of the classes of a label feature.

    Args:
        builder: The TFDS builder of the dataset.
        label_key: Name of the label feature.

    Raises:
        InputError: if the feature is not a `tfds.features.ClassLabel`.
    """
    tfds = import_optional("tensorflow_datasets", "tfds")
    feature = builder.info.features[label_key]
    if not isinstance(feature, tfds.features.ClassLabel):
        raise InputError(
            "`dataset.label_key` should be a class label of the dataset. "
            f"Received: {label_key!r}, a {type(feature).__name__}."
        )
    return tuple(feature.names)


def _features(
    builder: Any, split: str, keys: tuple[str, ...], encoded: tuple[str, ...]
) -> tf.data.Dataset:
    """Returns the rows of a split, with the features `keys` only.

    The features in `encoded` are not decoded.
    """
    tfds = import_optional("tensorflow_datasets", "tfds")
    with _whole(builder, split):
        try:
            count = builder.info.splits[split].num_examples
        except (KeyError, ValueError):
            raise _unknown_split(split, builder) from None
        if count < 1:
            raise InputError(
                f"The split {split!r} should hold examples. Received: none."
            )
        rows = builder.as_dataset(
            split=split,
            decoders=tfds.decode.PartialDecoding(
                {key: True for key in keys},
                decoders={key: tfds.decode.SkipDecoding() for key in encoded},
            ),
        )
    return rows.apply(tf.data.experimental.assert_cardinality(count))


@contextmanager
def _whole(builder: Any, split: str) -> Iterator[None]:
    """Turns errors of damaged or missing files into an `InputError`."""
    try:
        yield
    # TFDS asserts that the files are as many as it wrote.
    except (
        tf.errors.OpError,
        AssertionError,
        OSError,
        checks.UnreadableError,
    ) as error:
        parts = builder.info.splits[split].file_instructions
        sizes = {part.filename: part.examples_in_shard for part in parts}
        damages = (_damage(file, size) for file, size in sizes.items())
        reason = next(filter(None, damages), _first_line(error))
        raise InputError(
            f"The dataset {builder.info.name} should be whole in "
            f"{builder.data_dir}. Received: {reason}; remove the folder, and "
            "prepare the dataset again."
        ) from error


def _damage(file: str, size: int) -> str:
    """Returns what is wrong with a file of records, "" if it has `size`."""
    if not tf.io.gfile.exists(file):
        return f"{file}, which is missing"
    if tf.io.gfile.isdir(file):
        return f"{file}, which is a folder"
    count = 0
    try:
        for _ in tf.data.TFRecordDataset(file):
            count += 1
    except tf.errors.OpError:
        return f"{file}, whose record {count} is damaged"
    return f"{file}, with {count} of {size} records" if count != size else ""


def _unknown_split(split: str, builder: Any) -> InputError:
    known = list(builder.info.splits)
    return InputError(
        f"`dataset.train_split`, `dataset.test_split` and `dataset.clean` "
        f"should name splits of {builder.info.name}: {', '.join(known)}. "
        f"Received: {split!r}.{hint(split, known)}"
    )


def _keys(builder: Any, options: Options) -> tuple[str, str]:
    features = builder.info.features
    supervised = builder.info.supervised_keys or ("", "")
    keys = []
    for name, default in zip(("input_key", "label_key"), supervised):
        key = getattr(options, name) or default
        if key not in features:
            raise unknown_name(f"dataset.{name}", key, features)
        keys.append(key)
    return keys[0], keys[1]


def _decoder(
    feature: Any, key: str, size: tuple[int, ...]
) -> Callable[[Any], tf.Tensor] | None:
    tfds = import_optional("tensorflow_datasets", "tfds")
    if isinstance(feature, tfds.features.Image):
        if None in feature.shape and not size:
            raise InputError(
                "`dataset.image_size` should be given for images of several "
                f"sizes. Received: none, and images of shape {feature.shape}."
            )
        return lambda encoded: resized(feature.decode_example(encoded), size)
    if None in (feature.shape or ()) or not np.issubdtype(
        feature.np_dtype, np.number
    ):
        raise InputError(
            "`dataset.input_key` should be images, or numbers of one shape. "
            f"Received: {key!r}, a {type(feature).__name__} of shape "
            f"{feature.shape}."
        )
    return feature.decode_example


def resized(image: tf.Tensor, size: tuple[int, ...]) -> tf.Tensor:
    """Returns a uint8 image resized to (height, width); `()` keeps its size."""
    if not size:
        return image
    pixels = tf.image.resize(image, size, antialias=True)
    return tf.cast(tf.round(pixels), tf.uint8)


def _first_line(error: Exception) -> str:
    text = re.sub(r"^{{function_node .*?}} ?", "", str(error).strip())
    return first_line(text)
