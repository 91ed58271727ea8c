"""What the README claims, held by the result files."""

from pathlib import Path

import pytest

from mlc_tf import report

RESULTS = report.load_results(Path(__file__).parents[1] / "results")


def rows(dataset):
    found = report.summarize(RESULTS, dataset, "flip_to_one", 0.4)
    return {row.method: row for row in found}


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
def test_mlc_beats_its_baselines_over_three_seeds(dataset):
    found = rows(dataset)
    for baseline in ("cross_entropy", "ce_control"):
        assert found["mlc"].seeds == found[baseline].seeds == 3
        assert found["mlc"].accuracy > found[baseline].accuracy + 10


def test_digits_gain_fifteen_points():
    found = rows("digits")
    assert found["mlc"].accuracy >= found["cross_entropy"].accuracy + 15


def test_mnist_reaches_the_paper_and_half_the_distance_of_the_identity():
    mlc = rows("mnist")["mlc"]
    assert mlc.accuracy >= 97.4
    assert mlc.transition_l1 <= 0.8 / 2
