"""Reads image files as RGB of 8 bits, whatever their format and mode.

How an image becomes RGB depends on its mode in Pillow:

| mode | becomes |
|---|---|
| 1, L, P | black and white, grey levels and palettes become their colours |
| RGB, RGBX | as it is; X has no meaning and is dropped |
| CMYK, YCbCr, HSV, LAB | converted by Pillow |
| LA, La, PA, RGBA, RGBa, any with a transparent colour | laid over white |
| I;16, I;16L, I;16B, and I of PNG and PPM | `[0, 65535]` becomes `[0, 255]` |
| 12 bits in a TIFF that says so | `[0, 4095]` becomes `[0, 255]` |
| 16 bits per channel, grey or colour, of which at most 12 are used | refused |
| I of other formats, F, any other mode | refused: the range is unknown |

The EXIF orientation is applied: the image stands as every viewer shows it. Of
several frames or pages, the first is read. Colour profiles are not applied.
Formats that Pillow identifies but cannot decode by itself are not read.
"""

import functools
import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import BinaryIO

import numpy as np

from mlc_tf.errors import InputError
from mlc_tf.errors import import_optional

# Formats that need another program (Ghostscript, an installed handler), or
# whose pixels have no range: FITS holds measurements.
_NOT_READ = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "WMF"}
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
_CONVERTED = ("CMYK", "YCbCr", "HSV", "LAB")
_PLAIN = ("1", "L", "P", "RGB", "RGBX")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
# Formats whose decoder scales all values to 16 bits.
_SCALED = ("PPM", "JPEG2000")
# Tags of TIFF, and of EXIF.
_BITS, _PHOTOMETRIC, _ORIENTATION = 258, 262, 274
_WHITE_IS_ZERO = 0
# A PNG whose EXIF data follows its pixels must be decoded to be turned.
_PNG_EXIF = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")


@dataclass(frozen=True)
class Inspection:
    """What is known of an image file before its pixels are decoded.

    Attributes:
        digest: A digest of the file's content.
        size: (height, width) in pixels, as `read_image` returns them.
        conversions: What `read_image` changes in it, for a person: "have 16
            bits". Empty where it changes nothing.
    """

    digest: bytes
    size: tuple[int, int]
    conversions: tuple[str, ...]


@functools.cache
def suffixes() -> tuple[str, ...]:
    """Returns the suffixes of the image files that are read, in lower case."""
    pillow = import_optional("PIL.Image", "files")
    extensions = pillow.registered_extensions()
    return tuple(
        sorted(
            suffix
            for suffix, kind in extensions.items()
            if kind in pillow.OPEN and kind not in _NOT_READ
        )
    )


def read_image(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Reads an image file as RGB, `(height, width, 3)` uint8.

    Args:
        path: An image file in a format that Pillow reads.
        size: (height, width) in pixels, to which the image is resized by
            bilinear interpolation. None keeps the size of the file.

    Raises:
        InputError: if the file is not a readable image, or its mode has no
            known range (see the table above).
    """
    pillow = import_optional("PIL.Image", "files")
    ops = import_optional("PIL.ImageOps", "files")
    with _decoding(path):
        _check_is_file(path)
        with open(path, "rb") as file:
            image = _opened(path, file)
            deep = _has_16_bits(image)
            image.load()
            ops.exif_transpose(image, in_place=True)
        if deep and image.mode not in (*_SIXTEEN, "I"):
            # Pillow has kept the upper 8 bits of each channel.
            extrema = image.convert("RGB").getextrema()
            _check_depth(path, 256 * max(most for _, most in extrema))
        rgb = to_rgb(path, image)
        if size is not None and rgb.size != size[::-1]:
            rgb = rgb.resize(size[::-1], pillow.Resampling.BILINEAR)
        return np.asarray(rgb)


def inspect(path: Path) -> Inspection:
    """Reads an image file once, and returns what is known of it.

    Raises:
        InputError: as `read_image`, for all that shows before decoding.
    """
    with _decoding(path), warnings.catch_warnings():
        # Pillow's warning of damaged metadata, or of too many pixels, which
        # `_opened` refuses. Not in `read_image`: it runs in several threads,
        # and filters of warnings are shared by all threads.
        warnings.simplefilter("ignore")
        _check_is_file(path)
        with open(path, "rb") as file:
            content = file.read()
            file.seek(0)
            image = _opened(path, file)
            _check_mode(path, image)
            deep = _has_16_bits(image)
            if any(mark in content for mark in _PNG_EXIF):
                image.load()
            conversions = tuple(_conversions(image, deep))
            width, height = image.size
            # Pillow turns a TIFF by itself.
            if image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8):
                width, height = height, width
    return Inspection(digest(content), (height, width), conversions)


def digest(content: bytes) -> bytes:
    """Returns a digest that equal contents share, 16 bytes."""
    return hashlib.blake2b(content, digest_size=16).digest()


def file_digest(path: Path) -> bytes:
    """Returns the digest of a file's content.

    Raises:
        InputError: if the file cannot be read.
    """
    with _decoding(path):
        _check_is_file(path)
        return digest(path.read_bytes())


def to_rgb(path: Path, image: Any) -> Any:
    """Returns a Pillow image in the mode RGB, by the table of this module.

    Args:
        path: The file of the image, for messages.
        image: A `PIL.Image.Image`, loaded.

    Raises:
        InputError: for a mode, or pixels, whose range is unknown.
    """
    pillow = import_optional("PIL.Image", "files")
    _check_mode(path, image)
    if image.mode in (*_SIXTEEN, "I"):
        return pillow.fromarray(_from_16_bits(path, image)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode in ("La", "RGBa"):  # colours multiplied by alpha
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    image = image.convert("RGBA")
    white = pillow.new("RGBA", image.size, "white")
    return pillow.alpha_composite(white, image).convert("RGB")


def _from_16_bits(path: Path, image: Any) -> np.ndarray:
    """Returns grey levels of 8 bits, `(height, width)` uint8."""
    values = np.asarray(image).astype(np.float64)
    tags = image.tag_v2 if image.format == "TIFF" else {}
    (bits,) = tags.get(_BITS, (16,))
    most = 2**bits - 1
    if bits == 16 and image.format not in _SCALED:
        _check_depth(path, int(values.max()))
    transparent = image.info.get("transparency")
    paper = values == transparent if transparent is not None else None
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = most - values
    levels = np.round(values * (255 / most)).clip(0, 255).astype(np.uint8)
    return levels if paper is None else np.where(paper, np.uint8(255), levels)


def _check_depth(path: Path, most: int) -> None:
    """Raises if an image of 16 bits may be an image of 12 bits, or of 8.

    Args:
        path: The file, for messages.
        most: The largest value of the image. A black image has no range.
    """
    if 0 < most < 4096:
        raise InputError(
            "Each image of 16 bits should use more than 12 of them, so that "
            f"its range is known. Received: {path}, whose largest value is "
            f"{most} of 65535; convert it to 8 bits."
        )


def _has_16_bits(image: Any) -> bool:
    """Returns whether the pixels of an image that is not loaded have 16 bits.

    Pillow reduces colours to 8 bits, and shows the 16 bits only in the
    description of the data that it will decode.
    """
    return image.format not in _SCALED and any(
        ";16" in str(part[3]) for part in image.tile
    )


def _check_mode(path: Path, image: Any) -> None:
    mode, kind = image.mode, image.format
    known = (*_PLAIN, *_CONVERTED, *_ALPHA, *_SIXTEEN)
    if mode not in known and not (mode == "I" and kind in ("PNG", "PPM")):
        raise InputError(
            "Each image should have channels of 8 bits, or one channel of "
            f"unsigned 16 bits. Received: {path}, of Pillow's mode {mode} in "
            f"the format {kind}, whose range is unknown; convert it to 8 bits."
        )
    transparent = image.info.get("transparency")
    if isinstance(transparent, tuple) and max(transparent) > 255:
        # Pillow keeps 8 bits of each channel, and all 16 of this colour.
        raise InputError(
            "Each PNG with a transparent colour should have 8 bits per "
            f"channel. Received: {path}, with 16; convert it to 8 bits."
        )


def _conversions(image: Any, deep: bool) -> Iterator[str]:
    if deep or image.mode in (*_SIXTEEN, "I"):
        yield "have 16 bits (8 are kept)"
    if image.mode in _CONVERTED:
        yield f"are {image.mode} (converted to RGB)"
    if image.has_transparency_data:
        yield "have transparency (laid over white)"
    if _orientation(image) not in (None, 1):
        yield "are turned (as their EXIF data says)"
    if getattr(image, "is_animated", False):
        yield "have several frames (the first is read)"


def _orientation(image: Any) -> int | None:
    if image.format == "PNG" and "exif" not in image.info:
        # `getexif` would decode the pixels to look for it behind them.
        if not any("xif" in str(k) or "xmp" in str(k) for k in image.info):
            return None
    return image.getexif().get(_ORIENTATION)


def _opened(path: Path, file: BinaryIO) -> Any:
    """Returns an opened image, refused if it has too many pixels."""
    pillow = import_optional("PIL.Image", "files")
    try:
        image = pillow.open(file, formats=_formats())
    except pillow.DecompressionBombError:
        raise _too_large(path) from None
    limit = pillow.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise _too_large(path)
    return image


def _too_large(path: Path) -> InputError:
    pillow = import_optional("PIL.Image", "files")
    return InputError(
        f"Each image should have at most {pillow.MAX_IMAGE_PIXELS:,} pixels, "
        f"the limit of Pillow. Received: {path}, which claims more; make the "
        "image smaller."
    )


def _formats() -> list[str]:
    """Returns the formats that are read.

    A file is opened by its content: with all formats, an EPS file named x.png
    would start Ghostscript.
    """
    pillow = import_optional("PIL.Image", "files")
    pillow.init()
    return [kind for kind in pillow.OPEN if kind not in _NOT_READ]


def _check_is_file(path: Path) -> None:
    # Before it is opened: opening a named pipe waits for its writer.
    if not os.path.isfile(path):
        if os.path.islink(path) and not os.path.exists(path):
            raise OSError(0, f"a link to {os.readlink(path)}, which is missing")
        if os.path.isdir(path):
            raise OSError(0, "a folder")
        reason = "no regular file" if os.path.exists(path) else "no such file"
        raise OSError(0, reason)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turns any error of the file or of Pillow's decoders into a sentence."""
    pillow = import_optional("PIL.Image", "files")
    try:
        yield
    except InputError:
        raise
    except pillow.UnidentifiedImageError:
        reason = "its content has no image format that is read"
    except MemoryError:
        reason = "it does not fit in memory"
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
    except Exception as error:  # damaged files raise many errors in Pillow
        reason = str(error) or type(error).__name__
    else:
        return
    raise InputError(
        f"Each image should be readable. Received: {path}, which is not "
        f"({' '.join(reason.split())})."
    )
