"""Exports a trained network, to be served without `mlc_tf`.

The formats are SavedModel, LiteRT and ONNX. Every format contains the
preprocessing and the class names; a SavedModel also contains T, if T is known.
"""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import import_optional
from mlc_tf.errors import unknown_name
from mlc_tf.errors import writable_or_error
from mlc_tf.models import forward_pass
from mlc_tf.models import serving_warm_up

# The file suffix of each format of `write`; a SavedModel is a folder.
SUFFIXES = {"tf_saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
_DEFAULT = "serving_default"
# The entries of a SavedModel.
_SAVED_MODEL = {"assets", "fingerprint.pb", "saved_model.pb", "variables"}
# Finds the name of the unsupported operation in a converter's error message.
_OPERATION = re.compile(r"(?:'tf\.|No Op registered for )(\w+)")


def saved_model(
    network: keras.Model,
    output: str | Path,
    class_names: Sequence[str],
    transition: Any = None,
    model_card: str | None = None,
    input_signature: Any = None,
) -> Path:
    """Writes the next version of a network, for TensorFlow Serving.

    The folder `output` contains one folder per version (`1/`, `2/`, ...). Each
    version is a SavedModel with the signatures of `write`. It also contains one
    warm-up request of zeros per signature, for a model that is served under
    the name of the folder `output`.

    Args:
        network: A built functional or Sequential model from inputs to logits
            `(batch, classes)`.
        output: The folder of the versions, which is created if it is missing.
        class_names: The name of each class; the names differ.
        transition: T, `(classes, classes)`; rows are clean classes and sum
            to 1. Defaults to None, unknown.
        model_card: Content of the file `model_card.md`, Markdown. Defaults to
            None, no such file.
        input_signature: As in `write`. Defaults to the inputs of the network.

    Returns:
        The folder of the new version. The folder appears only after all its
        files are written.

    Raises:
        InputError: if the inputs of the network are not known, if
            `class_names` or `transition` do not fit the network, or if the
            folder cannot be written.
    """
    specs = _input_specs(network, input_signature)
    archive, signatures = _archive(network, specs, class_names, transition)
    output = Path(output)
    with writable_or_error("output", output):
        output.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=output))
    try:
        archive.write_out(part, verbose=False)
        serving_warm_up.write(
            part, output.resolve().name, signatures, _zeros(specs)
        )
        if model_card is not None:
            content = model_card.encode(errors="replace")
            (part / "model_card.md").write_bytes(content)
        part.chmod(0o755)  # the server may run as another user
        version = _publish(part, output)
    except (tf.errors.ResourceExhaustedError, OSError) as error:
        raise _unwritable("output", output, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return version


def write(
    network: keras.Model,
    filepath: str | Path,
    format: str = "tf_saved_model",
    class_names: Sequence[str] | None = None,
    transition: Any = None,
    input_signature: Any = None,
) -> None:
    """Writes a network in a serving format.

    The signatures of a SavedModel take `inputs`, a batch of any size, and
    reject inputs of another dtype or shape. They return:

    - `serving_default`: `probabilities` `(batch, classes)`, and the most
      probable class as `class_index` `(batch,)` and `class_name` `(batch,)`;
    - `logits`: `logits` `(batch, classes)`;
    - `noisy_label_posterior`, only if T is known: `probabilities`
      `(batch, classes)` of the noisy label, `f @ T`.

    An example whose inputs or logits are NaN or infinite has no answer: its
    probabilities are NaN, its `class_index` is -1 and its `class_name` is "".

    A LiteRT or ONNX file has only `serving_default`, with the same names, and
    takes batches of any size. ONNX Runtime rejects another dtype or shape. The
    LiteRT interpreter rejects another dtype, and with `strict=True` another
    shape.

    Args:
        network: A built network from inputs to logits `(batch, classes)`.
            Several inputs keep their own names.
        filepath: A folder for "tf_saved_model", a file that ends in `.tflite`
            for "litert", or a file that ends in `.onnx` for "onnx".
        format: "tf_saved_model", "litert" or "onnx"; "onnx" needs
            `pip install 'mlc_tf[onnx]'`. Defaults to "tf_saved_model".
        class_names: The name of each class; the names differ. Defaults to "0",
            "1", ...
        transition: T, `(classes, classes)`; rows are clean classes and sum
            to 1. Defaults to None, unknown.
        input_signature: A `tf.TensorSpec` of a batch of inputs, or named specs
            in the structure of the inputs. Defaults to the inputs of a
            functional or Sequential model; a subclassed model requires it.

    Raises:
        InputError: if the format is unknown or its library is missing, the
            path does not fit the format or cannot be written, or the inputs of
            the network are not known. Also if `class_names` or `transition` do
            not fit the network, or the format does not support an operation or
            the float16 or bfloat16 layers of the network.
    """
    check_path("filepath", filepath, format)
    if format == "onnx":
        _onnx_libraries()
    _check_free(filepath, format)
    dtype = forward_pass.coarsest_dtype(network)
    if SUFFIXES[format] and dtype in ("float16", "bfloat16"):
        raise bad_argument(
            "network", f"one that computes in float32 for {format!r}", dtype
        )
    specs = _input_specs(network, input_signature)
    archive, _ = _archive(network, specs, class_names, transition)
    filepath = Path(filepath)
    folder = filepath if format == "tf_saved_model" else filepath.parent
    with writable_or_error("filepath", filepath):
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
    try:
        if format == "tf_saved_model":
            archive.write_out(filepath, verbose=False)
            return
        archive.write_out(part / "saved_model", verbose=False)
        convert = _litert if format == "litert" else _onnx
        content = part / filepath.name
        content.write_bytes(convert(part / "saved_model"))
        os.replace(content, filepath)
    except (tf.errors.ResourceExhaustedError, OSError) as error:
        raise _unwritable("filepath", filepath, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_path(name: str, path: str | Path, format: str) -> None:
    """Checks that a path fits a format.

    Args:
        name: Name of the argument that holds the path, for messages.
        path: The folder or file to write.
        format: "tf_saved_model", "litert" or "onnx".

    Raises:
        InputError: if the format is unknown, or the path does not have the
            suffix of the format.
    """
    if format not in SUFFIXES:
        raise unknown_name("format", format, SUFFIXES)
    if SUFFIXES[format] and Path(path).suffix != SUFFIXES[format]:
        raise bad_argument(
            name,
            f"a file that ends in {SUFFIXES[format]} for the format {format!r}",
            str(path),
        )


def _archive(
    network: keras.Model,
    specs: Any,
    class_names: Sequence[str] | None,
    transition: Any,
) -> tuple[keras.export.ExportArchive, list[str]]:
    """Returns the archive to write, and the names of its signatures."""
    endpoints = _endpoints(network, specs, class_names, transition)
    archive = keras.export.ExportArchive()
    archive.track(network)
    for name, function in endpoints.items():
        archive.add_endpoint(name, function, [specs])
    return archive, list(endpoints)


def _endpoints(
    network: keras.Model,
    specs: Any,
    class_names: Sequence[str] | None,
    transition: Any,
) -> dict[str, Any]:
    """Returns the function of each signature, by the signature's name."""

    @tf.function(input_signature=[specs], autograph=False)
    def logits_of(inputs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        # Without this check, a network may accept inputs of a wrong shape.
        checked = keras.tree.map_structure(
            lambda tensor, spec: tf.ensure_shape(tensor, spec.shape),
            inputs,
            specs,
        )
        logits = forward_pass.as_float(network(checked, training=False))
        return logits, _finite([*keras.tree.flatten(checked), logits])

    def serve(inputs: Any) -> dict[str, tf.Tensor]:
        logits, valid = logits_of(inputs)
        index = tf.argmax(logits, axis=-1)
        # The last name stands for no class.
        place = tf.where(valid, index, num_classes)
        return {
            "probabilities": _or_nan(valid, tf.nn.softmax(logits)),
            "class_index": tf.where(valid, index, -1),
            "class_name": tf.gather(tf.constant([*names, ""]), place),
        }

    def logits(inputs: Any) -> dict[str, tf.Tensor]:
        logits, valid = logits_of(inputs)
        return {"logits": _or_nan(valid, logits)}

    def noisy_label(inputs: Any) -> dict[str, tf.Tensor]:
        logits, valid = logits_of(inputs)
        probs = tf.nn.softmax(logits)
        noisy = transitions.correct(probs, tf.constant(matrix, probs.dtype))
        return {"probabilities": _or_nan(valid, noisy)}

    # All signatures share this one trace.
    num_classes = logits_of.get_concrete_function().output_shapes[0][-1]
    names = _check_names(class_names, num_classes)
    if transition is None:
        return {_DEFAULT: serve, "logits": logits}
    matrix = transitions.validate(transition, num_classes)
    return {
        _DEFAULT: serve,
        "logits": logits,
        "noisy_label_posterior": noisy_label,
    }


def _finite(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Returns which examples have only finite numbers, `(batch,)` booleans."""
    valid = None
    for tensor in tensors:
        if not tensor.dtype.is_floating:
            continue
        # LiteRT has no `is_finite`. NaN is not less than any number.
        small = tf.abs(tensor) <= tensor.dtype.max
        axes = list(range(1, tensor.shape.rank))
        each = tf.reduce_all(small, axes) if axes else small
        valid = each if valid is None else valid & each
    return valid


def _or_nan(valid: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Returns values `(batch, ...)`, or NaN for examples that are not valid."""
    return tf.where(valid[:, None], values, values.dtype.as_numpy_dtype(np.nan))


def _input_specs(network: keras.Model, input_signature: Any) -> Any:
    """Returns the specs of a batch, nested like the network's inputs."""
    if input_signature is not None:
        structure = input_signature
    elif getattr(network, "inputs", None):
        # A Sequential model that was never called has `inputs`, but no `input`.
        several = len(network.inputs) > 1
        structure = network.input if several else network.inputs[0]
    else:
        raise InputError(
            "`network` should be a functional or Sequential model, or "
            "`input_signature` a tf.TensorSpec of its inputs. Received: a "
            f"{type(network).__name__}, whose inputs are not known."
        )
    single = len(keras.tree.flatten(structure)) == 1
    return keras.tree.map_structure(
        lambda tensor: tf.TensorSpec(
            [None, *tensor.shape[1:]],
            tensor.dtype,
            "inputs" if single else tensor.name,
        ),
        structure,
    )


def _zeros(specs: Any) -> dict[str, np.ndarray]:
    """Returns a batch of one example of zeros, by the name of each input.

    A text is empty. An axis of unknown size gets the size 1.
    """
    return {
        spec.name: np.full(
            [size or 1 for size in spec.shape],
            b"" if spec.dtype == tf.string else 0,
            spec.dtype.as_numpy_dtype,
        )
        for spec in keras.tree.flatten(specs)
    }


def _check_names(class_names: Any, num_classes: int) -> list[str]:
    if class_names is None:
        return [str(index) for index in range(num_classes)]
    if isinstance(class_names, str) or not isinstance(class_names, Iterable):
        class_names = [class_names]
    names = [str(name) for name in class_names]
    if len(names) != num_classes or len({*names}) != num_classes:
        raise bad_argument(
            "class_names", f"{num_classes} different names", names
        )
    return names


def _publish(part: Path, output: Path) -> Path:
    """Gives a folder the name of the next version; returns the version."""
    while True:
        version = output / str(1 + max([0, *_versions(output)]))
        try:
            os.rename(part, version)
            return version
        except OSError as error:
            # Another process has just written this version.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _check_free(filepath: str | Path, format: str) -> None:
    """Raises unless a folder is free for a SavedModel, or holds one."""
    path = Path(filepath)
    if format != "tf_saved_model" or not path.is_dir():
        return
    others = sorted({each.name for each in path.iterdir()} - _SAVED_MODEL)
    if others:
        raise InputError(
            "`filepath` should be a new folder, or a folder with a SavedModel, "
            f"which is replaced. Received: `filepath` = '{path}', which holds "
            f"{', '.join(others[:5])}."
        )


def _unwritable(name: str, path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or "no space left on the disk"
    return bad_argument(
        name, f"a place that can be written ({reason})", str(path)
    )


def _versions(output: Path) -> list[int]:
    return [int(path.name) for path in output.iterdir() if path.name.isdigit()]


def _litert(folder: Path) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder), signature_keys=[_DEFAULT]
    )
    try:
        return converter.convert()
    except Exception as error:  # the converter's error class is not public
        raise _unsupported("litert", error) from error


def _onnx(folder: Path) -> bytes:
    onnx, tf2onnx = _onnx_libraries()
    with _without_warnings():
        # Not `from_function`: it mistakes constants for inputs.
        graph, inputs, outputs, names = tf2onnx.tf_loader.from_saved_model(
            str(folder),
            None,
            None,
            tag=["serve"],
            signatures=[_DEFAULT],
            return_tensors_to_rename=True,
        )
        model, _ = tf2onnx.convert.from_graph_def(
            graph,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=names,
        )
    try:
        # The converter does not report unsupported operations; the checker
        # does.
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise _unsupported("onnx", error) from error
    return model.SerializeToString()


def _onnx_libraries() -> tuple[Any, Any]:
    return import_optional("onnx", "onnx"), import_optional("tf2onnx", "onnx")


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hides the deprecation warnings that tf2onnx causes in TensorFlow."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _unsupported(format: str, error: Exception) -> InputError:
    """Returns the error for a network that a converter cannot convert."""
    text = " ".join(str(error).split())
    named = _OPERATION.search(text)
    return InputError(
        "`format` should be a format that supports all operations of this "
        f"network. Received: `format` = {format!r} "
        f"({named[1] if named else text[:120]})."
    )
