# %% [markdown]
# # Audit, review, relabel, retrain
#
# A trained run already has an opinion about your labels. This page goes the
# whole way: it trains, lists suspicious labels, opens the review page, applies
# the decisions to a new dataset, and trains again on it. The old dataset stays
# as it is.
#
# The dataset is one `.npz` file, with noisy training labels as they come. With
# data of your own, skip this section: [images](your_images.md) and
# [tables](your_table.md) work in the same way.

# %%
import json

import numpy as np
import pandas as pd
import sklearn.datasets

import mlc_tf

digits = sklearn.datasets.load_digits()
x, y = digits.images[..., None].astype(np.float32), digits.target
true = y[700:]
noise = mlc_tf.corrupt(true, "flip_to_one", ratio=0.3, seed=0)
np.savez(
    "mine.npz",
    x_train=x[700:],
    y_train=noise.labels,
    x_clean=x[500:700],
    y_clean=y[500:700],
    x_test=x[:500],
    y_test=y[:500],
)

# %% [markdown]
# ## Train

# %% language="bash"
# mlc_tf train --config=own --config.dataset.name=npz:mine.npz \
#     --config.method.mlc.clean_weight=0 --workdir=runs/mine

# %% [markdown]
# Each command prints the commands that come next.
#
# ## Audit
#
# The audit is one pass of the network over the data, and trains nothing.
# `--pick=50` also draws fifty examples of all classes to check next, if you
# want a larger trusted set.

# %% language="bash"
# mlc_tf audit --workdir=runs/mine --pick=50

# %% [markdown]
# The last line is `audit.json`. `noise_rate` is the share of labels that the
# audit expects to be wrong. The tables:

# %%
issues = pd.read_csv("runs/mine/audit/label_issues.csv")
issues.drop(columns=["identity", "given_label", "predicted_label"]).head()

# %%
pd.read_csv("runs/mine/audit/classes.csv").round(3)

# %% [markdown]
# This run did not train on the trusted set (`clean_weight` is 0), so that its
# network can also judge the *trusted* labels. `clean_label_issues.csv` has
# them:

# %%
trusted = pd.read_csv("runs/mine/audit/clean_label_issues.csv")
print(f"{trusted.is_label_issue.sum()} of {len(trusted)} look wrong")

# %% [markdown]
# Nobody changed the trusted labels here: what looks wrong among them are
# mistakes of the network, or digits that are hard to read.
#
# ## Review

# %% language="bash"
# mlc_tf review --workdir=runs/mine --most=60 --output=review.html

# %% [markdown]
# **[Open the page](audit/review.html)** that this command wrote. It is one
# file, works offline and by keyboard, and shows curves, T, the noise of each
# class, errors on the test set, and the most suspicious examples. You decide
# on each: keep, relabel or drop. Then the page saves your decisions as
# `decisions.csv`.
#
# A script cannot click, so this page writes such a file: it accepts each
# suggestion, right or wrong, as somebody in a hurry would.

# %%
suspicious = issues[issues.is_label_issue]
decisions = pd.DataFrame(
    {
        "identity": suspicious.identity,
        "given_label": suspicious.given_label,
        "decision": "relabel",
        "label": suspicious.predicted_label,
    }
)
decisions.to_csv("decisions.csv", index=False)
decisions.head(3)

# %% [markdown]
# A decision belongs to its example, not to its place: `identity` is made from
# the image.
#
# ## Relabel

# %% language="bash"
# mlc_tf relabel --workdir=runs/mine --decisions=decisions.csv \
#     --output=mended.npz

# %% [markdown]
# How many labels of the training set are right, before and after? Only we can
# know.

# %%
mended = np.load("mended.npz")["y_train"]
print(f"right as given: {np.mean(noise.labels == true):.1%}")
print(f"right after relabelling: {np.mean(mended == true):.1%}")

# %% [markdown]
# ## Train again
#
# The command that `relabel` printed, with a name for the run:

# %% language="bash"
# mlc_tf train --config=own --config.dataset.name=npz:mended.npz \
#     --workdir=runs/mended

# %%
for name in ("mine", "mended"):
    with open(f"runs/{name}/result.json") as file:
        print(f"{name:7} {json.load(file)['test_accuracy']:.1%}")

# %% [markdown]
# The first network had already corrected for the noise, and the new labels are
# its opinion. So the second network need not be better, and it can be worse:
# it takes what is still wrong for right. The gain is in the labels, for every
# later use of the dataset, and in what you decide better than the network.
# What relabelling is worth beside cleanlab, over several seeds, is in [wrong
# labels](../how_to/wrong_labels.md).
#
# ## Where to go next
#
# - [Wrong labels](../how_to/wrong_labels.md): the audit in Python, and its
#   limits.
# - [Trusted labels](../how_to/trusted_labels.md): how many you need.
# - [Serve](serve.md).
