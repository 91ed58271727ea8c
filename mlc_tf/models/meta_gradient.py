"""The gradient of the clean loss after a virtual step, with respect to T.

Pure functions for any loop and any meta-parameter: T here, the weights of the
examples elsewhere. With w the weights, g(T) the gradient of the noisy loss,
alpha the rate of the virtual step and v the gradient of the clean loss at
`w - alpha * g(T)`, the chain rule (Eq. 8) gives

    G = dL_meta / dT = -alpha * d/dT <g(T), v>,   v held constant.

`exact` differentiates g with an outer tape; the reverse pass runs only through
what depends on T. `finite_difference` replaces d/dT of g by the difference of
the noisy loss's T-gradient at `w + epsilon v` and at w, and needs no second
derivative.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Tensors = Sequence[tf.Tensor]
# Averages tensors over the replicas of a strategy; the identity on one device.
Reduce = Callable[[Tensors], Tensors]

# The length of the step epsilon * v: about the root of the precision in which
# the network computes, where rounding and curvature err alike.
_DIFFERENCE_STEPS = {"float64": 1e-8, "float32": 1e-3}
_COARSE_STEP = 1e-1


def _on_one_device(tensors: Tensors) -> Tensors:
    return tensors


def virtual_step(
    weights: Tensors, gradients: Tensors, learning_rate: Any
) -> list[tf.Tensor]:
    """Returns the fast weights `w - alpha * g`, assigning nothing (Eq. 4).

    Args:
        weights: The weights w.
        gradients: The gradient g of the noisy loss, same shapes.
        learning_rate: The paper's alpha.

    Returns:
        The fast weights, same shapes.
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
        clean_loss: Maps fast weights to the clean loss there, a scalar
            (Eq. 6).
        weights: The weights w that the virtual step moves.
        meta_parameter: What the gradient is asked for, a tensor or several:
            T, `(classes, classes)`, rows are clean classes; or the weights of
            the examples, or those of a network that weighs them.
        learning_rate: The paper's alpha.
        reduce: Averages a list of tensors over replicas. Defaults to one
            device.

    Returns:
        G, with the structure and shapes of `meta_parameter`: of this replica's
        examples, its caller averages it where the meta-parameter is shared.
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

    One-sided: at w the noisy batch's logits are there already, so that it costs
    one more forward pass. Its error is of the order of the step.

    Arguments and result as in `exact`; besides, `noisy_loss` maps weights and
    the meta-parameter to the noisy loss, a scalar, and is called with `weights`
    itself and with others; `compute_dtype` is what the network computes in,
    "float32" by default.

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

    def slope(weights: Tensors) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(meta_parameter)
            loss = noisy_loss(weights, meta_parameter)
        return tape.gradient(loss, meta_parameter)

    return tf.nest.map_structure(
        lambda there, here: -learning_rate * (there - here) / epsilon,
        slope(moved),
        slope(weights),
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
