"""A second stage: keeps the labels that a first network confirms, and takes the
other examples as unlabelled."""

import functools
from typing import Any

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_fraction
from mlc_tf.errors import check_seed
from mlc_tf.models import forward_pass
from mlc_tf.models.pair_model import PairModel

# A label is kept if its posterior exceeds this.
_KEPT = 0.5
# Each row of T counts this many labels more, one share for each class, so that
# no entry is 0.
_PRIOR_LABELS = 1.0
# The steps for which lambda is drawn.
_STEPS = 4096
_MOST_ITERATIONS, _TOLERANCE = 100, 1e-5
_LEAST_PROBABILITY = 1e-12


class SemiSupervised(PairModel):
    """Trains on labels that are kept, and on its own predictions elsewhere.

    Each example has a target q, a distribution over the classes. Where the
    posterior of the given label exceeds 0.5, q is that label. Every other
    example counts as unlabelled: its q starts from the posterior, and follows
    the softmax f of the network in training, sharpened:

        q <- momentum * q + (1 - momentum) * f^2 / (sum of f^2)

    With `mixup` a step trains on mixtures of each example and the next example
    of the batch. lambda is drawn for each step, uniformly from [1/2, 1], and
    again the same after 4,096 steps:

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
            pixels (uint8). Set it to False for ids. Defaults to True.
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
        (the moving average). DivideMix trains two networks, and MixMatch
        averages over augmented inputs; this does neither.
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
        self.momentum = check_fraction("momentum", momentum)
        if not isinstance(mixup, bool):
            raise bad_argument("mixup", "True or False", mixup)
        self.mixup = mixup
        self.seed = check_seed(seed)
        self._shares = draw_shares(self.seed) if mixup else None
        given = checks.check_given(labels, self.num_classes)
        self.num_examples = len(given)
        beliefs = _as_probabilities("posterior", posterior)
        _check_shape("posterior", beliefs, (len(given), self.num_classes))
        one_hot = np.eye(self.num_classes, dtype=np.float32)[given]
        is_kept = beliefs[np.arange(len(given)), given] > _KEPT
        self.forward_pass = forward_pass.AllWeights(base)
        self.step = self.add_step_counter()
        self.is_kept = self.add_state("is_kept", is_kept, "bool")
        self.targets = self.add_state(
            "targets", np.where(is_kept[:, np.newaxis], one_hot, beliefs)
        )
        self.transition = self.add_state(
            "transition", _transition_of(beliefs, given)
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
        if self.mixup:
            logits = forward_pass.passing_logits(self.base, x)
            share = self._share_of_step()
            x = tf.nest.map_structure(lambda part: self._mix(part, share), x)
            forward = self.forward_pass.forward(x)
            targets = mixed(self._move_targets(indices, logits), share)
        else:
            forward = self.forward_pass.forward(x)
            logits = forward.logits
            targets = self._move_targets(indices, logits)
        self.step.assign_add(1)
        with forward.tape:
            loss = tf.reduce_mean(losses.cross_entropy(forward.logits, targets))
            loss += self.clean_term(clean)
        self.optimizer_step(forward, loss)
        return self.training_metrics(loss, logits, labels)

    def _move_targets(self, indices: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Moves the targets of a batch; returns them, `(batch, classes)`."""
        former = tf.gather(tf.convert_to_tensor(self.targets), indices)
        former = tf.cast(former, logits.dtype)
        is_kept = tf.gather(tf.convert_to_tensor(self.is_kept), indices)
        targets = tf.stop_gradient(
            tf.where(
                is_kept[:, tf.newaxis],
                former,
                moved_targets(former, logits, self.momentum),
            )
        )
        self.set_rows(self.targets, indices, targets)
        return targets

    def _mix(self, values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        mixture = mixed(values, share)
        inputs = getattr(self.base, "inputs", None) or ()
        if any("int" in tensor.dtype for tensor in inputs):
            return tf.round(mixture)  # or Keras would cut off the fraction
        return mixture

    def _share_of_step(self) -> tf.Tensor:
        """Returns lambda, a scalar that the seed and the step determine."""
        step = tf.convert_to_tensor(self.step) % _STEPS
        return tf.gather(tf.constant(self._shares), step)


@functools.cache
def draw_shares(seed: int) -> np.ndarray:
    """Returns lambda of 4,096 steps; the next step has the first lambda again.

    They are drawn before training, because a step that XLA compiles would draw
    other numbers. The generator is TensorFlow's, as in the recorded results.

    Args:
        seed: An integer >= 0.
    """
    steps = tf.range(_STEPS, dtype=tf.int64)
    keys = tf.stack([tf.fill([_STEPS], tf.cast(seed, tf.int64)), steps], axis=1)
    draw = tf.function(
        lambda keys: tf.map_fn(
            lambda key: tf.random.stateless_uniform([], key, 0.5, 1.0),
            keys,
            fn_output_signature=tf.float32,
        )
    )
    return np.asarray(draw(keys))


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


def clean_posterior(probs: Any, labels: Any) -> np.ndarray:
    """Returns p(clean class | x, label), by the T that best fits the labels.

    The network stays as it is. Expectation-maximisation finds the T that
    maximises the likelihood of the labels, times a weak prior that keeps every
    entry above 0. The logarithm of both is concave in T.

    Args:
        probs: The softmax of a network, `(examples, classes)`.
        labels: The given class ids, `(examples,)`.

    Returns:
        `(examples, classes)` float64; rows sum to 1.

    Raises:
        InputError: if the labels are not class ids, or `probs` are not rows of
            probabilities, one for each label.

    References:
        Dempster, Laird, Rubin, 1977. `audit.label_audit` has the same posterior
        for a T that is given.
    """
    rows = _as_probabilities("probs", probs)
    given = checks.check_given(labels, rows.shape[1])
    _check_shape("probs", rows, (len(given), rows.shape[1]))
    fixed = np.maximum(rows, _LEAST_PROBABILITY)
    posterior = fixed / 2
    posterior[np.arange(len(given)), given] += 0.5
    transition = _transition_of(posterior, given)
    for _ in range(_MOST_ITERATIONS):
        posterior = fixed * transition[:, given].T
        posterior /= posterior.sum(axis=1, keepdims=True)
        former, transition = transition, _transition_of(posterior, given)
        if np.abs(transition - former).max() < _TOLERANCE:
            break
    return posterior


def _transition_of(posterior: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Returns the shares of the given labels of each clean class."""
    size = posterior.shape[1]
    one_hot = scipy.sparse.csr_matrix(
        (np.ones(len(given)), (given, np.arange(len(given)))),
        shape=(size, len(given)),
    )
    counts = (one_hot @ posterior).T + _PRIOR_LABELS / size
    return counts / counts.sum(axis=1, keepdims=True)


def _as_probabilities(name: str, given: Any) -> np.ndarray:
    """Returns rows of probabilities as an array, after checking them."""
    try:
        rows = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise bad_argument(name, "an array of numbers", given) from None
    if rows.ndim != 2 or not rows.size:
        raise bad_argument(
            name, "of shape (examples, classes)", f"shape {rows.shape}"
        )
    if not (np.allclose(rows.sum(axis=1), 1, atol=1e-3) and rows.min() >= 0):
        raise bad_argument(
            name, "rows of probabilities that sum to 1", "other rows"
        )
    return rows


def _check_shape(name: str, rows: np.ndarray, shape: tuple[int, int]) -> None:
    if rows.shape != shape:
        raise bad_argument(name, f"of shape {shape}", f"shape {rows.shape}")
