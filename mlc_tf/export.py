"""A trained network as a SavedModel that loads without `mlc_tf`.

Versions lie side by side (`1/`, `2/`, ...), as TensorFlow Serving wants them.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import transition as transition_room
from mlc_tf import virtual_network
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import told_if_unwritable


def saved_model(
    network: keras.Model,
    output: str | Path,
    class_names: Sequence[str],
    transition: Any = None,
) -> Path:
    """Writes the next version of a network as a SavedModel.

    Its signatures take `inputs`, a batch of any size, and give

    - `serving_default`: `probabilities` `(batch, classes)`, `class_index` and
      `class_name` `(batch,)` of the likeliest class;
    - `logits`: `logits` `(batch, classes)`;
    - `noisy_label_posterior`, where T is known: `probabilities` of the label
      that would have been given, `f @ T`.

    Args:
        network: From inputs to logits; a functional or Sequential model.
        output: The folder of the versions, made if missing.
        class_names: One a class.
        transition: `(classes, classes)`, rows are clean classes and sum to 1.
            Defaults to None, not known.

    Returns:
        The folder of the version. It is there when it is whole.

    Raises:
        InputError: if the network has no one input of a known shape, there are
            not as many names as classes, T is no such matrix, or the folder
            cannot be written.
    """
    spec = _input_spec(network)
    names = _check_names(class_names, int(network.output_shape[-1]))
    matrix = None
    if transition is not None:
        matrix = transition_room.validate(transition, len(names))
    output = Path(output)
    with told_if_unwritable("output", output):
        output.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=output))
    try:
        _archive(network, spec, names, matrix).write_out(part, verbose=False)
        version = output / str(1 + max([0, *_versions(output)]))
        part.chmod(0o755)  # others serve it
        os.rename(part, version)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return version


def _archive(
    network: keras.Model,
    spec: tf.TensorSpec,
    names: list[str],
    transition: np.ndarray | None,
) -> keras.export.ExportArchive:
    archive = keras.export.ExportArchive()
    archive.track(network)
    class_names = tf.constant(names)

    def logits_of(inputs: tf.Tensor) -> tf.Tensor:
        return virtual_network.as_float(network(inputs, training=False))

    def serve(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        probs = tf.nn.softmax(logits_of(inputs))
        index = tf.argmax(probs, axis=-1)
        return {
            "probabilities": probs,
            "class_index": index,
            "class_name": tf.gather(class_names, index),
        }

    def logits(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": logits_of(inputs)}

    archive.add_endpoint("serving_default", serve, [spec])
    archive.add_endpoint("logits", logits, [spec])
    if transition is not None:

        def noisy_label(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            probs = tf.nn.softmax(logits_of(inputs))
            noisy = probs @ tf.constant(transition, probs.dtype)
            return {"probabilities": noisy}

        archive.add_endpoint("noisy_label_posterior", noisy_label, [spec])
    return archive


def _input_spec(network: keras.Model) -> tf.TensorSpec:
    inputs = getattr(network, "inputs", None)
    if inputs is None or len(inputs) != 1:
        raise InputError(
            "`network` should be a functional or Sequential model with one "
            f"input. Received: a {type(network).__name__} with "
            f"{'an unknown number of' if inputs is None else len(inputs)}."
        )
    (only,) = inputs
    return tf.TensorSpec([None, *only.shape[1:]], only.dtype, "inputs")


def _check_names(class_names: Sequence[str], num_classes: int) -> list[str]:
    names = [str(name) for name in class_names]
    if len(names) != num_classes or len({*names}) != num_classes:
        raise bad_argument(
            "class_names", f"{num_classes} different names", names
        )
    return names


def _versions(output: Path) -> list[int]:
    return [int(path.name) for path in output.iterdir() if path.name.isdigit()]
