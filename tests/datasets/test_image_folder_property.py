"""Any folder of images loads, or is refused in a sentence."""

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from PIL import Image

from mlc_tf import datasets
from mlc_tf.data import images
from mlc_tf.data.checks import plain_errors
from mlc_tf.errors import InputError

SUFFIXES = (
    *(".png", ".jpg", ".jfif", ".webp", ".tif", ".bmp", ".gif", ".ppm"),
    *(".jp2", ".tga", ".ico", ".pcx", ".sgi", ".dds", ".qoi", ".PNG", ".txt"),
    *(".eps", ".avif", ".im", ".xbm", ".msp", ".spi", ""),
)
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
WIDE_MODES = ("LAB", "HSV", "I", "F", "I;16")
DAMAGES = (
    *(["none"] * 12),
    *("cut", "flip", "grow", "empty", "text"),
    *("folder", "pipe", "link", "broken link"),
)


@strategies.composite
def files(draw):
    """Returns (path below the root, mode, size, damage, random seed)."""
    split = draw(strategies.sampled_from(("train", "train", "test", "valid")))
    kind = draw(strategies.sampled_from(("ant", "bee")))
    below = draw(
        strategies.sampled_from(("", "", "sub/", ".hidden/", "s.png/"))
    )
    stem = draw(
        strategies.sampled_from(
            ("a", "b", ".c", "ü", "=d", "e\nf", "g", "h", "i\udcff")
        )
    )
    suffix = draw(strategies.sampled_from(SUFFIXES))
    return (
        f"{split}/{kind}/{below}{stem}{suffix}",
        draw(strategies.sampled_from((*MODES, *WIDE_MODES))),
        draw(strategies.sampled_from(((4, 4), (4, 4), (5, 3)))),
        draw(strategies.sampled_from(DAMAGES)),
        draw(strategies.integers(0, 2**16)),
    )


def write(root, file):
    name, mode, size, damage, seed = file
    rng = np.random.default_rng(seed)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        return
    pixels = rng.integers(0, 256, (*size, 3), np.uint8)
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    elif mode == "PA":
        image = image.convert("P").convert("PA")
    elif mode != "LAB":
        image = image.convert(mode)
    try:
        image.save(path)
    except (OSError, ValueError, KeyError):  # the format lacks this mode
        Image.fromarray(pixels).save(path, "PNG")
    content = path.read_bytes()
    place = int(rng.integers(len(content)))
    if damage == "cut":
        path.write_bytes(content[:place])
    elif damage == "flip":
        other = bytes(rng.integers(0, 256, 4, np.uint8))
        path.write_bytes(content[:place] + other + content[place + 4 :])
    elif damage == "grow":
        path.write_bytes(content[:place] + content + content[place:])
    elif damage in ("empty", "text"):
        path.write_bytes(b"" if damage == "empty" else b"not an image")
    elif damage != "none":
        path.unlink()
        if damage == "folder":
            path.mkdir()
        elif damage == "pipe":
            os.mkfifo(path)
        elif damage == "link":
            path.symlink_to(root / "train/ant/0.png")
        else:
            path.symlink_to("nowhere")


def check(some, size, cache):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
        root = Path(folder, "images")
        for number, split in enumerate(("train", "test")):
            for place, kind in enumerate(("ant", "bee")):
                path = root / split / kind / "0.png"
                path.parent.mkdir(parents=True)
                level = np.full((4, 4, 3), 60 * number + place, np.uint8)
                Image.fromarray(level).save(path)
        for file in some:
            write(root, file)
        try:
            splits = datasets.load(
                f"folder:{root}",
                image_size=size,
                cache=cache.format(Path(folder, "cache")),
            )
            with plain_errors():
                parts = {
                    which: list(getattr(splits, which).batches(4))
                    for which in ("train", "test")
                }
        except InputError as error:
            assert str(error).encode() and "Received" in str(error)
            return
        for batches in parts.values():
            for x, _ in batches:
                assert x.dtype == np.uint8
                assert x.shape[1:] == (*(size or (4, 4)), 3)
        # No image is lost without a word.
        there = [
            path
            for path in root.rglob("*")
            if path.is_file() and path.suffix.lower() in images.suffixes()
        ]
        taken = sum(
            len(part)
            for part in (splits.train, splits.test, splits.clean)
            if part is not None
        )
        if taken < len(there):
            assert any("Left out" in note for note in splits.notes)


SOME = strategies.lists(files(), max_size=6)
SIZES = strategies.sampled_from(((), (4, 4), (2, 3)))
CACHES = strategies.sampled_from(("memory", "none", "disk:{}"))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(some=SOME, size=SIZES, cache=CACHES)
def test_a_folder_loads_or_is_refused_in_a_sentence(some, size, cache):
    check(some, size, cache)


@pytest.mark.wide
@settings(max_examples=1500, deadline=None, database=None)
@given(some=SOME, size=SIZES, cache=CACHES)
def test_any_folder_loads_or_is_refused_in_a_sentence(some, size, cache):
    check(some, size, cache)


@pytest.mark.wide
@settings(max_examples=1500, deadline=None, database=None)
@given(file=files())
def test_any_file_is_read_or_refused_in_a_sentence(file):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(Path(folder), file)
        for read in (images.inspect, lambda p: images.read_image(p, None)):
            try:
                read(Path(folder) / file[0])
            except InputError as error:
                assert "Received" in str(error)
