"""Drawings of T and of training, with matplotlib."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Up to this many classes each cell also shows its value.
_MAX_CLASSES_WITH_VALUES = 12
_COLORS = "Blues"
# Height and width of a matrix drawn without axes.
_PICTURE_SIZE = 320


def transition_figure(
    learned: np.ndarray,
    true: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Returns heat maps of a learned T and, beside it, of the true one.

    Args:
        learned: `(classes, classes)`, rows are clean classes.
        true: The same, or None where it is not known.
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
        matrices: `(classes, classes)` each, by the name above it; rows are
            clean classes.
        class_names: Labels of the axes. Defaults to the class ids.
        title: Defaults to none.

    References:
        The paper, Figure 2.
    """
    width = 5.5 * len(matrices) + 0.8
    figure = Figure(figsize=(width, 5.2), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    for ax, (name, matrix) in zip(axes, matrices.items()):
        image = _heat_map(ax, matrix, class_names)
        ax.set_title(name)
    figure.colorbar(image, ax=list(axes), label="p(noisy | clean)", shrink=0.8)
    return figure


def curves_figure(
    metrics: Sequence[Mapping[str, Any]], title: str = ""
) -> Figure:
    """Returns curves of accuracy and of the distance of T over the epochs.

    Args:
        metrics: One mapping an epoch, as in `metrics.jsonl`; in each
            `test_accuracy`, `clean_accuracy`, `noisy_accuracy` (shares) and
            `transition_l1`, which may be None.
        title: Defaults to none.
    """
    with_distance = any(row.get("transition_l1") is not None for row in metrics)
    figure = Figure(figsize=(11 if with_distance else 6, 4.2))
    figure.set_layout_engine("constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, 2 if with_distance else 1, squeeze=False)[0]
    epochs = [row["epoch"] for row in metrics]
    marker = "o" if len(epochs) == 1 else ""  # no line goes through one
    for name, label, style in (
        ("test_accuracy", "held-out set, true labels", "-"),
        ("clean_accuracy", "clean set", "--"),
        ("noisy_accuracy", "training set, given labels", ":"),
    ):
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
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def samples_figure(
    images: np.ndarray, titles: Sequence[str], wrong: np.ndarray
) -> Figure:
    """Returns images in a grid, each below its title, wrong ones marked.

    Args:
        images: `(examples, height, width, 1 or 3)`; scaled from the least to
            the largest value unless they are uint8.
        titles: One per image.
        wrong: `(examples,)` whether the title is written in red.
    """
    columns = 8
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.6 * columns, 2.0 * rows), layout="constrained")
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
    """Returns whether inputs of a shape are pictures."""
    return len(shape) == 3 and shape[-1] in (1, 3)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Returns an image as uint8.

    Args:
        image: Any shape; scaled from the least to the largest value unless it
            is uint8.
    """
    if image.dtype == np.uint8:
        return image
    low, high = image.min(), image.max()
    scaled = 255 * (image - low) / (high - low or 1)
    return np.round(scaled).astype(np.uint8)


def heat_map_pixels(
    learned: np.ndarray, true: np.ndarray | None = None
) -> np.ndarray:
    """Returns T and, beside it, the true one as plain pixels, uint8 RGBA.

    Without axes or numbers, and so in a few milliseconds: for each epoch.

    Args:
        learned: `(classes, classes)`, rows are clean classes.
        true: The same, or None where it is not known.
    """
    cell = max(1, _PICTURE_SIZE // len(learned))
    pictures = [
        colormaps[_COLORS](np.kron(matrix, np.ones((cell, cell))), bytes=True)
        for matrix in (learned, true)
        if matrix is not None
    ]
    gap = np.full((len(pictures[0]), _PICTURE_SIZE // 16, 4), 255, np.uint8)
    return np.hstack([*pictures[:1], gap, *pictures[1:]])


def _heat_map(
    ax: Axes, matrix: np.ndarray, class_names: Sequence[str] | None
) -> Any:
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
