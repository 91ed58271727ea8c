"""The effect of XLA and bfloat16 on the time of a step."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from mlc_tf.errors import InputError
from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark import step
from mlc_tf.launch.benchmark.subjects import SUBJECTS

_PLAIN = "cross_entropy"
_VARIANTS = (_PLAIN, "exact", "head")
_FORMS = {
    "float32": ("float32", False),
    "float32, XLA": ("float32", True),
    "bfloat16": ("mixed_bfloat16", False),
    "bfloat16, XLA": ("mixed_bfloat16", True),
}


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Measures steps in turns; returns ratios to float32 without XLA.

    The result also has the ratios to the cross-entropy step that is compiled in
    the same way.
    """
    subject = SUBJECTS[network]
    element = subject.pair(subject.num_classes)
    actions, refused = {}, {}
    for form, (policy, jit) in _FORMS.items():
        for name in _VARIANTS:
            before = keras.config.dtype_policy()
            keras.config.set_dtype_policy(policy)
            try:
                base = subject.build(subject.num_classes)
                model = step.VARIANTS[name](base)
            finally:
                keras.config.set_dtype_policy(before)
            try:
                take = step.compiled_step(model, jit)
            except InputError as error:
                refused[f"{form}: {name}"] = str(error)
            else:
                actions[form, name] = functools.partial(take, element)
    seconds = measuring.in_turns(actions, rounds)

    def ratios(to: Callable[[str, str], tuple[str, str]]) -> dict[str, Any]:
        return {
            form: {
                name: measuring.summary(
                    seconds[form, name] / seconds[to(form, name)]
                )
                for name in _VARIANTS
                if (form, name) in seconds
            }
            for form in _FORMS
        }

    return {
        "batch_size": subject.batch_size,
        "rounds": rounds,
        "ratio_to_float32": ratios(lambda _, name: ("float32", name)),
        "ratio_to_cross_entropy": ratios(lambda form, _: (form, _PLAIN)),
        "refused": refused,
    }
