"""Masking: an adversary makes T follow a prior structure."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import check_seed
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel

_NOISE_WIDTH = 10
_GENERATOR_UNITS = 50
_DISCRIMINATOR_UNITS = 20
_DISCRIMINATOR_STEPS = 5
_CLIP = 0.01
# The structure extractor is a sigmoid: its value is 1/2 at the threshold, and
# the temperature is its width.
_THRESHOLD, _TEMPERATURE = 0.05, 0.005
_PRETRAINING_RATE, _GAME_RATE = 1e-4, 1e-5
_PRETRAINING_BATCH = 64


class Masking(PairModel):
    """Learns a generator of T that fits the noisy labels and the structure M.

    A generator G maps random noise to S, a T for each example. M is the prior
    structure, M_S = sigmoid((S - 0.05) / 0.005) is the structure of S, and D is
    a discriminator of structures with weights clipped to [-0.01, 0.01]. Each
    batch takes these steps:

        R = mean of -log (f @ S)[noisy label]
        G step:  minimises R - mean D(M_S)            RMSProp 1e-5, once
        D step:  minimises mean D(M_S) - mean D(M)    RMSProp 1e-5, five times
        theta:   minimises R                          the optimizer, once

    The G step moves theta too, as in the published code. Call `pretrain` once
    before `fit`: it fits the generator to `transition`. The clean half of each
    element is not used. (The published code defines the clipping but never
    runs it.)

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: The T that `pretrain` fits the generator to,
            `(classes, classes)`, rows are clean classes and sum to 1.
        structure: M, `(classes, classes)` of 0 and 1, with a diagonal of ones.
            Rows are clean classes; 1 marks an entry that T may have.
        seed: The seed of the generator's noise, an integer in [0, 2**32).
            Defaults to 0.
        name: Name of the model. Defaults to a unique one.

    Raises:
        InputError: if `transition` or `structure` is not such a matrix, or
            `seed` is not such an integer.

    References:
        Han et al., 2018, arXiv:1805.08193, and its code.
    """

    def __init__(
        self,
        base: keras.Model,
        *,
        transition: Any,
        structure: Any,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        self.estimate = transitions.validate(transition, self.num_classes)
        size = self.num_classes
        self.structure = transitions.check_structure(structure, size)
        self.seed = check_seed(seed)
        self.forward_pass = AllWeights(base)
        self.step = self.add_step_counter()
        # float32 under any dtype policy: the temperature of 0.005 needs it.
        self.generator = keras.Sequential(
            [
                keras.Input((_NOISE_WIDTH,)),
                keras.layers.Dense(_GENERATOR_UNITS, "relu", dtype="float32"),
                keras.layers.Dense(_GENERATOR_UNITS, "relu", dtype="float32"),
                keras.layers.Dense(size * size, dtype="float32"),
                keras.layers.Reshape((size, size), dtype="float32"),
                keras.layers.Softmax(dtype="float32"),
            ],
            name="generator",
        )
        self.discriminator = keras.Sequential(
            [
                keras.Input((size, size)),
                keras.layers.Flatten(dtype="float32"),
                keras.layers.Dense(
                    _DISCRIMINATOR_UNITS, "sigmoid", dtype="float32"
                ),
                keras.layers.Dense(1, dtype="float32"),
            ],
            name="discriminator",
        )
        self._clip()
        self.generator_optimizer = keras.optimizers.RMSprop(_GAME_RATE)
        self.generator_optimizer.build(
            self.generator.trainable_variables + base.trainable_variables
        )
        self.discriminator_optimizer = keras.optimizers.RMSprop(_GAME_RATE)
        self.discriminator_optimizer.build(
            self.discriminator.trainable_variables
        )

    @property
    def transition_matrix(self) -> np.ndarray:
        """The mean of S over 1000 noise samples, `(classes, classes)`.

        Rows are clean classes and sum to 1.
        """
        samples = self.generator(self._noise(1000, 0, 0))
        return np.asarray(tf.reduce_mean(samples, axis=0))

    def pretrain(self, steps: int = 10_000) -> None:
        """Fits the generator to `transition` by the cross-entropy of its rows.

        Args:
            steps: The number of RMSProp steps, with rate 1e-4. Defaults to
                10,000, as in the published code.
        """
        optimizer = keras.optimizers.RMSprop(_PRETRAINING_RATE)
        variables = self.generator.trainable_variables
        optimizer.build(variables)
        target = tf.constant(self.estimate, tf.float32)

        def descend(step: tf.Tensor) -> None:
            noise = self._noise(_PRETRAINING_BATCH, step, 1)
            with tf.GradientTape() as tape:
                samples = self.generator(noise, training=True)
                loss = tf.reduce_mean(_cross_entropy(target, samples))
                # All replicas have the same loss, and `apply_gradients` sums
                # over replicas.
                loss_per_replica = loss / distribution.num_replicas()
            gradients = tape.gradient(loss_per_replica, variables)
            optimizer.apply_gradients(zip(gradients, variables))

        @tf.function
        def fit() -> None:
            for step in tf.range(steps, dtype=tf.int64):
                distribution.on_every_replica(descend, step)

        fit()

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, noisy_labels, *_), _ = data
        step = tf.convert_to_tensor(self.step)
        self.step.assign_add(1)
        size = tf.shape(noisy_labels)[0]

        def noise(turn: int) -> tf.Tensor:
            global_size = size * distribution.num_replicas()
            return distribution.own_rows(self._noise(global_size, step, turn))

        self._generator_step(x, noisy_labels, noise(2))
        for turn in range(_DISCRIMINATOR_STEPS):
            self._discriminator_step(noise(3 + turn))
        forward = self.forward_pass.forward(x)
        samples = self.generator(noise(3 + _DISCRIMINATOR_STEPS))
        with forward.tape:
            loss = tf.reduce_mean(
                reconstruction_loss(forward.logits, noisy_labels, samples)
            )
        return self.actual_train(forward, loss, noisy_labels)

    def _generator_step(self, x: Any, labels: Any, noise: tf.Tensor) -> None:
        variables = (
            self.generator.trainable_variables + self.base.trainable_variables
        )
        forward = self.forward_pass.forward(x)
        with forward.tape:
            samples = self.generator(noise, training=True)
            realism = self.discriminator(extract_structure(samples))
            loss = tf.reduce_mean(
                reconstruction_loss(forward.logits, labels, samples)
            )
            loss -= tf.cast(tf.reduce_mean(realism), loss.dtype)
            loss += forward.regularization
            loss_per_replica = loss / distribution.num_replicas()
        gradients = forward.tape.gradient(loss_per_replica, variables)
        self.generator_optimizer.apply_gradients(zip(gradients, variables))

    def _discriminator_step(self, noise: tf.Tensor) -> None:
        variables = self.discriminator.trainable_variables
        samples = self.generator(noise)
        with tf.GradientTape() as tape:
            generated = self.discriminator(extract_structure(samples))
            prior = self.discriminator(tf.constant(self.structure)[tf.newaxis])
            loss = tf.reduce_mean(generated) - tf.reduce_mean(prior)
            loss_per_replica = loss / distribution.num_replicas()
        gradients = tape.gradient(loss_per_replica, variables)
        self.discriminator_optimizer.apply_gradients(zip(gradients, variables))
        self._clip()

    def _clip(self) -> None:
        for variable in self.discriminator.trainable_variables:
            variable.assign(
                tf.clip_by_value(tf.convert_to_tensor(variable), -_CLIP, _CLIP)
            )

    def _noise(self, size: Any, step: Any, turn: int) -> tf.Tensor:
        """Returns normal noise that depends only on seed, step and turn.

        Args:
            size: The number of samples.
            step: The number of the step, from 0.
            turn: Which use of noise within the step.

        Returns:
            `(size, 10)` float32.
        """
        key = tf.stack([tf.cast(self.seed, tf.int64), tf.cast(step, tf.int64)])
        key = tf.random.experimental.stateless_fold_in(key, turn)
        return tf.random.stateless_normal([size, _NOISE_WIDTH], key)


def extract_structure(transition: tf.Tensor) -> tf.Tensor:
    """Returns the structure of T: near 1 above 0.05, near 0 below.

    Args:
        transition: `(..., classes, classes)`, rows are clean classes.

    Returns:
        The same shape, in (0, 1).
    """
    return tf.sigmoid((transition - _THRESHOLD) / _TEMPERATURE)


def reconstruction_loss(
    logits: tf.Tensor, labels: tf.Tensor, samples: tf.Tensor
) -> tf.Tensor:
    """Returns `-log (f @ S)[label]` with an S for each example.

    Args:
        logits: `(batch, classes)`; f is their softmax.
        labels: Noisy labels, `(batch,)` ids or `(batch, classes)`
            probabilities.
        samples: S, `(batch, classes, classes)`, rows are clean classes.

    Returns:
        `(batch,)`.
    """
    probs = tf.nn.softmax(logits)
    samples = tf.cast(samples, probs.dtype)
    corrected = tf.einsum("bk,bkj->bj", probs, samples)
    targets = losses.as_probabilities(labels, logits)
    corrected = tf.clip_by_value(corrected, 1e-8, 1.0)
    return -tf.reduce_sum(targets * tf.math.log(corrected), axis=-1)


def _cross_entropy(target: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
    logs = tf.math.log(tf.maximum(samples, 1e-8))
    return -tf.reduce_sum(target * logs, axis=[-2, -1])
