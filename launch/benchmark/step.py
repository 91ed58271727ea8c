"""What a step of Meta Loss Correction takes, beside plain training."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras

from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark.subjects import SUBJECTS
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.pair_model import PairModel
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection

VARIANTS: Mapping[str, Callable[[keras.Model], PairModel]] = {
    "cross_entropy": CrossEntropy,
    "exact": MetaLossCorrection,
    "paper": PaperMetaLossCorrection,
    "finite_difference": functools.partial(
        MetaLossCorrection, meta_gradient="finite_difference"
    ),
    "head": functools.partial(MetaLossCorrection, meta_gradient="head"),
}


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Measures steps in turns; returns ratios to the cross-entropy step.

    Args:
        network: A name of `SUBJECTS`, with batches noisy and clean of one
            size.
        rounds: The number of rounds; in each, every variant takes one step.
    """
    subject = SUBJECTS[network]
    element = subject.pair(subject.num_classes)
    steps = {
        name: compiled_step(variant(subject.build(subject.num_classes)))
        for name, variant in VARIANTS.items()
    }
    seconds = measuring.in_turns(
        {
            name: functools.partial(step, element)
            for name, step in steps.items()
        },
        rounds,
    )
    plain = seconds["cross_entropy"]
    return {
        "batch_size": subject.batch_size,
        "rounds": rounds,
        "cross_entropy_seconds": measuring.summary(plain),
        "ratio_to_cross_entropy": {
            name: measuring.summary(values / plain)
            for name, values in seconds.items()
        },
    }


def compiled_step(model: PairModel, jit: bool = False) -> Callable[[Any], Any]:
    """Returns the training step of a model, with SGD and momentum."""
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9), jit_compile=jit)
    return measuring.training_step(model, jit)
