"""One step of Algorithm 1 in NumPy, which calls nothing of the package.

A network is a function `logits(weights, x)` that is analytic in its weights.
So the derivative along `d` is `Im f(w + i h d) / h` to rounding, since complex
steps have no cancellation. No backward pass is written here that could share a
mistake with the one under test.
"""

import numpy as np

STEP = 1e-30


def softmax(logits):
    powers = np.exp(logits - logits.real.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def gradient(function, weights):
    """Gradient of a real analytic function of a list of arrays."""
    gradients = []
    for index, weight in enumerate(weights):
        slope = np.zeros(weight.shape)
        for position in np.ndindex(weight.shape):
            moved = [w.astype(complex) for w in weights]
            moved[index][position] += 1j * STEP
            slope[position] = function(moved).imag / STEP
        gradients.append(slope)
    return gradients


def corrected_loss(logits, labels, transition):
    mixture = softmax(logits) @ transition
    return -np.mean(np.log(mixture[np.arange(len(labels)), labels]))


def transition_gradient(logits, labels, transition):
    """d corrected_loss / dT: -f_i / s summed over the examples of a column."""
    probs = softmax(logits)
    result = np.zeros(transition.shape, complex)
    for prob, label in zip(probs, labels):
        result[:, label] -= prob / (prob @ transition[:, label])
    return result / len(labels)


def normalize(matrix, normalization):
    axis = 1 if normalization == "rows" else 0
    return matrix / matrix.sum(axis=axis, keepdims=True)


def meta_gradient(logits_of, weights, transition, noisy, clean, alpha):
    x, labels = noisy
    x_clean, clean_labels = clean
    g = gradient(
        lambda w: corrected_loss(logits_of(w, x), labels, transition), weights
    )
    fast = [w - alpha * step for w, step in zip(weights, g)]
    identity = np.eye(len(transition))
    v = gradient(
        lambda w: corrected_loss(logits_of(w, x_clean), clean_labels, identity),
        fast,
    )
    moved = [w + 1j * STEP * direction for w, direction in zip(weights, v)]
    mixed = transition_gradient(logits_of(moved, x), labels, transition)
    return -alpha * mixed.imag / STEP


def step(
    logits_of,
    weights,
    velocities,
    transition,
    noisy,
    clean,
    *,
    alpha,
    beta,
    gamma,
    momentum,
    normalization,
    transition_update,
):
    """Returns weights, velocities and T after one iteration."""
    slope = meta_gradient(logits_of, weights, transition, noisy, clean, alpha)
    raw = {
        "projected": np.maximum(transition - beta * slope, 0),
        "exponentiated": transition * np.exp(-beta * slope),
    }[transition_update]
    transition = normalize(raw, normalization)
    g = gradient(
        lambda w: corrected_loss(logits_of(w, noisy[0]), noisy[1], transition),
        weights,
    )
    velocities = [
        momentum * old - gamma * new for old, new in zip(velocities, g)
    ]
    weights = [w + velocity for w, velocity in zip(weights, velocities)]
    return weights, velocities, transition
