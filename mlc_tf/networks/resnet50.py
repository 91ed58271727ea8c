"""ResNet-50, pretrained on ImageNet: the paper's network for Clothing1M."""

from typing import Any

import keras

from mlc_tf.networks import applications


def resnet50(
    input_shape: tuple[int, ...], num_classes: int, **options: Any
) -> keras.Model:
    """Returns ResNet-50 with a new last layer, for RGB images.

    Args:
        input_shape: As in `applications.application`.
        num_classes: Number of classes, the width of the output.
        **options: `weights`, `weight_decay` and `initializer`, as in
            `applications.application`.

    Raises:
        InputError: as `applications.application`.

    References:
        He et al., 2016; `keras.applications.resnet50`.
    """
    return applications.application(
        "ResNet50", input_shape, num_classes, **options
    )
