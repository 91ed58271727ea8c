"""Charts for the paper's tables and figures, with matplotlib."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from matplotlib.ticker import NullFormatter
from matplotlib.ticker import StrMethodFormatter

from mlc_tf.run import figures

_LINES = ("-", "--", ":", "-.")
_MARKERS = "osD^v<>Xph*"
# The method that the others are compared with stands out.
_OURS = {"color": "black", "linewidth": 2.5, "markersize": 6, "zorder": 3}
# The space above and below the curves, as a factor.
_MARGIN = 1.25


def conditions_figure(
    conditions: pd.DataFrame, title: str = "", x: str = "ratio"
) -> Figure:
    """Returns curves of the error, with one panel for each noise.

    The axis of the error is logarithmic: on an axis of the accuracy the curves
    of methods that are right nearly always would be one line.

    Args:
        conditions: One row per noise, method and x, with the columns noise,
            method, accuracy and deviation (in %), and x.
        title: The title of the figure. Defaults to none.
        x: "ratio", the noise ratio, or "clean_examples". Defaults to "ratio".
    """
    noises = list(conditions["noise"].unique())
    figure = Figure(figsize=(4.6 * len(noises), 4.6), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, len(noises), sharey=True, squeeze=False)[0]
    styles = _method_styles(conditions)
    for ax, noise in zip(axes, noises):
        rows_of_noise = conditions[conditions["noise"] == noise]
        _error_panel(ax, rows_of_noise, "method", styles, noise, x)
    _set_error_axis(axes, conditions)
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def robustness_figure(
    conditions: pd.DataFrame, methods: tuple[str, str], title: str = ""
) -> Figure:
    """Returns two methods under all noises, then all methods under each noise.

    Args:
        conditions: As `conditions_figure` takes them.
        methods: The names of the two methods in the first panel.
        title: The title of the figure. Defaults to none.

    References:
        The paper, Figure 4.
    """
    noises = list(conditions["noise"].unique())
    panels = 1 + len(noises)
    figure = Figure(figsize=(4.4 * panels, 4.6), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    two = conditions[conditions["method"].isin(methods)]
    curves = two.assign(curve=two["method"] + ", " + two["noise"])
    styles = {
        f"{method}, {noise}": {**_style(number), "linestyle": line}
        for method, line in zip(methods, ("-", "--"))
        for number, noise in enumerate(noises)
    }
    _error_panel(axes[0], curves, "curve", styles, " and ".join(methods))
    axes[0].legend(fontsize=7)
    styles = _method_styles(conditions)
    for ax, noise in zip(axes[1:], noises):
        rows_of_noise = conditions[conditions["noise"] == noise]
        _error_panel(ax, rows_of_noise, "method", styles, noise)
    _set_error_axis(axes, conditions)
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def bars_figure(
    values: Mapping[str, float], references: Mapping[str, float], label: str
) -> Figure:
    """Returns bars, with a mark at the value of another source.

    Args:
        values: The lengths of the bars, by name.
        references: Values of the other source, for some of the names.
        label: The label of the axis.
    """
    figure = Figure(figsize=(7, 1.2 + 0.45 * len(values)), layout="constrained")
    ax = figure.subplots()
    bars = ax.barh(list(values), list(values.values()), label="ours")
    ax.bar_label(bars, fmt="%.2f", padding=6, fontsize=8)
    ax.plot(
        list(references.values()),
        list(references),
        "k|",
        markersize=16,
        label="paper",
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
        title: The title of the figure. Defaults to none.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
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


@dataclass(frozen=True)
class Suspect:
    """An image whose label looks wrong.

    Attributes:
        image: `(height, width, 1 or 3)`.
        given: The name of its given class.
        suggested: The name of the class that the audit suggests.
        right: Whether the suggested class is the true class.
    """

    image: np.ndarray
    given: str
    suggested: str
    right: bool


def first_look_figure(
    matrices: Mapping[str, np.ndarray], suspects: Sequence[Suspect]
) -> Figure:
    """Returns heat maps of T and, beside them, images with suspicious labels.

    Args:
        matrices: Each T by its title, `(classes, classes)`.
        suspects: The images, sorted by the suggested class in the figure.
    """
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    parts = figure.subfigures(1, 2, width_ratios=(1.35, 1))
    axes = parts[0].subplots(1, len(matrices), squeeze=False)[0]
    for ax, (title, matrix) in zip(axes, matrices.items()):
        figures.heat_map(ax, matrix, None)
        ax.set_title(title)
    rows, columns = 2, -(-len(suspects) // 2)
    grid = parts[1].subplots(rows, columns, squeeze=False).ravel()
    for ax in grid:
        ax.axis("off")
    in_order = sorted(suspects, key=lambda suspect: suspect.suggested)
    for ax, suspect in zip(grid, in_order):
        grey = suspect.image.shape[-1] == 1
        image = figures.to_uint8(suspect.image)
        ax.imshow(image[..., 0] if grey else image, cmap="gray")
        ax.set_title(
            f"given {suspect.given}\nsuggested {suspect.suggested}",
            fontsize=9,
            color="darkgreen" if suspect.right else "firebrick",
            parse_math=False,
        )
    parts[1].suptitle("Most suspicious label of each class", fontsize=10)
    return figure


def ratios_figure(ratios: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Returns bars of the time of a step, relative to cross-entropy.

    Args:
        ratios: The `median`, `quartile_1` and `quartile_3` of a ratio, by the
            name of the network and the name of the variant.
    """
    figure = Figure(figsize=(9, 0.9 + 1.1 * len(ratios)), layout="constrained")
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


def _error_panel(
    ax: Axes,
    rows: pd.DataFrame,
    curve: str,
    styles: Mapping[str, Mapping[str, Any]],
    title: str,
    x: str = "ratio",
) -> None:
    """Draws the error over x, with a curve for each value of column `curve`."""
    for name, style in styles.items():
        points = rows[rows[curve] == name]
        ax.errorbar(
            100 * points["ratio"] if x == "ratio" else points[x],
            100 - points["accuracy"],
            yerr=points["deviation"].fillna(0),
            capsize=2,
            label=name,
            **style,
        )
    if x == "ratio":
        ax.set_xlabel("noise ratio, %")
        ax.set_xticks(np.unique(100 * rows["ratio"]))
    else:
        _set_trusted_axis(ax, rows[x].unique())
    ax.set_title(title)
    ax.grid(alpha=0.3)


def _set_error_axis(axes: Sequence[Axes], conditions: pd.DataFrame) -> None:
    """Makes the shared axis of the error logarithmic, around the means."""
    errors = (100 - conditions["accuracy"]).replace(0, np.nan)
    axes[0].set(
        ylabel="test error, % (logarithmic)",
        yscale="log",
        ylim=(errors.min() / _MARGIN, errors.max() * _MARGIN),
    )
    axis = axes[0].yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _set_trusted_axis(ax: Axes, sizes: Sequence[int]) -> None:
    """Labels the x-axis for trusted examples, with a tick for each size."""
    ax.set(xlabel="trusted examples", xscale="log")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()


def _method_styles(conditions: pd.DataFrame) -> dict[str, dict[str, Any]]:
    names = enumerate(conditions["method"].unique())
    return {
        method: _style(number) | (_OURS if method == "mlc" else {})
        for number, method in names
    }


def _style(number: int) -> dict[str, Any]:
    return {
        "marker": _MARKERS[number % len(_MARKERS)],
        "color": colormaps["tab10"](number % 10),
        "linestyle": _LINES[number // 10 % len(_LINES)],
        "markersize": 4,
        "linewidth": 1.2,
        "elinewidth": 0.8,
    }
