"""The throughput of the input pipeline, and its cost in training."""

import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import ml_collections
import tensorflow as tf

from mlc_tf import data
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.data import examples
from mlc_tf.data import noise
from mlc_tf.data.augmentation import AUGMENTATIONS
from mlc_tf.data.examples import Examples
from mlc_tf.launch.benchmark import measuring
from mlc_tf.run import problems
from mlc_tf.run import training

# The number of batches for measuring the pipeline alone. Against this number,
# the prefetched batches do not count.
_BATCHES = 200


def input_pipeline(
    config: ml_collections.ConfigDict, rounds: int
) -> dict[str, Any]:
    """Measures the throughput of the input pipeline, and its cost in training.

    Args:
        config: The experiment: dataset, network, batch size and augmentation.
        rounds: The number of rounds; each round measures one step of each kind.

    Returns:
        The images per second of the pipeline alone, and of a cross-entropy step
        that the pipeline feeds. The time of a step that `pair` feeds is a ratio
        to the time of the same step on a plain shuffled pipeline without clean
        set and noise. The times include fetching the batch. Either the
        labels hold the noise already, or `add_noise` injects the noise into the
        stream.
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
    step = measuring.training_step(model)
    supply = _images_per_second(pipelines["pair"], size)
    seconds = measuring.in_turns(
        {
            name: _fed_step(step, iter(pipeline.repeat()))
            for name, pipeline in pipelines.items()
        },
        rounds,
    )
    plain = seconds["plain"]
    return {
        "dataset": config.dataset.name,
        "network": config.network.name,
        "batch_size": size,
        "augment": config.train.augment,
        "rounds": rounds,
        "pipeline_images_per_second": supply,
        "step_images_per_second": measuring.summary(size / seconds["pair"]),
        "supply_to_demand": measuring.summary(supply * seconds["pair"] / size),
        "pair_to_plain": measuring.summary(seconds["pair"] / plain),
        "stream_with_noise_to_plain": measuring.summary(
            seconds["stream_with_noise"] / plain
        ),
    }


def _fed_step(
    step: Callable[[Any], Any], iterator: Iterator[Any]
) -> Callable[[], Any]:
    return lambda: step(next(iterator))


def _plain(
    flowing: tf.data.Dataset,
    clean: Examples,
    size: int,
    augment: data.Augment | None,
) -> tf.data.Dataset:
    """Returns a plain input pipeline, with one clean batch for all steps."""
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


def _images_per_second(pipeline: tf.data.Dataset, size: int) -> float:
    iterator = iter(pipeline.repeat())
    for _ in range(_BATCHES):
        next(iterator)
    begin = time.perf_counter()
    for _ in range(_BATCHES):
        next(iterator)
    return size * _BATCHES / (time.perf_counter() - begin)
