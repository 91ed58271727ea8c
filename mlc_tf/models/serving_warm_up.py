"""Requests with which TensorFlow Serving warms a model up before it serves.

Their protos belong to tensorflow-serving-api, which is large and wants one
version of TensorFlow; the few fields that matter are encoded here:

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

# Where, in the folder of a version, TensorFlow Serving looks for them.
PLACE = Path("assets.extra") / "tf_serving_warmup_requests"


def write(
    version: Path,
    model_name: str,
    signatures: Iterable[str],
    inputs: Mapping[str, np.ndarray],
) -> None:
    """Writes one request for each signature into the folder of a version.

    Args:
        version: The folder of a SavedModel.
        model_name: By which it is served.
        signatures: Their names.
        inputs: A batch, by the name of the input.
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
        model_name: By which the model is served.
        signature: The name of one of its signatures.
        inputs: A batch, by the name of the input.
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
    """Returns a field of the wire type 2: its tag, its length, its content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = []  # of seven bits, the lowest first
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
