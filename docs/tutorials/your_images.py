# %% [markdown]
# # Your images
#
# You have a folder of images, one sub-folder per class, and some images lie in
# the wrong folder. At the end you have a trained network, the noise of each
# class, and a table of the images that lie in the wrong folder. You write no
# Python for it: four commands do it.
#
# This page needs a folder of images, so it writes one: digits of scikit-learn
# as PNG files. A part of the training images goes into a wrong folder. With
# images of your own, skip this section.

# %%
from pathlib import Path

import numpy as np
import sklearn.datasets
from PIL import Image

import mlc_tf

digits = sklearn.datasets.load_digits()
names = ["zero", "one", "two", "three", "four", "five"]
chosen = digits.target < len(names)
pixels, labels = digits.images[chosen], digits.target[chosen]
splits = np.repeat(["test", "clean", "train"], [250, 60, len(labels) - 310])
train = splits == "train"
given = labels.copy()
given[train] = mlc_tf.corrupt(labels[train], "flip_to_one", 0.3).labels
for number, (image, split, label) in enumerate(zip(pixels, splits, given)):
    folder = Path("pictures", split, names[label])
    folder.mkdir(parents=True, exist_ok=True)
    # The file's name keeps the true class, so that we can check the result.
    name = f"{number:04}-{names[labels[number]]}.png"
    Image.fromarray((image * 15.9).astype(np.uint8)).save(folder / name)

# %% language="bash"
# ls pictures pictures/train
# ls pictures/train/one | head -4

# %% [markdown]
# `train` holds the images with doubtful labels, `clean` those that somebody
# has checked, and `test` those that measure the result. Without `clean`, use a
# method that needs no trusted set ([No trusted set](no_trusted_set.md));
# without `test`, a tenth of `train` is held out.
#
# ## Look first
#
# `describe` reads all images as training will read them, and trains nothing.
# `own` is the [config](../reference/settings.md#own) for data of your own.

# %% language="bash"
# mlc_tf describe --config=own --config.dataset.name=folder:pictures --output=.

# %% [markdown]
# It also draws some images with the labels as given:
#
# ![A grid of images, each with its given label](your_images/samples.png)
#
# ## Train
#
# Each setting is a flag. The rates of T follow from the length of the run
# (`transition.name=auto` of the config).

# %% language="bash"
# mlc_tf train --config=own --config.dataset.name=folder:pictures \
#     --workdir=runs/pictures

# %% [markdown]
# !!! tip "Photographs"
#     These images are tiny, and `own` trains a perceptron on them, in seconds.
#     For photographs take `--config=own:images`, a wide residual network, with
#     `--config.dataset.image_size="(64, 64)"`, which resizes all images. It
#     also mirrors images at random; `--config.train.augment=none` turns that
#     off.
#
# The last line that the command printed is the result. `test_accuracy` is the
# accuracy on `pictures/test`, after the last epoch. [The files of a
# run](../reference/run_directory.md) explains every entry, and what else
# `runs/pictures` holds. The same command again resumes a run that was
# interrupted, and prints the result of a finished one.
#
# ## T and the curves

# %% language="bash"
# mlc_tf plot --workdir=runs/pictures --output=.

# %% [markdown]
# ![The learned T as a heat map](your_images/transition.png)
#
# A row is a true class, a column the folder in which its images lie. The noise
# of your own data is not known, so there is no true T beside it.
#
# ## Which images lie in the wrong folder?

# %% language="bash"
# mlc_tf audit --workdir=runs/pictures

# %% [markdown]
# `label_issues.csv` has a row for each training image, the most suspicious
# first:

# %%
import pandas as pd

issues = pd.read_csv("runs/pictures/audit/label_issues.csv")
issues[["example", "given_name", "predicted_name", "label_quality"]].head(8)

# %% [markdown]
# We know the truth from the names of the files. How many of the suspicious
# images really lie in a wrong folder, and how many of the wrong ones were
# found?

# %%
wrong = issues.example.str.extract(r"-(\w+)\.png")[0] != issues.given_name
found = issues.is_label_issue
print(f"{found.sum()} suspicious, {(found & wrong).sum()} of them wrong")
print(f"{wrong.sum()} wrong, {(found & wrong).sum()} of them found")

# %% [markdown]
# ## Where to go next
#
# - [Audit, review, relabel, retrain](audit.md): decide on the suspicious
#   images in your browser, and train again.
# - [Serve](serve.md): export the network.
# - [Your own data](../how_to/own_data.md): other layouts, a CSV of labels,
#   caches, formats.
