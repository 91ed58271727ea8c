"""The forward pass of the noisy batch, and the network at virtual weights.

In the virtual step, `AllWeights` moves every weight, as in the paper.
`LastLayer` moves only the weights of the last Dense layer. T enters the loss
after the logits, so the gradient with respect to T then needs no backward pass
through the other layers.
"""

import inspect
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf.errors import InputError
from mlc_tf.models import base_check
from mlc_tf.models import fused_normalization

Tensors = Sequence[tf.Tensor]


@dataclass(frozen=True)
class ForwardPass:
    """A training pass of one batch, with the functions of the virtual step.

    Attributes:
        x: The batch of inputs.
        tape: The persistent tape that recorded the pass.
        logits: `(batch, classes)`, float32 or wider.
        regularization: A scalar, the sum of the base's regularisation losses.
        weights: The values of the weights that a virtual step moves.
        pull_back: Maps a gradient with respect to the logits to the gradients
            with respect to `weights`.
        logits_at: Maps (virtual weights, a batch of inputs) to logits. It
            changes no variable, and draws the same dropout masks as this pass.
        features: `(batch, width)`, the input of the last Dense layer. None with
            `AllWeights`.
    """

    x: Any
    tape: tf.GradientTape
    logits: tf.Tensor
    regularization: tf.Tensor
    weights: Tensors
    pull_back: Callable[[tf.Tensor], Tensors]
    logits_at: Callable[[Tensors, Any], tf.Tensor]
    features: tf.Tensor | None = None

    def noisy_logits(self, weights: Tensors) -> tf.Tensor:
        """Returns the logits of this batch at some weights.

        The logits at `self.weights` are known and need no second pass.

        Args:
            weights: `self.weights`, or virtual weights of the same shapes.
        """
        if weights is self.weights:
            return self.logits
        return self.logits_at(weights, self.x)

    def loss_at(
        self, x: Any, labels: tf.Tensor, class_weight: Any = None
    ) -> Callable[[Tensors], tf.Tensor]:
        """Returns the function from weights to a batch's mean cross-entropy.

        For the clean batch, its value after the virtual step is the meta loss
        (Eq. 6).

        Args:
            x: Inputs of the batch.
            labels: `(batch,)` class ids or `(batch, classes)` probabilities.
            class_weight: `(classes,)`, the factor of the loss of an example of
                each class. Defaults to None, 1 for every class.
        """
        return lambda weights: losses.mean_cross_entropy(
            self.logits_at(weights, x), labels, class_weight
        )

    def gradient_of(
        self, loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    ) -> Callable[[tf.Tensor], Tensors]:
        """Returns the function from a meta-parameter to the loss gradients.

        Args:
            loss: Maps (logits, meta-parameter) to a scalar.

        Returns:
            A function that maps the meta-parameter to the gradients of `loss`
            with respect to `weights`. The gradients are differentiable in the
            meta-parameter.
        """

        def gradient(meta_parameter: tf.Tensor) -> Tensors:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self.logits)
                value = loss(self.logits, meta_parameter)
            return self.pull_back(tape.gradient(value, self.logits))

        return gradient


class AllWeights:
    """A training pass whose virtual step moves every trainable weight.

    Args:
        base: A built network from inputs to logits `(batch, classes)`.
    """

    def __init__(self, base: keras.Model) -> None:
        self._base = base

    def forward(self, x: Any) -> ForwardPass:
        """Runs a training pass, which updates BatchNorm and dropout state.

        Args:
            x: The batch of inputs.
        """
        base = self._base
        state = values(base.non_trainable_variables)
        variables = base.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            with fused_normalization.used_by(base):
                logits = as_float(base(x, training=True))
            regularization = _regularization(base, logits)
        _share_statistics(base)

        def pull_back(logits_gradient: tf.Tensor) -> Tensors:
            gradients = tape.gradient(
                logits,
                variables,
                output_gradients=logits_gradient,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            # An Embedding's gradient is sparse; a virtual step needs it dense.
            return [tf.convert_to_tensor(gradient) for gradient in gradients]

        def logits_at(weights: Tensors, inputs: Any) -> tf.Tensor:
            return _logits(base, weights, state, inputs)

        return ForwardPass(
            x=x,
            tape=tape,
            logits=logits,
            regularization=regularization,
            weights=values(variables),
            pull_back=pull_back,
            logits_at=logits_at,
        )


class LastLayer:
    """A training pass whose virtual step moves the last Dense layer only.

    Args:
        base: A Sequential or functional network from inputs to logits
            `(batch, classes)`.

    Raises:
        InputError: if the last layer of `base` is not a trainable linear Dense
            layer on features `(batch, width)`.
    """

    def __init__(self, base: keras.Model) -> None:
        self._dense = _last_dense(base)
        self._base = base
        # The structure of the inputs, since keys of a dict have an order.
        self._features_and_logits = keras.Model(
            base_check.input_structure(base),
            [self._dense.input, self._dense.output],
        )

    def check(self) -> None:
        """Raises an `InputError` if the last layer can no longer be moved.

        The layer may have been frozen, or got an adapter, after the network
        was wrapped.
        """
        _last_dense(self._base)

    def forward(self, x: Any) -> ForwardPass:
        """Runs a training pass, which updates BatchNorm and dropout state.

        Args:
            x: The batch of inputs.
        """
        network = self._features_and_logits
        state = values(network.non_trainable_variables)
        body = values(network.trainable_variables)
        with tf.GradientTape(persistent=True) as tape:
            with fused_normalization.used_by(self._base):
                features, logits = network(x, training=True)
            logits = as_float(logits)
            regularization = _regularization(self._base, logits)
        _share_statistics(self._base)
        noisy_features = tf.cast(features, logits.dtype)
        weights = values(self._dense.trainable_variables)

        def pull_back(logits_gradient: tf.Tensor) -> Tensors:
            kernel = tf.matmul(
                noisy_features, logits_gradient, transpose_a=True
            )
            bias = tf.reduce_sum(logits_gradient, axis=0)
            return [kernel, bias][: len(weights)]

        def logits_at(weights: Tensors, inputs: Any) -> tf.Tensor:
            with fused_normalization.used_by(self._base):
                (features, _), _ = network.stateless_call(
                    body, state, inputs, training=True
                )
            logits = tf.cast(features, weights[0].dtype) @ weights[0]
            return logits + weights[1] if len(weights) == 2 else logits

        return ForwardPass(
            x=x,
            tape=tape,
            logits=logits,
            regularization=regularization,
            weights=weights,
            pull_back=pull_back,
            logits_at=logits_at,
            features=features,
        )

    @property
    def features_shape(self) -> tuple[int | None, ...]:
        """The shape of the features, `(None, width)`."""
        return tuple(self._dense.input.shape)


def passing_logits(base: keras.Model, x: Any) -> tf.Tensor:
    """Returns the logits of a training pass that changes no state of the base.

    A step uses it for a second batch, so that BatchNorm's statistics come from
    the first batch only. A gradient tape in scope records the pass.

    Args:
        base: A built network from inputs to logits `(batch, classes)`.
        x: The batch of inputs.
    """
    return _logits(
        base, base.trainable_variables, base.non_trainable_variables, x
    )


def as_float(tensor: Any) -> tf.Tensor:
    """Returns a tensor in float32 if it has a narrower dtype."""
    tensor = tf.convert_to_tensor(tensor)
    return tf.cast(tensor, tf.float32) if tensor.dtype.size < 4 else tensor


def coarsest_dtype(base: keras.Model) -> str:
    """Returns the compute dtype with the fewest bytes among the layers."""
    dtypes = [
        layer.compute_dtype
        for layer in base_check.all_layers(base)
        if layer.weights  # layers without weights, such as inputs, do not count
    ]
    return min(
        dtypes or [base.compute_dtype],
        key=lambda name: tf.as_dtype(name).size,
    )


def values(variables: list[keras.Variable]) -> Tensors:
    """Returns copies of the values of variables.

    A plain read would alias the variable's buffer in eager mode.
    """
    return [tf.identity(tf.convert_to_tensor(value)) for value in variables]


def _share_statistics(base: keras.Model) -> None:
    """Averages BatchNorm's moving statistics over the replicas.

    In Keras each replica has its own statistics. One worker would then save
    other statistics than another worker evaluates with.
    """
    if distribution.num_replicas() == 1:
        return
    statistics = [
        variable
        for layer in base_check.all_layers(base)
        if isinstance(layer, keras.layers.BatchNormalization)
        for variable in layer.non_trainable_variables
        if layer.trainable
    ]
    if statistics:
        means = distribution.global_mean(values(statistics))
        for variable, mean in zip(statistics, means):
            variable.assign(mean)


def _logits(
    base: keras.Model, weights: Sequence[Any], state: Sequence[Any], x: Any
) -> tf.Tensor:
    with fused_normalization.used_by(base):
        outputs, _ = base.stateless_call(weights, state, x, **_training(base))
    return as_float(outputs)


def _training(base: keras.Model) -> dict[str, bool]:
    # Unlike a plain call, `stateless_call` passes `training` on even if `call`
    # does not have that argument.
    parameters = inspect.signature(base.call).parameters.values()
    takes_training = any(
        parameter.name == "training" or parameter.kind is parameter.VAR_KEYWORD
        for parameter in parameters
    )
    return {"training": True} if takes_training else {}


def _regularization(base: keras.Model, logits: tf.Tensor) -> tf.Tensor:
    """Returns the sum of the base's losses, in the dtype of the logits."""
    return tf.add_n(
        [tf.zeros([], logits.dtype)]
        + [tf.cast(loss, logits.dtype) for loss in base.losses]
    )


def _last_dense(base: keras.Model) -> keras.layers.Dense:
    layer = base.layers[-1] if base.layers else None
    try:
        last = (
            isinstance(layer, keras.layers.Dense)
            and layer.activation is keras.activations.linear
            and layer.output is base.outputs[0]
            and len(layer.input.shape) == 2
            and all(variable.trainable for variable in layer.weights)
        )
    except (AttributeError, ValueError, IndexError):  # a subclassed model
        last = False
    if not last:
        raise InputError(
            "`base` should be a Sequential or functional model that ends in a "
            "trainable linear Dense layer for `meta_gradient` = 'head'. "
            f"Received: `base` = a {type(base).__name__} that ends in a "
            f"{type(layer).__name__}; 'exact' and 'finite_difference' work "
            "with any base."
        )
    return layer
