import numpy as np
import pandas as pd
import pytest

from mlc_tf.launch.paper import charts

CONDITIONS = pd.DataFrame(
    [
        {
            "noise": noise,
            "method": method,
            "ratio": ratio,
            "accuracy": 10 * row + column + 50 * (noise == "uniform"),
            "deviation": np.nan if column else 0.5,
            "clean_examples": round(1000 * ratio),
        }
        for noise in ("uniform", "flip_to_one")
        for row, method in enumerate(("mlc", "glc", "cross_entropy"))
        for column, ratio in enumerate((0.1, 0.4))
    ]
)


def curves(ax):
    """Returns x, y and the spread around it of each curve, by its label."""
    found = {}
    for container in ax.containers:
        line, _, (bars,) = container.lines
        ends = [segment[:, 1] for segment in bars.get_segments()]
        spread = [(high - low) / 2 for low, high in ends]
        found[container.get_label()] = (
            [float(value) for value in line.get_xdata()],
            [float(value) for value in line.get_ydata()],
            spread,
        )
    return found


def test_a_panel_for_each_noise_and_a_curve_for_each_method():
    figure = charts.conditions_figure(CONDITIONS, "a title")
    assert figure.get_suptitle() == "a title"
    for ax, noise, level in zip(
        figure.axes, ("uniform", "flip_to_one"), (50, 100)
    ):
        assert ax.get_title() == noise
        assert curves(ax) == {
            "mlc": ([10, 40], [level, level - 1], [0.5, 0]),
            "glc": ([10, 40], [level - 10, level - 11], [0.5, 0]),
            "cross_entropy": ([10, 40], [level - 20, level - 21], [0.5, 0]),
        }
    assert len(figure.axes) == 2


def test_the_error_has_a_logarithmic_axis_that_holds_all_means():
    # A perfect method has no place on it, and a wide spread does not widen it.
    rows = CONDITIONS.assign(deviation=90.0)
    rows.loc[rows.index[0], "accuracy"] = 100.0
    for figure in (
        charts.conditions_figure(rows),
        charts.robustness_figure(rows, ("mlc", "glc")),
    ):
        for ax in figure.axes:
            assert ax.get_yscale() == "log"
            low, high = ax.get_ylim()
            assert 20 < low < 29 and 100 < high < 130


def test_curves_over_the_size_of_the_trusted_set():
    figure = charts.conditions_figure(CONDITIONS, x="clean_examples")
    ax = figure.axes[1]
    assert curves(ax)["glc"] == ([100, 400], [90, 89], [0.5, 0])
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "trusted examples"
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert {*ticks} == {"100", "400"} and not len(ax.get_xticks(minor=True))


def test_two_methods_under_all_noises_and_all_under_each():
    figure = charts.robustness_figure(CONDITIONS, ("mlc", "cross_entropy"))
    first, *rest = figure.axes
    assert curves(first) == {
        "mlc, uniform": ([10, 40], [50, 49], [0.5, 0]),
        "mlc, flip_to_one": ([10, 40], [100, 99], [0.5, 0]),
        "cross_entropy, uniform": ([10, 40], [30, 29], [0.5, 0]),
        "cross_entropy, flip_to_one": ([10, 40], [80, 79], [0.5, 0]),
    }
    assert [ax.get_title() for ax in rest] == ["uniform", "flip_to_one"]
    assert curves(rest[1])["glc"] == ([10, 40], [90, 89], [0.5, 0])


def test_bars_with_the_papers_marks():
    figure = charts.bars_figure({"mlc": 70.0, "glc": 60.0}, {"glc": 65.0}, "%")
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.patches] == [70, 60]
    (marks,) = ax.lines
    assert marks.get_xdata() == [65]
    # The mark is beside the second bar, the bar of glc.
    assert ax.convert_yunits("glc") == pytest.approx(
        ax.patches[1].get_y() + ax.patches[1].get_height() / 2
    )
    assert list(marks.get_ydata()) == ["glc"]


def test_accuracy_and_distance_over_the_size():
    sizes = CONDITIONS[CONDITIONS["noise"] == "uniform"].assign(
        transition_l1=lambda rows: rows["ratio"].where(rows["method"] == "mlc")
    )
    accuracy, distance = charts.clean_budget_figure(sizes).axes
    assert curves(accuracy)["mlc"] == ([100, 400], [50, 51], [0.5, 0])
    (line,) = distance.lines
    assert line.get_label() == "mlc"
    assert [*line.get_xdata()] == [100, 400]
    assert [*line.get_ydata()] == [0.1, 0.4]


def test_bars_of_ratios_and_their_quartiles():
    def cell(median):
        quartiles = {"quartile_1": median - 0.1, "quartile_3": median + 0.2}
        return {"median": median, **quartiles}

    ratios = {
        "lenet": {"exact": cell(2.5), "fast": cell(1.25)},
        "mlp": {"exact": cell(3.0), "fast": cell(1.5), "more": cell(9.0)},
    }
    (ax,) = charts.ratios_figure(ratios).axes
    by_label = {
        container.get_label(): [bar.get_width() for bar in container]
        for container in ax.containers
        if hasattr(container, "patches")
    }
    assert by_label == {"exact": [2.5, 3.0], "fast": [1.25, 1.5]}
    (segments,) = [
        [
            [float(x) for x in segment[:, 0]]
            for segment in container.errorbar.lines[2][0].get_segments()
        ]
        for container in ax.containers
        if getattr(container, "errorbar", None)
        and container.get_label() == "fast"
    ]
    np.testing.assert_allclose(segments, [[1.15, 1.45], [1.4, 1.7]])
    assert [text.get_text() for text in ax.get_yticklabels()] == [*ratios]


def test_t_and_the_suspects_stand_side_by_side():
    def suspect(suggested, right):
        image = np.arange(16.0).reshape(4, 4, 1)
        return charts.Suspect(image, "7", suggested, right)

    figure = charts.first_look_figure(
        {"learned": np.eye(2), "true": np.eye(2)},
        [suspect("2", False), suspect("1", True), suspect("3", True)],
    )
    titles = {
        ax.get_title(): ax.title.get_color() for ax in figure.axes if ax.images
    }
    assert [*titles] == [
        *("learned", "true"),
        *(f"given 7\nsuggested {name}" for name in "123"),
    ]
    assert [*titles.values()][2:] == ["darkgreen", "firebrick", "darkgreen"]
