"""Whatever arrays a user has: they load right, or an `InputError` is raised."""

import warnings

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlc_tf import datasets
from mlc_tf.data import sources
from mlc_tf.errors import InputError

SHORT = hypothesis.settings(
    max_examples=60, deadline=None, derandomize=True, database=None
)
LONG = hypothesis.settings(SHORT, max_examples=3000)

DTYPES = st.one_of(
    hnp.scalar_dtypes(),
    hnp.unicode_string_dtypes(max_len=3),
    hnp.byte_string_dtypes(max_len=3),
    st.sampled_from([np.dtype(object), np.dtype(np.longdouble)]),
)


def any_array(draw, length):
    """An array that may be anything, with `length` rows more often."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=4) | st.just(
        (0, 2)) | st.tuples(st.just(length), st.integers(0, 3)))  # fmt: skip
    dtype = draw(DTYPES)
    if dtype.kind == "O":
        elements = st.none() | st.text(max_size=2) | st.integers()
        return draw(hnp.arrays(dtype, shape, elements=elements))
    return draw(hnp.arrays(dtype, shape))


@st.composite
def inputs(draw, length):
    if draw(st.integers(0, 3)) == 0:
        return any_array(draw, length)
    numbers = hnp.boolean_dtypes() | hnp.floating_dtypes(sizes=(16, 32, 64))
    integers = hnp.integer_dtypes() | hnp.unsigned_integer_dtypes()
    dtype = draw(numbers | integers)
    shape = (length, *draw(hnp.array_shapes(max_dims=2, max_side=3)))
    return draw(hnp.arrays(dtype, shape))


@st.composite
def labels(draw, length):
    if draw(st.integers(0, 3)) == 0:
        return any_array(draw, length)
    dtype = draw(hnp.integer_dtypes() | hnp.unsigned_integer_dtypes())
    shape = draw(st.sampled_from([(length,), (length, 1)]))
    return draw(hnp.arrays(dtype, shape, elements=st.integers(0, 3)))


@st.composite
def contents(draw):
    """What a user may save as `.npz`."""
    content = {}
    alike = draw(st.booleans())
    x = draw(inputs(4))
    for which in ("train", "test", "clean")[: draw(st.integers(2, 3))]:
        content[f"x_{which}"] = x if alike else draw(inputs(4))
        content[f"y_{which}"] = draw(labels(4))
    if draw(st.booleans()):
        content["class_names"] = any_array(draw, 4)
    return content


def load(path, content):
    """Returns the splits, or None after an `InputError`."""
    np.savez(path, **content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return datasets.load(f"npz:{path}")
        except InputError as error:
            assert "\n" not in str(error)
            return None


def check_npz(content, path):
    """Checks what was loaded; returns whether anything was."""
    splits = load(path, content)
    if splits is None:
        return False
    for which in ("train", "test", "clean"):
        part = getattr(splits, which)
        assert (part is not None) == (f"x_{which}" in content)
        if part is None:
            continue
        np.testing.assert_array_equal(part.x, content[f"x_{which}"])
        given = content[f"y_{which}"].reshape(-1)
        np.testing.assert_array_equal(part.labels, given)
        assert 0 <= part.labels.min()
        assert part.labels.max() < splits.num_classes
        assert np.isfinite(part.x.astype(np.float32)).all()
    assert len(set(splits.class_names)) == splits.num_classes
    return True


def check_arrays(x, ids):
    """Checks what was taken; returns whether anything was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            source = sources.as_examples("noisy", (x, ids))
        except InputError as error:
            assert "\n" not in str(error)
            return False
    ((got, got_ids),) = source.batches(100).as_numpy_iterator()
    if np.asarray(x).dtype.kind in "USO":
        got = [text.decode(errors="replace") for text in got.flat]
        x = [
            text.decode(errors="replace") if isinstance(text, bytes) else text
            for text in np.asarray(x).ravel()
        ]
    np.testing.assert_array_equal(got, x)
    if got_ids.ndim == 1:
        np.testing.assert_array_equal(got_ids, np.ravel(ids))
    return True


def run(settings, check, *strategies):
    """Returns the outcome of each case that hypothesis draws."""
    outcomes = []

    @settings
    @hypothesis.given(st.tuples(*strategies))
    def cases(drawn):
        outcomes.append(check(*drawn))

    cases()
    return outcomes


SIZES = [SHORT, pytest.param(LONG, marks=pytest.mark.wide)]
IDS = ["short", "long"]


@pytest.mark.parametrize("settings", SIZES, ids=IDS)
def test_any_npz_loads_right_or_raises_an_input_error(settings, tmp_path):
    def check(content):
        return check_npz(content, tmp_path / "mine.npz")

    outcomes = run(settings, check, contents())
    assert any(outcomes) and not all(outcomes)


@pytest.mark.parametrize("settings", SIZES, ids=IDS)
def test_any_arrays_are_taken_or_raise_an_input_error(settings):
    outcomes = run(settings, check_arrays, inputs(4), labels(4))
    assert any(outcomes) and not all(outcomes)
