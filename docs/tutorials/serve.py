# %% [markdown]
# # Serve
#
# At the end you have a SavedModel that TensorFlow Serving takes as it is, a
# model card, and an answer from the exported network in a process that has no
# `mlc_tf`.
#
# ## A finished run
#
# Digits with 40 % wrong labels, for fewer epochs than the config has:

# %% language="bash"
# mlc_tf train --config=digits --config.train.epochs=8 --workdir=runs/digits

# %% [markdown]
# ## Export

# %% language="bash"
# mlc_tf export --workdir=runs/digits --output=served/digits
# find served -type f | sort

# %% [markdown]
# Each export is a new version, `1/`, `2/` and so on, which a running server
# loads by itself. `assets.extra` has requests that warm the server up.
#
# ## The model card
#
# It says what the network was trained on, with which labels, and how well it
# does:

# %%
from pathlib import Path

card = Path("served/digits/1/model_card.md").read_text()
print("\n".join(card.splitlines()[:30]))

# %% [markdown]
# ## A request
#
# A new process, in which `mlc_tf` cannot be imported, loads the export and
# asks for one image, with the pixel values of the dataset.

# %%
client = """
import sys
sys.modules["mlc_tf"] = None  # an import would fail
import sklearn.datasets
import tensorflow as tf

served = tf.saved_model.load("served/digits/1")
digits = sklearn.datasets.load_digits()
image = tf.constant(digits.images[:1, :, :, None], tf.float32)
print("true:", digits.target[0])
for name in ("serving_default", "noisy_label_posterior"):
    answer = served.signatures[name](inputs=image)
    for key, value in sorted(answer.items()):
        print(f"{name:22} {key:14} {value.numpy()[0]}")
"""
Path("client.py").write_text(client)

# %% language="bash"
# python client.py

# %% [markdown]
# `serving_default` answers what the image *is*. `noisy_label_posterior`
# answers which label it would have in the noisy training set, by T. NaN and
# infinity get no answer: the class index is then -1.
#
# ## Other formats

# %% language="bash"
# mlc_tf export --workdir=runs/digits --output=digits.keras --format=keras
# ls -s digits.keras

# %% [markdown]
# `--format=litert` writes a `.tflite` file, `--format=onnx` an `.onnx` file,
# both with the same outputs. In Python, `model.export("served")` does the same
# for a model that you trained by `fit`.
#
# ## Where to go next
#
# - [Export](../how_to/export.md): TensorFlow Serving by REST and gRPC, and the
#   formats.
# - [The files of a run](../reference/run_directory.md).
