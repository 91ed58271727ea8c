"""Stops training whose loss or weights are not finite."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from mlc_tf.errors import DivergedError


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises `DivergedError` at the first step whose loss is NaN or infinite.

    The weights are checked at the end of each epoch, because the last step of
    an epoch can make them NaN without a later loss to show it.

    Args:
        advice: The end of the error message: what was saved and what to try.
            Defaults to "".
        first_step: How many steps of the first epoch are done when `fit`
            starts. Defaults to 0.
    """

    def __init__(self, advice: str = "", first_step: int = 0) -> None:
        super().__init__()
        self.advice = advice
        self.first_step = first_step
        self._epoch = 0

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        self._epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not np.isfinite(loss):
            raise DivergedError(
                f"The loss became {loss} at step {self.first_step + batch + 1} "
                f"of epoch {self._epoch + 1}. {self.advice}".strip()
            )

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        check_weights(self.model, epoch, self.advice)


def check_weights(model: keras.Model, epoch: int, advice: str) -> None:
    """Raises `DivergedError` if a weight is NaN or infinite.

    Args:
        model: The model whose weights are checked.
        epoch: The current epoch, counted from 0, for the message.
        advice: The end of the error message.
    """
    if not all(np.isfinite(value).all() for value in model.get_weights()):
        raise DivergedError(
            f"The weights became NaN or infinite in epoch {epoch + 1}. "
            f"{advice}".strip()
        )
