"""Figures of T, of training curves and of examples, with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from mlc_tf.errors import import_optional

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Up to this many classes, each cell shows its value as text.
_MAX_CLASSES_WITH_VALUES = 12
_COLORS = "Blues"
# Height and width in pixels of a matrix drawn without axes.
_PICTURE_SIZE = 320
# The colors of 0 and 1 there, RGB.
_WHITE, _BLUE = np.array([255.0, 255, 255]), np.array([8.0, 48, 107])
_MARKERS = "osD^v<>Xph*"


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
        image = _heat_map(ax, matrix, class_names)
        ax.set_title(name)
    figure.colorbar(image, ax=list(axes), label="p(noisy | clean)", shrink=0.8)
    return figure


def curves_figure(
    metrics: Sequence[Mapping[str, Any]], title: str = ""
) -> Figure:
    """Returns curves of accuracy, and of the distance of T, over the epochs.

    Args:
        metrics: One mapping per epoch, as in `metrics.jsonl`, with the keys
            `epoch`, `test_accuracy`, `clean_accuracy`, `noisy_accuracy` (in
            [0, 1]) and `transition_l1`, which may be None.
        title: The title of the figure. Defaults to "", no title.
    """
    with_distance = any(row.get("transition_l1") is not None for row in metrics)
    figure = _figure(figsize=(11 if with_distance else 6, 4.2))
    figure.set_layout_engine("constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, 2 if with_distance else 1, squeeze=False)[0]
    epochs = [row["epoch"] for row in metrics]
    marker = "o" if len(epochs) == 1 else ""  # a single point has no line
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


def conditions_figure(
    conditions: pd.DataFrame, title: str = "", x: str = "ratio"
) -> Figure:
    """Returns curves of accuracy, one panel a noise.

    Args:
        conditions: One row per noise, method and x, with the columns noise,
            method, accuracy and deviation (in %), and x.
        title: Defaults to none.
        x: "ratio", of the noise, or "clean_examples". Defaults to "ratio".
    """
    noises = list(conditions["noise"].unique())
    figure = _figure(figsize=(4.6 * len(noises), 4.6), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, len(noises), sharey=True, squeeze=False)[0]
    styles = _method_styles(conditions)
    for ax, noise in zip(axes, noises):
        here = conditions[conditions["noise"] == noise]
        _accuracy_panel(ax, here, "method", styles, noise, x)
    axes[0].set_ylabel("test accuracy, %")
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def robustness_figure(
    conditions: pd.DataFrame, methods: tuple[str, str], title: str = ""
) -> Figure:
    """Returns two methods under all noises, and all methods under each.

    Args:
        conditions: As `conditions_figure` takes them.
        methods: The two of the first panel.
        title: Defaults to none.

    References:
        The paper, Figure 4.
    """
    noises = list(conditions["noise"].unique())
    panels = 1 + len(noises)
    figure = _figure(figsize=(4.4 * panels, 4.6), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    two = conditions[conditions["method"].isin(methods)]
    curves = two.assign(curve=two["method"] + ", " + two["noise"])
    styles = {
        f"{method}, {noise}": {**_style(number), "linestyle": line}
        for method, line in zip(methods, ("-", "--"))
        for number, noise in enumerate(noises)
    }
    _accuracy_panel(axes[0], curves, "curve", styles, " and ".join(methods))
    axes[0].legend(fontsize=7)
    styles = _method_styles(conditions)
    for ax, noise in zip(axes[1:], noises):
        here = conditions[conditions["noise"] == noise]
        _accuracy_panel(ax, here, "method", styles, noise)
    axes[0].set_ylabel("test accuracy, %")
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def bars_figure(
    values: Mapping[str, float], others: Mapping[str, float], label: str
) -> Figure:
    """Returns bars, with a mark beside each that another value is known of.

    Args:
        values: By name.
        others: The same of another source, for some of the names.
        label: Of the axis.
    """
    figure = _figure(
        figsize=(7, 1.2 + 0.45 * len(values)), layout="constrained"
    )
    ax = figure.subplots()
    bars = ax.barh(list(values), list(values.values()), label="ours")
    ax.bar_label(bars, fmt="%.2f", padding=6, fontsize=8)
    ax.plot(
        list(others.values()), list(others), "k|", markersize=16, label="paper"
    )
    ax.invert_yaxis()
    ax.set_xlabel(label)
    ax.legend(fontsize=8)
    return figure


def clean_budget_figure(sizes: pd.DataFrame, title: str = "") -> Figure:
    """Returns accuracy and distance of T over the size of the trusted set.

    Args:
        sizes: One row per method and size, with the columns method,
            clean_examples, accuracy and deviation (in %) and transition_l1.
        title: Defaults to none.
    """
    figure = _figure(figsize=(11, 4.2), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, 2)
    for method, rows in sizes.groupby("method"):
        x = rows["clean_examples"]
        axes[0].errorbar(
            x,
            rows["accuracy"],
            yerr=rows["deviation"].fillna(0),
            marker="o",
            capsize=3,
            label=method,
        )
        if rows["transition_l1"].notna().any():
            axes[1].plot(x, rows["transition_l1"], marker="o", label=method)
    axes[0].set(ylabel="test accuracy, %")
    axes[1].set(ylabel="mean L1 distance of a row of T", ylim=(0, None))
    for ax in axes:
        _set_trusted_axis(ax, sizes["clean_examples"].unique())
        ax.grid(alpha=0.3)
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
    return figure


def ratios_figure(ratios: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Returns bars of what steps take, beside cross-entropy.

    Args:
        ratios: For each network, for each variant, a mapping with `median`,
            `quartile_1` and `quartile_3`.
    """
    figure = _figure(figsize=(9, 0.9 + 1.1 * len(ratios)), layout="constrained")
    ax = figure.subplots()
    variants = [
        variant
        for variant in next(iter(ratios.values()))
        if all(variant in row for row in ratios.values())
    ]
    height = 0.8 / len(variants)
    for number, variant in enumerate(variants):
        cells = [row[variant] for row in ratios.values()]
        medians = np.array([cell["median"] for cell in cells])
        spread = [
            medians - [cell["quartile_1"] for cell in cells],
            [cell["quartile_3"] for cell in cells] - medians,
        ]
        places = (
            np.arange(len(ratios)) + (number - (len(variants) - 1) / 2) * height
        )
        bars = ax.barh(places, medians, height, xerr=spread, label=variant)
        ax.bar_label(bars, fmt="%.2f", padding=3, fontsize=7)
    ax.set_yticks(range(len(ratios)), list(ratios))
    ax.invert_yaxis()
    ax.set_xlabel("time of a step, as a multiple of cross-entropy's")
    ax.axvline(1, color="black", linewidth=0.8)
    ax.legend(fontsize=7)
    return figure


def _accuracy_panel(
    ax: Axes,
    rows: pd.DataFrame,
    curve: str,
    styles: Mapping[str, Mapping[str, Any]],
    title: str,
    x: str = "ratio",
) -> None:
    """Draws accuracy over x, a curve for each value of the column `curve`."""
    for name, style in styles.items():
        one = rows[rows[curve] == name]
        ax.errorbar(
            100 * one["ratio"] if x == "ratio" else one[x],
            one["accuracy"],
            yerr=one["deviation"].fillna(0),
            markersize=4,
            capsize=2,
            label=name,
            **style,
        )
    if x == "ratio":
        ax.set_xlabel("noise ratio, %")
    else:
        _set_trusted_axis(ax, rows[x].unique())
    ax.set_title(title)
    ax.grid(alpha=0.3)


def _set_trusted_axis(ax: Axes, sizes: Sequence[int]) -> None:
    """Makes the x-axis one of trusted examples, with a tick for each size."""
    ax.set(xlabel="trusted examples", xscale="log")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()


def _method_styles(conditions: pd.DataFrame) -> dict[str, dict[str, Any]]:
    names = enumerate(conditions["method"].unique())
    return {method: _style(number) for number, method in names}


def _style(number: int) -> dict[str, Any]:
    return {
        "marker": _MARKERS[number % len(_MARKERS)],
        "color": import_optional("matplotlib", "figures").colormaps["tab20"](
            number % 20
        ),
    }
