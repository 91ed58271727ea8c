"""The gradient of the meta loss: the clean loss after a virtual step.

These pure functions work in any training loop and for any meta-parameter: T in
Meta Loss Correction, the weights of the examples in other methods. Let w be the
weights, g(T) the gradient of the noisy loss, alpha the rate of the virtual
step, and v the gradient of the clean loss at `w - alpha * g(T)`. The chain rule
(Eq. 8) gives

    G = dL_meta / dT = -alpha * d/dT <g(T), v>,   v held constant.

`exact` differentiates g with an outer tape; its reverse pass visits only the
operations that depend on T. `finite_difference` computes no second derivative:
it replaces d/dT of g by the difference between the T-gradients of the noisy
loss at `w + epsilon v` and at w.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Tensors = Sequence[tf.Tensor]
# Averages tensors over the replicas of a strategy.
Reduce = Callable[[Tensors], Tensors]

# The length of the step epsilon * v: about the square root of the machine
# epsilon of the lowest-precision layer, where the errors of rounding and of
# curvature are about equal.
_DIFFERENCE_STEPS = {"float64": 1e-8, "float32": 1e-3}
_COARSE_STEP = 1e-1


def _on_one_device(tensors: Tensors) -> Tensors:
    return tensors


def virtual_step(
    weights: Tensors, gradients: Tensors, learning_rate: Any
) -> list[tf.Tensor]:
    """Returns the virtual weights `w - alpha * g` (Eq. 4); assigns nothing.

    Args:
        weights: The weights w, a list of tensors.
        gradients: The gradient g of the noisy loss, same shapes.
        learning_rate: The paper's alpha.

    Returns:
        The virtual weights, same shapes.
    """
    return [w - learning_rate * g for w, g in zip(weights, gradients)]


def exact(
    noisy_gradient: Callable[[tf.Tensor], Tensors],
    clean_loss: Callable[[Tensors], tf.Tensor],
    weights: Tensors,
    meta_parameter: Any,
    learning_rate: Any,
    reduce: Reduce = _on_one_device,
) -> Any:
    """Returns G by two nested tapes (Eq. 3-8).

    Args:
        noisy_gradient: Maps the meta-parameter to g, the gradient of the noisy
            loss with respect to `weights` (Eq. 3), differentiably.
        clean_loss: Maps virtual weights to the clean loss, a scalar (Eq. 6).
        weights: The weights w that the virtual step moves.
        meta_parameter: The tensor, or structure of tensors, with respect to
            which G is computed: T, `(classes, classes)`, rows are clean
            classes; the weights of the examples; or the weights of a network
            that weights the examples.
        learning_rate: The paper's alpha.
        reduce: Averages a list of tensors over replicas. Defaults to the
            identity, for one device.

    Returns:
        G, with the structure and shapes of `meta_parameter`, for the examples
        of this replica. The caller averages G over replicas if they share the
        meta-parameter.
    """
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(meta_parameter)
        gradients = noisy_gradient(meta_parameter)  # Eq. 3
    direction = _clean_direction(
        gradients, clean_loss, weights, learning_rate, reduce
    )
    mixed = outer.gradient(
        gradients, meta_parameter, output_gradients=direction
    )
    return tf.nest.map_structure(
        lambda gradient: -learning_rate * gradient, mixed
    )  # Eq. 8


def finite_difference(
    noisy_gradient: Callable[[tf.Tensor], Tensors],
    clean_loss: Callable[[Tensors], tf.Tensor],
    noisy_loss: Callable[[Tensors, Any], tf.Tensor],
    weights: Tensors,
    meta_parameter: Any,
    learning_rate: float,
    reduce: Reduce = _on_one_device,
    compute_dtype: str = "float32",
) -> Any:
    """Returns G by a difference along v, without second derivatives.

    The difference is one-sided: the logits of the noisy batch at w are known
    already, so G costs one more forward pass. The error is of the order of the
    step.

    Args:
        noisy_gradient: As in `exact`.
        clean_loss: As in `exact`.
        noisy_loss: Maps weights and the meta-parameter to the noisy loss, a
            scalar. It is called with `weights` and with moved weights.
        weights: As in `exact`.
        meta_parameter: As in `exact`.
        learning_rate: As in `exact`.
        reduce: As in `exact`.
        compute_dtype: The lowest-precision dtype in which the network computes.
            Defaults to "float32".

    Returns:
        G, as in `exact`.

    References:
        Liu et al., DARTS, 2019, Eq. 7-8 (the central difference).
    """
    gradients = noisy_gradient(meta_parameter)  # Eq. 3
    direction = _clean_direction(
        gradients, clean_loss, weights, learning_rate, reduce
    )
    norm = tf.linalg.global_norm(direction)
    length = _DIFFERENCE_STEPS.get(compute_dtype, _COARSE_STEP)
    epsilon = length / tf.maximum(norm, 1e-12)
    moved = [w + epsilon * v for w, v in zip(weights, direction)]

    def transition_gradient(weights: Tensors) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(meta_parameter)
            loss = noisy_loss(weights, meta_parameter)
        return tape.gradient(loss, meta_parameter)

    return tf.nest.map_structure(
        lambda ahead, behind: -learning_rate * (ahead - behind) / epsilon,
        transition_gradient(moved),
        transition_gradient(weights),
    )  # Eq. 8


def _clean_direction(
    gradients: Tensors,
    clean_loss: Callable[[Tensors], tf.Tensor],
    weights: Tensors,
    learning_rate: Any,
    reduce: Reduce,
) -> Tensors:
    """Returns v, the gradient of the clean loss after the virtual step."""
    fast_weights = virtual_step(
        weights, reduce(gradients), learning_rate
    )  # Eq. 4
    with tf.GradientTape(watch_accessed_variables=False) as inner:
        inner.watch(fast_weights)
        loss = clean_loss(fast_weights)  # Eq. 6
    return reduce(
        inner.gradient(
            loss,
            fast_weights,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    )
