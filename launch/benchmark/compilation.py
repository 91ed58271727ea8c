"""The effect of XLA, TF32 and bfloat16 on the time of a step."""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import keras
import tensorflow as tf

from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark import step
from mlc_tf.launch.benchmark.subjects import SUBJECTS
from mlc_tf.models import xla

_PLAIN = "cross_entropy"
_VARIANTS = (_PLAIN, "exact", "finite_difference", "head")


class Form(NamedTuple):
    """A way to execute a step.

    Attributes:
        policy: Keras' dtype policy.
        tf32: Whether products of float32 are rounded to TF32, which only GPUs
            have.
        xla: Whether XLA compiles the step.
    """

    policy: str
    tf32: bool
    xla: bool


def forms() -> dict[str, Form]:
    """Returns the forms that this machine has, by their names."""
    precisions = {"float32": ("float32", False)}
    if measuring.has_gpu():
        precisions["TF32"] = ("float32", True)
    precisions["bfloat16"] = ("mixed_bfloat16", False)
    return {
        f"{name}{', XLA' if compiled else ''}": Form(*precision, compiled)
        for name, precision in precisions.items()
        for compiled in (False, True)
    }


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Measures steps in turns; returns times and their ratios.

    Returns:
        The milliseconds of the steps, their ratios to float32 without XLA, and
        their ratios to the cross-entropy step that is executed in the same way.
        For a step that is left out: what XLA lacks.
    """
    actions, lacking = {}, {}
    for form, settings in forms().items():
        for name in _VARIANTS:
            found = _action(network, name, *settings)
            if isinstance(found, str):
                lacking[f"{form}: {name}"] = found
            else:
                actions[form, name] = found
    seconds = measuring.in_turns(actions, rounds)

    def table(cell: Callable[[str, str], Any]) -> dict[str, Any]:
        return {
            form: {
                name: measuring.summary(cell(form, name))
                for name in _VARIANTS
                if (form, name) in seconds
            }
            for form in forms()
        }

    return {
        "batch_size": SUBJECTS[network].batch_size,
        "rounds": rounds,
        "milliseconds": table(lambda form, name: 1e3 * seconds[form, name]),
        "ratio_to_float32": table(
            lambda form, name: seconds[form, name] / seconds["float32", name]
        ),
        "ratio_to_cross_entropy": table(
            lambda form, name: seconds[form, name] / seconds[form, _PLAIN]
        ),
        "lacking": lacking,
    }


def _action(
    network: str, variant: str, policy: str, tf32: bool, compiled: bool
) -> Callable[[], Any] | str:
    """Returns a function that takes a step in a form, or what XLA lacks."""
    subject = SUBJECTS[network]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = step.VARIANTS[variant](subject.build(subject.num_classes))
    finally:
        keras.config.set_dtype_policy(before)
    element = subject.pair(subject.num_classes)
    take = step.compiled_step(model, compiled)
    spec = tf.nest.map_structure(tf.type_spec_from_value, element)
    obstacle = xla.obstacle(model.train_step, spec) if compiled else None
    if obstacle is not None:
        return obstacle

    def action() -> None:
        # XLA reads it when it compiles, other kernels when they run.
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
        take(element)

    return action
