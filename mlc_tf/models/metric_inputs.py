"""Gives each Keras metric the labels and predictions that it is made for.

A step has class ids and logits. Sparse metrics take these; other metrics of
Keras take one-hot labels and probabilities, and some take predicted ids.
"""

from typing import Any

import keras
import tensorflow as tf

from mlc_tf.errors import bad_argument

# Metrics that compare ids with the order of the outputs: logits serve.
_BY_ORDER = (
    keras.metrics.SparseCategoricalAccuracy,
    keras.metrics.SparseTopKCategoricalAccuracy,
)
_IOU = (keras.metrics.IoU, keras.metrics.MeanIoU)
# Names that Keras resolves by the shape of the labels, here ids.
_RESOLVED_BY_KERAS = ("accuracy", "acc")
# Metrics of single values, which have no labels.
_OF_VALUES = (keras.metrics.Mean, keras.metrics.Sum)


def for_classifier(metrics: Any, num_classes: int) -> Any:
    """Returns metrics that can be updated with class ids and logits.

    Args:
        metrics: As in `keras.Model.compile`: names or metrics, in a list or a
            dict, or None. Functions and metrics of a user's own class get
            class ids and logits.
        num_classes: The number of classes.

    Raises:
        InputError: for an unknown name, or a metric that takes no labels.
    """
    if isinstance(metrics, (list, tuple)):
        return [for_classifier(metric, num_classes) for metric in metrics]
    if isinstance(metrics, dict):
        return {
            name: for_classifier(metric, num_classes)
            for name, metric in metrics.items()
        }
    if metrics in ("crossentropy", "ce"):
        # The metric that Keras means takes probabilities.
        return keras.metrics.SparseCategoricalCrossentropy(from_logits=True)
    if isinstance(metrics, str) and metrics not in _RESOLVED_BY_KERAS:
        try:
            metrics = keras.metrics.get(metrics)
        except ValueError:
            raise bad_argument(
                "metrics", "metrics of Keras, by their names", metrics
            ) from None
    if type(metrics) in _OF_VALUES:
        raise bad_argument(
            "metrics",
            "metrics of labels and predictions",
            type(metrics).__name__,
        )
    if _takes_ids_and_logits(metrics):
        return metrics
    return ClassifierMetric(metrics, num_classes)


def _takes_ids_and_logits(metric: Any) -> bool:
    if not isinstance(metric, keras.metrics.Metric):
        return True  # None, a name or a function
    if isinstance(metric, (ClassifierMetric, *_BY_ORDER)):
        return True
    if isinstance(metric, keras.metrics.SparseCategoricalCrossentropy):
        return _from_logits(metric)
    # The metrics of a user's own class get what a step has.
    return not type(metric).__module__.startswith("keras.")


def _from_logits(metric: keras.metrics.Metric) -> bool:
    return bool(metric.get_config().get("from_logits", False))


@keras.saving.register_keras_serializable(package="mlc_tf")
class ClassifierMetric(keras.metrics.Metric):
    """A metric of Keras, updated with class ids and logits.

    Args:
        metric: The metric, which gets one-hot labels and probabilities (logits
            if it has `from_logits=True`); ids, where it is made for ids.
        num_classes: The number of classes.
    """

    def __init__(self, metric: keras.metrics.Metric, num_classes: int) -> None:
        if isinstance(metric, dict):
            metric = keras.saving.deserialize_keras_object(metric)
        super().__init__(name=metric.name, dtype=metric.dtype)
        self.metric, self.num_classes = metric, num_classes

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        """Updates the metric.

        Args:
            y_true: Class ids, `(batch,)`.
            y_pred: Logits, `(batch, classes)`.
            sample_weight: `(batch,)`. Defaults to None, equal weights.
        """
        ids = tf.cast(tf.reshape(y_true, [-1]), tf.int64)
        probabilities = tf.nn.softmax(y_pred)
        one_hot = tf.one_hot(ids, self.num_classes, dtype=probabilities.dtype)
        labels, predictions = one_hot, probabilities
        if isinstance(self.metric, keras.metrics.SparseCategoricalCrossentropy):
            labels = ids
        elif isinstance(self.metric, _IOU):
            if self.metric.sparse_y_true:
                labels = ids
            if self.metric.sparse_y_pred:
                predictions = tf.argmax(y_pred, axis=-1)
        elif _from_logits(self.metric):
            predictions = y_pred
        return self.metric.update_state(labels, predictions, sample_weight)

    def result(self) -> Any:
        return self.metric.result()

    def reset_state(self) -> None:
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        return {
            "metric": keras.saving.serialize_keras_object(self.metric),
            "num_classes": self.num_classes,
        }
