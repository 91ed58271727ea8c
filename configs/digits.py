"""Digits (scikit-learn, embedded) with 40 % of each class flipped to another.

This is the package's smallest real run. Its last line is the result. README.md
has the expected accuracy of this method and of the other methods.

    python launch/train.py --config=configs/digits.py
    python launch/train.py --config=configs/digits.py:smoke
"""

import ml_collections

from mlc_tf.errors import unknown_name
from mlc_tf.run import settings


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config.

    Args:
        variant: "smoke" shrinks every size. Defaults to "", the full run.

    Raises:
        InputError: for any other variant.
    """
    config = settings.default_config()
    config.dataset.name = "digits"
    config.clean.per_class = 10
    config.network.name = "mlp"
    config.train.epochs = 30
    config.optimizer.learning_rate = 0.05
    config.optimizer.schedule = "cosine"
    # The values below were chosen on held-out training images; see RESULTS.md.
    config.network.weight_decay = 3e-3
    slower = "mlc", "cross_entropy", "forward", "confusion"
    for method in slower:
        config.method[method].learning_rate = 0.025
    config.method.mlc_paper.learning_rate = 0.01
    config.method.co_teaching.learning_rate = 0.25
    config.method.mlc.meta_gradient = "head"
    config.method.mlc.virtual_learning_rate = 0.01
    config.method.mlc.transition.learning_rate = 30.0
    config.method.mlc.transition.name = "projected"
    config.method.mlc.transition.smoothing = 0.2
    config.method.mlc.transition.max_step = 5.0
    # A thousand noisy images are few. So training also uses the hundred trusted
    # images, and T is also fitted to the noisy labels.
    config.method.mlc.transition.expectation_rate = 0.3
    config.method.mlc.clean_weight = 0.3
    # The run has few steps, so T needs long steps; see BUILD_NOTES.md.
    config.method.noise_layer.noise_learning_rate = 10.0
    config.method.masking_hard.noise_learning_rate = 10.0
    if variant == "smoke":
        config.train.epochs = 2
    elif variant:
        raise unknown_name("variant", variant, ["smoke"])
    return config
