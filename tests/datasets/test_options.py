import dataclasses

import pytest

from mlc_tf.datasets import Options
from mlc_tf.datasets.options import existing_file
from mlc_tf.errors import InputError
from mlc_tf.run import settings

# Of each option, something other than its default.
GIVEN = {
    "data_dir": "/data",
    "manual_dir": "/files",
    "clean": "split:valid",
    "cache": "none",
    "image_size": (4, 6),
    "labels": "labels.csv",
    "input_key": "image",
    "label_key": "grade",
    "columns": "age:numeric",
    "download": True,
    "train_split": "train[:5]",
    "test_split": "validation",
    "embeddings": "words.txt",
}


def test_every_option_has_a_test_below():
    assert list(GIVEN) == [field.name for field in dataclasses.fields(Options)]


@pytest.mark.parametrize("name", GIVEN)
def test_an_option_without_use_is_refused_and_another_is_not(name):
    options = Options(**{name: GIVEN[name]})
    with pytest.raises(
        InputError,
        match=f"`dataset.{name}` should be left out for the dataset digits, "
        f"which does not use it. Received: `dataset.{name}` = .",
    ):
        options.only("digits", *(other for other in GIVEN if other != name))
    options.only("digits", name)


@pytest.mark.parametrize("cache", ["memory", "none", "disk:~/a:b"])
def test_caches_that_there_are(cache):
    assert Options(cache=cache).cache == cache


@pytest.mark.parametrize("cache", ["", "disk", "disk:", "ram", "memory:dir"])
def test_bad_cache(cache):
    with pytest.raises(
        InputError,
        match=f"`dataset.cache` should be one of memory, none, disk:DIR.*"
        f"= {cache!r}",
    ):
        Options(cache=cache)


@pytest.mark.parametrize(
    "size",
    [
        28,
        (10**6, 10**6),
        (4,),
        (4, 6, 3),
        (0, 4),
        (4, -1),
        (4.0, 6),
        ("4", "6"),
    ],
)
def test_bad_image_size(size):
    with pytest.raises(
        InputError, match=r"`dataset.image_size` should be \(height, width\)"
    ):
        Options(image_size=size)


@pytest.mark.parametrize(
    "clean, parts",
    [
        ("", ("", "")),
        ("split:train[:1%]", ("split", "train[:1%]")),
        ("list:/data/a:b.txt", ("list", "/data/a:b.txt")),
    ],
)
def test_the_parts_of_clean(clean, parts):
    assert Options(clean=clean).trusted("mine", "split", "list") == parts


@pytest.mark.parametrize("clean", ["split", "split:", "column:good", "valid"])
def test_bad_clean(clean):
    with pytest.raises(
        InputError,
        match="`dataset.clean` should be split:... or list:... for the "
        f"dataset mine. Received: `dataset.clean` = {clean!r}",
    ):
        Options(clean=clean).trusted("mine", "split", "list")


def test_the_defaults_of_configs_are_those_of_the_options():
    section = settings.default_config().dataset
    assert Options.from_config(section) == Options()


def test_a_config_hands_over_all_options():
    section = {**GIVEN, "image_size": [4, 6], "name": "mine", "other": 1}
    assert dataclasses.asdict(Options.from_config(section)) == GIVEN


def test_a_file_that_is_none(tmp_path):
    for path in (tmp_path, tmp_path / "words.txt"):
        with pytest.raises(
            InputError, match=f"`my.file` should be a file.*= '{path}'"
        ):
            existing_file("my.file", path)
    (tmp_path / "words.txt").touch()
    assert existing_file("my.file", str(path)) == path
