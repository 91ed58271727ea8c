"""Figures of T, of training curves and of examples, with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from mlc_tf.errors import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The accuracies of an epoch, and what they are measured on.
ACCURACIES = {
    "test_accuracy": "test set or held-out set",
    "clean_accuracy": "clean set",
    "noisy_accuracy": "training set, given labels",
}
# Up to this many classes, each cell shows its value as text.
_MAX_CLASSES_WITH_VALUES = 12
_COLORS = "Blues"
# Height and width in pixels of a matrix drawn without axes.
_PICTURE_SIZE = 320
# The colors of 0 and 1 there, RGB.
_WHITE, _BLUE = np.array([255.0, 255, 255]), np.array([8.0, 48, 107])


def transition_figure(
    learned: np.ndarray,
    true: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Returns heat maps of a learned T and, if known, of the true T.

    Args:
        learned: T, `(classes, classes)`, rows are clean classes.
        true: The true T, in the same form. Defaults to None, not known.
        class_names: Labels of the axes. Defaults to the class ids.
    """
    matrices = {"learned T": learned}
    if true is not None:
        matrices["true T"] = true
    return matrices_figure(matrices, class_names)


def matrices_figure(
    matrices: Mapping[str, np.ndarray],
    class_names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Returns heat maps of several matrices side by side.

    Args:
        matrices: The matrices by their titles, each `(classes, classes)`; rows
            are clean classes.
        class_names: Labels of the axes. Defaults to the class ids.
        title: The title of the figure. Defaults to "", no title.

    References:
        The paper, Figure 2.
    """
    width = 5.5 * len(matrices) + 0.8
    figure = _figure(figsize=(width, 5.2), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    for ax, (name, matrix) in zip(axes, matrices.items()):
        image = heat_map(ax, matrix, class_names)
        ax.set_title(name)
    figure.colorbar(image, ax=list(axes), label="p(noisy | clean)", shrink=0.8)
    return figure


def recorded_accuracies(metrics: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the names and labels of the accuracies that a run recorded.

    Args:
        metrics: One mapping per epoch, as in `metrics.jsonl`. A run without a
            trusted set has no `clean_accuracy`.
    """
    return {
        name: label
        for name, label in ACCURACIES.items()
        if all(name in row for row in metrics)
    }


def curves_figure(
    metrics: Sequence[Mapping[str, Any]], title: str = ""
) -> Figure:
    """Returns curves of accuracy, and of the distance of T, over the epochs.

    Args:
        metrics: One mapping per epoch, as in `metrics.jsonl`, with the key
            `epoch`, keys of `ACCURACIES` (in [0, 1]) and `transition_l1`, which
            may be None.
        title: The title of the figure. Defaults to "", no title.
    """
    with_distance = any(row.get("transition_l1") is not None for row in metrics)
    figure = _figure(figsize=(11 if with_distance else 6, 4.2))
    figure.set_layout_engine("constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, 2 if with_distance else 1, squeeze=False)[0]
    epochs = [row["epoch"] for row in metrics]
    marker = "o" if len(epochs) == 1 else ""  # a single point has no line
    styles = dict(zip(ACCURACIES, ("-", "--", ":")))
    for name, label in recorded_accuracies(metrics).items():
        style = styles[name]
        values = [100 * row[name] for row in metrics]
        axes[0].plot(epochs, values, style, marker=marker, label=label)
    axes[0].set(xlabel="epoch", ylabel="accuracy, %")
    axes[0].legend()
    axes[0].grid(alpha=0.3)
    if with_distance:
        distances = [row["transition_l1"] for row in metrics]
        axes[1].plot(epochs, distances, "-o", markersize=3)
        axes[1].set(
            xlabel="epoch",
            ylabel="mean L1 distance of a row of T",
            ylim=(0, None),
        )
        axes[1].grid(alpha=0.3)
    ticker = import_optional("matplotlib.ticker", "figures")
    for ax in axes:
        whole = ticker.MaxNLocator(integer=True, min_n_ticks=1)
        ax.xaxis.set_major_locator(whole)
    return figure


def samples_figure(
    images: np.ndarray, titles: Sequence[str], wrong: np.ndarray
) -> Figure:
    """Returns images in a grid, each with a title.

    Args:
        images: `(examples, height, width, 1 or 3)`. Images that are not uint8
            are scaled from their smallest to their largest value.
        titles: One title per image.
        wrong: `(examples,)` booleans, True to write the title in red.
    """
    columns = 8
    rows = -(-len(images) // columns)
    figure = _figure(figsize=(1.6 * columns, 2.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, image, title, is_wrong in zip(axes, images, titles, wrong):
        grey = image.shape[-1] == 1
        image = to_uint8(image)
        ax.imshow(image[..., 0] if grey else image, cmap="gray")
        color = "firebrick" if is_wrong else "k"
        ax.set_title(title, fontsize=8, color=color, parse_math=False)
    return figure


def is_image(shape: Sequence[int]) -> bool:
    """Returns whether inputs of this shape, without a batch, are images."""
    return len(shape) == 3 and shape[-1] in (1, 3)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Returns an image as uint8.

    Args:
        image: An array of any shape. An image that is not uint8 is scaled so
            that its smallest value becomes 0 and its largest value 255.
    """
    if image.dtype == np.uint8:
        return image
    low, high = image.min(), image.max()
    scaled = 255 * (image - low) / (high - low or 1)
    return np.round(scaled).astype(np.uint8)


def heat_map_pixels(
    learned: np.ndarray, true: np.ndarray | None = None
) -> np.ndarray:
    """Returns a heat map of T and, if known, of the true T, as pixels.

    The heat map has no axes and no numbers, and needs no matplotlib: training
    makes it after every epoch.

    Args:
        learned: T, `(classes, classes)`, rows are clean classes.
        true: The true T, in the same form. Defaults to None, not known.

    Returns:
        `(height, width, 3)` uint8 RGB.
    """
    cell = max(1, _PICTURE_SIZE // len(learned))
    pictures = [
        _WHITE
        + (_BLUE - _WHITE) * np.kron(matrix, np.ones((cell, cell)))[..., None]
        for matrix in (learned, true)
        if matrix is not None
    ]
    gap = np.full((len(pictures[0]), _PICTURE_SIZE // 16, 3), _WHITE)
    pixels = np.hstack([*pictures[:1], gap, *pictures[1:]])
    return np.round(pixels).astype(np.uint8)


def _figure(**options: Any) -> Figure:
    module = import_optional("matplotlib.figure", "figures")
    figure: Figure = module.Figure(**options)
    return figure


def heat_map(
    ax: Axes, matrix: np.ndarray, class_names: Sequence[str] | None
) -> Any:
    """Draws a matrix with the values of its cells; returns the image.

    Args:
        ax: The axes to draw in.
        matrix: `(classes, classes)`; rows are clean classes.
        class_names: Labels of the axes, or None for the class ids.
    """
    image = ax.imshow(matrix, vmin=0, vmax=1, cmap=_COLORS)
    ax.set(xlabel="noisy label", ylabel="clean label")
    size = len(matrix)
    if size > _MAX_CLASSES_WITH_VALUES:
        return image
    names = class_names or [str(label) for label in range(size)]
    rotation = 90 if max(map(len, names)) > 2 else 0
    # A name may have dollar signs, which are no formula.
    ax.set_xticks(range(size), names, rotation=rotation, parse_math=False)
    ax.set_yticks(range(size), names, parse_math=False)
    for (row, column), value in np.ndenumerate(matrix):
        if value >= 0.005:
            ax.text(
                column,
                row,
                f"{value:.2f}".lstrip("0"),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if value > 0.5 else "black",
            )
    return image
