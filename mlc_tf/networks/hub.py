"""Pretrained image classifiers of KerasHub, by the names of their presets.

Classifiers of texts are for `mlc_tf.MetaLossCorrection(classifier)` in Python,
with the token ids of their preprocessor as inputs: Keras cannot load a saved
network that contains a tokenizer.
"""

import keras

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import import_optional

WEIGHTS = ("", "preset")


def hub_classifier(
    preset: str,
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    weights: str = "preset",
    weight_decay: float = 0.0,
    initializer: str = "he_normal",
) -> keras.Model:
    """Returns an image classifier of KerasHub with its preprocessing inside.

    A saved network loads where `keras_hub` was imported. The method mlc needs
    `meta_gradient` "exact" or "finite_difference" with it.

    Args:
        preset: A preset of `keras_hub.models.ImageClassifier`, such as
            "resnet_18_imagenet", or a folder that its `save_to_preset` wrote. A
            preset that is not a folder is downloaded by KerasHub.
        input_shape: `(height, width, 3)`, values 0 to 255.
        num_classes: Number of classes, the width of the output.
        weights: "preset" for the weights of the preset, or "" for random
            weights. Defaults to "preset".
        weight_decay: 0, since KerasHub's layers have no such penalty. Defaults
            to 0.
        initializer: "he_normal", the default of the configs: KerasHub
            initialises the last layer in its own way. Defaults to "he_normal".

    Returns:
        A functional `keras.Model` from images to logits `(batch, num_classes)`.

    Raises:
        InputError: if the inputs are no RGB images, if the preset cannot be
            loaded, or for an option that has no effect.
    """
    keras_hub = import_optional("keras_hub", "hub")
    if weights not in WEIGHTS:
        raise bad_argument("network.weights", "'preset' or ''", weights)
    if weight_decay:
        raise bad_argument(
            "network.weight_decay", "0 for a network of KerasHub", weight_decay
        )
    if initializer != "he_normal":
        raise bad_argument(
            "network.initializer",
            "left out for a network of KerasHub, which has its own",
            initializer,
        )
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise InputError(
            "The inputs should be RGB images, (height, width, 3), for a "
            "network of KerasHub in a config (a classifier of texts is wrapped "
            f"in Python). Received: inputs of shape {input_shape}."
        )
    try:
        classifier = keras_hub.models.ImageClassifier.from_preset(
            preset, num_classes=num_classes, load_weights=weights == "preset"
        )
    except Exception as error:  # any error of a download or a file
        raise InputError(
            "`network.name` should be keras_hub:PRESET, with a preset of "
            "keras_hub.models.ImageClassifier or a folder of one. Received: "
            f"{preset!r}, which cannot be loaded "
            f"({' '.join(str(error).split())[:160]})."
        ) from error
    inputs = keras.Input(input_shape)
    prepared = classifier.preprocessor(inputs)
    return keras.Model(inputs, classifier(prepared), name="hub_classifier")
