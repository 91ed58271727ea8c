"""The table of what each change is worth is the result files'."""

import re
import statistics

from mlc_tf.models import meta_loss_correction
from mlc_tf.run import results
from tests.support import ROOT

# These settings have no step on the noisy labels, like this one.
COMPARED = {"columns": "no_expectation", "projected": "no_expectation"}
NOISES = {"O": "flip_to_one", "U": "uniform"}


def accuracies(dataset, noise, setting):
    return [
        100 * result["test_accuracy"]
        for run, result in results.read(
            ROOT / "results" / "choices" / f"{dataset}.jsonl"
        ).items()
        if run.startswith(f"{setting}/{noise}-0.4/")
    ]


def test_the_worth_of_each_change_is_the_difference_of_its_runs():
    table = re.findall(
        r"^\| `(\w+)`((?: \| [-+.\d–]+){6}) \|$",
        meta_loss_correction.__doc__,
        re.MULTILINE,
    )
    assert len(table) == 8
    columns = [
        (dataset, noise)
        for dataset in ("digits", "mnist", "twitter")
        for noise in NOISES.values()
    ]
    for setting, cells in table:
        for (dataset, noise), cell in zip(columns, cells.split(" | ")[1:]):
            with_it = accuracies(
                dataset, noise, COMPARED.get(setting, "chosen")
            )
            without = accuracies(dataset, noise, setting)
            if not with_it or not without:
                assert cell == "–"
                continue
            worth = statistics.mean(with_it) - statistics.mean(without)
            assert cell == f"{worth:+.1f}", (setting, dataset, noise)
