"""The number of steps of a run, from the arguments of `fit`."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from mlc_tf.errors import InputError

_FIT = inspect.signature(keras.Model.fit)


def of_fit(*args: Any, **kwargs: Any) -> tuple[int, int]:
    """Returns the number of steps of a run, and the number before this `fit`.

    The run has all epochs up to the last of this `fit`; the epochs before
    `initial_epoch` are already trained.

    Args:
        *args: The positional arguments of `keras.Model.fit`, from `x` on, which
            `PairModel.fit` has checked.
        **kwargs: The keyword arguments of `keras.Model.fit`.

    Raises:
        InputError: if neither `steps_per_epoch` nor the dataset says how many
            steps an epoch has.
        TypeError: as `keras.Model.fit`, for unknown arguments.
    """
    bound = _FIT.bind(None, *args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    steps_per_epoch = given["steps_per_epoch"]
    if steps_per_epoch is None:
        steps_per_epoch = _number_of_batches(given["x"])
    if steps_per_epoch is None:
        raise InputError(
            "`steps_per_epoch` should be given to `fit` for a dataset without "
            "a known number of batches, since the rates of T follow from the "
            "number of steps; or give the rates, "
            "transition=mlc_tf.transitions.for_run(steps, num_classes). "
            "Received: `steps_per_epoch` = None."
        )
    # An empty dataset has no step; `fit` says so.
    steps = max(given["epochs"] * steps_per_epoch, 1)
    return steps, given["initial_epoch"] * steps_per_epoch


def _number_of_batches(x: Any) -> int | None:
    if not isinstance(x, tf.data.Dataset):
        return None
    number = int(x.cardinality())
    return None if number < 0 else number  # infinite, or unknown
