"""A temporary fix of `fit` of Keras 3.15 for several workers.

keras-team/keras#20585: under `MultiWorkerMirroredStrategy`, `fit` builds the
model from a batch that it cannot reduce, and averages scalar logs over an axis
that they do not have. This module holds the only private Keras hook of the
package. `tests/models/test_multi_worker.py` fails when Keras no longer needs
it.
"""

from typing import Any

import keras
import tensorflow as tf

from mlc_tf import distribution


class MultiWorkerFit(keras.Model):
    """A model that `fit` can train on several workers; it must be built."""

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        if not distribution.has_workers():
            super()._maybe_symbolic_build(iterator, data_batch)

    def compute_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        results = super().compute_metrics(*args, **kwargs)
        if distribution.has_workers() and distribution.in_replica():
            return {
                name: tf.reshape(value, [1]) for name, value in results.items()
            }
        return results
