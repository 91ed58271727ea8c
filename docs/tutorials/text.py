# %% [markdown]
# # Text
#
# `mlc_tf` wraps any Keras model that ends in logits, so text needs nothing
# special: a `TextVectorization` layer makes numbers of it. At the end you have
# a text classifier that takes strings, trained on labels of which 40 % are
# wrong.
#
# ## The texts
#
# Which library does a sentence of documentation come from? The sentences are
# the first paragraphs of docstrings in four installed packages, so this page
# downloads nothing. The names of the packages are cut out of the sentences.

# %%
import ast
import importlib.util
import re
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import mlc_tf

LIBRARIES = ["numpy", "sklearn", "keras", "pandas"]


def sentences(library, count=700):
    """Returns first paragraphs of the docstrings of a package."""
    root = Path(importlib.util.find_spec(library).origin).parent
    found = set()
    for file in sorted(root.rglob("*.py")):
        if "tests" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = (ast.get_docstring(node) or "").partition("\n\n")[0]
                text = re.sub(
                    r"(?i)numpy|np\.|sklearn|scikit|keras|pandas", "", text
                )
                if len(text.split()) >= 8:
                    found.add(" ".join(text.split()))
    rng = np.random.default_rng(0)
    return rng.permutation(sorted(found))[:count]


texts, y = [], []
for label, library in enumerate(LIBRARIES):
    found = sentences(library)
    texts.extend(found)
    y.extend([label] * len(found))
order = np.random.default_rng(1).permutation(len(texts))
texts, y = np.array(texts)[order], np.array(y)[order]
print(np.bincount(y), "sentences of", LIBRARIES)
pd.DataFrame({"library": np.array(LIBRARIES)[y[:4]], "text": texts[:4]})

# %% [markdown]
# ## Make labels wrong
#
# 400 sentences test, 120 are trusted. Of the rest, 40 % of each class get one
# other label.

# %%
test, clean, noisy = slice(0, 400), slice(400, 520), slice(520, None)
noise = mlc_tf.corrupt(y[noisy], "flip_to_one", ratio=0.4, seed=1)
share = np.mean(noise.labels != y[noisy])
print(f"{len(noise.labels)} sentences, {share:.1%} wrong")

# %% [markdown]
# ## From text to numbers
#
# The layer learns its vocabulary from the training sentences. It stays outside
# the trained network: the network gets the ids of words.

# %%
vectorize = keras.layers.TextVectorization(3000, output_sequence_length=40)
vectorize.adapt(texts[noisy])
ids = np.asarray(vectorize(texts))
print(texts[0])
print(ids[0])


# %%
def network():
    """Returns a small network from ids of words to logits."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((40,), dtype="int64"),
            keras.layers.Embedding(3000, 32, mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dense(len(LIBRARIES)),
        ]
    )


# %% [markdown]
# ## Train
#
# `CrossEntropy` is plain training. The same pairs of batches feed all methods.
# The comparison is fair to it: its noisy set also has the trusted sentences.

# %%
trusted = (ids[clean], y[clean])
merged = (
    np.concatenate([ids[noisy], ids[clean]]),
    np.concatenate([noise.labels, y[clean]]),
)
plain = mlc_tf.baselines.CrossEntropy(network())
model = mlc_tf.MetaLossCorrection(
    network(), meta_gradient="head", clean_weight=0.3
)
for each, pairs in (
    (plain, mlc_tf.pair(merged)),
    (model, mlc_tf.pair((ids[noisy], noise.labels), trusted)),
):
    each.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
    each.fit(pairs, epochs=15, verbose=0)
    accuracy = each.evaluate(ids[test], y[test], verbose=0)[1]
    print(f"{type(each).__name__:20} {accuracy:.1%}")

# %% [markdown]
# The rates of T follow from the number of steps. As everywhere in these
# tutorials this is one run, and no setting was searched.
#
# ## What it learned about the labels

# %% alt="Heat maps of the learned T, left, and of the true T, right."
# %matplotlib inline
from mlc_tf.run import figures

figures.transition_figure(model.transition_matrix, noise.expected, LIBRARIES)

# %% [markdown]
# The most suspicious sentences:

# %%
issues = mlc_tf.find_label_issues(model, (ids[noisy], noise.labels))
first = issues.sort_values("label_quality").head(6)
names = np.array(LIBRARIES)
pd.DataFrame(
    {
        "text": texts[noisy][first.index],
        "given": names[first.given_label],
        "suggested": names[first.predicted_label],
        "true": names[y[noisy][first.index]],
    }
)

# %%
print(mlc_tf.audit.scores(noise.labels != y[noisy], issues.label_quality))

# %% [markdown]
# ## A classifier of strings
#
# The vectorizer and the trained network, one after the other, are a Keras
# model that takes strings. It needs no `mlc_tf`.

# %%
strings = keras.Input((), dtype="string")
classifier = keras.Model(
    strings, keras.layers.Softmax()(model.base(vectorize(strings)))
)
classifier.save("classifier.keras")
loaded = keras.models.load_model("classifier.keras")
import tensorflow as tf

questions = [
    "Return the rows of the DataFrame whose index is duplicated.",
    "Layer that applies dropout to the inputs during training.",
]
for question, row in zip(
    questions, loaded.predict(tf.constant(questions), verbose=0)
):
    print(f"{LIBRARIES[row.argmax()]:8} {row.max():.2f}  {question}")

# %% [markdown]
# ## Where to go next
#
# - [Networks](../how_to/networks.md): what a network must have, transformers
#   included.
# - [Which method, when](../how_to/choose_method.md).
# - [Serve](serve.md).
