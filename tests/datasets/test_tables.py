import re

import numpy as np
import pandas as pd
import pytest

from mlc_tf.datasets import tables
from mlc_tf.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "mine.csv"
        path.write_bytes(content.encode("latin-1"))
        return path

    return write


def test_all_cells_are_text(write):
    path = write('label,size,note\n007,7,"a, b"\nNA,0.5,None\n')
    table = tables.read(path, ("label",))
    assert table["label"].tolist() == ["007", "NA"]
    assert table["size"].tolist() == ["7", "0.5"]
    assert table["note"].tolist() == ["a, b", "None"]
    path = write("label\n007\n7\n")
    assert tables.read(path, ("label",))["label"].tolist() == ["007", "7"]


@pytest.mark.parametrize(
    "content, told",
    [
        ("", "CSV file in UTF-8 with a header. Received: No columns"),
        (
            "label\n\xff\n",
            "should be text in UTF-8. Received: the byte 0xff in line 2",
        ),
        ('label,split\n"a,train\n', "CSV file in UTF-8 .* EOF inside string"),
        ("label,split\na,train\na,b,c\n", "CSV .* in line 3, saw 3"),
        ("label,split\na,b,c\n", "CSV file .* in line 2, saw 3"),
        (
            "name,split\na,train\n",
            "columns label, split in line 1. Received: name, split; missing: "
            "label",
        ),
        ("x\n1\n", "missing: label, split"),
        ("label,split\n", "rows. Received: only a header"),
        (
            "label,split\na,train\n,test\n",
            "1 in column 'label', the first in line 3",
        ),
        (
            "label,x,split\na,1,train\na,,test\n",
            "1 in column 'x', the first in line 3",
        ),
        (
            "label,split\na,train\n\na,test\n",
            "1 in column 'label', the first in line 3",
        ),
        (
            "label,split\na,train\nb\n",
            "1 in column 'split', the first in line 3",
        ),
    ],
)
def test_bad_table(content, told, write):
    path = write(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} .*{told}"):
        tables.read(path, ("label", "split"))


def test_no_such_table(tmp_path):
    with pytest.raises(InputError, match="CSV` should be a file.*none.csv'"):
        tables.read(tmp_path / "none.csv", ())


def test_truths():
    column = ["true", "False", " YES", "no", "1", "0"]
    table = pd.DataFrame({"good": column, "known": [True, False] * 3})
    expected = [True, False] * 3
    for name in table:
        np.testing.assert_array_equal(
            tables.truths("mine.csv", table, name), expected
        )


def test_truths_of_numbers():
    table = pd.DataFrame({"good": [0, 1, 1]})
    np.testing.assert_array_equal(
        tables.truths("mine.csv", table, "good"), [False, True, True]
    )


def test_bad_truths():
    table = pd.DataFrame({"good": ["true", "maybe", "2"]})
    with pytest.raises(
        InputError,
        match="mine.csv should have true or false in the column 'good'. "
        "Received: 'maybe' in line 3",
    ):
        tables.truths("mine.csv", table, "good")
    with pytest.raises(
        InputError,
        match="mine.csv should have the column 'god', .*Received: good",
    ):
        tables.truths("mine.csv", table, "god")


@pytest.mark.parametrize(
    "labels, names",
    [
        (["10", "9", "9", "2"], ("2", "9", "10")),
        (["b", "10", "9"], ("10", "9", "b")),
    ],
)
def test_numbers_are_classes_in_their_own_order(labels, names):
    assert tables.class_names(pd.Series(labels)) == names


def test_a_class_that_is_none_has_the_id_minus_one():
    ids = tables.class_ids(pd.Series(["b", "c", "a"]), ("a", "b"))
    np.testing.assert_array_equal(ids, [1, -1, 0])
