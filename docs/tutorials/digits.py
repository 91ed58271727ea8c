# %% [markdown]
# # Digits in five minutes
#
# You train a classifier of handwritten digits on labels of which 40 % are
# wrong. At the end you have
#
# - two networks, one trained plainly and one by Meta Loss Correction, and the
#   accuracy of both on images with right labels;
# - the matrix T: how often each digit was labelled as which other digit;
# - the images whose labels look wrong, the most suspicious first.
#
# The data come with scikit-learn: 1,797 grey images of 8 by 8 pixels.
# Everything on this page ran when the site was built, and [the
# script](digits.py) is yours.
#
# ## The data
#
# Three parts: a test set; a small *trusted* set, whose labels somebody has
# checked; and the rest, whose labels we now make wrong. `corrupt` with
# `"flip_to_one"` gives 40 % of each digit the label of one other digit, as a
# mistaken guideline would do.

# %%
import keras
import numpy as np
import sklearn.datasets

import mlc_tf

images, y = sklearn.datasets.load_digits(return_X_y=True)
x = images / 16
x_test, y_test = x[:500], y[:500]
x_clean, y_clean = x[500:700], y[500:700]  # the trusted set
x_noisy, y_true = x[700:], y[700:]
noise = mlc_tf.corrupt(y_true, "flip_to_one", ratio=0.4, seed=0)
print(f"{len(x_noisy)} images, {np.mean(noise.labels != y_true):.1%} wrong")

# %% [markdown]
# Some of them. The title is the label that the network gets; a red one is
# wrong.

# %% alt="Sixteen digits with their given labels; wrong labels are red."
# %matplotlib inline
import matplotlib.pyplot as plt


def show(rows, titles, wrong):
    """Shows the images of some rows of `x_noisy`."""
    figure, axes = plt.subplots(2, 8, figsize=(9, 2.9), layout="constrained")
    for ax, row, title, is_wrong in zip(axes.flat, rows, titles, wrong):
        ax.imshow(x_noisy[row].reshape(8, 8), cmap="gray_r")
        ax.set_title(title, color="firebrick" if is_wrong else "black")
        ax.axis("off")
    plt.show()


show(range(16), noise.labels, noise.labels != y_true)

# %% [markdown]
# ## Plain training
#
# First what you would do without this package: train on all images, the
# trusted ones included, with cross-entropy.


# %%
def network():
    """Returns a network that ends in logits, without a softmax."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, "relu"),
            keras.layers.Dense(10),
        ]
    )


plain = network()
plain.compile(
    keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
plain.fit(
    np.concatenate([x_noisy, x_clean]),
    np.concatenate([noise.labels, y_clean]),
    batch_size=64,
    epochs=30,
    verbose=0,
)
print(f"plain: {plain.evaluate(x_test, y_test, verbose=0)[1]:.1%}")

# %% [markdown]
# ## Meta Loss Correction
#
# `MetaLossCorrection` wraps the same network. `pair` makes batches of two
# halves, one noisy and one trusted. Each step asks which T would make the
# network better on the trusted half, moves T there, and trains the network on
# the noisy half with its loss corrected by T. The rates of T follow from the
# number of steps. The two arguments are explained on
# [the page of the class](../reference/meta_loss_correction.md).

# %%
model = mlc_tf.MetaLossCorrection(
    network(), meta_gradient="head", clean_weight=0.3
)
model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
pairs = mlc_tf.pair((x_noisy, noise.labels), (x_clean, y_clean), batch_size=64)
model.fit(pairs, epochs=30, verbose=0)
accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
print(f"Meta Loss Correction: {accuracy:.1%}")

# %% [markdown]
# This is one run with one seed. The [results](../results/index.md) have the
# means and the intervals over several seeds, beside all other methods.
#
# ## The matrix that it learned
#
# `T[i, j]` is the share of the images of digit i that are labelled j. On the
# right the noise that we injected, which the model never saw.

# %% alt="Heat maps of the learned T, left, and of the true T, right."
from mlc_tf.run import figures

figures.transition_figure(model.transition_matrix, noise.expected)

# %%
distance = mlc_tf.transitions.distance(model.transition_matrix, noise.expected)
start = mlc_tf.transitions.distance(np.eye(10), noise.expected)
print(f"distance from the true T: {distance:.3f}; of the identity: {start:.3f}")

# %% [markdown]
# The distance is the mean over the rows of the sum of absolute differences: 0
# is the true T, 2 is as far as one can be.
#
# ## Which labels are wrong?
#
# The network has a belief about each image, and T says how such an image gets
# its label. Together they give `label_quality`, the probability that the given
# label is right.

# %%
issues = mlc_tf.find_label_issues(model, (x_noisy, noise.labels))
issues = issues.sort_values("label_quality")
issues.head()

# %% [markdown]
# The first sixteen, as *given → suggested*. A title is red where the given
# label is wrong, which only we know.

# %% alt="The sixteen most suspicious digits: given and suggested label."
first = issues.head(16)
titles = [
    f"{given} → {suggested}"
    for given, suggested in zip(first.given_label, first.predicted_label)
]
wrong = noise.labels != y_true
show(first.index, titles, wrong[first.index])

# %% [markdown]
# How good is the whole order? The AUROC is the probability that a wrong label
# has a lower quality than a right one.

# %%
quality = issues.label_quality.sort_index()
print(mlc_tf.audit.scores(wrong, quality))
mended = np.where(
    issues.is_label_issue, issues.predicted_label, issues.given_label
)
right = np.mean(mended == y_true[issues.index])
print(f"right as given: {np.mean(~wrong):.1%}, as suggested: {right:.1%}")

# %% [markdown]
# ## Keep the network
#
# `save` writes the network alone. It loads without `mlc_tf`.

# %%
model.save("classifier.keras")
loaded = keras.models.load_model("classifier.keras")
print(loaded.predict(x_test[:5], verbose=0).argmax(axis=1), y_test[:5])

# %% [markdown]
# ## Where to go next
#
# - Your own data: [images](your_images.md), [a table](your_table.md),
#   [text](text.md).
# - [No trusted set](no_trusted_set.md): what is left then.
# - [Audit, review, relabel, retrain](audit.md): from suspicious labels to
#   better ones.
