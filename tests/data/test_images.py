import os
import re
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL import ImageCms

from mlc_tf.data import images
from mlc_tf.errors import InputError

GREYS = np.linspace(0, 255, 24).round().astype(np.uint8).reshape(4, 6)
WHITE = [255, 255, 255]
# The modes of 16 bits, and how NumPy calls them.
SIXTEEN = {"I;16": "<u2", "I;16L": "<u2", "I;16N": "=u2", "I;16B": ">u2"}


@pytest.fixture
def colours(rng):
    return rng.integers(0, 256, (4, 6, 3), np.uint8)


def written(path, image, **options):
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    image.save(path, **options)
    return path


def sixteen(dtype):
    """Returns the pixels of `GREYS` at 16 bits."""
    return (GREYS.astype(np.uint16) * 257).astype(dtype).tobytes()


def grey(levels):
    return np.repeat(np.asarray(levels, np.uint8)[..., None], 3, axis=2)


# The table of the modes.


def test_every_mode_of_pillow_is_decided(colours):
    opaque = Image.fromarray(colours)
    lab = ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), lab, "RGB", "LAB"
    )
    made = {
        "1": opaque.convert("1"),
        "P": opaque.quantize(24),
        "PA": opaque.convert("P").convert("PA"),
        "RGBa": opaque.convert("RGBA").convert("RGBa"),
        "La": opaque.convert("LA").convert("La"),
        "LAB": ImageCms.applyTransform(opaque, to_lab),
        **{
            mode: Image.frombytes(mode, (6, 4), sixteen(kind))
            for mode, kind in SIXTEEN.items()
        },
    }
    expected = {
        "1": grey(np.asarray(made["1"]) * 255),
        "P": np.asarray(made["P"].convert("RGB")),
        "PA": np.asarray(made["PA"].convert("RGB")),
        **{mode: grey(GREYS) for mode in SIXTEEN},
        **{
            mode: grey(np.asarray(opaque.convert("L")))
            for mode in ("L", "LA", "La")
        },
    }
    undecided = []
    for mode in [*Image.MODES, *SIXTEEN]:
        image = made.get(mode) or opaque.convert(mode)
        assert image.mode == mode
        if mode in ("I", "F"):
            undecided.append(mode)
            with pytest.raises(
                InputError, match=f"a.png, of Pillow's mode {mode} .*unknown"
            ):
                images.to_rgb("a.png", image)
            continue
        rgb = images.to_rgb("a.png", image)
        assert rgb.mode == "RGB"
        # Other colour spaces round; L* a* b* in 8 bits rounds most.
        near = {"YCbCr": 3, "HSV": 12, "LAB": 20, "RGBa": 1}.get(mode, 0)
        np.testing.assert_allclose(
            np.asarray(rgb).astype(int),
            expected.get(mode, colours).astype(int),
            atol=near,
            err_msg=mode,
        )
    assert sorted(undecided) == ["F", "I"]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm", ".jp2"])
def test_16_bits_become_the_same_levels_as_8_bits(suffix, tmp_path):
    path = written(tmp_path / f"a{suffix}", GREYS.astype(np.uint16) * 257)
    np.testing.assert_array_equal(images.read_image(path, None), grey(GREYS))
    assert images.inspect(path).conversions == ("have 16 bits (8 are kept)",)


def test_16_bits_of_another_byte_order(tmp_path):
    big = Image.frombytes("I;16B", (6, 4), sixteen(">u2"))
    path = written(tmp_path / "a.tif", big)
    np.testing.assert_array_equal(images.read_image(path, None), grey(GREYS))


def test_16_bits_where_white_is_zero(tmp_path):
    image = Image.fromarray(GREYS.astype(np.uint16) * 257)
    path = written(tmp_path / "a.tif", image, tiffinfo={262: 0})
    np.testing.assert_array_equal(
        images.read_image(path, None), grey(255 - GREYS)
    )


def test_16_bits_with_a_transparent_level(tmp_path):
    image = Image.fromarray(GREYS.astype(np.uint16) * 257)
    path = written(tmp_path / "a.png", image, transparency=0)
    expected = grey(GREYS)
    expected[0, 0] = WHITE
    np.testing.assert_array_equal(images.read_image(path, None), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("most", [1, 255, 1023, 4095])
def test_at_most_12_bits_in_16_are_not_guessed(most, suffix, tmp_path):
    levels = (GREYS / 255 * most).round().astype(np.uint16)
    path = written(tmp_path / f"a{suffix}", levels)
    with pytest.raises(
        InputError,
        match=f"{re.escape(str(path))}, whose largest value is {most} of",
    ):
        images.read_image(path, None)


def test_a_black_image_of_16_bits_is_black(tmp_path):
    path = written(tmp_path / "a.png", np.zeros((4, 6), np.uint16))
    assert not images.read_image(path, None).any()


def tiff_of_12_bits(path, levels):
    """Writes a TIFF of one strip, whose header says 12 bits per sample."""
    height, width = levels.shape
    pairs = levels.reshape(-1, 2).astype(int)
    packed = np.stack(
        [
            pairs[:, 0] >> 4,
            (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8,
            pairs[:, 1] & 255,
        ],
        axis=1,
    )
    pixels = packed.astype(np.uint8).tobytes()
    tags = [
        (256, 3, width),
        (257, 3, height),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, height),
        (279, 4, len(pixels)),
    ]
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags
    )
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
        + pixels
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )
    return path


def test_a_tiff_that_says_12_bits_is_decided(tmp_path):
    levels = (GREYS / 255 * 4095).round()
    path = tiff_of_12_bits(tmp_path / "a.tif", levels)
    np.testing.assert_array_equal(images.read_image(path, None), grey(GREYS))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_a_range_that_is_unknown_is_refused(dtype, tmp_path):
    path = written(tmp_path / "a.tif", GREYS.astype(dtype))
    for read in (images.inspect, lambda path: images.read_image(path, None)):
        with pytest.raises(InputError, match="a.tif, of .*; convert it to 8"):
            read(path)


def transparent(mode):
    """Returns an image whose left half is transparent black, and the rest
    opaque (1, 2, 3), or 5 in grey."""
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, 3:] = (5, 5, 5, 255) if mode in ("LA", "L") else (1, 2, 3, 255)
    image = Image.fromarray(pixels)
    if mode in ("L", "RGB"):
        opaque = image.convert(mode)
        opaque.info["transparency"] = 0 if mode == "L" else (0, 0, 0)
        return opaque
    return image.quantize(4) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_what_is_transparent_is_laid_over_white(mode, tmp_path):
    image = transparent(mode)
    shown = {"transparency": image.info.get("transparency")}
    path = written(tmp_path / "a.png", image, **(shown if shown else {}))
    read = images.read_image(path, None)
    assert (read[:, :3] == 255).all()
    np.testing.assert_array_equal(
        read[0, 3], [5, 5, 5] if mode in ("LA", "L") else [1, 2, 3]
    )
    assert images.inspect(path).conversions == (
        "have transparency (laid over white)",
    )


def test_what_is_half_transparent_is_half_white(tmp_path):
    pixels = np.full((2, 2, 4), 128, np.uint8)
    pixels[..., :3] = 0
    read = images.read_image(written(tmp_path / "a.png", pixels), None)
    assert np.unique(read).tolist() == [127]


def test_a_palette_without_transparency_is_its_colours(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    for suffix in (".png", ".gif", ".bmp", ".tif"):
        path = written(tmp_path / f"a{suffix}", image)
        np.testing.assert_array_equal(
            images.read_image(path, None), [[[10, 20, 30], [200, 100, 50]]]
        )
        assert images.inspect(path).conversions == ()


def test_a_transparent_colour_of_16_bits_is_refused(tmp_path):
    path = written(
        tmp_path / "a.png",
        np.zeros((2, 2, 3), np.uint8),
        transparency=(0, 0, 0),
    )
    content = path.read_bytes()
    chunk = b"tRNS" + struct.pack(">3H", 0, 0, 300)
    start = content.index(b"tRNS")
    check = struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:start] + chunk + check + content[start + 14 :])
    with pytest.raises(InputError, match="transparent colour should have 8"):
        images.read_image(path, None)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_stands_as_viewers_show_it(orientation, suffix, tmp_path):
    # One dark corner, at the top left of what is stored.
    stored = np.full((16, 32, 3), 255, np.uint8)
    stored[:8, :8] = 0
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[0x0112] = orientation
    path = written(tmp_path / f"a{suffix}", image, exif=exif)
    read = images.read_image(path, None)
    # From the definition of each value: (row 0, column 0) of what is stored.
    row, column = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("top", "left"),
        6: ("top", "right"),
        7: ("bottom", "right"),
        8: ("bottom", "left"),
    }[orientation]
    assert read.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
    dark = read[
        2 if row == "top" else -3, 2 if column == "left" else -3
    ].astype(int)
    assert dark.max() < 40 and (read > 200).mean() > 0.8
    seen = images.inspect(path)
    assert seen.size == read.shape[:2]
    turned = ("are turned (as their EXIF data says)",)
    assert seen.conversions == (turned if orientation > 1 else ())


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png", ".webp"])
def test_the_first_frame_is_read_and_that_is_said(suffix, tmp_path):
    frames = [
        Image.new("RGB", (4, 4), colour) for colour in ("black", "white", "red")
    ]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert images.read_image(path, None).max() < 5
    assert images.inspect(path).conversions == (
        "have several frames (the first is read)",
    )


def test_a_colour_space_that_is_converted_is_said(tmp_path, colours):
    path = written(tmp_path / "a.tif", Image.fromarray(colours).convert("CMYK"))
    np.testing.assert_array_equal(images.read_image(path, None), colours)
    assert images.inspect(path).conversions == ("are CMYK (converted to RGB)",)


# Formats and suffixes.


def test_the_suffixes_are_those_that_pillow_decodes():
    known = images.suffixes()
    for suffix in (".png", ".jpg", ".jfif", ".webp", ".tif", ".tiff", ".bmp"):
        assert suffix in known
    # These need another program, or hold no picture.
    assert not {".eps", ".ps", ".h5", ".mpg", ".wmf", ".fits"} & {*known}


def test_no_program_is_started_for_a_file_that_says_it_is_a_png(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n%%EOF\n")
    monkeypatch.setattr(subprocess, "check_call", None)
    with pytest.raises(InputError, match="no image format that is read"):
        images.read_image(path, None)


def test_grey_images_become_rgb(tmp_path):
    read = images.read_image(written(tmp_path / "a.png", GREYS), None)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, grey(GREYS))


def test_images_are_resized_bilinearly(tmp_path):
    # Left half 0, right half 200: bilinear meets between, nearest would not.
    image = np.zeros((4, 2, 3), np.uint8)
    image[:, 1] = 200
    read = images.read_image(written(tmp_path / "a.png", image), (3, 4))
    assert read.shape == (3, 4, 3)
    expected = np.array([0, 50, 150, 200])[:, None]
    np.testing.assert_array_equal(read, np.broadcast_to(expected, (3, 4, 3)))


# What cannot be read.


def cut(content):
    return content[: len(content) * 2 // 3]


def wordy(content):
    return b"no image"


def huge(content):
    """A BMP whose header says 65536 by 65536 pixels."""
    size = (65536).to_bytes(4, "little")
    return content[:18] + size + size + content[26:]


@pytest.mark.parametrize("size", [None, (4, 6), (2, 2)])
@pytest.mark.parametrize(
    "suffix, damage, reason",
    [
        (".png", cut, r"which is not \(.*\w"),
        (".jpg", cut, r"which is not \(.*truncated"),
        (".gif", cut, r"which is not \(.*\w"),
        (".bmp", cut, r"which is not \(.*truncated"),
        (".png", wordy, r"which is not \(its content has no image format"),
        (".bmp", huge, "which claims more"),
    ],
)
def test_an_unreadable_image_is_named(suffix, damage, reason, size, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    path = written(tmp_path / f"a{suffix}", noise)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=f"{re.escape(str(path))}, {reason}"):
        images.read_image(path, size)


READERS = pytest.mark.parametrize(
    "read",
    [images.inspect, images.file_digest, lambda p: images.read_image(p, None)],
    ids=["inspect", "digest", "read"],
)


@READERS
def test_a_path_that_is_no_file_is_named_and_does_not_hang(read, tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("gone.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (
        ("none.png", "no such file"),
        ("folder.png", "a folder"),
        ("link.png", "a link to gone.png, which is missing"),
        ("pipe.png", "no regular file"),
        ("a" * 300 + ".png", "no such file"),
    ):
        with pytest.raises(InputError, match=rf"{name}, .* not \({reason}\)"):
            read(tmp_path / name)


@READERS
def test_a_file_without_permission_is_named(read, tmp_path, monkeypatch):
    path = written(tmp_path / "a.png", GREYS)

    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("io.open", forbidden)
    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(InputError, match=r"a.png, .* \(Permission denied\)"):
        read(path)


def test_too_many_pixels_are_refused_before_they_are_decoded(
    tmp_path, monkeypatch
):
    path = written(tmp_path / "a.png", GREYS)  # 24 pixels
    for limit in (10, 20):  # Pillow itself raises, or only warns
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=f"at most {limit} pixels"):
            images.inspect(path)
        with pytest.raises(InputError, match=f"at most {limit} pixels"):
            images.read_image(path, (2, 2))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24)
    assert images.read_image(path, (2, 2)).shape == (2, 2, 3)


def png_of_16_bits(path, values):
    """Writes `(height, width, channels)` uint16, which Pillow cannot write."""
    height, width, channels = values.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_16_bits_keep_8_bits_and_that_is_said(channels, tmp_path):
    values = np.repeat(GREYS[..., None].astype(np.uint16) * 257, channels, 2)
    if channels != 3:
        values[..., -1] = 65535  # opaque
    path = png_of_16_bits(tmp_path / "a.png", values)
    np.testing.assert_array_equal(images.read_image(path, None), grey(GREYS))
    assert images.inspect(path).conversions[0] == "have 16 bits (8 are kept)"
    # The same, of 12 bits.
    values[..., :3] >>= 4
    if channels != 3:
        values[..., -1] = 65535
    png_of_16_bits(path, values)
    with pytest.raises(InputError, match="a.png, whose largest value is 3840"):
        images.read_image(path, None)
