"""A second stage: keeps the labels that a first network confirms, and takes the
other examples as unlabelled."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_seed
from mlc_tf.models import forward_pass
from mlc_tf.models.pair_model import PairModel

# A label is kept if its posterior exceeds this.
_KEPT = 0.5
# Each row of T counts this many labels more, one share for each class, so that
# no entry is 0.
_PRIOR_LABELS = 1.0
_ITERATIONS = 100
_LEAST_PROBABILITY = 1e-12


class SemiSupervised(PairModel):
    """Trains on labels that are kept, and on its own predictions elsewhere.

    Each example has a target q, a distribution over the classes. Where the
    posterior of the given label exceeds 0.5, q is that label. Every other
    example counts as unlabelled: its q starts from the posterior, and follows
    the network's softmax f, sharpened:

        q <- momentum * q + (1 - momentum) * f^2 / (sum of f^2)

    With `mixup` a step trains on mixtures of each example and the next example
    of the batch. lambda is drawn for each step, uniformly from [1/2, 1]:

        x' = lambda x + (1 - lambda) x_next
        q' = lambda q + (1 - lambda) q_next
        loss = mean of the cross-entropy of f(x') and q' + clean_weight * clean
               term

    The noisy half of each element is `(x, label, index)`
    (`mlc_tf.data.pair(..., with_index=True)`).

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        labels: The given class ids of all noisy examples, `(examples,)`.
        posterior: p(clean class | x, label) of all noisy examples, `(examples,
            classes)`; rows sum to 1. `clean_posterior` makes it from the
            predictions of a first network.
        momentum: In [0, 1]. Defaults to 0.9.
        mixup: Whether to mix the inputs, which then have to be floats or
            pixels (uint8). Defaults to True.
        seed: An integer >= 0, which draws lambda. Defaults to 0.
        clean_weight: As in `PairModel`. Defaults to 0.
        clean_class_weight: As in `PairModel`. Defaults to None.
        name: Name of the model. Defaults to a unique name.

    Raises:
        InputError: if the posterior does not fit the labels, or an argument is
            outside its range; in `fit`, if the inputs cannot be mixed.

    References:
        Li et al., 2020, "DivideMix" (labelled and unlabelled examples);
        Berthelot et al., 2019, "MixMatch" (sharpening with temperature 1/2, and
        mixup with the larger share for the example itself); Liu et al., 2020
        (the moving average). Those train more networks, or average over
        augmented inputs; this does neither.
    """

    uses_index = True

    def __init__(
        self,
        base: keras.Model,
        *,
        labels: Any,
        posterior: Any,
        momentum: float = 0.9,
        mixup: bool = True,
        seed: int = 0,
        clean_weight: float = 0.0,
        clean_class_weight: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            base,
            clean_weight=clean_weight,
            clean_class_weight=clean_class_weight,
            name=name,
        )
        if not 0 <= momentum <= 1:
            raise bad_argument("momentum", "in [0, 1]", momentum)
        self.momentum = float(momentum)
        self.mixup = bool(mixup)
        self.seed = check_seed(seed)
        given = checks.check_given(labels, self.num_classes)
        beliefs = _checked_posterior(posterior, len(given), self.num_classes)
        one_hot = np.eye(self.num_classes)[given]
        is_kept = beliefs[np.arange(len(given)), given] > _KEPT
        self.forward_pass = forward_pass.AllWeights(base)
        self.is_kept = self.add_state("is_kept", is_kept, "bool")
        self.targets = self.add_state(
            "targets", np.where(is_kept[:, np.newaxis], one_hot, beliefs)
        )
        self.transition = self.add_state(
            "transition", _transition_of(beliefs, one_hot)
        )

    @property
    def transition_matrix(self) -> np.ndarray:
        """The T of `posterior`, `(classes, classes)`; rows are clean classes.

        Rows sum to 1. This stage does not change it.
        """
        return np.asarray(self.transition.value)

    def check_pairs(self, x: Any, replicas: int | None = None) -> None:
        super().check_pairs(x, replicas)
        inputs = tf.nest.flatten(x.element_spec[0][0])
        if self.mixup and not all(map(can_mix, inputs)):
            raise InputError(
                "`mixup` should be False for inputs other than floats and "
                "pixels (uint8). Received: `mixup` = True and inputs of dtype "
                f"{', '.join(sorted({spec.dtype.name for spec in inputs}))}."
            )

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, labels, indices), clean = data
        logits = forward_pass.passing_logits(self.base, x)
        targets = self._move_targets(indices, logits)
        if self.mixup:
            share = self._draw_share()
            x = tf.nest.map_structure(lambda part: mixed(part, share), x)
            targets = mixed(targets, share)
        forward = self.forward_pass.forward(x)
        with forward.tape:
            loss = tf.reduce_mean(losses.cross_entropy(forward.logits, targets))
            loss += self.clean_term(clean)
        self.optimizer_step(forward, loss)
        return self.training_metrics(loss, logits, labels)

    def _move_targets(self, indices: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Moves the targets of a batch; returns them, `(batch, classes)`."""
        all_targets = tf.convert_to_tensor(self.targets)
        former = tf.cast(tf.gather(all_targets, indices), logits.dtype)
        is_kept = tf.gather(tf.convert_to_tensor(self.is_kept), indices)
        targets = tf.stop_gradient(
            tf.where(
                is_kept[:, tf.newaxis],
                former,
                moved_targets(former, logits, self.momentum),
            )
        )
        # Every replica stores all targets, so the global batch is written.
        self.targets.assign(
            tf.tensor_scatter_nd_update(
                all_targets,
                distribution.all_rows(indices)[:, tf.newaxis],
                tf.cast(distribution.all_rows(targets), all_targets.dtype),
            )
        )
        return targets

    def _draw_share(self) -> tf.Tensor:
        """Returns lambda, a scalar that the seed and the step determine."""
        step = tf.cast(self.optimizer.iterations, tf.int64)
        key = tf.stack([tf.constant(self.seed, tf.int64), step])
        return tf.random.stateless_uniform([], key, 0.5, 1.0)


def moved_targets(
    targets: tf.Tensor, logits: tf.Tensor, momentum: float
) -> tf.Tensor:
    """Returns the targets of unlabelled examples after a step.

    Args:
        targets: The targets before the step, `(batch, classes)`.
        logits: The network's logits, `(batch, classes)`.
        momentum: The weight of the targets before the step.
    """
    sharpened = tf.nn.softmax(2 * logits)  # f^2, divided by its sum
    return momentum * targets + (1 - momentum) * sharpened


def mixed(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Returns each row mixed with the next row of the global batch.

    Args:
        values: `(rows, ...)`, this replica's part of the batch.
        share: The share of each row itself, a scalar; the next row has the
            rest. The last row is mixed with the first.
    """
    if values.dtype.is_integer:
        values = tf.cast(values, tf.float32)
    share = tf.cast(share, values.dtype)
    first_rows = distribution.all_rows(values[:1])  # of each replica
    next_first = distribution.own_rows(tf.roll(first_rows, -1, axis=0))
    following = tf.concat([values[1:], next_first], axis=0)
    return share * values + (1 - share) * following


def can_mix(spec: tf.TensorSpec) -> bool:
    """Returns whether mixtures of such inputs are inputs of the same kind."""
    return spec.dtype.is_floating or spec.dtype == tf.uint8


def clean_posterior(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns p(clean class | x, label), by the likeliest T.

    Expectation-maximisation finds the T under which the labels are likeliest,
    for the predictions as they are. (The logarithm of the likelihood is concave
    in T, so that there is no other maximum to end in.)

    Args:
        probs: The softmax of a network, `(examples, classes)`.
        labels: The given class ids, `(examples,)`.

    Returns:
        `(examples, classes)` float64; rows sum to 1.
    """
    probs = np.maximum(np.asarray(probs, np.float64), _LEAST_PROBABILITY)
    one_hot = np.eye(probs.shape[1])[labels]
    posterior = (probs + one_hot) / 2
    for _ in range(_ITERATIONS):
        posterior = probs * _transition_of(posterior, one_hot)[:, labels].T
        posterior /= posterior.sum(axis=1, keepdims=True)
    return posterior


def _transition_of(posterior: np.ndarray, one_hot: np.ndarray) -> np.ndarray:
    """Returns the shares of the labels of each clean class."""
    counts = posterior.T @ one_hot + _PRIOR_LABELS / one_hot.shape[1]
    return counts / counts.sum(axis=1, keepdims=True)


def _checked_posterior(
    given: Any, examples: int, num_classes: int
) -> np.ndarray:
    posterior = np.asarray(given, np.float64)
    shape = (examples, num_classes)
    if posterior.shape != shape:
        raise bad_argument("posterior", f"of shape {shape}", posterior.shape)
    rows_sum_to_one = np.allclose(posterior.sum(axis=1), 1, atol=1e-3)
    if not (rows_sum_to_one and posterior.min() >= 0):
        raise bad_argument(
            "posterior", "rows of probabilities that sum to 1", "other rows"
        )
    return posterior
