"""Trains as one worker of several; a test compares the results of the workers.

multi_worker_process.py plain|mlc|readers OUTPUT
"""

import json
import os
import sys

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import data
from mlc_tf import distribution
from mlc_tf.data import examples
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.transitions import Exponentiated

BATCH, STEPS, EPOCHS = 16, 6, 3


def network():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3),
        ]
    )


class Counted(examples.Arrays):
    """Examples that record which of them were loaded."""

    def __init__(self, x, labels):
        super().__init__(x, labels)
        self.seen = []

    def load(self, raw):
        tf.py_function(self.seen.append, [raw], [])
        return super().load(raw)


def train(noisy, clean):
    """Returns a model after three epochs, under the strategy in scope."""
    model = MetaLossCorrection(
        network(), virtual_learning_rate=0.1, transition=Exponentiated(0.1)
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
    history = model.fit(
        lambda context: data.pair(
            noisy,
            clean,
            BATCH,
            BATCH,
            epochs=range(EPOCHS),
            input_context=context,
        ),
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        validation_data=clean.batches(10),
        verbose=0,
    )
    return model, history.history


def sets():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * BATCH, 5)).astype(np.float32)
    labels = rng.integers(0, 3, len(x))
    return Counted(x, labels), Counted(x[:20], labels[:20])


def main(kind, output):
    strategy = distribution.strategy(
        "multi_worker" if "TF_CONFIG" in os.environ else "none"
    )
    keras.utils.set_random_seed(0)
    noisy, clean = sets()
    with strategy.scope():
        if kind == "plain":
            model = network()
            model.compile("sgd", "sparse_categorical_crossentropy")
            model.fit(noisy.x, noisy.labels, batch_size=BATCH, verbose=0)
            return
        model, history = train(noisy, clean)
    found = {
        f"weight-{number}": weight
        for number, weight in enumerate(model.get_weights())
    }
    found["T"] = model.transition_matrix
    found["seen"] = np.concatenate([raw.numpy() for raw in noisy.seen])
    np.savez(output, **found)
    with open(f"{output}.json", "w") as file:
        json.dump(history, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
