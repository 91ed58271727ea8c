"""Decisions on labels become a new dataset, which trains; the old one stays.

A decision belongs to an example, whatever its index is now.
"""

import hashlib
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from mlc_tf import datasets
from mlc_tf.audit import relabel
from mlc_tf.data import identity
from mlc_tf.errors import InputError
from mlc_tf.run import problems
from mlc_tf.run import settings

# Of the labels 0 1 2 0 1 2: one is changed, one left out, one looked at.
DECIDED = {1: ("relabel", 2), 3: ("drop", ""), 5: ("keep", "")}


def config_of(name, **dataset):
    config = settings.default_config()
    config.dataset.name = name
    config.noise.kind = "none"
    config.dataset.update(dataset)
    return config


def splits_of(config):
    return datasets.load(
        config.dataset.name, datasets.Options.from_config(config.dataset)
    )


def decisions_on(config, decided):
    """Returns what the page saves: one row per decided index."""
    train = splits_of(config).train
    known = identity.identities(train)
    return pd.DataFrame(
        [
            (
                index,
                train.name_of(index),
                known[index],
                train.labels[index],
                *what,
            )
            for index, what in decided.items()
        ],
        columns=["index", "example", *relabel.COLUMNS],
    )


def apply(config, table, output, form=lambda table: table.to_csv(index=False)):
    path = output.parent / "decisions.csv"
    text = form(table)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return relabel.apply(config, path, output)


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


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "x;note;label;split\r\n"
        "0,5;a;cat;train\r\n"
        '1,5;"b;c";dog;train\r\n'
        "2,5;a;=cow;train\r\n"
        "3,5;a;cat;train\r\n"
        "4,5;a;dog;train\r\n"
        "5,5;a;=cow;train\r\n"
        "6,5;a;dog;test\r\n"
    )
    return path


def checksums(folder):
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_arrays_are_relabelled_beside_the_old_ones(npz, tmp_path):
    before = checksums(tmp_path)
    config = config_of(f"npz:{npz}")
    output = tmp_path / "mended.npz"
    assert apply(config, decisions_on(config, DECIDED), output) == (1, 1, 4)
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
    config = config_of(f"folder:{folder}", cache=cache)
    decided = {0: ("relabel", 1), 4: ("drop", "")}
    output = tmp_path / "labels.csv"
    assert apply(config, decisions_on(config, decided), output) == (1, 1, 4)
    assert checksums(folder) == before
    written = pd.read_csv(output)
    train = written[written["split"] == "train"].set_index("file")["label"]
    assert train.to_dict() == {
        "train/ant/0.png": "bee",
        "train/ant/1.png": "ant",
        "train/ant/2.png": "ant",
        "train/bee/0.png": "bee",
        "train/bee/2.png": "bee",
    }
    config.dataset.labels = str(output)
    config.dataset.clean = "split:clean"
    splits = splits_of(config)
    assert splits.train.labels.tolist() == [1, 0, 0, 1, 1]
    assert [len(splits.test), len(splits.clean)] == [2, 2]
    # Who reads the next table of issues sees files, cached or not.
    assert splits.train.name_of(4) == str(folder / "train/bee/2.png")


def test_a_table_is_relabelled_and_else_stays_as_it_is(table, tmp_path):
    config = config_of(f"csv:{table}")
    # Classes in their order: =cow, cat, dog.
    decided = {1: ("relabel", 0), 3: ("drop", ""), 5: ("keep", "")}
    output = tmp_path / "mended.csv"
    assert apply(config, decisions_on(config, decided), output) == (1, 1, 4)
    lines = table.read_bytes().decode().split("\r\n")
    lines[2] = '1,5;"b;c";=cow;train'
    del lines[4]
    assert output.read_bytes().decode().split("\r\n") == lines
    mended = splits_of(config_of(f"csv:{output}"))
    assert mended.train.labels.tolist() == [1, 0, 0, 2, 0]


def test_a_parquet_table_is_relabelled(table, tmp_path):
    frame = pd.read_csv(table, sep=";", decimal=",")
    frame["label"] = frame["label"].map({"cat": 7, "dog": 10, "=cow": 9})
    frame.to_parquet(tmp_path / "own.parquet")
    config = config_of(f"csv:{tmp_path / 'own.parquet'}")
    decided = {1: ("relabel", 0), 3: ("drop", "")}
    output = tmp_path / "mended.parquet"
    assert apply(config, decisions_on(config, decided), output) == (1, 1, 4)
    expected = frame.drop(index=3)
    expected.loc[1, "label"] = 7
    pd.testing.assert_frame_equal(pd.read_parquet(output), expected)


def add_an_image(folder):
    shutil.copy(folder / "train/ant/1.png", folder / "train/ant/00.png")
    # Another picture, or the loader counts the same image twice.
    image = np.full((4, 4, 3), 7, np.uint8)
    keras.utils.save_img(folder / "train/ant/00.png", image, scale=False)


CHANGES = {
    "added before": add_an_image,
    "another removed": lambda folder: (folder / "train/ant/1.png").unlink(),
    "another renamed": lambda folder: (folder / "train/ant/1.png").rename(
        folder / "train/ant/zz.png"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_decisions_stay_with_their_images(change, folder, tmp_path):
    config = config_of(f"folder:{folder}")
    decided = {2: ("relabel", 1), 4: ("drop", "")}  # ant/2.png, bee/1.png
    decisions = decisions_on(config, decided)
    CHANGES[change](folder)
    apply(config, decisions, tmp_path / "labels.csv")
    written = pd.read_csv(tmp_path / "labels.csv").set_index("file")
    assert written["label"]["train/ant/2.png"] == "bee"
    assert "train/bee/1.png" not in written.index
    moved = written[
        [
            file.split("/")[1] != label
            for file, label in written["label"].items()
        ]
    ]
    assert moved.index.tolist() == ["train/ant/2.png"]


@pytest.mark.parametrize(
    "change, told",
    [
        (
            lambda folder: (folder / "train/ant/2.png").unlink(),
            "examples that the dataset has. Received: 1 of 2 decisions on oth"
            "ers: .*ant/2.png. Nothing was written",
        ),
        (
            lambda folder: (folder / "train/ant/2.png").rename(
                folder / "train/bee/9.png"
            ),
            "examples that the dataset has. Received: 1 of 2",
        ),
    ],
)
def test_decisions_on_images_that_are_gone_are_refused(
    change, told, folder, tmp_path
):
    config = config_of(f"folder:{folder}")
    decided = {2: ("relabel", 1), 4: ("drop", "")}
    decisions = decisions_on(config, decided)
    change(folder)
    with pytest.raises(InputError, match=told):
        apply(config, decisions, tmp_path / "labels.csv")
    assert not (tmp_path / "labels.csv").exists()


def test_decisions_stay_with_permuted_rows(npz, tmp_path):
    config = config_of(f"npz:{npz}")
    decisions = decisions_on(config, DECIDED)
    arrays = dict(np.load(npz))
    order = np.array([5, 3, 1, 0, 2, 4])
    for name in ("x_train", "y_train"):
        arrays[name] = arrays[name][order]
    np.savez(npz, **arrays)
    apply(config, decisions, tmp_path / "mended.npz")
    new = np.load(tmp_path / "mended.npz")
    # Old example 1 is now at 2, and old example 3, at 1, is left out.
    np.testing.assert_array_equal(new["y_train"], [2, 2, 0, 2, 1])
    np.testing.assert_array_equal(
        new["x_train"], np.delete(arrays["x_train"], 1, axis=0)
    )


@pytest.mark.parametrize(
    "name, index, value, told",
    [
        ("x_train", 1, 9.0, "examples that the dataset has.* 1 of 3"),
        (
            "y_train",
            5,
            0,
            "the labels that the dataset has.* 1 of 3.*example 5",
        ),
    ],
)
def test_an_edited_example_is_refused(name, index, value, told, npz, tmp_path):
    config = config_of(f"npz:{npz}")
    decisions = decisions_on(config, DECIDED)
    arrays = dict(np.load(npz))
    arrays[name][index] = value
    np.savez(npz, **arrays)
    with pytest.raises(InputError, match=told):
        apply(config, decisions, tmp_path / "mended.npz")


def test_a_row_on_top_moves_no_decision(table, tmp_path):
    config = config_of(f"csv:{table}")
    decisions = decisions_on(config, {1: ("drop", "")})
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, "9,5;a;dog;train", *rows]))
    apply(config, decisions, tmp_path / "mended.csv")
    mended = (tmp_path / "mended.csv").read_text()
    assert '"b;c"' not in mended and "9,5" in mended


def test_equal_inputs_are_told_apart_by_their_labels(npz, tmp_path):
    arrays = dict(np.load(npz))
    arrays["x_train"][:] = 1.0
    np.savez(npz, **arrays)
    config = config_of(f"npz:{npz}")
    decisions = decisions_on(config, {1: ("drop", "")})
    apply(config, decisions, tmp_path / "mended.npz")
    new = np.load(tmp_path / "mended.npz")["y_train"]
    np.testing.assert_array_equal(new, [0, 2, 0, 1, 2])
    arrays["y_train"] = arrays["y_train"][::-1]
    np.savez(npz, **arrays)
    apply(config, decisions, tmp_path / "again.npz")  # both are of class 1


def test_other_classes_than_in_the_review_are_refused(npz, tmp_path):
    config = config_of(f"npz:{npz}")
    path = tmp_path / "decisions.csv"
    decisions_on(config, DECIDED).to_csv(path, index=False)
    with pytest.raises(
        InputError, match="classes of the review, a, b, c. Rece"
    ):
        relabel.apply(config, path, tmp_path / "m.npz", ["a", "b", "c"])


FORMS = {
    "columns in another order": lambda table: table[table.columns[::-1]].to_csv(
        index=False
    ),
    "more columns": lambda table: table.assign(seen="yes").to_csv(index=False),
    "semicolons": lambda table: table.to_csv(index=False, sep=";"),
    "byte order mark": lambda table: table.to_csv(index=False).encode(
        "utf-8-sig"
    ),
    "carriage returns": lambda table: table.to_csv(
        index=False, lineterminator="\r\n"
    ),
    "no index": lambda table: table.drop(columns="index").to_csv(index=False),
    "a wrong index": lambda table: table.assign(index=0).to_csv(index=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_spreadsheet_may_have_saved_the_decisions(form, npz, tmp_path):
    config = config_of(f"npz:{npz}")
    decisions = decisions_on(config, DECIDED)
    output = tmp_path / "mended.npz"
    assert apply(config, decisions, output, FORMS[form]) == (1, 1, 4)
    np.testing.assert_array_equal(np.load(output)["y_train"], [0, 2, 2, 1, 2])


def test_a_path_that_is_a_formula_is_found_again(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    arrays = {"=a": 3, "+b": 3}
    for split in ("train", "test", "clean"):
        for name, count in arrays.items():
            place = tmp_path / "@pets" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 256, (4, 4, 3), np.uint8)
                keras.utils.save_img(
                    place / f"-{number}.png", image, scale=False
                )
    config = config_of("folder:@pets")
    decisions = decisions_on(config, {0: ("relabel", 1)})
    for name in ("example", "identity"):
        decisions[name] = decisions[name].map(relabel.tables.safe_cell)
        assert decisions[name][0].startswith("'@pets/train/+b/-0.png")
    apply(config, decisions, tmp_path / "labels.csv")
    text = (tmp_path / "labels.csv").read_text()
    assert "train/+b/-0.png,'=a,train" in text
    config.dataset.labels = "labels.csv"
    config.dataset.clean = "split:clean"
    splits = splits_of(config)
    assert splits.class_names == ("+b", "=a")
    assert splits.train.labels.tolist() == [1, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"decision": "move"}, "a decision of keep, relabel, drop.*'move' in"),
        ({"given_label": 0}, "the labels that the dataset has"),
        ({"given_label": "١"}, r"\[0, 3\) as given_label.*line 2"),
        ({"label": 3}, r"\[0, 3\) as label.*'3' in line 2"),
        ({"label": ""}, r"\[0, 3\) as label.*'' in line 2"),
        ({"identity": "b2-0"}, "examples that the dataset has"),
    ],
)
def test_decisions_of_something_else_are_refused(
    npz, tmp_path, change, message
):
    config = config_of(f"npz:{npz}")
    decisions = decisions_on(config, DECIDED).astype(object)
    for name, value in change.items():
        decisions.loc[0, name] = value
    with pytest.raises(InputError, match=message):
        apply(config, decisions, tmp_path / "mended.npz")
    assert not (tmp_path / "mended.npz").exists()


@pytest.mark.parametrize(
    "form, message",
    [
        (
            lambda table: pd.concat([table, table]).to_csv(index=False),
            "one decision per example.*line 5",
        ),
        (
            lambda table: table.assign(decision="drop").to_csv(index=False),
            "leave no example of '1'",
        ),
        (lambda table: table[:0].to_csv(index=False), "should have rows"),
        (
            lambda table: table.drop(columns="identity").to_csv(index=False),
            "columns identity, .*missing: identity",
        ),
    ],
)
def test_files_that_hold_no_decisions(npz, tmp_path, form, message):
    config = config_of(f"npz:{npz}")
    decided = {index: ("keep", "") for index in (1, 4, 0)}
    decisions = decisions_on(config, decided)
    with pytest.raises(InputError, match=message):
        apply(config, decisions, tmp_path / "mended.npz", form)


@pytest.mark.parametrize(
    "name, kind, output, message",
    [
        ("digits", "none", "mended.npz", "npz:PATH, folder:PATH or csv:PATH"),
        ("npz:{npz}", "uniform", "mended.npz", "should be 'none'"),
        ("npz:{npz}", "none", "own.npz", "`output` should be a new file"),
        ("npz:{npz}", "none", "mended.csv", "should be a .npz file"),
        ("npz:{npz}", "none", "new/mended.csv", "should be a .npz file"),
        ("folder:{npz}", "none", "mended.npz", "should be a .csv file"),
        ("csv:own.parquet", "none", "mended.csv", "should be a .parquet file"),
        ("npz:{npz}", "none", "own.npz/x.npz", "can be written"),
    ],
)
def test_what_cannot_be_relabelled(npz, tmp_path, name, kind, output, message):
    path = tmp_path / "decisions.csv"
    decisions_on(config_of(f"npz:{npz}"), DECIDED).to_csv(path, index=False)
    config = config_of(name.format(npz=npz))
    config.noise.kind = kind
    before = checksums(tmp_path)
    with pytest.raises(InputError, match=message):
        relabel.apply(config, path, tmp_path / output)
    assert checksums(tmp_path) == before
    assert not (tmp_path / "new").exists()


def two_classes(rows, first=0):
    """Returns a table whose rows are numbered from 0, as after a join."""
    return pd.DataFrame(
        {
            "x": [0.5 + first + row for row in range(rows)],
            "label": ["cat", "dog"] * (rows // 2),
            "split": ["test" if first else "train"] * rows,
        }
    )


def test_a_parquet_table_of_joined_parts_loses_only_the_dropped_row(tmp_path):
    frame = pd.concat([two_classes(12), two_classes(6, 100)])
    frame.to_parquet(tmp_path / "own.parquet")
    config = config_of(f"csv:{tmp_path / 'own.parquet'}")
    output = tmp_path / "mended.parquet"
    decisions = decisions_on(config, {3: ("drop", ""), 4: ("relabel", 1)})
    assert apply(config, decisions, output) == (1, 1, 10)
    expected = frame[np.arange(18) != 3]
    expected.iloc[3, 1] = "dog"
    pd.testing.assert_frame_equal(pd.read_parquet(output), expected)


def test_a_named_index_of_parquet_is_a_column_and_stays_one(tmp_path):
    frame = pd.concat([two_classes(12), two_classes(6, 100)])
    frame = frame.rename(columns={"label": "Label"}).set_index("x")
    frame.to_parquet(tmp_path / "own.parquet")
    config = config_of(f"csv:{tmp_path / 'own.parquet'}")
    assert [column.name for column in splits_of(config).columns] == ["x"]
    output = tmp_path / "mended.parquet"
    apply(config, decisions_on(config, {1: ("drop", "")}), output)
    expected = frame[np.arange(18) != 1]
    pd.testing.assert_frame_equal(pd.read_parquet(output), expected)


def test_the_label_is_written_into_the_column_that_was_read(tmp_path):
    path = tmp_path / "own.csv"
    rows = [f"cow,{n}.5,{('cat', 'dog')[n % 2]}" for n in range(6)]
    path.write_text(
        "Label,a,label,split\n"
        + "".join(f"{row},train\n" for row in rows)
        + "cow,9.5,cat,test\n"
    )
    config = config_of(f"csv:{path}", columns="Label:ignore")
    output = tmp_path / "mended.csv"
    apply(config, decisions_on(config, {0: ("relabel", 1)}), output)
    assert output.read_text().splitlines()[1] == "cow,0.5,dog,train"


def test_a_long_cell_is_written_again(tmp_path):
    frame = two_classes(12).assign(text="t" * 200_000)
    frame.loc[11, "split"] = "test"
    frame.to_csv(tmp_path / "own.csv", index=False)
    config = config_of(f"csv:{tmp_path / 'own.csv'}", columns="text:ignore")
    output = tmp_path / "mended.csv"
    apply(config, decisions_on(config, {0: ("drop", "")}), output)
    pd.testing.assert_frame_equal(
        pd.read_csv(output), frame[1:].reset_index(drop=True)
    )
