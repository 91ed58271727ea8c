"""Writes the requests with which TensorFlow Serving warms up a model.

The package tensorflow-serving-api has the protos of these requests, but it is
large and requires a certain version of TensorFlow. This module encodes the few
fields that are needed:

    PredictionLog   6: PredictLog predict_log
    PredictLog      1: PredictRequest request
    PredictRequest  1: ModelSpec model_spec, 2: map<string, TensorProto> inputs
    ModelSpec       1: string name, 3: string signature_name
"""

from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

# The path, inside a version folder, at which TensorFlow Serving looks for them.
PLACE = Path("assets.extra") / "tf_serving_warmup_requests"


def write(
    version: Path,
    model_name: str,
    signatures: Iterable[str],
    inputs: Mapping[str, np.ndarray],
) -> None:
    """Writes one warm-up request per signature into a version folder.

    Args:
        version: The folder of a SavedModel.
        model_name: The name under which TensorFlow Serving serves the model.
        signatures: Names of the SavedModel's signatures, such as
            "serving_default".
        inputs: One batch: an array `(batch, ...)` for each input name.
    """
    path = version / PLACE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature in signatures:
            records.write(prediction_log(model_name, signature, inputs))


def prediction_log(
    model_name: str, signature: str, inputs: Mapping[str, np.ndarray]
) -> bytes:
    """Returns a request as a serialised `PredictionLog`.

    Args:
        model_name: The name under which TensorFlow Serving serves the model.
        signature: Name of the signature to call, such as "serving_default".
        inputs: One batch: an array `(batch, ...)` for each input name.
    """
    model_spec = _text(1, model_name) + _text(3, signature)
    request = _field(1, model_spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _text(1, name) + _field(2, tensor))
    return _field(6, _field(1, request))


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, content: bytes) -> bytes:
    """Returns a protobuf field of wire type 2: tag, length and content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Returns an unsigned integer as a protobuf varint."""
    groups = []  # seven bits each, the lowest bits first
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
