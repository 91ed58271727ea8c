"""Tests that tensorflow-serving-api would read the warm-up requests."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory

from mlc_tf.models import serving_warm_up

# (field, number, message or None for a string, map) as in TensorFlow Serving's
# prediction_log.proto, predict.proto and model.proto.
MESSAGES = {
    "ModelSpec": [("name", 1, None), ("signature_name", 3, None)],
    "InputsEntry": [("key", 1, None), ("value", 2, "TensorProto")],
    "PredictRequest": [
        ("model_spec", 1, "ModelSpec"),
        ("inputs", 2, "InputsEntry"),
    ],
    "PredictLog": [("request", 1, "PredictRequest")],
    "PredictionLog": [("predict_log", 6, "PredictLog")],
}
TENSOR = type(tf.make_tensor_proto(0))
FIELD = descriptor_pb2.FieldDescriptorProto


@pytest.fixture(scope="module")
def prediction_log():
    """The class of the message, built from its fields."""
    file = descriptor_pb2.FileDescriptorProto(
        name="serving.proto", package="serving", syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = (
                FIELD.LABEL_REPEATED
                if kind == "InputsEntry"
                else FIELD.LABEL_OPTIONAL
            )
            if kind == "TensorProto":
                field.type = (
                    FIELD.TYPE_BYTES
                )  # TensorFlow has the class of this field
            elif kind is None:
                field.type = FIELD.TYPE_STRING
            else:
                field.type = FIELD.TYPE_MESSAGE
                field.type_name = f".serving.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("serving.PredictionLog")
    )


def decoded(message):
    request = message.predict_log.request
    inputs = {
        entry.key: tf.make_ndarray(TENSOR.FromString(entry.value))
        for entry in request.inputs
    }
    return request.model_spec.name, request.model_spec.signature_name, inputs


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        np.zeros((1, 70, 70), np.uint8),  # the length takes two bytes or more
    ],
    ids=["short", "long"],
)
def test_a_request_is_read_as_it_was_meant(array, prediction_log):
    content = serving_warm_up.prediction_log("digits", "logits", {"x": array})
    message = prediction_log.FromString(content)
    name, signature, inputs = decoded(message)
    assert (name, signature, [*inputs]) == ("digits", "logits", ["x"])
    assert inputs["x"].dtype == array.dtype
    np.testing.assert_array_equal(inputs["x"], array)


def test_each_signature_has_a_record(tmp_path, prediction_log):
    signatures = ["serving_default", "logits"]
    inputs = {"a": np.ones((1, 2), np.int64), "b": np.ones((1, 3))}
    serving_warm_up.write(tmp_path, "digits", signatures, inputs)
    path = tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    found = [
        decoded(prediction_log.FromString(record.numpy()))
        for record in tf.data.TFRecordDataset(str(path))
    ]
    assert [signature for _, signature, _ in found] == signatures
    assert all({*inputs} == {"a", "b"} for _, _, inputs in found)
