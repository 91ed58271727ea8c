import re

import numpy as np
import pytest

from mlc_tf import datasets
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
        ("label,", "class,", {}, "columns label, split in line 1"),
        ("", "", {"label_key": "grade"}, "columns grade, split in line 1"),
        (
            "4,green,10",
            "4,green,11",
            {},
            "only classes of the .* '11' in line 5",
        ),
        ("6,red,9", "6,red,8", {"clean": "split:valid"}, "'8' in line 7"),
        ("2,blue", "inf,blue", {}, "finite.* inf in line 3, column 'height'"),
        ("2,blue", "nan,blue", {}, "finite.* nan in line 3, column 'height'"),
        ("test", "tset", {}, "rows of the test set. .*train, tset, valid, oth"),
        ("train", "trian", {}, "rows of the train set"),
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
