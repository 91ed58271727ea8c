"""The time of a Meta Loss Correction step, relative to plain training."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import keras

from mlc_tf import transitions
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.launch.benchmark import measuring
from mlc_tf.launch.benchmark import torch_peer
from mlc_tf.launch.benchmark.subjects import SUBJECTS
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.pair_model import PairModel
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection


def _ours(base: keras.Model, meta_gradient: str) -> MetaLossCorrection:
    """Returns a model with given rates of T, which steps outside `fit` need."""
    return MetaLossCorrection(
        base,
        transition=transitions.Exponentiated(),
        virtual_learning_rate=0.1,
        meta_gradient=meta_gradient,
    )


VARIANTS: Mapping[str, Callable[[keras.Model], PairModel]] = {
    "cross_entropy": CrossEntropy,
    "exact": functools.partial(_ours, meta_gradient="exact"),
    "paper": PaperMetaLossCorrection,
    "finite_difference": functools.partial(
        _ours, meta_gradient="finite_difference"
    ),
    "head": functools.partial(_ours, meta_gradient="head"),
}

# Seconds for which a peer's threads may still wait for work after its step.
_PAUSE = 0.05


def measure(network: str, rounds: int, peer: str = "") -> dict[str, Any]:
    """Measures steps in turns; returns ratios to the cross-entropy step.

    Args:
        network: A name in `SUBJECTS`. Noisy and clean batches have the same
            size.
        rounds: The number of rounds; in each, every variant takes one step.
        peer: "torch" also measures the steps in PyTorch. Defaults to "".
    """
    subject = SUBJECTS[network]
    element = subject.pair(subject.num_classes)
    steps = {
        name: functools.partial(
            compiled_step(variant(subject.build(subject.num_classes))), element
        )
        for name, variant in VARIANTS.items()
    }
    peers = torch_peer.running(subject) if peer else nullcontext({})
    with peers as others:
        seconds = measuring.in_turns(
            {**steps, **others}, rounds, _PAUSE if others else 0.0
        )
    plain = seconds["cross_entropy"]
    return {
        "batch_size": subject.batch_size,
        "rounds": rounds,
        "milliseconds": {
            name: measuring.summary(1e3 * values)
            for name, values in seconds.items()
        },
        "ratio_to_cross_entropy": {
            name: measuring.summary(values / plain)
            for name, values in seconds.items()
        },
    }


def compiled_step(model: PairModel, jit: bool = False) -> Callable[[Any], Any]:
    """Returns the training step of a model, with SGD and momentum."""
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9), jit_compile=jit)
    return measuring.training_step(model, jit)
