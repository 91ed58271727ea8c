import numpy as np
import pytest

from mlc_tf.errors import InputError
from mlc_tf.launch.paper import documents
from mlc_tf.launch.paper import studies
from mlc_tf.launch.paper import summaries
from mlc_tf.launch.paper import tables
from mlc_tf.run import comparison
from mlc_tf.run import results as result_files
from tests.support import ROOT


def result(method, seed, accuracy, **changes):
    return {
        "dataset": "mnist",
        "noise": "flip_to_one",
        "ratio": 0.4,
        "method": method,
        "seed": seed,
        "oracle": method == "true_forward",
        "evaluated_on": "test",
        "test_accuracy": accuracy,
        "best_clean_accuracy_test_accuracy": accuracy + 0.01,
        "best_test_accuracy": accuracy + 0.02,
        "transition_l1": 0.3 if method == "mlc" else None,
        **changes,
    }


RESULTS = [
    result("cross_entropy", 0, 0.7),
    result("mlc", 0, 0.97),
    result("mlc", 1, 0.95),
    result("true_forward", 0, 0.98),
    result("mlc", 0, 0.1, ratio=0.2),
    result("mlc", 0, 0.2, evaluated_on="validation"),
]
WHERE = "mnist", "flip_to_one", 0.4


def write(path, results, runs=None):
    """Writes results, with the names of their runs or with numbers."""
    runs = runs or [f"{index}" for index in range(len(results))]
    result_files.write(
        path, [{"run": run, **result} for run, result in zip(runs, results)]
    )


def test_rows_are_means_over_seeds_in_the_order_of_the_methods():
    rows = comparison.summarize(RESULTS, *WHERE)
    assert [row.method for row in rows] == [
        "mlc",
        "cross_entropy",
        "true_forward",
    ]
    mlc = rows[0]
    np.testing.assert_allclose(
        [mlc.accuracy, mlc.deviation, mlc.best_test],
        [96, np.sqrt(2), 98],
    )
    assert (mlc.seeds, mlc.transition_l1) == (2, 0.3)
    assert mlc.accuracies == {0: 97, 1: 95}
    assert rows[1].deviation is None and rows[1].transition_l1 is None


def test_validation_results_are_kept_apart():
    (row,) = comparison.summarize(RESULTS, *WHERE, evaluated_on="validation")
    assert row.accuracy == 20


def test_two_results_of_a_seed_are_refused():
    with pytest.raises(InputError, match="two of mlc with seed 0"):
        comparison.summarize([RESULTS[1], RESULTS[1]], *WHERE)


def test_the_table_marks_oracles_and_the_paper():
    rows = comparison.summarize(RESULTS, *WHERE)
    table = tables.methods_table(rows, *WHERE)
    assert "| `mlc` | **96.00 ± 1.41** | – | 98.00 | 0.300 | 2 | – |" in table
    # One seed shows nothing, and an oracle is not compared in bold.
    assert "| `cross_entropy` | 70.00 | -27.00 | 72.00 | – | 1 |" in table
    assert "| `true_forward` † | 98.00 | +1.00 |" in table
    assert "no user has: `true_forward` the true T." in table
    assert "| 84.68 |" in table
    alone = comparison.markdown_table(rows).splitlines()
    for line, longer in zip(alone[:5], table.splitlines(), strict=False):
        assert line == longer.rpartition("|")[0].rpartition("|")[0] + "|"


def test_fill_tables_renews_the_text_between_the_marks(tmp_path):
    write(tmp_path / "mnist.jsonl", RESULTS[:3])
    write(
        tmp_path / "choices/mnist.jsonl",
        [result("mlc", 0, 0.5, evaluated_on="validation")],
        ["bold/flip_to_one-0.4/mlc-seed0"],
    )
    text = (
        "before\n<!-- table: mnist flip_to_one 0.4 -->\nold\n"
        "<!-- end of table -->\nbetween\n"
        "<!-- choices: mnist flip_to_one 0.4 -->\n<!-- end of table -->\nafter"
    )
    filled = documents.fill_tables(text, tmp_path)
    assert "\nold\n" not in filled and "| `mlc` | **96.00 ± 1.41** |" in filled
    assert "| `bold` | 50.00 | 0.300 | 1 |" in filled
    assert filled.startswith("before\n") and filled.endswith("-->\nafter")
    assert documents.fill_tables(filled, tmp_path) == filled


def test_a_mark_without_results_is_refused(tmp_path):
    text = "<!-- table: mnist uniform 0.4 -->\n<!-- end of table -->"
    with pytest.raises(InputError, match="a folder with results in mnist.js"):
        documents.fill_tables(text, tmp_path)
    write(tmp_path / "mnist.jsonl", RESULTS)
    with pytest.raises(InputError, match="`results` should be found for"):
        documents.fill_tables(text, tmp_path)


def test_a_result_is_quoted_as_it_is(tmp_path):
    write(tmp_path / "benchmark.jsonl", [{"what": 1}], ["a"])
    marks = "<!-- result: benchmark a -->\n{}<!-- end of result -->"
    filled = documents.fill_tables(marks.format("old"), tmp_path)
    assert filled == marks.format('\n```json\n{\n  "what": 1\n}\n```\n\n')
    with pytest.raises(InputError, match="`b of benchmark.jsonl` should"):
        documents.fill_tables(marks.replace(" a ", " b "), tmp_path)


def ratio(median):
    return {
        "median": median,
        "quartile_1": median - 0.5,
        "quartile_3": median + 0.25,
    }


def test_ratios_of_several_networks_are_a_row_each(tmp_path):
    contents = [
        {"network": network, "ratios": {"exact": ratio(exact)}}
        for network, exact in (("lenet", 3.0), ("wide", 2.5))
    ]
    names = ["step-lenet", "step-wide"]
    write(tmp_path / "benchmark.jsonl", [*contents, {}], [*names, "other"])
    marks = "<!-- benchmark: step-* ratios -->\n{}<!-- end of table -->"
    expected = (
        "\n|  | exact |\n| --- | --- |\n"
        "| lenet | 3.00 (2.50–3.25) |\n| wide | 2.50 (2.00–2.75) |\n\n"
    )
    filled = documents.fill_tables(marks.format("old\n"), tmp_path)
    assert filled == marks.format(expected)
    with pytest.raises(InputError, match=r"`benchmark` = 'no-\*'"):
        tables.benchmark_table({}, "no-*", "ratios")


def test_a_result_may_hold_its_rows():
    rows = {
        "10": {"expected": 1, "measured": ratio(1.0)},
        "100": {"expected": 0.5},
    }
    recorded = {"a": {"network": "n", "key": rows}}
    assert tables.benchmark_table(recorded, "a", "key").splitlines()[2:] == [
        "| 10 | 1 | 1.00 (0.50–1.25) |",
        "| 100 | 0.50 | – |",
    ]


def test_a_benchmark_without_the_key_is_refused(tmp_path):
    content = {"network": "same", "key": {"exact": ratio(1.0)}, "cost": {}}
    recorded = {"a": content, "b": content}
    with pytest.raises(InputError, match=r"rows of \*"):
        tables.benchmark_table(recorded, "*", "key")
    with pytest.raises(InputError, match="`ky of a` should"):
        tables.benchmark_table(recorded, "a", "ky")
    write(tmp_path / "benchmark.jsonl", [content], ["a"])
    text = "<!-- costs: a -->\n| `mlc` | what | |\n<!-- end of table -->"
    with pytest.raises(InputError, match="the cost of mlc"):
        documents.fill_tables(text, tmp_path)


def test_costs_are_the_last_column_of_a_table_of_methods(tmp_path):
    costs = {"cost": {"mlc": ratio(1.26), "glc": ratio(2.0)}}
    write(tmp_path / "benchmark.jsonl", [costs], ["a"])
    text = (
        "| `mlc` | before | 9 |\n<!-- costs: a -->\n| method | what | |\n"
        "| `mlc` | with `code` | {} |\n| `glc` | what | {} |\n"
        "<!-- end of table -->\n| `glc` | after | 9 |\n"
    )
    filled = documents.fill_tables(text.format("old", ""), tmp_path)
    assert filled == text.format("1.3", "2.0")
    with pytest.raises(InputError, match="`b of benchmark.jsonl` should"):
        documents.fill_tables(text.replace(": a ", ": b "), tmp_path)


# The documents that have tables, whatever others get some.
TABLES = [
    "README.md",
    "BUILD_NOTES.md",
    "docs/explanation/methods.md",
    "docs/how_to/trusted_labels.md",
    *(
        f"docs/results/{name}.md"
        for name in (
            *("benchmarks", "index", "methods", "paper"),
            *("settings", "studies"),
        )
    ),
]


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            *TABLES,
            *(
                str(path.relative_to(ROOT))
                for path in documents.with_marks(ROOT)
            ),
        }
    ),
)
def test_the_documents_have_the_numbers_of_the_results(name):
    text = (ROOT / name).read_text()
    assert "<!-- end of " in text
    assert documents.fill_tables(text, ROOT / "results") == text


def test_documents_with_marks_are_found(tmp_path):
    marked = "<!-- campaign: chaos -->\n<!-- end of table -->"
    (tmp_path / "docs/part").mkdir(parents=True)
    for name, text in {
        "README.md": marked,
        "plain.md": "text",
        "other.txt": marked,
        "docs/part/page.md": marked,
    }.items():
        (tmp_path / name).write_text(text)
    assert documents.with_marks(tmp_path) == [
        tmp_path / "README.md",
        tmp_path / "docs/part/page.md",
    ]


def test_a_campaign_is_summed_up(tmp_path):
    def campaign(method, damages, other_bits):
        return {
            "method": method,
            "interval": 7,
            "runs": 3,
            "runs_with_other_bits": other_bits,
            "kills": [{}] * 5,
            "damages": [{"steps_lost": lost} for lost in damages],
        }

    write(
        tmp_path / "chaos.jsonl",
        [
            campaign("mlc", [4, 7, 6], 0),
            campaign("glc", [], 1),
            campaign("gce", [], 0),
        ],
    )
    document = "<!-- campaign: chaos -->\nold\n<!-- end of table -->"
    filled = documents.fill_tables(document, tmp_path)
    assert "| `mlc` | 5 | 3 | 7 of 7 | 0 of 3 |" in filled
    assert "| 2 other methods | 10 | 0 | – | 1 of 6 |" in filled
    assert "old" not in filled


def test_versions_and_how_their_tests_ended(tmp_path):
    outcome = {"passed": 1200, "failed": 0, "skipped": 3, "stopped": False}
    failed = {"passed": 70, "failed": 5, "skipped": 0, "stopped": True}
    versions = {
        "python": "3.11.7",
        "tensorflow": "2.21.0",
        "date": "2026-1-2",
    }
    write(
        tmp_path / "matrix.jsonl",
        [
            {**versions, "keras": "3.14.1", **failed},
            {**versions, "keras": "3.15.0", **outcome},
        ],
    )
    mark = "<!-- versions: matrix -->\n{}<!-- end of table -->"
    assert documents.fill_tables(mark.format("old\n"), tmp_path) == mark.format(
        "\n| Python | TensorFlow | Keras | passed | failed | skipped | date |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| 3.11.7 | 2.21.0 | 3.14.1 | – | at least 5 | – | 2026-1-2 |\n"
        "| 3.11.7 | 2.21.0 | 3.15.0 | 1,200 | 0 | 3 | 2026-1-2 |\n\n"
    )


def test_the_lines_that_tests_run(tmp_path):
    write(
        tmp_path / "coverage.jsonl",
        [{"run": "mlc_tf.audit", "lines": 1600, "covered": 1520}],
    )
    mark = "<!-- coverage: coverage -->\n{}<!-- end of table -->"
    filled = documents.fill_tables(mark.format("old\n"), tmp_path)
    assert "| `mlc_tf.audit` | 1,600 | 95.0 |\n" in filled


def test_an_unknown_mark_is_refused(tmp_path):
    text = "<!-- tabel: mnist uniform 0.4 -->\n<!-- end of table -->"
    with pytest.raises(InputError, match="Did you mean 'table'"):
        documents.fill_tables(text, tmp_path)


@pytest.mark.parametrize(
    "mark, message",
    [
        ("table: mnist uniform", "The mark of table should have all of its"),
        ("table: mnist uniform 0.4 more", "should have all of its arguments"),
        ("table: mnist uniform x", "`ratio` should be a number, or -"),
        ("choices: mnist uniform 0.4", "`choices` should be found for"),
        ("tuning: mnist mlc", "a folder with results in tuning/mnist.jsonl"),
        ("own_settings: mnist", "a folder with results in tuning/mnist.jsonl"),
        ("costs: other", "a folder with results in benchmark.jsonl"),
    ],
)
def test_a_wrong_mark_is_refused(tmp_path, mark, message):
    for name in ("mnist", "choices/mnist"):
        write(tmp_path / f"{name}.jsonl", RESULTS[:1])
    text = f"<!-- {mark} -->\n<!-- end of table -->"
    with pytest.raises(InputError, match=message):
        documents.fill_tables(text, tmp_path)


def test_all_that_are_not_worse_than_the_best_are_bold():
    accuracies = {
        "mlc": (0.98, 0.96, 0.97),
        "glc": (0.97, 0.975, 0.96),  # better once, worse twice
        "forward": (0.97, 0.95, 0.96),  # worse by the same at each seed
        "lre": (0.99,),  # one seed shows nothing
        "true_forward": (0.99, 0.99, 0.99),
    }
    conditions = summaries.by_condition(
        [
            result(name, seed, value)
            for name, values in accuracies.items()
            for seed, value in enumerate(values)
        ],
        "mnist",
    )
    for table in (
        tables.conditions_table(conditions),
        tables.means_table({"mnist": conditions}),
    ):
        bold = [line for line in table.splitlines() if "**" in line]
        assert [line.split("`")[1] for line in bold] == ["mlc", "glc"]
    lines = tables.conditions_table(conditions).splitlines()
    (forward,) = [line for line in lines if "`forward`" in line]
    assert "| -1.00 [-1.00, -1.00] | 3 |" in forward


def test_trusted_sets_of_several_sizes(tmp_path):
    write(
        tmp_path / "clean_budget/mnist.jsonl",
        [
            result("mlc", 0, 0.9, clean_examples=100, transition_l1=0.2),
            result("mlc", 1, 0.8, clean_examples=100, transition_l1=0.4),
            result("mlc", 0, 0.7, clean_examples=20, transition_l1=0.5),
            result("fine_tune", 0, 0.6, clean_examples=20),
            result("mlc", 0, 0.1, clean_examples=20, noise="uniform"),
            result("mlc", 0, 0, clean_examples=20, evaluated_on="validation"),
        ],
    )
    marks = "<!-- clean_budget: {} -->\n{}<!-- end of table -->"
    where = " ".join(map(str, WHERE))
    filled = documents.fill_tables(marks.format(where, "old\n"), tmp_path)
    assert filled == marks.format(
        where,
        "\n| trusted examples | `fine_tune`, % | `mlc`, % "
        "| distance of T, `mlc` |\n| --- | --- | --- | --- |\n"
        "| 20 | 60.00 | 70.00 | 0.500 |\n"
        "| 100 | – | 85.00 ± 7.07 | 0.300 |\n\n",
    )
    with pytest.raises(InputError, match="`results` should be found for"):
        documents.fill_tables(marks.format("mnist pair 0.4", ""), tmp_path)


def test_two_results_of_a_size_and_seed_are_refused():
    twice = [result("mlc", 0, 0.9, clean_examples=100)] * 2
    with pytest.raises(InputError, match="two of mlc with 100 trusted exam"):
        summaries.by_clean_examples(twice, *WHERE)


def test_label_issues_are_averaged_over_seeds(tmp_path):
    def study(seed, score, accuracy):
        found = {"auroc": score, "average_precision": score / 2}
        return {
            "dataset": "digits",
            "noise": "uniform",
            "ratio": 0.4,
            "seed": seed,
            "method": "mlc",
            "audit": found,
            "network_alone": {"auroc": 0.6, "average_precision": 0.3},
            "cleanlab": {"auroc": 0.5, "average_precision": 0.25},
            "cross_entropy": {
                name: {"test_accuracy": accuracy + more}
                for name, more in (
                    ("given", 0),
                    ("audit", 0.2),
                    ("cleanlab", 0.1),
                )
            },
            "clean_set": {"auroc": 0.95, "average_precision": 0.9},
        }

    write(tmp_path / "issues.jsonl", [study(0, 0.8, 0.5), study(1, 0.9, 0.6)])
    marks = "<!-- label_issues: issues -->\n{}<!-- end of table -->"
    filled = documents.fill_tables(marks.format("old\n"), tmp_path)
    assert filled.splitlines()[-2] == ""
    assert filled.splitlines()[-3] == (
        "| digits, uniform 0.4, `mlc` | 0.8500 | 0.6000 | 0.5000 | 0.4250 "
        "| 0.2500 | 55.00 ± 7.07 | 75.00 ± 7.07 | 65.00 ± 7.07 | 0.9500 | 2 |"
    )
    human_noise = {**study(0, 0.8, 0.5), "noise": "human:worst", "ratio": None}
    human_noise["clean_set"] = None
    result_files.write(tmp_path / "issues.jsonl", [{"run": "2", **human_noise}])
    renewed = documents.fill_tables(marks.format("old\n"), tmp_path)
    (line,) = [line for line in renewed.splitlines() if "human" in line]
    assert line.startswith("| digits, human:worst, `mlc` | 0.8000 |")
    assert line.endswith("| – | 1 |")
    with pytest.raises(InputError, match="results in none.jsonl"):
        documents.fill_tables(marks.replace(": issues", ": none"), tmp_path)


CONDITIONS = [
    result("mlc", 0, 0.98, ratio=0.1, transition_l1=0.1),
    result("mlc", 1, 0.96, ratio=0.1, transition_l1=0.3),
    result("mlc", 0, 0.95, noise="uniform", ratio=0.1, transition_l1=0.4),
    result("glc", 0, 0.90, ratio=0.1, transition_l1=0.5),
    result("cross_entropy", 0, 0.97, ratio=0.1),
    result("cross_entropy", 0, 0.94, noise="uniform", ratio=0.1),
    result("true_forward", 0, 0.99, ratio=0.1),
    result("true_forward", 0, 0.98, noise="uniform", ratio=0.1),
]


def test_conditions_are_in_the_order_of_the_table():
    conditions = summaries.by_condition([*CONDITIONS, *RESULTS[-1:]], "mnist")
    assert conditions["noise"].tolist() == ["uniform"] * 3 + ["flip_to_one"] * 4
    mlc = conditions[conditions["method"] == "mlc"]
    np.testing.assert_allclose(mlc["accuracy"], [95, 97])
    np.testing.assert_allclose(mlc["deviation"], [np.nan, np.sqrt(2)])
    with pytest.raises(InputError, match="found for twitter"):
        summaries.by_condition(CONDITIONS, "twitter")


def test_conditions_and_their_mean_stand_in_the_table():
    conditions = summaries.by_condition(CONDITIONS, "mnist")
    lines = tables.conditions_table(conditions).splitlines()
    assert (
        lines[0] == "| method | U 0.1 | O 0.1 | mean | less the best mean | "
        "seeds |"
    )
    assert lines[2:6] == [
        # Only seed 0 has both conditions.
        "| `mlc` | 95.00 | 97.00 ± 1.41 | 96.50 | – | 1–2 |",
        "| `cross_entropy` | 94.00 | 97.00 | 95.50 | -1.00 | 1 |",
        "| `true_forward` † | 98.00 | 99.00 | 98.50 | +2.00 | 1 |",
        # A method without all conditions has no mean.
        "| `glc` | – | 90.00 | – | – | 1 |",
    ]
    assert lines[-1].endswith("no user has: `true_forward` the true T.")


def test_a_method_is_compared_with_all_others_by_noise(tmp_path):
    write(
        tmp_path / "mnist.jsonl",
        [
            result("mlc", 0, 0.95, noise="uniform", ratio=0.1),
            result("mlc", 1, 0.96, noise="uniform", ratio=0.1),
            result("mlc", 0, 0.90, ratio=0.1),
            result("glc", 0, 0.94, noise="uniform", ratio=0.1),
            result("glc", 1, 0.93, noise="uniform", ratio=0.1),
            result("glc", 0, 0.92, ratio=0.1),
            result("lre", 5, 0.92, ratio=0.1),
        ],
    )
    mark = "<!-- differences: mnist mlc -->\n<!-- end of differences -->"
    lines = documents.fill_tables(mark, tmp_path).splitlines()
    assert lines[2] == "| `mlc` less | U | O | mean |"
    # Of the mean only seed 0 has both noises; `lre` shares no seed.
    assert lines[4] == "| `glc` | +2.00 [-10.71, +14.71] | -2.00 | -0.50 |"
    assert lines[5] == ""
    with pytest.raises(InputError, match="results of gce"):
        documents.fill_tables(mark.replace("mlc", "gce"), tmp_path)


def test_the_letter_stands_beside_the_paper():
    letter = [
        result("mlc_paper", seed, accuracy, ratio=0.1)
        for seed, accuracy in ((0, 0.98), (1, 0.99))
    ] + [result("mlc_paper", 0, 0.80, ratio=0.4)]
    table = tables.letter_table(summaries.by_condition(letter, "mnist"))
    assert (
        "| O 0.1 | 98.50 ± 0.71 | 99.18 | -0.68 [-7.03, +5.67] | 2 |" in table
    )
    assert "| O 0.4 | 80.00 | 97.36 | -17.36 | 1 |" in table
    assert "1 of 2 conditions are at least the paper's" in table
    with pytest.raises(InputError, match="results of mlc_paper"):
        tables.letter_table(summaries.by_condition(CONDITIONS, "mnist"))


def test_the_first_steps_have_a_table(tmp_path):
    def run(gradient, exchanged, accuracy):
        return {
            "steps": 2,
            "gradient": gradient,
            "probability": [0.5, 0.01],
            "change": [0.25, 0.125],
            "exchanged": exchanged,
            "accuracy": accuracy,
        }

    runs = {
        "letter/he/uniform-0.4/mlc_paper-seed0": run([9, 3], [4, 2], 0.5),
        "letter/he/uniform-0.4/mlc_paper-seed1": run([1, 7], [0, 1], 0.75),
        "other/he/uniform-0.4/mlc_paper-seed1": run([1, 1], [9, 9], 0.1),
    }
    write(tmp_path / "studies/first_steps.jsonl", runs.values(), runs)
    mark = "<!-- first_steps: letter -->\n<!-- end of first_steps -->"
    filled = documents.fill_tables(mark, tmp_path)
    assert "| `he` | 8 | 0.01 | 0.25 | 2.0 | 1.5 | 62.5 | 2 |" in filled
    assert "The first 2 steps." in filled
    with pytest.raises(InputError, match="found for the study leter"):
        documents.fill_tables(mark.replace(": letter", ": leter"), tmp_path)


def test_what_the_best_epoch_on_the_test_set_is_worth(tmp_path):
    write(
        tmp_path / "mnist.jsonl",
        [
            result("mlc", 0, 0.90, best_test_accuracy=0.92),
            result("mlc", 0, 0.80, ratio=0.2, best_test_accuracy=0.84),
            result("mlc", 1, 0.90, best_test_accuracy=0.94),
            result("mlc", 2, 0.1, evaluated_on="validation"),
            result("glc", 0, 0.70, best_test_accuracy=0.70),
        ],
    )
    mark = "<!-- best_epoch: mnist -->\n<!-- end of best_epoch -->"
    lines = documents.fill_tables(mark, tmp_path).splitlines()
    assert lines[4:6] == [
        # Seed 0 gains 3 points in the mean of two runs, seed 1 gains 4.
        "| `mlc` | 87.50 | 91.00 | +3.50 [-2.85, +9.85] | 3 |",
        "| `glc` | 70.00 | 70.00 | +0.00 | 1 |",
    ]
    with pytest.raises(InputError, match="results in digits.jsonl"):
        documents.fill_tables(mark.replace(": mnist", ": digits"), tmp_path)


def test_a_study_compares_its_variants(tmp_path):
    def runs(variant, noise, *accuracies, ratio=0.4):
        return {
            f"{variant}/{noise}-{ratio}/mlc-seed{seed}": result(
                "mlc",
                seed,
                accuracy,
                noise=noise,
                ratio=ratio,
                evaluated_on="validation",
            )
            for seed, accuracy in enumerate(accuracies)
        }

    recorded = {
        **runs("plain_training", "flip_to_one", 0.5, 0.6, 0.7),
        **runs("plain_training", "uniform", 0.8, 0.95, 0.9),
        **runs("letter", "flip_to_one", 0.8, 0.9, 0.97),
        **runs("letter", "uniform", 0.8, 0.9, 0.95),
        **runs("letter", "uniform", 0.1, 0.1, 0.1, ratio=0.1),
        **runs("he_normal", "uniform", 0.1),
    }
    write(tmp_path / "studies/letter.jsonl", recorded.values(), recorded)
    mark = "<!-- study: letter -->\n<!-- end of study -->"
    lines = documents.fill_tables(mark, tmp_path).splitlines()
    assert lines[2] == (
        "| variant | U, % | O, % | U less `letter` | O less `letter` "
        "| distance of T |"
    )
    # In the order of the study, which compares with its first variant.
    assert lines[4:6] == [
        "| `letter` | 88.33 ± 7.64 | 89.00 ± 8.54 | – | – | 0.300 |",
        "| `he_normal` | 10.00 | – | -70.00 | – | 0.300 |",
    ]
    assert lines[6].startswith("| `plain_training` | 88.33 ± 7.64 |")
    assert "| +0.00 [-" in lines[6]
    assert "**-29.00 [-33.30, -24.70]**" in lines[6]
    _, _, absent = lines[8].partition("Not run: ")
    names = [f"`{name}`" for name in studies.STUDIES["letter"].variants]
    ran = {"`letter`", "`he_normal`", "`plain_training`"}
    assert absent == ", ".join(n for n in names if n not in ran) + "."
    with pytest.raises(InputError, match="Did you mean 'letter'"):
        documents.fill_tables(mark.replace("letter", "leter"), tmp_path)
    others = [run for run in recorded if not run.startswith("letter/")]
    (tmp_path / "studies/letter.jsonl").unlink()
    write(
        tmp_path / "studies/letter.jsonl",
        [recorded[run] for run in others],
        others,
    )
    with pytest.raises(InputError, match="results of letter"):
        documents.fill_tables(mark, tmp_path)


def test_the_means_of_several_datasets_stand_side_by_side():
    by_header = {
        "mnist": summaries.by_condition(CONDITIONS, "mnist"),
        "less": summaries.by_condition(CONDITIONS[2:5], "mnist"),
    }
    lines = tables.means_table(by_header).splitlines()
    assert lines[0] == "| method | mnist | less |"
    assert lines[2:5] == [
        "| `mlc` | 96.50 | – |",  # has only one of the two conditions
        "| `cross_entropy` | 95.50 | – |",
        "| `true_forward` † | 98.50 | – |",
    ]
    assert lines[5] == ""  # `glc` has no mean in either table


def test_the_lead_of_a_method_on_several_datasets():
    by_header = {
        "mnist": summaries.by_condition(CONDITIONS, "mnist"),
        "fewer": summaries.by_condition(CONDITIONS[3:5], "mnist"),
    }
    lines = tables.leads_table(by_header, "cross_entropy").splitlines()
    assert lines[0] == "| `cross_entropy` less | mnist | fewer |"
    assert lines[2:5] == [
        "| `mlc` | -1.00 | – |",
        "| `glc` | – | +7.00 |",  # has only one condition of `mnist`
        "| `true_forward` † | -3.00 | – |",
    ]
    with pytest.raises(InputError, match="`means of pencil on mnist` should"):
        tables.leads_table(by_header, "pencil")


def test_distances_of_t_have_a_table():
    conditions = summaries.by_condition(CONDITIONS, "mnist")
    assert tables.distances_table(conditions).splitlines() == [
        "| method | U 0.1 | O 0.1 | mean |",
        "| --- | --- | --- | --- |",
        "| `mlc` | 0.400 | 0.200 | 0.300 |",
        "| `glc` | – | 0.500 | – |",
    ]


def test_ours_and_the_papers_are_compared():
    conditions = summaries.by_condition(CONDITIONS, "mnist")
    assert tables.beside_paper_table(conditions).splitlines()[2:] == [
        # `mlc` and `true_forward` are not in the paper.
        "| `cross_entropy` | 2 | 95.50 | 98.09 | -2.59 | -4.59 (U 0.1) "
        "| -0.59 (O 0.1) |",
        "| `glc` | 1 | 90.00 | 97.86 | -7.86 | -7.86 (O 0.1) | -7.86 (O 0.1) |",
    ]


def test_the_marks_of_table_1_and_of_a_search(tmp_path):
    write(tmp_path / "mnist.jsonl", CONDITIONS)
    write(tmp_path / "twitter.jsonl", CONDITIONS)
    search = {
        "tried": {"optimizer.learning_rate": [], "network.decay": []},
        "trials": [
            {
                "values": {"optimizer.learning_rate": rate, "network.decay": 0},
                "accuracy": accuracy,
            }
            for rate, accuracy in ((0.1, 0.5), (0.2, 0.75))
        ],
    }
    write(tmp_path / "tuning/mnist.jsonl", [search], ["training"])
    marks = (
        "<!-- conditions: mnist -->\n<!-- end of conditions -->\n"
        "<!-- distances: mnist -->\n<!-- end of distances -->\n"
        "<!-- beside_paper: mnist -->\n<!-- end of beside_paper -->\n"
        "<!-- tuning: mnist training -->\n<!-- end of tuning -->\n"
    )
    filled = documents.fill_tables(marks, tmp_path)
    assert "| `mlc` | 95.00 | 97.00 ± 1.41 | 96.50 |" in filled
    assert "| `mlc` | 0.400 | 0.200 | 0.300 |" in filled
    assert "| `glc` | 1 | 90.00 | 97.86 |" in filled
    assert (
        "| `learning_rate` | `decay` | held-out accuracy, % |\n"
        "| --- | --- | --- |\n| 0.2 | 0 | 75.00 |\n| 0.1 | 0 | 50.00 |\n"
    ) in filled
    for name in ("conditions", "distances", "beside_paper"):
        with pytest.raises(InputError, match="found for twitter"):
            documents.fill_tables(
                f"<!-- {name}: twitter -->\n<!-- end of {name} -->", tmp_path
            )


def test_the_mark_of_own_settings(tmp_path):
    def trial(rate, batch, accuracy):
        values = {"method.lre.learning_rate": rate, "clean.batch_size": batch}
        return {"values": values, "accuracy": accuracy}

    searches = {
        "lre": [trial(0.1, 64, 0.5), trial(0.2, 16, 0.75), trial(0.3, 8, 0.6)],
        "glc": [trial(0.1, 64, 0.9), trial(0.2, 64, 0.8)],
    }
    contents = [
        {
            "trials": trials,
            "best": max(trials, key=lambda trial: trial["accuracy"])["values"],
        }
        for trials in searches.values()
    ]
    path = tmp_path / "tuning/mnist.jsonl"
    write(path, [*contents, {}], [*searches, "training"])
    mark = "<!-- own_settings: mnist -->\n<!-- end of own_settings -->\n"
    filled = documents.fill_tables(mark, tmp_path)
    assert filled.splitlines()[4:6] == [
        "| `glc` | 2 | 90.00 | 90.00 | – |",
        "| `lre` | 3 | 50.00 | 75.00 | `learning_rate=0.2`, "
        "`clean.batch_size=16` |",
    ]


def test_what_held_out_labels_would_have_chosen_stands_beside(tmp_path):
    def trial(rate, accuracy, held_out):
        return {
            "values": {"method.glc.learning_rate": rate},
            "accuracy": accuracy,
            "held_out_accuracy": held_out,
        }

    trials = [trial(0.1, 0.5, 0.7), trial(0.2, 0.75, 0.8), trial(0.3, 0.6, 0.9)]
    content = {
        "trials": trials,
        "best": trials[1]["values"],
        "best_held_out": trials[2]["values"],
    }
    write(tmp_path / "tuning/mnist.jsonl", [content], ["glc"])
    mark = "<!-- own_settings: mnist -->\n<!-- end of own_settings -->\n"
    assert documents.fill_tables(mark, tmp_path).splitlines()[4] == (
        "| `glc` | 3 | 50.00 | 75.00 | `learning_rate=0.2` | 80.00 | 90.00 "
        "| `learning_rate=0.3` |"
    )


def test_a_matrix_has_a_table():
    table = tables.matrix_table(np.array([[0.75, 0.25], [0, 1]]))
    assert table.splitlines()[2:] == [
        "| 0 | 0.750 | 0.250 |",
        "| 1 | 0.000 | 1.000 |",
    ]
