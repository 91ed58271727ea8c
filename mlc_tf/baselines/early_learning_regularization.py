"""Early-learning regularization (ELR): keeps what the network learned early."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import losses
from mlc_tf.errors import check_count
from mlc_tf.errors import check_fraction
from mlc_tf.errors import check_rate
from mlc_tf.models.forward_pass import AllWeights
from mlc_tf.models.pair_model import PairModel

# The probabilities are at least this and at most 1 minus this, as in the
# released code.
_LEAST = 1e-4


class EarlyLearningRegularization(PairModel):
    """Trains on the given labels, and on agreement with former predictions.

    A network learns the right labels before it memorises the wrong ones. Each
    example has a target t, a moving average of the network's softmax f. It
    starts from zeros:

        p    =  f, clipped to [1e-4, 1 - 1e-4]
        t    <- momentum * t + (1 - momentum) * p / (sum of p)
        loss =  mean of -log f[label] + strength * mean of log(1 - p . t)

    The second term falls as p and t come to agree. Its gradient works against
    a label that contradicts t. There is no T. The noisy half of
    each element is `(x, label, index)`
    (`mlc_tf.data.pair(..., with_index=True)`); the clean half is not used.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        num_examples: The number of noisy examples, an integer >= 1.
        strength: The weight of the second term, a float >= 0. Defaults to 3,
            the published value for CIFAR-10 with uniform noise.
        momentum: In [0, 1). Defaults to 0.7, published with that value.
        name: Name of the model. Defaults to a unique name.

    Raises:
        InputError: if an argument is outside its range.

    References:
        Liu et al., 2020, "Early-learning regularization prevents memorization
        of noisy labels", Eq. 6 and 9, and its code.
    """

    uses_index = True

    def __init__(
        self,
        base: keras.Model,
        *,
        num_examples: int,
        strength: float = 3.0,
        momentum: float = 0.7,
        name: str | None = None,
    ) -> None:
        super().__init__(base, name=name)
        self.num_examples = check_count("num_examples", num_examples)
        self.strength = check_rate("strength", strength)
        self.momentum = check_fraction("momentum", momentum, "[0, 1)")
        self.forward_pass = AllWeights(base)
        self.targets = self.add_state(
            "targets", np.zeros((self.num_examples, self.num_classes))
        )

    def train_step(self, data: Any) -> dict[str, Any]:
        (x, labels, indices), _ = data
        forward = self.forward_pass.forward(x)
        logits = forward.logits
        former = tf.gather(tf.convert_to_tensor(self.targets), indices)
        targets = move_targets(
            tf.cast(former, logits.dtype), logits, self.momentum
        )
        self.set_rows(self.targets, indices, targets)
        with forward.tape:
            loss = tf.reduce_mean(
                losses.cross_entropy(logits, labels)
                + self.strength * disagreement(logits, targets)
            )
        return self.actual_train(forward, loss, labels)


def move_targets(
    targets: tf.Tensor, logits: tf.Tensor, momentum: float
) -> tf.Tensor:
    """Returns the targets after a step, `(batch, classes)`, without a gradient.

    Args:
        targets: The targets before the step, `(batch, classes)`.
        logits: The network's logits, `(batch, classes)`.
        momentum: The weight of the targets before the step.
    """
    probs = _clipped_softmax(logits)
    probs /= tf.reduce_sum(probs, axis=-1, keepdims=True)
    return tf.stop_gradient(momentum * targets + (1 - momentum) * probs)


def disagreement(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns `log(1 - p . t)`, `(batch,)`, where p is the clipped softmax.

    Args:
        logits: `(batch, classes)`.
        targets: t, `(batch, classes)`; each row sums to at most 1.
    """
    agreement = tf.reduce_sum(_clipped_softmax(logits) * targets, axis=-1)
    return tf.math.log1p(-agreement)


def _clipped_softmax(logits: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(tf.nn.softmax(logits), _LEAST, 1 - _LEAST)
