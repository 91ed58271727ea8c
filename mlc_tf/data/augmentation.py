"""Random changes of images that leave their class as it is."""

from collections.abc import Callable

import tensorflow as tf

PADDING = 4


def crop_and_flip(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Returns each image shifted by up to 4 pixels, and half of them mirrored.

    Images are padded with zeros by 4 pixels and cropped back to their size.

    Args:
        images: `(batch, height, width, channels)`.
        key: `(2,)` integers; the same key draws the same crops.

    References:
        Hendrycks et al., 2018, the training transform of its CIFAR scripts.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    corner_key, flip_key = tf.unstack(tf.random.split(key, 2))
    top, left = tf.unstack(
        tf.random.stateless_uniform(
            [2, batch], corner_key, 0, 2 * PADDING + 1, tf.int32
        )
    )
    mirrored = tf.random.stateless_uniform([batch, 1], flip_key) < 0.5
    across = tf.range(width)
    across = tf.where(mirrored, across[::-1], across)
    edges = [PADDING, PADDING]
    padded = tf.pad(images, [[0, 0], edges, edges, [0, 0]])
    rows = tf.gather(padded, top[:, None] + tf.range(height), batch_dims=1)
    cropped = tf.gather(rows, left[:, None] + across, axis=2, batch_dims=1)
    return tf.ensure_shape(cropped, images.shape)


AUGMENTATIONS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None] = {
    "none": None,
    "crop_and_flip": crop_and_flip,
}
