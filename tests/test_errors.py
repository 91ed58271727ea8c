"""Error sentences name the settings, and suggest what was meant."""

import pytest

from mlc_tf import datasets
from mlc_tf import errors
from mlc_tf.errors import InputError


def test_an_argument_is_named_by_its_setting():
    with pytest.raises(InputError) as caught:
        with errors.in_section("method.gce", ["q"]):
            raise errors.bad_argument("q", "in (0, 1]", 7)
    assert str(caught.value) == (
        "`method.gce.q` should be in (0, 1]. Received: `method.gce.q` = 7."
    )
    assert caught.value.argument == "method.gce.q"


@pytest.mark.parametrize(
    "error", [errors.bad_argument("other", "x", 1), InputError("No `q`.")]
)
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(InputError) as caught:
        with errors.in_section("method.gce", ["q"]):
            raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "value, known, expected",
    [
        ("CAT", ["bird", "cat"], " Did you mean 'cat'?"),
        ("train", ["Train", "test"], " Did you mean 'Train'?"),
        ("unifrom", ["uniform", "pair"], " Did you mean 'uniform'?"),
        # A word of its own is no misspelt name.
        ("fast", ["exact", "head", "finite_difference"], ""),
        ("", ["exact"], ""),
    ],
)
def test_a_hint_is_a_name_that_was_misspelt(value, known, expected):
    assert errors.hint(value, known) == expected
    assert str(errors.unknown_name("a", value, known)).endswith(
        f"{value!r}.{expected}"
    )


@pytest.mark.parametrize(
    "name, expected",
    [
        ("data.csv", "csv:data.csv"),
        ("DATA.CSV", "csv:DATA.CSV"),
        ("mine.npz", "npz:mine.npz"),
        ("table.parquet", "csv:table.parquet"),
    ],
)
def test_a_path_without_its_scheme_gets_one(name, expected):
    with pytest.raises(InputError, match=f"Did you mean '{expected}'"):
        datasets.load(name)


def test_a_folder_without_its_scheme_gets_one(tmp_path):
    with pytest.raises(InputError, match=f"Did you mean 'folder:{tmp_path}'"):
        datasets.load(str(tmp_path))
