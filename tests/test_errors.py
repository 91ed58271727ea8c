import pytest

from mlc_tf.errors import InputError
from mlc_tf.errors import hint
from mlc_tf.errors import in_section


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
    assert hint(value, known) == expected


@pytest.mark.parametrize(
    "message, expected",
    [
        ("`q` should be 1.", "In `method.gce`: `q` should be 1."),
        ("`method.gce.q` should be 1.", "`method.gce.q` should be 1."),
        ("In `method.gce.x`: `q`.", "In `method.gce.x`: `q`."),
        ("The train set should be.", "The train set should be."),
    ],
)
def test_an_argument_is_named_with_its_section(message, expected):
    with pytest.raises(InputError) as caught, in_section("method.gce"):
        raise InputError(message)
    assert str(caught.value) == expected
