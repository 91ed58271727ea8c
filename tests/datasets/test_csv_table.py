import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from mlc_tf import datasets
from mlc_tf.datasets import columns
from mlc_tf.errors import InputError

TABLE = """\
height,colour,label,split,good
1,red,10,train,yes
2,blue,9,train,no
3,red,9,train,yes
4,green,10,test,no
5,blue,9,test,yes
6,red,9,valid,no
7,blue,10,valid,no
8,red,nine,other,no
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TABLE)
    return path


def load(path, **options):
    return datasets.load(f"csv:{path}", **options)


def heights(part):
    return part.x[:, 0].tolist()


def test_numbers_stay_and_text_becomes_columns_of_training_values(path):
    splits = load(path, clean="column:good")
    # Of text, blue and red; green does not occur in training.
    np.testing.assert_array_equal(splits.train.x, [[2, 1, 0]])
    np.testing.assert_array_equal(splits.clean.x, [[1, 0, 1], [3, 0, 1]])
    np.testing.assert_array_equal(splits.test.x, [[4, 0, 0], [5, 1, 0]])
    assert splits.train.x.dtype == np.float32


def test_classes_are_those_of_training_in_order(path):
    splits = load(path, clean="split:valid")
    assert splits.class_names == ("9", "10")
    np.testing.assert_array_equal(splits.train.labels, [1, 0, 0])
    np.testing.assert_array_equal(splits.test.labels, [1, 0])
    np.testing.assert_array_equal(splits.clean.labels, [0, 1])


def test_the_clean_rows_are_of_a_split(path):
    splits = load(path, clean="split:valid")
    assert heights(splits.train) == [1, 2, 3]
    assert heights(splits.test) == [4, 5]
    assert heights(splits.clean) == [6, 7]


def test_a_split_of_the_name_clean_is_one_like_others(path):
    path.write_text(TABLE.replace("other", "clean").replace("nine", "9"))
    assert heights(load(path, clean="split:valid").clean) == [6, 7]
    path.write_text(TABLE.replace("valid", "clean"))
    assert heights(load(path, clean="split:clean").clean) == [6, 7]


@pytest.mark.parametrize("name", ["good", "train"])
def test_the_clean_rows_are_the_training_rows_of_a_column(name, path):
    path.write_text(TABLE.replace("good", name))
    splits = load(path, clean=f"column:{name}")
    assert heights(splits.train) == [2]
    assert heights(splits.test) == [4, 5]
    assert heights(splits.clean) == [1, 3]
    assert splits.train.x.shape[1] == 3


def test_without_a_clean_set_one_may_be_drawn(path):
    path.write_text(TABLE.replace("valid", "train"))
    assert load(path).clean is None
    drawn = load(path).draw_clean(1, seed=0)
    np.testing.assert_array_equal(np.bincount(drawn.clean.labels), [1, 1])


def test_without_a_test_set_there_is_none(path):
    path.write_text(path.read_text().replace("test", "held"))
    splits = load(path)
    assert splits.test is None
    assert any("held (2)" in note for note in splits.notes)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_without_a_column_of_splits_all_rows_are_training_rows(
    suffix, tmp_path
):
    table = pd.DataFrame({"x": [0.5, 1.5, 2.5], "label": ["a", "b", "a"]})
    path = tmp_path / f"mine.{suffix}"
    write = table.to_parquet if suffix == "parquet" else table.to_csv
    write(path, index=False)
    splits = load(path)
    assert splits.test is None and splits.clean is None
    np.testing.assert_array_equal(splits.train.labels, [0, 1, 0])
    np.testing.assert_array_equal(splits.train.x, [[0.5], [1.5], [2.5]])
    with pytest.raises(InputError, match="have a column 'split' for `dataset"):
        load(path, clean="split:good")


def test_an_input_with_a_name_like_the_splits_is_an_input(tmp_path):
    table = pd.DataFrame(
        {"salt": [0.5, 1.5], "set": ["a", "b"], "label": ["a", "b"]}
    )
    table.to_csv(tmp_path / "mine.csv", index=False)
    assert load(tmp_path / "mine.csv").train.x.shape == (2, 3)


@pytest.mark.parametrize("name", ["splits", "spilt", "set"])
def test_a_column_of_splits_under_another_name_is_refused(name, path):
    path.write_text(path.read_text().replace(",split,", f",{name},", 1))
    content = path.read_text().replace("valid", "test").replace("other", "test")
    path.write_text(content)
    with pytest.raises(InputError, match=f"Received: a column '{name}' in its"):
        load(path)


def test_labels_in_another_column(path):
    path.write_text(TABLE.replace("green", "blue"))
    splits = load(path, label_key="colour")
    assert splits.class_names == ("blue", "red")
    np.testing.assert_array_equal(splits.train.labels, [1, 0, 1])


def test_equal_rows_are_examples_of_their_own(path):
    path.write_text(TABLE.replace("7,blue,10,valid,no", "3,red,10,valid,yes"))
    splits = load(path, clean="split:valid")
    assert splits.clean.x.tolist()[1] == splits.train.x.tolist()[2]


@pytest.mark.parametrize(
    "old, new, options, told",
    [
        ("label,", "class,", {}, "columns label in line 1"),
        (
            "",
            "",
            {"label_key": "grade"},
            "columns grade in line 1.*label_key names",
        ),
        (
            "4,green,10",
            "4,green,11",
            {},
            "only classes of the .* '11' in line 5",
        ),
        ("6,red,9", "6,red,8", {"clean": "split:valid"}, "'8' in line 7"),
        ("2,blue", "inf,blue", {}, "finite.* inf in line 3, column 'height'"),
        ("2,blue", "nan,blue", {}, "finite.* nan in line 3, column 'height'"),
        ("test", "tset", {}, "'tset' in 2 rows, .*line 5. Did you mean 'test'"),
        ("train", "trian", {}, "'trian' in 3 rows, .* Did you mean 'train'"),
        (
            "train",
            "held",
            {},
            "rows of the train set. .*held, test, valid, oth",
        ),
        ("", "", {"clean": "split:none"}, "rows of the clean set"),
        ("good", "bad", {"clean": "column:good"}, "the column 'good'"),
        ("3,red,9,train,yes", "3,red,9,train,?", {"clean": "column:good"}, "4"),
    ],
)
def test_bad_rows(old, new, options, told, path):
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} .*{told}"):
        load(path, **options)


def test_a_class_of_no_used_row_is_passed_over(path):
    assert "nine" not in load(path).class_names


def test_a_table_without_inputs(path):
    path.write_text("label,split\na,train\nb,train\na,test\n")
    with pytest.raises(InputError, match="should have a column of inputs"):
        load(path)


def test_a_clean_set_that_lacks_a_class(path):
    path.write_text(TABLE.replace("7,blue,10", "7,blue,9"))
    with pytest.raises(InputError, match=r"no example of class 1 \(10\)"):
        load(path, clean="split:valid")


@pytest.mark.parametrize(
    "options, told",
    [
        ({"image_size": (4, 4)}, "`dataset.image_size` should be left out"),
        ({"clean": "list:files.txt"}, "split:... or column:..."),
    ],
)
def test_options_without_use(options, told, path):
    with pytest.raises(InputError, match=f"{told} for the dataset csv:PATH"):
        load(path, **options)


# Thirty rows: two classes, in turn.
_ROWS = 30


def written(tmp_path, columns, delimiter=",", encoding="utf-8", index=False):
    """Writes a table of thirty rows with the columns; returns its path."""
    table = pd.DataFrame(
        {
            "x": [0.5 * row for row in range(_ROWS)],
            **columns,
            "label": ["cat", "dog"] * (_ROWS // 2),
            "split": ["train"] * 24 + ["test"] * 6,
        }
    )
    path = tmp_path / "table.csv"
    table.to_csv(path, sep=delimiter, encoding=encoding, index=index)
    return path


def test_a_note_says_what_each_column_became(tmp_path):
    path = written(
        tmp_path,
        {
            "age": [30 + row % 7 for row in range(_ROWS)],
            "city": ["Ulm", "Rom", "Bern"] * 10,
            "when": [f"2024-01-{1 + row:02}" for row in range(_ROWS)],
        },
        index=True,
    )
    splits = load(path)
    (note,) = splits.notes
    assert note == (
        "5 columns become 6 inputs: x, age as numbers; when as days since "
        "1970-01-01; city (3 values) as categories; (no name) not. "
        "`dataset.columns` changes that."
    )
    np.testing.assert_array_equal(splits.train.x[1], [0.5, 31, 0, 1, 0, 19724])
    assert [column.kind for column in splits.columns] == [
        "numeric",
        "numeric",
        "categorical",
        "date",
    ]


@pytest.mark.parametrize(
    "cells, told",
    [
        (
            ["3.1x"],
            r"numbers in the column 'u', as in 29 of 30.*'3.1x' in line 2",
        ),
        (["?", "n/a"], "as in 28 of 30 rows. Received: '\\?' in line 2"),
        ([f"id{row}" for row in range(30)], "24 values in 24 training rows"),
        (list(range(30)), "the column 'u', which counts the rows"),
        ([f"{row}.1.2024" for row in range(1, 31)], "24 values in 24 training"),
    ],
)
def test_a_column_that_is_not_clear_is_refused(cells, told, tmp_path):
    filled = cells + [1 + row % 5 for row in range(30 - len(cells))]
    path = written(tmp_path, {"u": filled})
    with pytest.raises(InputError, match=told) as caught:
        load(path)
    # The sentence offers what loads.
    columns = re.search(r"dataset\.columns=(u:\w+)", str(caught.value))[1]
    assert len(load(path, columns=columns).train) == 24


def test_the_user_decides_on_columns(tmp_path):
    path = written(
        tmp_path, {"zip": [89073, 10115, 80331] * 10, "id": range(30)}
    )
    splits = load(path, columns="zip:categorical, id:ignore")
    assert splits.train.x.shape == (24, 4)
    assert load(path, columns="id:numeric").train.x.shape == (24, 3)
    for kinds, told in (
        ("zip", "should be NAME:KIND"),
        ("zip:text", "with the kinds numeric, categorical, date, ignore"),
        ("zap:ignore", "columns of .*table.csv: x, zip, id. Received: 'zap'"),
        ("x:date", "dates like 2024-12-31 in the column 'x'.*line 2"),
        ("x:ignore,zip:ignore,id:ignore", "should have a column of inputs"),
    ):
        with pytest.raises(InputError, match=told):
            load(path, columns=kinds)


def test_an_ignored_column_may_have_empty_cells(tmp_path):
    path = written(tmp_path, {"gone": ["", "a"] * 15})
    with pytest.raises(
        InputError, match="15 in column 'gone', the first in li"
    ):
        load(path)
    assert load(path, columns="gone:ignore").train.x.shape == (24, 1)


@pytest.mark.parametrize(
    "delimiter, encoding",
    [(";", "utf-8"), ("\t", "utf-8"), ("|", "utf-8-sig"), (",", "utf-16")],
)
def test_the_form_of_a_file_is_recognised(delimiter, encoding, tmp_path):
    columns = {"city": ["Köln", "Rom"] * 15}
    expected = load(written(tmp_path, columns)).train.x
    path = written(tmp_path, columns, delimiter, encoding)
    np.testing.assert_array_equal(load(path).train.x, expected)


def test_commas_in_numbers_and_empty_lines_at_the_end(tmp_path):
    path = written(tmp_path, {}, ";")
    path.write_text(path.read_text().replace(".", ",") + "\n\n")
    assert heights(load(path).train)[:3] == [0, 0.5, 1]


def test_headers_labels_and_splits_with_blanks_and_another_case(tmp_path):
    path = written(tmp_path, {})
    text = path.read_text().replace("label,split", " Label,SPLIT ")
    text = text.replace("cat,train", "cat ,Train", 3).replace(
        "cat,test", "cat,test "
    )
    path.write_text(text)
    splits = load(path)
    assert splits.class_names == ("cat", "dog")
    assert [len(splits.train), len(splits.test)] == [24, 6]
    assert splits.notes[1:] == (
        "6 rows write their split with blanks or in another case; they were "
        "taken.",
        "Blanks around 3 labels were left out.",
    )


@pytest.mark.parametrize("name", ["test2", "latest", "training", "valid"])
def test_other_splits_are_left_out_and_counted(name, tmp_path):
    path = written(tmp_path, {})
    path.write_text(path.read_text().replace("train", name, 4))
    assert load(path).notes[1].endswith(f"were left out: {name} (4).")


def test_a_class_is_written_in_one_way(tmp_path):
    path = written(tmp_path, {})
    text = path.read_text().replace("cat", "1").replace("dog", "01")
    path.write_text(text)
    with pytest.raises(InputError, match="in one way. .* '0?1' and '0?1'"):
        load(path)


@pytest.mark.parametrize("clean", ["Train", "test", " TEST"])
def test_the_trusted_split_has_a_name_of_its_own(clean, path):
    with pytest.raises(InputError, match="`dataset.clean` should be a split b"):
        load(path, clean=f"split:{clean}")


def test_rows_of_no_set_are_counted(tmp_path):
    path = written(tmp_path, {})
    path.write_text(path.read_text().replace("train", "later", 4))
    assert load(path).notes[1].startswith("4 of 30 rows of ")
    assert load(path).notes[1].endswith("were left out: later (4).")


def test_one_input_per_value_is_refused_before_it_fills_the_memory(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(columns, "_MOST_BYTES", 1000)
    path = written(tmp_path, {"city": [f"c{row % 12}" for row in range(_ROWS)]})
    with pytest.raises(InputError, match="30 rows of 13 inputs.*city:ignore"):
        load(path)


def test_parquet_loads_as_the_csv_does(tmp_path):
    more = {
        "city": ["Ulm", "Rom", "Bern"] * 10,
        "good": [True, False, True] * 10,
        "when": pd.to_datetime(
            [f"2024-01-{1 + row:02}" for row in range(_ROWS)]
        ),
    }
    path = written(tmp_path, more)
    table = pd.read_csv(path, parse_dates=["when"])
    table["city"] = table["city"].astype("category")
    table.to_parquet(tmp_path / "table.parquet")
    one, two = (
        load(tmp_path / name, clean="column:good")
        for name in ("table.csv", "table.parquet")
    )
    for which in ("train", "test", "clean"):
        np.testing.assert_array_equal(
            getattr(one, which).x, getattr(two, which).x
        )
    assert two.train.name_of(0).endswith("table.parquet:1")
    (tmp_path / "table.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="should be a Parquet file"):
        load(tmp_path / "table.parquet")


def test_the_served_columns_give_the_inputs_of_training(tmp_path):
    more = {
        "city": ["Ulm", "Köln", " x=1"] * 10,
        "when": [f"2024-01-{1 + row:02}T06:00" for row in range(_ROWS)],
    }
    splits = load(written(tmp_path, more))
    encoder = columns.encoder(
        columns.from_json(
            json.loads(json.dumps(columns.to_json(splits.columns)))
        )
    )
    days = [19723.25 + row for row in range(_ROWS)]
    served = encoder(
        {
            "x": tf.constant(np.arange(_ROWS)[:, None] / 2, tf.float32),
            "city": tf.constant([["Ulm"], ["Köln"], ["x=1"]] * 10),
            "when": tf.constant(days, shape=(_ROWS, 1)),
        }
    )
    np.testing.assert_array_equal(served[:24], splits.train.x)
    unknown = encoder(
        {
            "x": tf.ones((1, 1)),
            "city": tf.constant([["Atlantis"]]),
            "when": tf.zeros((1, 1)),
        }
    )
    assert unknown[0].numpy().tolist() == [1, 0, 0, 0, 0]


_TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    max_size=4,
)
_CELLS = st.one_of(
    st.integers(-3, 10**9),
    st.floats(allow_nan=True, allow_infinity=True),
    st.dates(),
    _TEXTS,
    st.sampled_from(["", "nan", "1,5", "=1+1", "yes", "2024-13-01"]),
)


def loads_or_explains(tmp_path, table, delimiter):
    path = tmp_path / "random.csv"
    table.to_csv(path, sep=delimiter, index=False)
    splits = None
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            splits = load(path)
        except InputError as error:
            assert "\n" not in str(error).replace(str(path), "")
    # No other warning is due.
    for warning in heard:
        assert re.fullmatch(
            "The test set should have inputs in the units of the train set. "
            "Received: .+ in train, .+ in test.",
            str(warning.message),
        )
    if splits is None:
        return
    assert np.isfinite(splits.train.x).all()
    assert splits.train.x.shape[1] == sum(each.width for each in splits.columns)


def test_a_split_in_other_units_loads_and_is_said(tmp_path):
    rows = [(0, 0, "a", "train"), (20, ":", "a", "test")]
    table = pd.DataFrame(rows, columns=["", "0", "label", "split"])
    loads_or_explains(tmp_path, table, ",")
    with pytest.warns(UserWarning, match=r"\[0, 1\] in train, .* \[0, 20\]"):
        load(tmp_path / "random.csv")


def random_tables(draw):
    count = draw(st.integers(1, 30))
    width = draw(st.integers(1, 3))
    names = draw(st.lists(_TEXTS, min_size=width, max_size=width))
    rows = draw(
        st.lists(
            st.tuples(
                *[_CELLS] * width,
                st.sampled_from(["a", "b", "a ", "", "1"]),
                st.sampled_from(["train", "test", "Train", "tset", "x"]),
            ),
            min_size=count,
            max_size=count,
        )
    )
    return pd.DataFrame(rows, columns=[*names, "label", "split"]), draw(
        st.sampled_from([",", ";", "\t"])
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_table_loads_or_is_one_sentence(tmp_path_factory, data):
    loads_or_explains(
        tmp_path_factory.mktemp("table"), *random_tables(data.draw)
    )


@pytest.mark.wide
@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_a_thousand_tables_load_or_are_one_sentence(tmp_path_factory, data):
    loads_or_explains(
        tmp_path_factory.mktemp("table"), *random_tables(data.draw)
    )


def test_thousands_separators_are_no_decimal_commas(tmp_path):
    cells = ["1,234", "999", "12,500"] * 10
    path = written(tmp_path, {"price": cells})
    splits = load(path, columns="x:ignore")
    assert splits.columns[0].kind == "categorical"
    splits = load(written(tmp_path, {"price": ["1,5", "2"] * 15}, ";"))
    assert splits.train.x[0].tolist() == [0, 1.5]
    assert "Commas in price are decimal commas." in splits.notes


def test_no_two_columns_have_one_name_in_a_signature():
    known = [
        columns.Column(name, "numeric") for name in ("column_1", "a b", "ä")
    ]
    assert len({*columns.serving_names(known).values()}) == 3
    columns.encoder(known)


def test_a_cut_file_in_utf16_is_one_sentence(tmp_path):
    path = written(tmp_path, {}, encoding="utf-16")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="should be text in UTF-16, as its"):
        load(path)
