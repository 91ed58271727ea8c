"""Loads Clothing1M: a million photographs with real label noise."""

from typing import Any

import tensorflow as tf

from mlc_tf.datasets import tfds_loader
from mlc_tf.datasets.options import Options
from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional

IMAGE_SIZE = (224, 224)
# Images are resized to 256 by 256, and the central 224 by 224 are kept.
_KEPT = 224 / 256
# Maximum number of skipped images that a note names.
_NAMED = 10


def load(options: Options) -> Splits:
    """Returns the splits noisy_train and test, and validation as the clean set.

    Images are resized to 256 by 256 and cropped to the central 224 by 224
    pixels, uint8.

    Args:
        options: `manual_dir`, the folder that the authors distribute;
            `data_dir`; `cache`; `image_size`, (height, width) instead of 224
            by 224; `clean`, "split:train" for the 50,000 clean training images
            instead of the 14,000 images of "split:validation".

    Raises:
        InputError: if a file is missing in the folder, or a line of a list is
            invalid. The message names the files or the line.

    References:
        Xiao et al., CVPR 2015.
    """
    import_optional("tensorflow_datasets", "tfds")
    from mlc_tf.datasets import clothing1m_builder  # registers it with TFDS

    options.only(
        "clothing1m", "data_dir", "manual_dir", "cache", "image_size", "clean"
    )
    _, clean = options.trusted("clothing1m", "split")
    builder = tfds_loader.prepared(
        clothing1m_builder.Clothing1m.name, options, downloads=False
    )
    height, width = options.image_size or IMAGE_SIZE

    def decode(encoded: Any) -> tf.Tensor:
        image = tf.io.decode_image(encoded, 3, expand_animations=False)
        wide = [round(height / _KEPT), round(width / _KEPT)]
        image = tfds_loader.resized(image, tuple(wide))
        top, left = (wide[0] - height) // 2, (wide[1] - width) // 2
        image = image[top : top + height, left : left + width]
        return tf.ensure_shape(image, (height, width, 3))

    train, test, trusted = (
        tfds_loader.read(builder, split, "image", "label", options, decode)
        for split in ("noisy_train", "test", clean or "validation")
    )
    return Splits(
        train,
        test,
        tfds_loader.class_names(builder, "label"),
        trusted,
        notes=_notes(_skipped(builder)),
    )


def _skipped(builder: Any) -> dict[str, list[str]]:
    """Returns the names of the images that the preparation left out."""
    skipped = (builder.info.metadata or {}).get("skipped")
    if not isinstance(skipped, dict):
        raise InputError(
            f"The dataset clothing1m should be whole in {builder.data_dir}. "
            "Received: no metadata.json with the skipped images; remove the "
            "folder, and prepare the dataset again."
        )
    return skipped


def _notes(skipped: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(
        f"{len(keys)} images of {split} are missing or unreadable and were "
        f"left out: {', '.join(keys[:_NAMED])}"
        + (" and others." if len(keys) > _NAMED else ".")
        for split, keys in skipped.items()
        if keys
    )
