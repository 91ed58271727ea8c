"""Two steps of each experiment of the paper, at full size."""

import os
from pathlib import Path

import numpy as np
import pytest

from mlc_tf.models.pair_model import PairModel
from mlc_tf.run import description
from mlc_tf.run import problems
from mlc_tf.run import training
from tests import fake_datasets
from tests.support import ROOT
from tests.support import get_config

CONFIGS = ROOT / "configs"
REAL = Path(os.environ.get("TFDS_DATA_DIR") or "/nowhere")
PER_CLASS = {"mnist": 70, "cifar10": 70, "cifar10_n": 70}


def full_config(name, folder):
    config = get_config(CONFIGS / f"{name}.py")
    config.train.epochs, config.train.warmup_epochs = 1, 0
    config.train.steps_per_epoch = 2
    config.dataset.data_dir = str(folder)
    return config


def check(config, workdir, parameters, batch_size=64, most=0.01, **smaller):
    """Describes, and trains two steps; returns the description's text.

    What is trained is the config with the settings `smaller`.
    """
    described = description.describe(config)
    problem = problems.load(config)
    base = training.build_base(config, problem)
    assert base.count_params() == parameters
    assert config.train.batch_size == batch_size
    config.update_from_flattened_dict(smaller)
    result = training.run(config, workdir, verbose=0)
    assert result["train_steps"] == 2
    assert 0 <= result["test_accuracy"] <= 1
    with np.load(workdir / "transition.npz") as archive:
        start, end = archive["learned"]
    assert 0 < np.abs(end - start).max() < most
    np.testing.assert_allclose(end.sum(axis=1), 1, rtol=1e-5)
    return described.text


# WRN-40-2 as tests/networks counts it; 90 classes more have 90 * (128 + 1).
CIFAR = [
    ("cifar10", 10, 2_248_954),
    ("cifar100", 100, 2_248_954 + 90 * 129),
    ("cifar10_n", 10, 2_248_954),
    ("cifar100_n", 100, 2_248_954 + 90 * 129),
]


# What is trained has all its layers, or is WRN-10 or LeNet.
@pytest.mark.parametrize(
    "name, classes, parameters, full",
    [("mnist", 10, 61_706, True)]
    + [(*CIFAR[0], False)]
    + [pytest.param(*case, False, marks=pytest.mark.wide) for case in CIFAR[1:]]
    + [pytest.param(*case, True, marks=pytest.mark.wide) for case in CIFAR],
)
def test_images(name, classes, parameters, full, tmp_path, monkeypatch):
    folder = REAL
    if not (REAL / name).is_dir():
        folder = tmp_path / "tfds"
        folder.mkdir()
        fake_datasets.prepare_tfds(
            name, folder, monkeypatch, PER_CLASS.get(name, 9)
        )
    config = full_config(name, folder)
    # The paper names CIFAR's batches. T follows the noisy labels, too, sooner
    # with a small network.
    batch_size = 128 if name == "mnist" else 64
    most = 0.01 if full and name != "mnist" else 0.03
    smaller = {}
    if not full:
        smaller = {"network.name": "lenet", "network.wide_resnet.depth": 10}
        if name == "cifar10":
            del smaller["network.name"]
    text = check(
        config, tmp_path / "run", parameters, batch_size, most, **smaller
    )
    assert f"{classes} classes" in text.splitlines()[0]
    assert config.noise.kind in text


@pytest.mark.wide
@pytest.mark.parametrize("full", [False, True])
def test_clothing1m(full, tmp_path, monkeypatch):
    fake_datasets.write_clothing1m(tmp_path)
    config = full_config("clothing1m", tmp_path / "tfds")
    config.dataset.manual_dir = str(tmp_path)
    config.network.weights = ""  # the tests have no network
    smaller = {}
    if not full:
        smaller = {"dataset.image_size": (64, 64), "train.batch_size": 4}
        smaller["clean.batch_size"] = 4
        compile_model = PairModel.compile

        def compile_eagerly(self, optimizer, **kwargs):
            compile_model(self, optimizer, run_eagerly=True, **kwargs)

        monkeypatch.setattr(PairModel, "compile", compile_eagerly)
    # The count that Keras gives for its body, and 2048 * 14 + 14.
    parameters = 23_587_712 + 28_686
    text = check(config, tmp_path / "run", parameters, 32, **smaller)
    assert "inputs (224, 224, 3) uint8, 14 classes" in text
    assert "none injected" in text


def test_twitter(tmp_path):
    real = os.environ.get("TWITTER_POS_DIR")
    if not real:
        fake_datasets.write_twitter(tmp_path)
    config = full_config("twitter", tmp_path / "tfds")
    config.dataset.manual_dir = real or str(tmp_path)
    problem = problems.load(config)
    rows = problem.noisy.x.max(axis=(0, 1)) + 1
    rows = np.maximum(rows, problem.clean.x.max(axis=(0, 1)) + 1).sum()
    layers = (150 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 25
    # T takes long steps in a run of few.
    text = check(config, tmp_path / "run", 50 * rows + layers, 256, most=0.1)
    assert "inputs (3, 7) int32, 25 classes" in text
