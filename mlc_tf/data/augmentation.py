"""Random changes of images that keep the class of each image."""

from collections.abc import Callable

import tensorflow as tf

PADDING = 4


def crop_and_flip(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Returns randomly shifted and mirrored images.

    Each image is padded by 4 pixels of zeros on every side and cropped back to
    its size at a random place; each image is mirrored left to right with
    probability 0.5.

    Args:
        images: `(batch, height, width, channels)`, any numeric dtype.
        key: `(2,)` integers, the seed of the stateless random functions. The
            same key draws the same crops.

    Returns:
        Images of the same shape and dtype.

    References:
        Hendrycks et al., 2018: the training transform of their CIFAR scripts.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    corner_key, flip_key = tf.unstack(tf.random.split(key, 2))
    top, left = tf.unstack(
        tf.random.stateless_uniform(
            [2, batch], corner_key, 0, 2 * PADDING + 1, tf.int32
        )
    )
    mirrored = tf.random.stateless_uniform([batch, 1], flip_key) < 0.5
    columns = tf.range(width)
    columns = tf.where(mirrored, columns[::-1], columns)
    edges = [PADDING, PADDING]
    padded = tf.pad(images, [[0, 0], edges, edges, [0, 0]])
    rows = tf.gather(padded, top[:, None] + tf.range(height), batch_dims=1)
    cropped = tf.gather(rows, left[:, None] + columns, axis=2, batch_dims=1)
    return tf.ensure_shape(cropped, images.shape)


AUGMENTATIONS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None] = {
    "none": None,
    "crop_and_flip": crop_and_flip,
}
