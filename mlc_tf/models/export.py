"""A trained network for those who serve it, without `mlc_tf`.

As a SavedModel, LiteRT or ONNX. All have what a stranger needs inside: the
preprocessing, the class names and, where it is known, T.
"""

import os
import re
import shutil
import tempfile
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

# The formats of `write`, and how their files end; a SavedModel is a folder.
SUFFIXES = {"tf_saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
_DEFAULT = "serving_default"
# What a converter lacks, in what it says.
_OPERATION = re.compile(r"(?:'tf\.|No Op registered for )(\w+)")


def saved_model(
    network: keras.Model,
    output: str | Path,
    class_names: Sequence[str],
    transition: Any = None,
    model_card: str | None = None,
) -> Path:
    """Writes the next version of a network, for TensorFlow Serving.

    Versions lie side by side (`1/`, `2/`, ...). Each holds a SavedModel with
    the signatures of `write`, and a request of zeros for each of them, with
    which TensorFlow Serving warms it up under the name of the folder `output`.

    Args:
        network: As in `write`.
        output: The folder of the versions, made if missing.
        class_names: As in `write`.
        transition: As in `write`.
        model_card: What `model_card.md` says. Defaults to None, no such file.

    Returns:
        The folder of the version. It is there when it is whole.

    Raises:
        InputError: as `write`, or if the folder cannot be written.
    """
    specs = _input_specs(network, None)
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
            (part / "model_card.md").write_text(model_card)
        version = output / str(1 + max([0, *_versions(output)]))
        part.chmod(0o755)  # others serve it
        os.rename(part, version)
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
    """Writes a network for those who serve it.

    A SavedModel has signatures which take `inputs`, a batch of any size, and
    refuse another dtype or shape. They give

    - `serving_default`: `probabilities` `(batch, classes)`, `class_index` and
      `class_name` `(batch,)` of the likeliest class;
    - `logits`: `logits` `(batch, classes)`;
    - `noisy_label_posterior`, where T is known: `probabilities` of the label
      that would have been given, `f @ T`.

    A LiteRT or ONNX file has `serving_default`, with the same names, and any
    batch size too. ONNX Runtime refuses another dtype or shape; the LiteRT
    interpreter another dtype, but only with `strict=True` another shape.

    Args:
        network: A built network from inputs to logits. Several inputs keep
            their own names.
        filepath: A folder, or a file that ends in `.tflite` or `.onnx`.
        format: "tf_saved_model", "litert" or "onnx"; the last one needs
            `pip install 'mlc_tf[onnx]'`. Defaults to "tf_saved_model".
        class_names: One a class. Defaults to "0", "1", ...
        transition: `(classes, classes)`, rows are clean classes and sum to 1.
            Defaults to None, not known.
        input_signature: A `tf.TensorSpec` of the inputs, or such specs nested
            as the inputs are, with names. Defaults to what a functional or
            Sequential model tells; a subclassed one tells nothing.

    Raises:
        InputError: for an unknown format, a path that it does not have or that
            cannot be written, a network whose inputs are not known, not as
            many names as classes, or no such T; if the format lacks an
            operation of the network, or its library is missing.
    """
    check_path("filepath", filepath, format)
    if format == "onnx":
        _onnx_libraries()
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
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_path(name: str, path: str | Path, format: str) -> None:
    """Refuses an unknown format, and a path that it does not have.

    Args:
        name: Of the argument that holds the path.
        path: That of the folder or file to be written.
        format: As in `write`.

    Raises:
        InputError: if so.
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
    """Returns what is to be written, and the names of its signatures."""
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
    @tf.function(input_signature=[specs], autograph=False)
    def logits_of(inputs: Any) -> tf.Tensor:
        # A network may well compute something of inputs of a wrong shape.
        checked = keras.tree.map_structure(
            lambda tensor, spec: tf.ensure_shape(tensor, spec.shape),
            inputs,
            specs,
        )
        return forward_pass.as_float(network(checked, training=False))

    def serve(inputs: Any) -> dict[str, tf.Tensor]:
        probs = tf.nn.softmax(logits_of(inputs))
        index = tf.argmax(probs, axis=-1)
        return {
            "probabilities": probs,
            "class_index": index,
            "class_name": tf.gather(tf.constant(names), index),
        }

    def logits(inputs: Any) -> dict[str, tf.Tensor]:
        return {"logits": logits_of(inputs)}

    def noisy_label(inputs: Any) -> dict[str, tf.Tensor]:
        probs = tf.nn.softmax(logits_of(inputs))
        noisy = transitions.correct(probs, tf.constant(matrix, probs.dtype))
        return {"probabilities": noisy}

    # Traced once, for all signatures.
    num_classes = logits_of.get_concrete_function().output_shapes[-1]
    names = _check_names(class_names, num_classes)
    if transition is None:
        return {_DEFAULT: serve, "logits": logits}
    matrix = transitions.validate(transition, num_classes)
    return {
        _DEFAULT: serve,
        "logits": logits,
        "noisy_label_posterior": noisy_label,
    }


def _input_specs(network: keras.Model, input_signature: Any) -> Any:
    """Returns specs of a batch, nested as the network's inputs are."""
    if input_signature is not None:
        structure = input_signature
    elif getattr(network, "inputs", None):
        # Of a Sequential that was never called only the list is known.
        several = len(network.inputs) > 1
        structure = network.input if several else network.inputs[0]
    else:
        raise InputError(
            "`network` should be a functional or Sequential model, or "
            "`input_signature` a tf.TensorSpec of its inputs. Received: a "
            f"{type(network).__name__}, which does not tell its inputs."
        )
    only = len(keras.tree.flatten(structure)) == 1
    return keras.tree.map_structure(
        lambda each: tf.TensorSpec(
            [None, *each.shape[1:]], each.dtype, "inputs" if only else each.name
        ),
        structure,
    )


def _zeros(specs: Any) -> dict[str, np.ndarray]:
    """Returns one example, by the name of the input; an unknown size is 1."""
    return {
        spec.name: np.zeros(
            [size or 1 for size in spec.shape], spec.dtype.as_numpy_dtype
        )
        for spec in keras.tree.flatten(specs)
    }


def _check_names(
    class_names: Sequence[str] | None, num_classes: int
) -> list[str]:
    if class_names is None:
        return [str(index) for index in range(num_classes)]
    names = [str(name) for name in class_names]
    if len(names) != num_classes or len({*names}) != num_classes:
        raise bad_argument(
            "class_names", f"{num_classes} different names", names
        )
    return names


def _versions(output: Path) -> list[int]:
    return [int(path.name) for path in output.iterdir() if path.name.isdigit()]


def _litert(folder: Path) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder), signature_keys=[_DEFAULT]
    )
    try:
        return converter.convert()
    except Exception as error:  # its own class of error is not public
        raise _lacking("litert", error) from error


def _onnx(folder: Path) -> bytes:
    onnx, tf2onnx = _onnx_libraries()
    with _without_warnings():
        # Not `from_function`, which takes constants for inputs.
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
        # The converter passes over what it lacks.
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise _lacking("onnx", error) from error
    return model.SerializeToString()


def _onnx_libraries() -> tuple[Any, Any]:
    return import_optional("onnx", "onnx"), import_optional("tf2onnx", "onnx")


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps tf2onnx's use of old TensorFlow functions from users."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _lacking(format: str, error: Exception) -> InputError:
    text = " ".join(str(error).split())
    named = _OPERATION.search(text)
    return InputError(
        f"`format` should be another than {format!r} for this network, of "
        f"which it lacks an operation. Received: {format!r} "
        f"({named[1] if named else text[:120]})."
    )
