"""How fast this machine does what: ratios, each within one run.

What is compared is measured in rounds, one after another in each, so that a
machine that slows down does so for all.
"""

import statistics
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import ml_collections
import numpy as np
import tensorflow as tf

from mlc_tf import callbacks
from mlc_tf import data
from mlc_tf import examples
from mlc_tf import noise
from mlc_tf import problems
from mlc_tf import run_directory
from mlc_tf import training
from mlc_tf.augmentation import AUGMENTATIONS
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.examples import Examples

# Batches of the pipeline alone, per step of the model in a round.
_BATCHES_PER_STEP = 20


def input_pipeline(
    config: ml_collections.ConfigDict, rounds: int, steps: int
) -> dict[str, Any]:
    """Measures what the input pipeline supplies, and what it adds to training.

    Args:
        config: Names dataset, network, batch size and augmentation.
        rounds: Times that everything is measured.
        steps: Training steps in each measurement, at least 2.

    Returns:
        For a JSON file: images per second of the pipeline alone and of a
        cross-entropy step that is fed by it, and the time of a step fed by
        `pair` (noise in the labels; noise injected by `add_noise` while data
        flows), as a ratio to that of a plain shuffled pipeline without clean
        set and noise. Lists hold one number a round.
    """
    problem = problems.load(config)
    model = CrossEntropy(training.build_base(config, problem))
    model.compile(keras.optimizers.SGD(1e-4))
    size = config.train.batch_size
    augment = AUGMENTATIONS[config.train.augment]

    def paired(noisy: Any) -> tf.data.Dataset:
        return data.pair(noisy, problem.clean, size, augment=augment)

    flowing = tf.data.Dataset.zip(
        *(
            tf.data.Dataset.from_tensor_slices(part)
            for part in (
                examples.in_memory(problem.noisy).x,
                problem.noisy.labels,
            )
        )
    )
    num_classes = len(problem.class_names)
    corrupted = flowing.apply(
        noise.add_noise("uniform", 0.4, num_classes=num_classes)
    )
    pipelines = {
        "plain": _plain(flowing, problem.clean, size, augment),
        "pair": paired(problem.noisy),
        "stream_with_noise": paired(corrupted),
    }
    for pipeline in pipelines.values():  # warm-up: traces, fills caches
        _seconds_per_step(model, pipeline, 2)
    rows = [
        {
            "pipeline_images_per_second": size
            / _seconds_per_batch(pipelines["pair"], steps * _BATCHES_PER_STEP),
            **{
                f"{name}_seconds_per_step": _seconds_per_step(
                    model, pipeline, steps
                )
                for name, pipeline in pipelines.items()
            },
        }
        for _ in range(rounds)
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    step = np.array(columns["pair_seconds_per_step"])
    plain = np.array(columns["plain_seconds_per_step"])
    streamed = np.array(columns["stream_with_noise_seconds_per_step"])
    supply = np.array(columns["pipeline_images_per_second"])
    return {
        "what": "input",
        "dataset": config.dataset.name,
        "network": config.network.name,
        "batch_size": size,
        "augment": config.train.augment,
        "rounds": rounds,
        "steps": steps,
        **columns,
        "supply_to_demand": _summary(supply * step / size),
        "pair_to_plain": _summary(step / plain),
        "stream_with_noise_to_plain": _summary(streamed / plain),
        "versions": run_directory.versions(),
    }


def _plain(
    flowing: tf.data.Dataset,
    clean: Examples,
    size: int,
    augment: data.Augment | None,
) -> tf.data.Dataset:
    """Returns what anybody would write, with one clean batch for all steps."""
    (trusted,) = clean.batches(1).take(1)

    def augmented(x: tf.Tensor, labels: tf.Tensor) -> Any:
        if augment is not None:
            key = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
            x = augment(x, key)
        return (x, labels), trusted

    return (
        flowing.shuffle(examples.SHUFFLE_BUFFER)
        .batch(size, drop_remainder=True)
        .map(augmented, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def _seconds_per_step(
    model: keras.Model, pipeline: tf.data.Dataset, steps: int
) -> float:
    history = model.fit(
        pipeline.repeat(),
        steps_per_epoch=steps,
        verbose=0,
        callbacks=[callbacks.StepTimer()],
    )
    return float(history.history["seconds_per_step"][0])


def _seconds_per_batch(pipeline: tf.data.Dataset, batches: int) -> float:
    iterator = iter(pipeline.repeat())
    next(iterator)
    begin = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return (time.perf_counter() - begin) / batches


def _summary(ratios: Sequence[float]) -> dict[str, float]:
    return {
        "median": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
    }


BENCHMARKS: dict[str, Callable[..., dict[str, Any]]] = {"input": input_pipeline}
