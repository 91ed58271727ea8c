# %% [markdown]
# # No trusted set
#
# Nobody has checked a single label of yours. Some methods need no trusted set,
# and how far they get depends on the noise. At the end you have trained three
# of them beside plain training under two noises, and have seen where they end.
#
# ## The data
#
# Digits again. Under `uniform` noise a wrong label can be any digit. Under
# `flip_to_one` each digit is mistaken for one certain other digit.

# %%
import keras
import numpy as np
import pandas as pd
import sklearn.datasets

import mlc_tf

images, y = sklearn.datasets.load_digits(return_X_y=True)
x = images / 16
x_test, y_test = x[:500], y[:500]
x_noisy, y_true = x[500:], y[500:]
noises = {
    kind: mlc_tf.corrupt(y_true, kind, ratio=0.4, seed=0)
    for kind in ("uniform", "flip_to_one")
}


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, "relu"),
            keras.layers.Dense(10),
        ]
    )


# %% [markdown]
# `MetaLossCorrection` cannot do without trusted labels, and says what can:

# %%
mlc = mlc_tf.MetaLossCorrection(network())
mlc.compile("adam")
try:
    mlc.fit(mlc_tf.pair((x_noisy, noises["uniform"].labels)))
except mlc_tf.InputError as error:
    print(error)

# %% [markdown]
# ## Three methods that need nothing
#
# - `EarlyLearningRegularization` (ELR) holds the network to its own earlier
#   predictions, since a network learns the right labels first. It keeps a row
#   for each example, so its batches have the index of each example.
# - `GeneralizedCrossEntropy` is a loss between cross-entropy and the absolute
#   error. It gives less weight to examples whose label the network finds
#   unlikely.
# - `VolumeMinimization` learns T together with the network, and keeps T small.
#
# `pair` without a second argument makes their batches.

# %%
accuracies, models = {}, {}
for kind, noise in noises.items():
    for method, arguments in (
        (mlc_tf.baselines.CrossEntropy, {}),
        (
            mlc_tf.baselines.EarlyLearningRegularization,
            {"num_examples": len(x_noisy)},
        ),
        (mlc_tf.baselines.GeneralizedCrossEntropy, {}),
        (mlc_tf.baselines.VolumeMinimization, {}),
    ):
        model = method(network(), **arguments)
        model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
        pairs = mlc_tf.pair((x_noisy, noise.labels), with_index=True)
        model.fit(pairs, epochs=30, verbose=0)
        accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
        accuracies.setdefault(method.__name__, {})[kind] = f"{accuracy:.1%}"
        models[kind, method.__name__] = model
pd.DataFrame(accuracies).T

# %% [markdown]
# One seed, and no setting was searched. The table of [which method,
# when](../how_to/choose_method.md) rests on several seeds and on held-out
# data. It says what a hundred trusted examples are worth beside these methods.
#
# ## T without a trusted label
#
# What `VolumeMinimization` believes about the labels, beside the truth, for
# both noises:

# %% alt="The learned T and the true T under uniform noise."
# %matplotlib inline
from mlc_tf.run import figures


def matrices(kind):
    learned = models[kind, "VolumeMinimization"].transition_matrix
    distance = mlc_tf.transitions.distance(learned, noises[kind].expected)
    print(f"{kind}: {distance:.2f} from the true T")
    return figures.transition_figure(learned, noises[kind].expected)


matrices("uniform")

# %% alt="The learned T and the true T where each class flips to one other."
matrices("flip_to_one")

# %% [markdown]
# Where 40 % of the sevens are labelled as ones, nothing in the labels alone
# says whether those images are sevens called ones or a second way to write a
# one. A trusted example of each class says it.
#
# ## The same by command
#
# A dataset of yours, as in [Your images](your_images.md), trains without a
# trusted set by naming such a method:

# %%
np.savez("mine.npz", x_train=x_noisy, y_train=noises["uniform"].labels)

# %% language="bash"
# mlc_tf train --config=own --config.dataset.name=npz:mine.npz \
#     --config.method.name=elr --config.train.epochs=10 --workdir=runs/mine

# %% [markdown]
# This dataset has no test set either, so a tenth of it was held out. Its
# labels are as noisy as all others: the accuracy that is printed is measured
# against *given* labels, and cannot be near 100 %.
#
# ## Where to go next
#
# - [Trusted labels](../how_to/trusted_labels.md): how many, and which to check
#   first.
# - [Which method, when](../how_to/choose_method.md).
# - [Audit, review, relabel, retrain](audit.md), which also works without a
#   trusted set.
