"""Pictures as data URIs, for a page that is a single file."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mlc_tf.errors import import_optional
from mlc_tf.run import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The background of figures, and of the page's areas that show them.
LIGHT, DARK = "#ffffff", "#1d2024"
# Images up to this height and width are enlarged without smoothing.
SMALL = 64
# Larger images are reduced to this size: a card shows no more pixels.
_LARGEST = 224


def figure_uris(make: Callable[[], Figure]) -> dict[str, str]:
    """Returns two data URIs of a figure, as SVG: `light` and `dark`.

    Args:
        make: Draws the figure. It is called once per background.
    """
    return {
        "light": _drawn(make, "default", LIGHT),
        "dark": _drawn(make, "dark_background", DARK),
    }


def image_uri(image: np.ndarray) -> str:
    """Returns the data URI of an image, as PNG.

    Args:
        image: `(height, width, 1 or 3)`. An image that is not uint8 is scaled
            by `figures.to_uint8`.
    """
    pillow = import_optional("PIL.Image", "audit")
    pixels = figures.to_uint8(image)
    grey = pixels.shape[-1] == 1
    picture = pillow.fromarray(pixels[..., 0] if grey else pixels)
    picture.thumbnail((_LARGEST, _LARGEST))
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return _data_uri("image/png", content)


def _drawn(make: Callable[[], Figure], name: str, ground: str) -> str:
    matplotlib = import_optional("matplotlib", "audit")
    style = import_optional("matplotlib.style", "audit")
    content = io.BytesIO()
    # A fixed salt and no date, so that the same figure gives the same text.
    with (
        style.context(name),
        matplotlib.rc_context(
            {
                "axes.facecolor": ground,
                "figure.facecolor": ground,
                "savefig.facecolor": ground,
                "svg.hashsalt": "mlc_tf",
            }
        ),
    ):
        make().savefig(content, format="svg", metadata={"Date": None})
    return _data_uri("image/svg+xml", content)


def _data_uri(kind: str, content: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
