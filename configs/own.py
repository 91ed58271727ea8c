"""Your own data: arrays, a folder of images or a table, with noisy labels.

    mlc_tf train --config=own --config.dataset.name=npz:mine.npz
    mlc_tf train --config=own --config.dataset.name=csv:mine.csv
    mlc_tf train --config=own:images --config.dataset.name=folder:pictures \\
        --config.dataset.image_size="(32, 32)"
    mlc_tf train --config=own --config.dataset.name=npz:mine.npz \\
        --config.method.name=elr    # without trusted examples

The settings serve a few thousand to a few million examples. They were not tuned
for any dataset: choose them on held-out data of yours (`mlc_tf tune`).
"""

import ml_collections

from mlc_tf.errors import unknown_name
from mlc_tf.run import settings


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config.

    Args:
        variant: "images" for images of at least 8 by 8 pixels, which a wide
            residual network then classifies. Defaults to "": vectors, rows of a
            table or small images, with a perceptron.

    Raises:
        InputError: for any other variant.
    """
    config = settings.default_config()
    config.noise.kind = "none"  # the labels are noisy as they come
    config.dataset.name = "npz:mine.npz"
    config.network.weight_decay = 1e-4
    config.network.mlp.hidden_units = (256, 256)
    # Adam needs no rate that fits the scale of a dataset.
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "cosine"
    config.train.batch_size = 64
    config.train.epochs = 30
    # One more forward pass of the network per step, whatever its size.
    config.method.mlc.meta_gradient = "head"
    # The rates of T follow from the length of the run, and the weight of the
    # trusted examples from the sizes of the sets. With `clean_weight` = 0 the
    # audit can also look for wrong labels among the trusted examples.
    config.method.mlc.virtual_learning_rate = 1.0
    config.method.mlc.transition.name = "auto"
    if variant == "images":
        config.network.name = "wide_resnet"
        config.network.wide_resnet.depth = 16
        config.network.wide_resnet.width = 2
        config.train.augment = "crop_and_flip"
    elif variant:
        raise unknown_name("variant", variant, ["images"])
    return config
