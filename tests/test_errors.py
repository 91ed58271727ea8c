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
    "name, hint",
    [("MLC", "mlc"), ("fast", "fasten"), ("Forward", "forward"), ("9", None)],
)
def test_a_suggestion_is_the_nearest_name_in_any_case(name, hint):
    known = ["mlc", "forward", "fasten"]
    text = str(errors.unknown_name("method.name", name, known))
    assert (f"Did you mean {hint!r}?" in text) == (hint is not None)


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
    with pytest.raises(InputError, match=f"`dataset.name` .* '{expected}' for"):
        datasets.load(name)


def test_a_folder_without_its_scheme_gets_one(tmp_path):
    with pytest.raises(InputError, match=f"'folder:{tmp_path}' for the data"):
        datasets.load(str(tmp_path))
