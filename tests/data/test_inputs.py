import warnings

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf.data import inputs
from mlc_tf.errors import InputError

X = np.arange(12.0).reshape(6, 2)
IDS = np.arange(6) % 3


@pytest.mark.parametrize(
    "x, message",
    [
        (X.astype(complex), "numbers.*complex128; x.real"),
        (X.astype(np.longdouble), r"numbers.*float128; x.astype\('float32'\)"),
        (X.astype("m8[s]"), "numbers.*timedelta64.*seconds"),
        (X.astype("M8[s]"), "numbers.*datetime64.*days"),
        (X.astype([("a", int)]), "numbers.*'a'"),
        (X.astype(object), "numbers or texts.*object, such as a float in exam"),
        (np.array([["a"], ["b"], [None]], object), "a NoneType in example 2"),
        (np.array(["a", "\ud800"]), "texts that UTF-8 can write.* example 1"),
        (X[:, :0], r"at least one value per example.*\(6, 0\)"),
        (X[:0], "not be empty"),
        (X * 1e38, r"range of float32, 3\.4e\+38.*5e\+38 in example 2"),
        (np.ma.masked_greater(X, 8.5), "no masked values.* 3 masked values"),
        ({}, "hold inputs.*an empty dict"),
        ({"a": X, "b": X[:5]}, "one length.*5, 6 examples"),
        ({"a": X, "b": X * 1j}, "inputs 'b' of dtype complex128"),
        ((X, X.astype(object)), "inputs 1 of dtype object"),
        (
            pd.DataFrame({"size": [1, 2], "kind": ["a", "b"]}),
            "column 'kind' of dtype",
        ),
        (pd.DataFrame({"size": [1, None]}, dtype="Int64"), "size|example 1"),
        (pd.DataFrame(index=range(3)), "at least one value per example"),
    ],
)
def test_inputs_that_no_network_can_take(x, message):
    with pytest.raises(InputError, match=f"^The noisy set should .*{message}"):
        inputs.as_inputs("noisy", x)


def test_a_masked_array_without_a_mask_is_an_array():
    kept = inputs.as_inputs("noisy", np.ma.masked_greater(X, 100))
    np.testing.assert_array_equal(kept, X)


def test_a_table_of_numbers_is_its_columns():
    table = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    kept = inputs.as_inputs("noisy", table)
    np.testing.assert_array_equal(kept, [[1, 0.5, 1], [2, 1.5, 0]])


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "uint32"])
def test_integers_that_float32_rounds_are_counted(dtype):
    exact = np.array([[0, 1 << 24], [3 << 25, (1 << 24) - 1]], dtype)
    rounded = exact + np.array([[0, 1], [1, 0]], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs.as_inputs("noisy", exact)
    with pytest.warns(UserWarning, match="2 of 4 inputs .* such as 16777217;"):
        inputs.as_inputs("noisy", rounded)


def test_the_smallest_integers_are_exact():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs.as_inputs("noisy", np.array([[-(2**63), -(2**62)]]))
    with pytest.warns(UserWarning, match="1 of 2 inputs"):
        inputs.as_inputs("noisy", np.array([[-(2**63) + 1, 5]]))


def test_units_of_another_kind_are_refused():
    pixels = (X * 20).astype(np.uint8)
    with pytest.raises(
        InputError,
        match=r"clean set .* units of the noisy set.*float64 in \[0, 1\] in "
        r"noisy, uint8 in \[0, 220\] in clean",
    ):
        data.pair((X / 11, IDS), (pixels, IDS), 3)
    with pytest.warns(UserWarning, match="units of the noisy set"):
        data.pair((X / 11, IDS), (X * 20, IDS), 3)


def test_units_that_differ_a_little_are_no_matter():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs.check_units(("train", X), ("test", (X * 10).astype(int)))
        inputs.check_units(("train", X * 0), ("test", X))


STRUCTURES = {
    "dict": {"size": X, "age": np.arange(6)},
    "tuple": (X, np.arange(6.0)[:, None]),
    "nested": {"both": (X, X + 1), "text": np.array(list("abcdef"))},
    "texts": np.array(["one", "two", "thrée", "four", "five", "six"]),
    "text_objects": np.array(list("abcdef"), object)[:, None],
}


@pytest.mark.parametrize("x", STRUCTURES.values(), ids=STRUCTURES)
def test_structures_and_texts_are_as_in_a_dataset(x):
    source = tf.data.Dataset.from_tensor_slices((x, IDS))
    of_arrays, of_dataset = (
        data.pair(half, half, 6, epochs=range(1), with_index=True)
        for half in ((x, IDS), source)
    )
    assert of_arrays.element_spec == of_dataset.element_spec
    (((got, ids, index), _),) = of_arrays
    whole = source.batch(6).get_single_element()[0]
    tf.nest.map_structure(
        lambda part, expected: np.testing.assert_array_equal(
            part, tf.gather(expected, index)
        ),
        got,
        whole,
    )
    np.testing.assert_array_equal(ids, IDS[index])


@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_weights_in_a_set_are_refused(form):
    half = X, IDS, np.ones(6)
    if form == "dataset":
        half = tf.data.Dataset.from_tensor_slices(half)
    with pytest.raises(
        InputError, match="noisy set .* argument `sample_weight`"
    ):
        data.pair(half, (X, IDS), 3)
    with pytest.raises(
        InputError, match="clean set .* argument `sample_weight`"
    ):
        data.pair((X, IDS), half, 3)


@pytest.mark.parametrize(
    "ids",
    [
        IDS[:, None],
        IDS.tolist(),
        pd.Series(IDS),
        pd.DataFrame({"label": IDS}),
        pd.Series(IDS, dtype="category"),
        tf.constant(IDS),
        *(IDS.astype(f"{sign}int{size}")
          for sign in ("", "u") for size in (8, 16, 32, 64)),
    ],
)  # fmt: skip
def test_ids_in_every_form(ids):
    ((_, got), _), _ = data.pair((X, ids), (X, ids), 3, epochs=range(1))
    assert got.shape == (3,) and got.dtype == tf.int64
    assert data.class_weight(ids, ids, 3).tolist() == [1, 1, 1]
    noisy = data.corrupt(ids, "flip_random", 1.0, mode="iid")
    assert noisy.labels.shape == (6,) and (noisy.labels != IDS).all()


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.array(list("abcabc")), "dtype <U1, such as 'a'; class_names, labe"),
        (IDS > 0, "dtype bool, such as False; class_names, labels = np.uniq"),
        (pd.Series(list("abcabc"), dtype="category"), "class_names, labels ="),
        (IDS / 1, r"dtype float64, such as 0.0; labels = labels.astype\(int\)"),
        (IDS[:, None] / 1, r"labels = labels.astype\(int\) makes ids"),
        (IDS.astype("m8[s]"), "dtype timedelta64"),
        (np.ma.masked_equal(IDS, 2), "a label for each example.*2 masked"),
        (np.full(6, 2**64 - 1, np.uint64), "label 18446744073709551615"),
    ],
)
def test_labels_that_are_no_ids(labels, message):
    calls = (
        lambda: data.pair((X, IDS), (X, labels), 3),
        lambda: data.class_weight(IDS, labels, 3),
        lambda: data.corrupt(labels, "flip_random", 0.5),
    )
    for call in calls:
        with pytest.raises(InputError, match=f"^The clean set.*{message}"):
            call()


def test_a_label_far_above_the_number_of_classes_allocates_nothing():
    labels = np.array([0, 1, 2**32 - 1], np.uint32)
    with pytest.raises(InputError, match="label 4294967295 at example 2, with"):
        data.corrupt(labels, "uniform", 0.5)


def test_the_weight_of_the_trusted_set_has_a_limit():
    assert data.clean_weight(60_000, 500) == pytest.approx(0.025)
    assert data.clean_weight(np.int64(873), 100) == 0.3


@pytest.mark.parametrize(
    "arguments, name",
    [((0, 5), "num_noisy"), ((5, 0), "num_clean"), ((5, 2.5), "num_clean")],
)
def test_sizes_of_sets_are_positive_integers(arguments, name):
    with pytest.raises(InputError, match=f"^`{name}` should be an integer >="):
        data.clean_weight(*arguments)


def test_the_number_of_classes_of_class_weights_is_an_integer():
    with pytest.raises(InputError, match="`num_classes` should be an integer"):
        data.class_weight([0, 1], [0, 1], 2.0)


def test_class_weights_of_no_labels():
    with pytest.raises(InputError, match="clean set should not be empty"):
        data.class_weight([0, 1], [], 2)


SOFT = np.eye(3)[IDS]


@pytest.mark.parametrize("labels", [IDS, SOFT], ids=["ids", "soft"])
def test_sets_of_one_class_are_refused(labels):
    with pytest.raises(InputError, match="noisy set .* 2 examples, all of cla"):
        data.pair((X[:2], labels[[1, 1]]), (X, IDS), 2)
    with pytest.raises(InputError, match="clean set .* 1 examples, all of cla"):
        data.pair((X, IDS), (X[:1], labels[:1]), 2)


@pytest.mark.parametrize("labels", [IDS, SOFT], ids=["ids", "soft"])
def test_a_clean_set_without_a_class_is_a_warning(labels):
    few = labels[[0, 1]]
    with pytest.warns(
        UserWarning, match="no example of 1 of the 3 classes.* such as class 2"
    ):
        data.pair((X, labels), (X[:2], few), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.pair((X[:2], few), (X, labels), 2)


# Columns are inputs by position: in another order they are other inputs.
@pytest.mark.parametrize("columns", [["b", "a"], ["a", "c"]])
def test_two_tables_with_other_columns_are_refused(columns):
    noisy = pd.DataFrame(X, columns=["a", "b"])
    clean = pd.DataFrame(X, columns=columns)
    message = "columns of the noisy set in their order, 'a', 'b'. Received: "
    message += ", ".join(map(repr, columns))
    with pytest.raises(InputError, match=message):
        data.pair((noisy, IDS), (clean, IDS), batch_size=2)
    data.pair((noisy, IDS), (clean.set_axis(["a", "b"], axis=1), IDS), 2)
    data.pair((noisy, IDS), (X, IDS), 2)
    with pytest.raises(InputError, match="`noisy` should be"):
        data.pair((), (clean, IDS), batch_size=2)


@pytest.mark.parametrize(
    "x",
    [
        X.astype(object),
        X.astype(str),
        X.astype(np.longdouble),
        pd.DataFrame(X.astype(object)),
        tf.constant(X, tf.bfloat16),
    ],
)
def test_numbers_in_another_form(x):
    numbers = inputs.as_numbers("noisy", x)
    assert numbers.dtype == np.float32
    np.testing.assert_array_equal(numbers, X)


@pytest.mark.parametrize(
    "x, message",
    [
        (X.astype(np.longdouble) * 1e300, "finite inputs"),
        (np.array([[1.0], [None]], object), "finite inputs"),
        (np.array([["1"], ["b"]]), "one array of numbers. Received: texts"),
        ((X, X), "one array of numbers. Received: several"),
        (X * 1j, "numbers.*complex128"),
        (X.astype("M8[s]"), "numbers.*datetime64"),
        (X.astype([("a", int)]), "numbers.*'a'"),
        (np.ma.masked_greater(X.astype(object), 8.5), "no masked values"),
    ],
)
def test_what_is_no_array_of_numbers(x, message):
    with pytest.raises(InputError, match=message):
        inputs.as_numbers("noisy", x)
