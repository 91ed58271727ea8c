"""Decisions on labels become a new dataset, which trains; the old one stays."""

import hashlib

import keras
import numpy as np
import pandas as pd
import pytest

from mlc_tf import datasets
from mlc_tf.audit import relabel
from mlc_tf.errors import InputError
from mlc_tf.run import problems
from mlc_tf.run import settings

HEADER = "index,example,given_label,decision,label\n"
# Of the labels 0 1 2 0 1 2: one is changed, one left out, one looked at.
DECISIONS = HEADER + "1,b,1,relabel,2\n3,d,0,drop,\n5,f,2,keep,\n"


def config_of(name):
    config = settings.default_config()
    config.dataset.name = name
    config.noise.kind = "none"
    return config


@pytest.fixture
def npz(tmp_path, rng):
    path = tmp_path / "own.npz"
    np.savez(
        path,
        x_train=rng.normal(size=(6, 4)).astype(np.float32),
        y_train=np.array([0, 1, 2, 0, 1, 2], np.uint8),
        x_test=rng.normal(size=(3, 4)).astype(np.float32),
        y_test=np.arange(3, dtype=np.uint8),
        x_clean=rng.normal(size=(3, 4)).astype(np.float32),
        y_clean=np.arange(3, dtype=np.uint8),
        weights=np.ones(6),
    )
    return path


@pytest.fixture
def folder(tmp_path, rng):
    root = tmp_path / "images"
    for name in (
        *(f"train/{name}/{i}.png" for name in ("ant", "bee") for i in range(3)),
        *(f"{s}/{n}/0.png" for s in ("test", "clean") for n in ("ant", "bee")),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (4, 4, 3), np.uint8)
        keras.utils.save_img(root / name, image, scale=False)
    return root


def decided(tmp_path, text):
    path = tmp_path / "decisions.csv"
    path.write_text(text)
    return path


def checksums(folder):
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_arrays_are_relabelled_beside_the_old_ones(npz, tmp_path):
    before = checksums(tmp_path)
    output = tmp_path / "new" / "mended.npz"
    applied = relabel.apply(
        config_of(f"npz:{npz}"), decided(tmp_path, DECISIONS), output
    )
    assert applied == (1, 1, 4)
    assert before.items() <= checksums(tmp_path).items()
    old, new = np.load(npz), np.load(output)
    kept = [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(new["x_train"], old["x_train"][kept])
    np.testing.assert_array_equal(new["y_train"], [0, 2, 2, 1, 2])
    assert new["y_train"].dtype == np.uint8
    for name in ("x_test", "y_test", "x_clean", "y_clean", "weights"):
        np.testing.assert_array_equal(new[name], old[name])
    problem = problems.load(config_of(f"npz:{output}"))
    np.testing.assert_array_equal(problem.noisy.labels, [0, 2, 2, 1, 2])


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_images_are_relabelled_in_a_table(folder, tmp_path, cache):
    before = checksums(folder)
    config = config_of(f"folder:{folder}")
    config.dataset.cache = cache
    text = HEADER + "0,x,0,relabel,1\n4,y,1,drop,\n"
    output = tmp_path / "labels.csv"
    applied = relabel.apply(config, decided(tmp_path, text), output)
    assert applied == (1, 1, 4)
    assert checksums(folder) == before
    table = pd.read_csv(output)
    train = table[table["split"] == "train"].set_index("file")["label"]
    assert train.to_dict() == {
        "train/ant/0.png": "bee",
        "train/ant/1.png": "ant",
        "train/ant/2.png": "ant",
        "train/bee/0.png": "bee",
        "train/bee/2.png": "bee",
    }
    config.dataset.labels = str(output)
    config.dataset.clean = "split:clean"
    splits = datasets.load(
        config.dataset.name, datasets.Options.from_config(config.dataset)
    )
    assert splits.train.labels.tolist() == [1, 0, 0, 1, 1]
    assert [len(splits.test), len(splits.clean)] == [2, 2]
    # Who reads the next table of issues sees files, cached or not.
    assert splits.train.name_of(4) == str(folder / "train/bee/2.png")


@pytest.mark.parametrize(
    "rows, message",
    [
        ("1,b,1,move,2\n", "a decision of keep, relabel, drop.*'move' in line"),
        ("6,b,1,drop,\n", r"\[0, 6\) as index.*'6' in line 2"),
        ("-1,b,1,drop,\n", r"\[0, 6\) as index.*'-1' in line 2"),
        ("1,b,0,drop,\n", "labels that the dataset has.*'0' in line 2"),
        ("1,b,1,relabel,3\n", r"\[0, 3\) as label.*'3' in line 2"),
        ("1,b,1,relabel,\n", r"\[0, 3\) as label.*'' in line 2"),
        ("1,b,1,drop,\n1,b,1,keep,\n", "one decision per example.*line 3"),
        ("0,a,0,drop,\n3,a,0,drop,\n", "leave no example of '0'"),
        ("", "should have rows"),
    ],
)
def test_decisions_of_something_else_are_refused(npz, tmp_path, rows, message):
    path = decided(tmp_path, HEADER + rows)
    with pytest.raises(InputError, match=message):
        relabel.apply(config_of(f"npz:{npz}"), path, tmp_path / "mended.npz")
    assert not (tmp_path / "mended.npz").exists()


@pytest.mark.parametrize(
    "name, kind, output, message",
    [
        ("digits", "none", "mended.npz", "npz:PATH or folder:PATH"),
        ("npz:{npz}", "uniform", "mended.npz", "should be 'none'"),
        ("npz:{npz}", "none", "own.npz", "`output` should be a new file"),
        ("npz:{npz}", "none", "mended.csv", "should be a .npz file"),
        (
            "npz:{npz}",
            "none",
            "new/mended.csv",
            "should be a .npz file",
        ),
        (
            "folder:{npz}",
            "none",
            "mended.npz",
            "should be a .csv file",
        ),
        ("npz:{npz}", "none", "own.npz/x.npz", "can be written"),
    ],
)
def test_what_cannot_be_relabelled(npz, tmp_path, name, kind, output, message):
    config = config_of(name.format(npz=npz))
    config.noise.kind = kind
    path = decided(tmp_path, DECISIONS)
    before = checksums(tmp_path)
    with pytest.raises(InputError, match=message):
        relabel.apply(config, path, tmp_path / output)
    assert checksums(tmp_path) == before
    assert not (tmp_path / "new").exists()
