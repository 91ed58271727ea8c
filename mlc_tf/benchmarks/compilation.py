"""What XLA and bfloat16 do for a step."""

import functools
from typing import Any

import keras

from mlc_tf.benchmarks import measuring
from mlc_tf.benchmarks import step
from mlc_tf.benchmarks.subjects import Subject

_VARIANTS = ("cross_entropy", "exact", "head")
_FORMS = {
    "float32": ("float32", False),
    "float32, XLA": ("float32", True),
    "bfloat16": ("mixed_bfloat16", False),
    "bfloat16, XLA": ("mixed_bfloat16", True),
}


def measure(subject: Subject, rounds: int) -> dict[str, Any]:
    """Measures steps in turns; returns ratios to float32 without XLA.

    And, within each form, ratios to its own cross-entropy.
    """
    element = subject.pair(subject.num_classes)
    actions = {}
    for form, (policy, jit) in _FORMS.items():
        for name in _VARIANTS:
            before = keras.config.dtype_policy()
            keras.config.set_dtype_policy(policy)
            try:
                base = subject.build(subject.num_classes)
                model = step.VARIANTS[name](base)
            finally:
                keras.config.set_dtype_policy(before)
            actions[form, name] = functools.partial(
                step.compiled_step(model, jit), element
            )
    seconds = measuring.in_turns(actions, rounds)
    return {
        "batch_size": subject.batch_size,
        "rounds": rounds,
        "ratio_to_float32": {
            form: {
                name: measuring.summary(
                    seconds[form, name] / seconds["float32", name]
                )
                for name in _VARIANTS
            }
            for form in _FORMS
        },
        "ratio_to_cross_entropy": {
            form: {
                name: measuring.summary(
                    seconds[form, name] / seconds[form, "cross_entropy"]
                )
                for name in _VARIANTS
            }
            for form in _FORMS
        },
    }
