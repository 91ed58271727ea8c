"""Labelled examples in memory, on disk or in a stream, behind one interface.

`Arrays`, `DiskArrays` and `ImageFiles` are read by index, so an epoch can have
any order. A `Stream` is read from its start and shuffled in a buffer. All of
them yield *raw* batches, which are cheap to shuffle (indices, or encoded
elements of the stream); `load` turns a raw batch into inputs and labels. So
batches can be loaded in parallel, and the order does not depend on it.
"""

import abc
import hashlib
import os
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlc_tf.data import checks
from mlc_tf.data import images
from mlc_tf.errors import InputError

# Number of elements in the buffer that shuffles a stream.
SHUFFLE_BUFFER = 10_000


class Examples(abc.ABC):
    """Inputs and their labels, in a fixed order.

    Attributes:
        labels: `(examples,)` class ids, or `(examples, classes)`
            probabilities.
        input_spec: The `tf.TensorSpec` of one input, without a batch axis.
        names: A name of each example that its user knows, such as its file
            name. None if the examples have no names.
        names_identify: Whether a name identifies its example in the source,
            whatever its position, as the path of a file does. Defaults to
            False.
        digests: A digest of the file from which each example is made, 16
            bytes. None if the examples are not made from files.
    """

    labels: np.ndarray
    input_spec: tf.TensorSpec
    names: Sequence[str] | None = None
    names_identify: bool = False
    digests: Sequence[bytes] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @abc.abstractmethod
    def take(self, indices: np.ndarray) -> "Examples":
        """Returns the examples at `indices`, ascending integers."""

    @abc.abstractmethod
    def relabel(self, labels: np.ndarray) -> "Examples":
        """Returns the same inputs with `labels` instead of their labels."""

    @abc.abstractmethod
    def raw_batches(
        self, key: tf.Tensor, size: int, steps: int
    ) -> tf.data.Dataset:
        """Returns `steps` full raw batches, in an order drawn from `key`.

        Args:
            key: `(2,)` integers, the seed of a stateless random function.
            size: Number of examples in a batch.
            steps: Number of batches. If one pass over the examples is too
                short, another pass in a new order follows.
        """

    @abc.abstractmethod
    def load(self, raw: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns inputs and labels of a raw batch; runs inside a graph."""

    @abc.abstractmethod
    def indices_of(self, raw: Any) -> tf.Tensor:
        """Returns the indices of a raw batch's examples, `(batch,)` int64."""

    @abc.abstractmethod
    def batches(self, size: int) -> tf.data.Dataset:
        """Returns batches (inputs, labels) of all examples, in order.

        The last batch may be smaller than `size`.
        """

    @abc.abstractmethod
    def sample(self, count: int) -> np.ndarray:
        """Returns at least `count` inputs, or all, to compute statistics."""

    def fingerprints(self) -> list[Any] | None:
        """Returns a value per example that equal inputs share.

        None if the inputs cannot be compared.
        """
        return None

    def name_of(self, index: int) -> str:
        """Returns the name of an example, for messages."""
        return self.names[index] if self.names else f"example {index}"

    def text_of(self, index: int) -> str | None:
        """Returns the text from which an input was made, or None."""
        return None


class _Indexed(Examples):
    """Examples that can be read in any order."""

    @abc.abstractmethod
    def _gather(self, indices: tf.Tensor) -> tf.Tensor:
        """Returns the inputs at `indices`."""

    def raw_batches(
        self, key: tf.Tensor, size: int, steps: int
    ) -> tf.data.Dataset:
        passes = -(-steps * size // len(self))
        uniform = tf.random.stateless_uniform([passes, len(self)], key)
        order = tf.reshape(tf.argsort(uniform, axis=-1), [-1])
        return tf.data.Dataset.from_tensor_slices(
            tf.reshape(order[: steps * size], [steps, size])
        )

    def indices_of(self, raw: tf.Tensor) -> tf.Tensor:
        return tf.cast(raw, tf.int64)

    def load(self, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._gather(raw), tf.gather(self._label_tensor(), raw)

    def batches(self, size: int) -> tf.data.Dataset:
        return (
            tf.data.Dataset.range(len(self))
            .batch(size)
            .map(self.load, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )

    def _label_tensor(self) -> tf.Tensor:
        return tf.constant(self.labels)


class Arrays(_Indexed):
    """Examples in memory.

    Args:
        x: `(examples, ...)`, the inputs; or a dict or tuple of such arrays.
        labels: `(examples,)` class ids, or `(examples, classes)`
            probabilities.
        names: A name of each example. Defaults to None, no names.
        texts: `(examples,)` strings, which a person reads instead of `x`.
            Defaults to None, no texts.
        names_identify: As in `Examples`. Defaults to False.
        digests: As in `Examples`. Defaults to None.
    """

    def __init__(
        self,
        x: Any,
        labels: np.ndarray,
        names: Sequence[str] | None = None,
        texts: np.ndarray | None = None,
        names_identify: bool = False,
        digests: Sequence[bytes] | None = None,
    ) -> None:
        self.x, self.labels = x, labels
        self.names, self.texts = names, texts
        self.names_identify = names_identify
        self.digests = digests
        self._tensors: tuple[tf.Tensor, tf.Tensor] | None = None

    @property
    def input_spec(self) -> tf.TensorSpec:
        return tf.nest.map_structure(
            lambda part: tf.TensorSpec(part.shape[1:], part.dtype), self.x
        )

    def take(self, indices: np.ndarray) -> "Arrays":
        return Arrays(
            tf.nest.map_structure(lambda part: part[indices], self.x),
            self.labels[indices],
            _taken(self.names, indices),
            None if self.texts is None else self.texts[indices],
            self.names_identify,
            _taken(self.digests, indices),
        )

    def relabel(self, labels: np.ndarray) -> "Arrays":
        return Arrays(
            self.x,
            labels,
            self.names,
            self.texts,
            self.names_identify,
            self.digests,
        )

    def text_of(self, index: int) -> str | None:
        return None if self.texts is None else str(self.texts[index])

    def sample(self, count: int) -> np.ndarray:
        return self.x

    def fingerprints(self) -> list[bytes]:
        return [
            b"".join(map(_content, rows))
            for rows in zip(*tf.nest.flatten(self.x))
        ]

    def _gather(self, indices: tf.Tensor) -> tf.Tensor:
        return tf.nest.map_structure(
            lambda part: tf.gather(part, indices), self._as_tensors()[0]
        )

    def _label_tensor(self) -> tf.Tensor:
        return self._as_tensors()[1]

    def _as_tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        # Created once, outside any graph: each graph would hold its own copy.
        # In the memory of the host, where batches are made, and not of a GPU.
        if self._tensors is None:
            with tf.init_scope(), tf.device("CPU:0"):
                x = tf.nest.map_structure(tf.constant, self.x)
                self._tensors = x, tf.constant(self.labels)
        return self._tensors


class DiskArrays(_Indexed):
    """Examples whose decoded inputs lie in a `.npy` file.

    Args:
        path: The file, `(rows, ...)`.
        labels: `(examples,)` class ids, or `(examples, classes)`
            probabilities.
        rows: `(examples,)` integers, the row of the file that holds each
            example. Defaults to 0, 1, 2, ...
        names: A name of each example. Defaults to None, no names.
        names_identify: As in `Examples`. Defaults to False.
        digests: As in `Examples`. Defaults to None.
    """

    def __init__(
        self,
        path: Path,
        labels: np.ndarray,
        rows: np.ndarray | None = None,
        names: Sequence[str] | None = None,
        names_identify: bool = False,
        digests: Sequence[bytes] | None = None,
    ) -> None:
        self.path, self.labels, self.names = path, labels, names
        self.names_identify, self.digests = names_identify, digests
        self._x = np.load(path, mmap_mode="r", allow_pickle=False)
        self._rows = np.arange(len(labels)) if rows is None else rows
        self.input_spec = tf.TensorSpec(self._x.shape[1:], self._x.dtype)

    def take(self, indices: np.ndarray) -> "DiskArrays":
        return DiskArrays(
            self.path,
            self.labels[indices],
            self._rows[indices],
            _taken(self.names, indices),
            self.names_identify,
            _taken(self.digests, indices),
        )

    def relabel(self, labels: np.ndarray) -> "DiskArrays":
        return DiskArrays(
            self.path,
            labels,
            self._rows,
            self.names,
            self.names_identify,
            self.digests,
        )

    def sample(self, count: int) -> np.ndarray:
        return self._x[self._rows[_spread(len(self), count)]]

    def fingerprints(self) -> list[bytes]:
        return [_digest(self._x[row].tobytes()) for row in self._rows]

    def _gather(self, indices: tf.Tensor) -> tf.Tensor:
        return _call(
            lambda batch: self._x[self._rows[batch]], indices, self.input_spec
        )


class ImageFiles(_Indexed):
    """Examples whose inputs are image files, read when a batch needs them.

    Args:
        paths: The file of each example.
        labels: `(examples,)` class ids, or `(examples, classes)`
            probabilities.
        size: (height, width) in pixels, to which images are resized by
            bilinear interpolation.
        digests: As in `Examples`. Defaults to the digests of the files, which
            are read when their digests are first needed.
    """

    names_identify = True

    def __init__(
        self,
        paths: list[Path],
        labels: np.ndarray,
        size: tuple[int, int],
        digests: Sequence[bytes] | None = None,
    ) -> None:
        self.paths, self.labels, self.size = paths, labels, size
        self.names = [str(path) for path in paths]
        self.input_spec = tf.TensorSpec((*size, 3), tf.uint8)
        self._digests = digests

    @property
    def digests(self) -> Sequence[bytes]:  # type: ignore[override]
        if self._digests is None:
            self._digests = [images.file_digest(path) for path in self.paths]
        return self._digests

    def take(self, indices: np.ndarray) -> "ImageFiles":
        paths = [self.paths[index] for index in indices]
        digests = _taken(self._digests, indices)
        return ImageFiles(paths, self.labels[indices], self.size, digests)

    def relabel(self, labels: np.ndarray) -> "ImageFiles":
        return ImageFiles(self.paths, labels, self.size, self._digests)

    def sample(self, count: int) -> np.ndarray:
        return self._read(_spread(len(self), count))

    def fingerprints(self) -> list[bytes]:
        return list(self.digests)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                images.read_image(self.paths[index], self.size)
                for index in indices
            ]
        )

    def _gather(self, indices: tf.Tensor) -> tf.Tensor:
        return _call(self._read, indices, self.input_spec)


class Stream(Examples):
    """Examples that are read from a `tf.data.Dataset`.

    Args:
        dataset: A dataset of unbatched elements (raw input, label), in a fixed
            order and of known length.
        decode: Maps a raw input to an input of fixed shape, inside a graph.
            Defaults to None: the raw input is the input.
        labels: `(examples,)` class ids, or `(examples, classes)`
            probabilities. Defaults to the labels of the dataset, which are
            read when they are first needed.
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        decode: Callable[[Any], tf.Tensor] | None = None,
        labels: np.ndarray | None = None,
    ) -> None:
        self.dataset, self.decode = dataset, decode
        self._labels = labels
        self._length = int(dataset.cardinality())
        self.input_spec = dataset.element_spec[0]
        if decode is not None:
            graph = tf.function(decode).get_concrete_function(self.input_spec)
            output = graph.structured_outputs
            self.input_spec = tf.TensorSpec(output.shape, output.dtype)

    def __len__(self) -> int:
        return self._length

    @property
    def labels(self) -> np.ndarray:  # type: ignore[override]
        if self._labels is None:
            only = self.dataset.map(lambda _, label: label).batch(1024)
            self._labels = np.concatenate(list(only.as_numpy_iterator()))
        return self._labels

    def take(self, indices: np.ndarray) -> "Stream":
        kept = np.zeros(len(self), bool)
        kept[indices] = True
        mask = tf.constant(kept)
        dataset = (
            self.dataset.enumerate()
            .filter(lambda index, element: mask[index])
            .map(lambda index, element: element)
            .apply(tf.data.experimental.assert_cardinality(len(indices)))
        )
        labels = None if self._labels is None else self._labels[indices]
        return Stream(dataset, self.decode, labels)

    def relabel(self, labels: np.ndarray) -> "Stream":
        table = tf.constant(labels)
        dataset = self.dataset.enumerate().map(
            lambda index, element: (element[0], table[index])
        )
        return Stream(dataset, self.decode, labels)

    def raw_batches(
        self, key: tf.Tensor, size: int, steps: int
    ) -> tf.data.Dataset:
        passes = -(-steps * size // len(self))
        seeds = tf.random.stateless_uniform([passes], key, None, None, tf.int64)

        def one_pass(seed: tf.Tensor) -> tf.data.Dataset:
            # Sets the seed of this function's graph only. Without it the order
            # would also depend on the program's global seed (and 0 would fail).
            tf.random.set_seed(1)
            return self.dataset.enumerate().shuffle(
                SHUFFLE_BUFFER, seed, reshuffle_each_iteration=False
            )

        return (
            tf.data.Dataset.from_tensor_slices(seeds)
            .flat_map(one_pass)
            .batch(size, drop_remainder=True)
            .take(steps)
        )

    def indices_of(self, raw: Any) -> tf.Tensor:
        return raw[0]

    def load(self, raw: Any) -> tuple[tf.Tensor, tf.Tensor]:
        _, (x, labels) = raw
        return self._decoded(x), labels

    def batches(self, size: int) -> tf.data.Dataset:
        return (
            self.dataset.batch(size)
            .map(
                lambda x, labels: (self._decoded(x), labels),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .prefetch(tf.data.AUTOTUNE)
        )

    def sample(self, count: int) -> np.ndarray:
        first = self.dataset.take(count)
        batches = Stream(first, self.decode).batches(64)
        return _concatenated([x for x, _ in batches.as_numpy_iterator()])

    def _decoded(self, x: Any) -> tf.Tensor:
        if self.decode is None:
            return x
        return tf.map_fn(self.decode, x, fn_output_signature=self.input_spec)


def join(first: Examples, second: Examples) -> Examples:
    """Returns the union of two sets, for methods that train without pairs.

    The clean labels are mixed in anonymously (the paper, section 4.1).

    Args:
        first: The noisy set.
        second: The clean set.

    Returns:
        All examples of `first`, followed by all examples of `second`; if a set
        is a `Stream`, both are interleaved at random places
        (`are_second` returns them).

    Raises:
        InputError: if only one of the sets has soft labels, or if their inputs
            differ in shape.
    """
    shape, second_shape = (
        tf.nest.map_structure(lambda spec: spec.shape, part.input_spec)
        for part in (first, second)
    )
    if shape != second_shape:
        raise InputError(
            "The noisy and the clean set should have inputs of the same shape. "
            f"Received: {shape} and {second_shape}."
        )
    first_label, second_label = _label_spec(first), _label_spec(second)
    if first_label.shape != second_label.shape:
        raise InputError(
            "The noisy and the clean set should have labels of the same kind. "
            f"Received: labels of shape {first_label.shape} and "
            f"{second_label.shape}."
        )
    if isinstance(first, Stream) or isinstance(second, Stream):
        # The sets are interleaved in proportion to their sizes, so that a
        # shuffle buffer can mix them. `sample_from_datasets` would do so too,
        # but its order depends on the global seed.
        choice = are_second(first, second).astype(np.int64)
        inputs = tf.nest.map_structure(
            _common_dtype, first.input_spec, second.input_spec
        )
        labels = _common_dtype(first_label, second_label)
        merged = tf.data.Dataset.choose_from_datasets(
            [
                _decoded(examples).map(
                    lambda x, y: (
                        tf.nest.map_structure(tf.cast, x, inputs),
                        tf.cast(y, labels),
                    )
                )
                for examples in (first, second)
            ],
            tf.data.Dataset.from_tensor_slices(choice),
        )
        return Stream(
            merged.apply(tf.data.experimental.assert_cardinality(len(choice)))
        )
    labels = np.concatenate([first.labels, second.labels])
    if isinstance(first, ImageFiles) and isinstance(second, ImageFiles):
        return ImageFiles([*first.paths, *second.paths], labels, first.size)
    return Arrays(
        _concatenated([in_memory(first).x, in_memory(second).x]), labels
    )


def are_second(first: Examples, second: Examples) -> np.ndarray:
    """Returns which examples of `join(first, second)` come from `second`.

    Args:
        first: The noisy set.
        second: The clean set.

    Returns:
        `(examples of both,)` booleans, in the order of the joined set.
    """
    flags = np.repeat([False, True], [len(first), len(second)])
    if isinstance(first, Stream) or isinstance(second, Stream):
        flags = np.random.default_rng(0).permutation(flags)
    return flags


def in_memory(examples: Examples) -> Arrays:
    """Decodes all inputs once and returns the examples as `Arrays`.

    Raises:
        InputError: if an input cannot be read.
    """
    if isinstance(examples, Arrays):
        return examples
    with checks.plain_errors():
        loaded = list(examples.batches(256).as_numpy_iterator())
    x, labels = (_concatenated(parts) for parts in zip(*loaded))
    return Arrays(
        x,
        labels,
        examples.names,
        names_identify=examples.names_identify,
        digests=examples.digests,
    )


def on_disk(examples: Examples, path: Path) -> DiskArrays:
    """Decodes all inputs once, into a `.npy` file, and returns the examples.

    The file gets its name only after it is complete. A file that already exists
    is used as it is.

    Args:
        examples: The examples to decode.
        path: The `.npy` file. Its folder is created if it is missing.

    Raises:
        InputError: if an input cannot be read.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of this process alone: another process may write the same file.
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            _write(examples, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return DiskArrays(
        path,
        examples.labels,
        names=examples.names,
        names_identify=examples.names_identify,
        digests=examples.digests,
    )


def _taken(
    values: Sequence[Any] | None, indices: np.ndarray
) -> Sequence[Any] | None:
    return None if values is None else [values[index] for index in indices]


def _write(examples: Examples, path: Path) -> None:
    spec = examples.input_spec
    shape = (len(examples), *spec.shape)
    content = np.lib.format.open_memmap(
        path, "w+", spec.dtype.as_numpy_dtype, shape
    )
    start = 0
    with checks.plain_errors():
        for x, _ in examples.batches(256).as_numpy_iterator():
            content[start : start + len(x)] = x
            start += len(x)
    content.flush()


def _label_spec(examples: Examples) -> tf.TensorSpec:
    if isinstance(examples, Stream):
        return examples.dataset.element_spec[1]
    return tf.TensorSpec(examples.labels.shape[1:], examples.labels.dtype)


def _common_dtype(first: tf.TensorSpec, second: tf.TensorSpec) -> tf.DType:
    """Returns the dtype that NumPy gives the concatenation of both."""
    if first.dtype == second.dtype:
        return first.dtype
    dtypes = (spec.dtype.as_numpy_dtype for spec in (first, second))
    return tf.as_dtype(np.result_type(*dtypes))


def _decoded(examples: Examples) -> tf.data.Dataset:
    return examples.batches(64).unbatch()


def _call(
    function: Callable[[np.ndarray], np.ndarray],
    indices: tf.Tensor,
    spec: tf.TensorSpec,
) -> tf.Tensor:
    """Calls a Python function from a graph, and sets the result's shape."""

    def marked(batch: np.ndarray) -> np.ndarray:
        with checks.marked_errors():
            return function(batch)

    x = tf.numpy_function(marked, [indices], spec.dtype, stateful=False)
    return tf.ensure_shape(x, [indices.shape[0], *spec.shape])


def _concatenated(parts: Sequence[Any]) -> Any:
    return tf.nest.map_structure(lambda *each: np.concatenate(each), *parts)


def _content(row: Any) -> bytes:
    """Returns the content of an array; an array of texts holds pointers."""
    array = np.asarray(row)
    if array.dtype.kind == "O":
        return repr(array.tolist()).encode()
    return array.tobytes()


def _spread(length: int, count: int) -> np.ndarray:
    """Returns at most `count` indices, spread evenly over `[0, length)`."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(int))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
