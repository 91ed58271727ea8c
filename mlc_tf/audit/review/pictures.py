"""Pictures as text, so that a page of one file holds them."""

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

# What figures are drawn on, and thus what the page shows them on.
LIGHT, DARK = "#ffffff", "#1d2024"
# Up to this height and width pixels are shown as squares.
SMALL = 64
# Larger pictures than a card shows would only make the page larger.
_LARGEST = 224


def of_figure(make: Callable[[], Figure]) -> dict[str, str]:
    """Returns data URIs of a figure, SVG: `light` and `dark`.

    Args:
        make: Draws it, once for each.
    """
    return {
        "light": _drawn(make, "default", LIGHT),
        "dark": _drawn(make, "dark_background", DARK),
    }


def of_input(image: np.ndarray) -> str:
    """Returns the data URI of an image, PNG.

    Args:
        image: `(height, width, 1 or 3)`, as `figures.to_uint8` takes it.
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
    # With a salt and without a date, the same figure is the same text.
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
