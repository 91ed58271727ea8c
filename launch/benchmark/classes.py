"""The cost of many classes, relative to the same step of cross-entropy."""

import functools
from typing import Any

from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark import memory
from mlc_tf.launch.benchmark import step
from mlc_tf.launch.benchmark.subjects import SUBJECTS

_CLASSES = (10, 100, 1000)
_VARIANTS = ("cross_entropy", "exact", "head")
# With this number of classes T alone takes 400 MB.
_MANY = 10_000
_STEPS = 4


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Measures steps in turns, for each number of classes.

    Returns:
        The ratios to cross-entropy with the same number of classes; these
        ratios divided by the ratio with the fewest classes; and the memory
        with very many classes.
    """
    subject, actions = SUBJECTS[network], {}
    for num_classes in _CLASSES:
        element = subject.pair(num_classes)
        for name in _VARIANTS:
            model = step.VARIANTS[name](subject.build(num_classes))
            actions[num_classes, name] = functools.partial(
                step.compiled_step(model), element
            )
    seconds = measuring.in_turns(actions, rounds)
    ratios = {
        (num_classes, name): values / seconds[num_classes, "cross_entropy"]
        for (num_classes, name), values in seconds.items()
    }
    fewest = _CLASSES[0]
    return {
        "batch_size": subject.batch_size,
        "rounds": rounds,
        "ratio_to_cross_entropy": {
            str(num_classes): {
                name: measuring.summary(ratios[num_classes, name])
                for name in _VARIANTS
            }
            for num_classes in _CLASSES
        },
        f"ratio_to_{fewest}_classes": {
            str(num_classes): {
                name: measuring.summary(
                    ratios[num_classes, name] / ratios[fewest, name]
                )
                for name in _VARIANTS
            }
            for num_classes in _CLASSES
        },
        f"mebibytes_with_{_MANY}_classes": {
            name: memory.peak(network, name, _MANY, _STEPS)
            for name in _VARIANTS
        },
    }
