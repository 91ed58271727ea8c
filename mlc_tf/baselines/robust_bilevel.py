"""Robust bilevel learning of T, without a trusted set."""

from typing import Any

import keras
import tensorflow as tf

from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.errors import InputError
from mlc_tf.models.forward_pass import ForwardPass
from mlc_tf.models.meta_loss_correction import Losses
from mlc_tf.models.meta_loss_correction import MetaLossCorrection


class RobustBilevel(MetaLossCorrection):
    """Takes the steps of `MetaLossCorrection` without a trusted set.

    Every second example of a noisy batch makes the virtual step. The meta loss
    is the mean absolute error of the virtual network on the noisy labels of the
    others. It is robust: where noise is spread evenly over the classes,
    the network that is right about the clean classes has the least. (The
    reverse cross-entropy, with log 0 taken as -4, is twice this loss.) All of
    the batch trains the network under the new T. The clean half of each element
    is not read.

    Unlike in the published method, whose outer batch is of held-out noisy
    examples, it is the other half of the batch; and T moves as in
    `MetaLossCorrection`.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`.
        transition: As in `MetaLossCorrection`. Defaults to None,
            `transitions.Exponentiated()`.
        virtual_learning_rate: As in `MetaLossCorrection`. Defaults to 0.1.
        meta_gradient: As in `MetaLossCorrection`. Defaults to "exact".
        name: Name of the model. Defaults to a unique name.

    Raises:
        InputError: as `MetaLossCorrection`; and in `fit` for batches of one
            example, or of an unknown number.

    References:
        Yong et al., 2023, "A holistic view of label noise transition matrix in
        deep learning and beyond" (ROBOT), Eq. 6-8.
    """

    needs_clean = False

    def __init__(
        self,
        base: keras.Model,
        *,
        transition: transitions.TransitionUpdate | None = None,
        virtual_learning_rate: float = 0.1,
        meta_gradient: str = "exact",
        name: str | None = None,
    ) -> None:
        super().__init__(
            base,
            transition=transition,
            virtual_learning_rate=virtual_learning_rate,
            meta_gradient=meta_gradient,
            name=name,
        )

    def virtual_and_meta_loss(
        self, forward: ForwardPass, noisy: tuple[Any, Any], clean: Any
    ) -> Losses:
        x, labels = noisy
        size = labels.shape[0]
        if size is None or size < 2:
            raise InputError(
                "The noisy batches should all have the same number of examples "
                "(drop_remainder=True), at least two, for RobustBilevel, which "
                f"divides them. Received: {size or 'an unknown number'}."
            )
        outer = tf.nest.map_structure(lambda part: part[1::2], x)

        def virtual_loss(logits: tf.Tensor, transition: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(
                losses.corrected_cross_entropy(
                    logits[::2], labels[::2], transition
                )
            )

        def meta_loss(weights: Any) -> tf.Tensor:
            return tf.reduce_mean(
                losses.mean_absolute_error(
                    forward.logits_at(weights, outer), labels[1::2]
                )
            )

        return virtual_loss, meta_loss
