"""One run from a config to a result, resumable, and many of them: settings,
methods, training, checkpoints, comparison and search."""

from mlc_tf.run import settings

__all__ = ["settings"]
