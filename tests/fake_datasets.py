"""Small datasets in the layout of the real ones, made of random images.

A TFDS dataset is written by its own builder, with its own features; only what
it would download is made up.
"""

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


def prepare_tfds(name, data_dir, monkeypatch, per_class, test_examples=20):
    """Prepares a TFDS dataset of images in `data_dir`, `per_class` a class."""
    builder = tfds.builder(name, data_dir=str(data_dir))
    features = builder.info.features
    shape, classes = features["image"].shape, features["label"].num_classes
    human = [key for key in features if "label" in key and key != "label"]

    def generate(split, count):
        rng = np.random.default_rng(count)
        for index in range(count):
            label = index % classes
            row = {key: 0 for key in features if "worker" in key}
            row |= {key: label % features[key].num_classes for key in human}
            if "id" in features:
                row["id"] = f"{split}{index}"
            image = rng.integers(0, 256, shape, np.uint8)
            yield index, row | {"image": image, "label": label}

    monkeypatch.setattr(
        type(builder),
        "_split_generators",
        lambda self, dl_manager: {
            "train": generate("train", per_class * classes),
            "test": generate("test", test_examples),
        },
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(data_dir))
    )


def write_clothing1m(root, per_class=6, size=(120, 90)):
    """Writes the authors' folder; returns its keys by list."""
    rng = np.random.default_rng(0)
    lists = {"noisy_train": 14 * per_class, "clean_train": 14}
    lists |= {"clean_val": 14 * 3, "clean_test": 14}
    keys, labels = {}, {}
    for name, count in lists.items():
        keys[name] = []
        for index in range(count):
            key = f"images/{index % 10}/{name}{index},1.jpg"
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (*size, 3), np.uint8)
            Image.fromarray(pixels).save(root / key)
            keys[name].append(key)
            labels[key] = index % 14
        lines = "".join(f"{key}\n" for key in keys[name])
        (root / f"{name}_key_list.txt").write_text(lines)
    for kind in ("noisy", "clean"):
        lines = "".join(f"{key} {label}\n" for key, label in labels.items())
        (root / f"{kind}_label_kv.txt").write_text(lines)
    return keys


def write_twitter(root, tweets=120):
    """Writes the three files, tweets of five words and all tags."""
    from mlc_tf.datasets.twitter_builder import TAGS

    for name, count in (("train", tweets), ("dev", 20), ("devtest", 20)):
        lines = []
        for tweet in range(count):
            for place in range(5):
                number = 5 * tweet + place
                tag = TAGS[number % len(TAGS)]
                lines.append(f"w{number % 99}{tag}\t{tag}")
            lines.append("")
        (root / f"tweets-{name}.txt").write_text("\n".join(lines) + "\n")
