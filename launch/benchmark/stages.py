"""The time of each stage of an exact step, by the stages of Algorithm 1.

The benchmark cuts off the step after each stage in turn. The time of a stage is
the difference of two such times.
"""

import functools
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark import step
from mlc_tf.launch.benchmark.subjects import SUBJECTS
from mlc_tf.models import meta_gradient
from mlc_tf.models.forward_pass import AllWeights

# The cost of each stage in forward passes of a batch. A backward pass costs two
# forward passes, so a cross-entropy step costs 3.
EXPECTED = {
    "forward pass of the noisy batch": 1,
    "Virtual-Train": 2,
    "forward pass of the clean batch": 1,
    "its gradient at the fast weights": 2,
    "the gradient with respect to T": 2,
    "Actual-Train": 2,
}
_FORWARD_PASSES_OF_CROSS_ENTROPY = 3


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Measures the stages, as multiples of a third of cross-entropy's step.

    Args:
        network: A name in `SUBJECTS`.
        rounds: The number of measurements of each time.
    """
    subject = SUBJECTS[network]
    element = tf.nest.map_structure(
        tf.constant, subject.pair(subject.num_classes)
    )
    build = functools.partial(subject.build, subject.num_classes)
    actions = {
        stage: functools.partial(_cut_off(build(), number), element)
        for number, stage in enumerate(list(EXPECTED)[:-1])
    }
    for name, variant in (
        ("Actual-Train", "exact"),
        ("cross_entropy", "cross_entropy"),
    ):
        model = step.VARIANTS[variant](build())
        actions[name] = functools.partial(step.compiled_step(model), element)
    seconds = measuring.in_turns(actions, rounds)
    unit = seconds.pop("cross_entropy") / _FORWARD_PASSES_OF_CROSS_ENTROPY
    first = next(iter(EXPECTED))
    taken = {first: seconds[first]} | {
        stage: seconds[stage] - seconds[before]
        for before, stage in pairwise(EXPECTED)
    }
    return {
        "batch_size": subject.batch_size,
        "rounds": rounds,
        "stages": {
            stage: {
                "expected": expected,
                "measured": measuring.summary(taken[stage] / unit),
            }
            for stage, expected in EXPECTED.items()
        },
    }


def _cut_off(base: keras.Model, last: int) -> Callable[[Any], Any]:
    """Returns the step up to a stage, as a function that waits for the end."""
    network = AllWeights(base)
    num_classes = base.output_shape[-1]
    # These are variables, since TensorFlow would fold constants into the graph.
    transition = tf.Variable(tf.eye(num_classes), trainable=False)
    rate = tf.Variable(0.1, trainable=False)

    @tf.function
    def stages(element: Any) -> tf.Tensor:
        (x, noisy_labels), clean = element
        forward = network.forward(x)
        if last == 0:
            return tf.linalg.global_norm([forward.logits])
        noisy_gradient = forward.gradient_of(
            lambda logits, matrix: tf.reduce_mean(
                losses.corrected_cross_entropy(logits, noisy_labels, matrix)
            )
        )
        clean_loss = forward.loss_at(*clean)
        if last == 4:
            gradient = meta_gradient.exact(
                noisy_gradient,
                clean_loss,
                forward.weights,
                tf.convert_to_tensor(transition),
                rate,
            )
            return tf.linalg.global_norm([gradient])
        gradients = noisy_gradient(tf.convert_to_tensor(transition))
        if last == 1:
            return tf.linalg.global_norm(gradients)
        fast = meta_gradient.virtual_step(forward.weights, gradients, rate)
        with tf.GradientTape() as tape:
            tape.watch(fast)
            loss = clean_loss(fast)
        if last == 2:
            return loss
        return tf.linalg.global_norm(tape.gradient(loss, fast))

    return lambda element: stages(element).numpy()
