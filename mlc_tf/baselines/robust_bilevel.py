"""Robust bilevel learning of T, without a trusted set."""

from typing import Any

import tensorflow as tf

from mlc_tf import losses
from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.models.forward_pass import ForwardPass
from mlc_tf.models.meta_loss_correction import Losses
from mlc_tf.models.meta_loss_correction import MetaLossCorrection


class RobustBilevel(MetaLossCorrection):
    """Takes the steps of `MetaLossCorrection` without a trusted set.

    Every second example of a noisy batch makes the virtual step. The meta loss
    is the mean absolute error of the virtual network on the noisy labels of the
    other examples. It is robust: where noise is spread evenly over the classes,
    the network that is right about the clean classes has the least error. (The
    reverse cross-entropy, with log 0 taken as -4, is twice this loss.) The
    whole batch trains the network under the new T. With `clean_weight` = 0, the
    default, the clean half of each element is not read.

    The published method computes the meta loss on held-out noisy examples; here
    it is the other half of the batch, and T moves as in `MetaLossCorrection`.

    Args:
        base: As in `MetaLossCorrection`; so are all other arguments.

    Raises:
        InputError: as `MetaLossCorrection`; and in `fit` for batches of one
            example, or of an unknown number.

    References:
        Yong et al., 2023, "A holistic view of label noise transition matrix in
        deep learning and beyond" (ROBOT).
    """

    needs_clean = False

    def virtual_and_meta_loss(
        self, forward: ForwardPass, noisy: checks.NoisyHalf, clean: Any
    ) -> Losses:
        x, labels = noisy.x, noisy.labels
        size = labels.shape[0]
        if size is None or size < 2:
            raise InputError(
                "The noisy batches should all have the same number of examples "
                "(drop_remainder=True), at least two, for RobustBilevel, which "
                f"divides them. Received: {size or 'an unknown number'}."
            )
        outer = tf.nest.map_structure(lambda part: part[1::2], x)
        inner_weights = outer_weights = None
        if noisy.weights is not None:
            inner_weights, outer_weights = (
                noisy.weights[::2],
                noisy.weights[1::2],
            )

        def virtual_loss(logits: tf.Tensor, transition: tf.Tensor) -> tf.Tensor:
            return losses.weighted_mean(
                losses.corrected_cross_entropy(
                    logits[::2], labels[::2], transition
                ),
                inner_weights,
            )

        def meta_loss(weights: Any) -> tf.Tensor:
            return losses.weighted_mean(
                losses.mean_absolute_error(
                    forward.logits_at(weights, outer), labels[1::2]
                ),
                outer_weights,
            )

        return virtual_loss, meta_loss
