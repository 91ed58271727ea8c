"""When XLA compiles the steps of a model, and what XLA cannot compile."""

import re
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

# Stands for a dimension that a dataset leaves open: XLA needs all sizes.
_SOME_SIZE = 8
_LACKING = re.compile(r"on XLA_\w+: (\w+(?: ?\([^)]*\))?(?:, \w+)*)")


def check(jit_compile: Any) -> None:
    """Raises an `InputError` unless the value is True, False or "auto"."""
    if not (isinstance(jit_compile, bool) or jit_compile == "auto"):
        raise bad_argument("jit_compile", "True, False or 'auto'", jit_compile)


def pays(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether XLA can be expected to make steps faster.

    XLA makes steps faster on one GPU. On a CPU TensorFlow's own convolutions
    are faster. Keras does not compile steps of several replicas.

    Args:
        strategy: The strategy of the model.
    """
    gpus = tf.config.list_logical_devices("GPU")
    return bool(gpus) and strategy.num_replicas_in_sync == 1


def obstacle(step: Callable[[Any], Any], element_spec: Any) -> str | None:
    """Returns what keeps XLA from compiling a step, or None.

    The step is lowered to XLA's operations, but neither compiled nor run.

    Args:
        step: A function of one element.
        element_spec: The structure of `tf.TensorSpec` of the element. An open
            dimension counts as 8.
    """

    def flat_step(*leaves: tf.Tensor) -> Any:
        return step(tf.nest.pack_sequence_as(element_spec, leaves))

    try:
        specs = [
            tf.TensorSpec(
                [size or _SOME_SIZE for size in spec.shape], spec.dtype
            )
            for spec in tf.nest.flatten(element_spec)
        ]
        lowered = tf.function(flat_step, jit_compile=True)
        lowered.experimental_get_compiler_ir(*specs)(stage="hlo")
    except (ValueError, TypeError, tf.errors.OpError) as error:
        return _reason(error)
    return None


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns the error for an operation that XLA lacks into an `InputError`."""
    try:
        yield
    except (
        tf.errors.InvalidArgumentError,
        tf.errors.UnimplementedError,
    ) as error:
        if "XLA" not in str(error) or "compile" not in str(error):
            raise
        raise InputError(
            "`jit_compile` should be False or 'auto' for a step that XLA "
            f"cannot compile. Received: True, and {_reason(error)}."
        ) from None


def _reason(error: Exception) -> str:
    lacking = _LACKING.search(str(error))
    if lacking is not None:
        return f"XLA lacks the operation {lacking[1].partition('(')[0].strip()}"
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
