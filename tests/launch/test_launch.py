"""Tests the launchers as a user starts them, each in its own process."""

import json
import re
import shlex
import shutil

import numpy as np
import pandas as pd
import pytest

from mlc_tf.audit import review
from mlc_tf.audit import run_audit
from mlc_tf.configs import digits
from mlc_tf.data import identity
from mlc_tf.data.examples import Arrays
from mlc_tf.run import finished_run
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import results as result_files
from tests import fake_datasets
from tests.processes import launch
from tests.support import ROOT
from tests.support import own_arrays

PAPER = "paper/tables_and_figures.py"
MEASURE = "benchmark/measure.py"


def config(name="digits", variant=":smoke"):
    return f"--config={ROOT}/configs/{name}.py{variant}"


def test_train_plot_and_train_again(tmp_path):
    train = "train.py", config(), "--workdir=run"
    first, plot, look, again = launch(
        tmp_path,
        train,
        ("plot.py", "--workdir=run"),
        ("paper/first_look.py", "--workdir=run"),
        train,
    )
    assert first[0] == plot[0] == again[0] == 0, first[2] + plot[2]
    assert look[0] == 0 and look[1] == "results/first_look/digits.png\n"
    assert "Epoch 2/2" in first[1]
    result = json.loads(first[1].splitlines()[-1])
    assert (result["dataset"], result["method"]) == ("digits", "mlc")
    assert plot[1].split() == ["run/curves.png", "run/transition.png"]
    for name in (plot[1] + look[1]).split():
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "run holds the finished run: accuracy 0." in first[1]
    assert "run is the finished run: accuracy 0." in again[1]
    assert json.loads(again[1].splitlines()[-1]) == result


def next_commands(stdout):
    """Returns the commands that a launcher prints as the next ones."""
    lines = stdout.partition("\nNext:\n")[2].splitlines()
    return [shlex.split(line) for line in lines if line.startswith("    ")]


def test_each_command_prints_the_next_ones(tmp_path):
    described = launch(tmp_path, ("describe.py", config()))[0]
    ((_, *train),) = next_commands(described[1])
    assert train == ["train", config()]
    trained = launch(tmp_path, ("train.py", *train[1:]))[0]
    followed = next_commands(trained[1])
    assert [command[:2] for command in followed] == [
        ["mlc_tf", "audit"],
        ["mlc_tf", "review"],
        ["mlc_tf", "export"],
    ]
    workdir = followed[0][2].partition("=")[2]
    assert json.loads(trained[1].splitlines()[-1]) == json.loads(
        (tmp_path / workdir / "result.json").read_text()
    )
    answers = launch(
        tmp_path, *((f"{name}.py", *rest) for _, name, *rest in followed)
    )
    assert [answer[0] for answer in answers] == [0, 0, 0], answers
    assert next_commands(answers[0][1]) == [followed[1]]


def test_a_finished_run_whose_data_changed_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        f"{array}_{which}": content
        for which, count in (("train", 90), ("test", 10), ("clean", 8))
        for array, content in (
            ("x", rng.normal(size=(count, 3)).astype(np.float32)),
            ("y", np.arange(count) % 2),
        )
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    train = (
        *("train.py", config("own", ""), "--workdir=run"),
        "--config.train.epochs=1",
        "--config.dataset.name=npz:mine.npz",
    )
    (first,) = launch(tmp_path, train)
    arrays["x_train"] = arrays["x_train"][::-1]
    np.savez(tmp_path / "mine.npz", **arrays)
    changed, audited = launch(tmp_path, train, ("audit.py", "--workdir=run"))
    (tmp_path / "mine.npz").unlink()
    (gone,) = launch(tmp_path, train)
    assert first[0] == gone[0] == 0
    for status, _, stderr in (changed, audited):
        assert status == 2 and "error: The data of a run should stay" in stderr
        assert "Received: other noisy inputs than the run in run" in stderr
    assert "The data of run cannot be compared. `npz:PATH` should" in gone[1]
    results = [answer[1].splitlines()[-1] for answer in (first, gone)]
    assert results[0] == results[1]


def test_train_warns_where_t_does_not_describe_the_labels(tmp_path):
    rng = np.random.default_rng(0)
    classes = np.arange(2400) % 2
    x = rng.normal(size=(2400, 6)).astype(np.float32)
    x[:, 0] += 8 * classes
    by_input = classes ^ (x[:, 1] > 0.8)  # a fifth of each class
    by_class = classes ^ (rng.random(2400) < 0.2)
    for name, given in (("input", by_input), ("class", by_class)):
        np.savez(
            tmp_path / f"{name}.npz",
            x_train=x[:2000],
            y_train=given[:2000],
            x_test=x[2000:2200],
            y_test=classes[2000:2200],
            x_clean=x[2200:],
            y_clean=classes[2200:],
        )
    with_t, of_class, without_t = launch(
        tmp_path,
        *(
            (
                *("train.py", config("own", ""), f"--workdir={name}-{method}"),
                f"--config.dataset.name=npz:{name}.npz",
                f"--config.method.name={method}",
                "--config.train.epochs=2",
            )
            for name, method in (
                ("input", "mlc"),
                ("class", "mlc"),
                ("input", "cross_entropy"),
            )
        ),
    )
    assert "Warning: The given labels depend on more than" in with_t[1]
    for answer in (of_class, without_t):
        assert answer[0] == 0 and "Warning" not in answer[1]


def test_runs_with_other_settings_have_other_directories(tmp_path):
    other = "--config.network.mlp.hidden_units=(16,)"
    one, two, again = launch(
        tmp_path,
        ("train.py", config()),
        ("train.py", config(), other),
        # How a run is executed does not change what it computes.
        (
            *("train.py", config(), other),
            "--config.train.checkpoint_every=5 steps",
        ),
    )
    assert one[0] == two[0] == again[0] == 0, two[2] + again[2]
    runs = sorted((tmp_path / "runs/digits/flip_to_one-0.4").iterdir())
    assert len(runs) == 2
    assert all(re.fullmatch("mlc-seed0-[0-9a-f]{8}", run.name) for run in runs)
    assert " is the finished run: accuracy" in again[1]


def test_audit_finds_the_labels_that_were_made_wrong(tmp_path):
    trained, first, second = launch(
        tmp_path,
        (
            *("train.py", config(), "--workdir=run"),
            "--config.train.epochs=12",
            "--config.method.name=mlc_paper",
        ),
        ("audit.py", "--workdir=run"),
        (
            "audit.py",
            "--workdir=run",
            "--output=out",
            "--batch_size=7",
            "--pick=20",
        ),
    )
    assert trained[0] == first[0] == second[0] == 0, first[2] + second[2]
    summary = json.loads(first[1].splitlines()[-1])
    assert summary["auroc"] > 0.9 and summary["used_transition"]
    assert summary["temperature"] != 1  # was not fitted to the trusted set
    issues = pd.read_csv(tmp_path / "run/audit/label_issues.csv")
    assert len(issues) == summary["examples"] == 1297 - 100
    assert issues["is_label_issue"].sum() == summary["label_issues"]
    assert sorted(issues["index"]) == list(range(len(issues)))
    assert issues["label_quality"].is_monotonic_increasing
    # The labels are the labels of the noisy set, in the same order.
    noisy = problems.load(digits.get_config()).noisy
    given = issues.set_index("index")["given_label"].sort_index()
    np.testing.assert_array_equal(given, noisy.labels)
    parquet = pd.read_parquet(tmp_path / "out/label_issues.parquet")
    assert (
        parquet["predicted_label"].astype(str) == parquet["predicted_name"]
    ).all()
    by_index = parquet.set_index("index")["label_quality"].sort_index()
    first_quality = issues.set_index("index")["label_quality"].sort_index()
    np.testing.assert_allclose(by_index, first_quality, rtol=1e-4, atol=1e-6)
    picked = pd.read_csv(tmp_path / "out/to_check.csv")
    assert picked["predicted_label"].value_counts().eq(2).all()
    assert not (tmp_path / "run/audit/to_check.csv").exists()
    clean = pd.read_csv(tmp_path / "out/clean_label_issues.csv")
    assert len(clean) == 100
    assert clean["is_label_issue"].sum() == summary["clean_label_issues"]
    classes = pd.read_csv(tmp_path / "run/audit/classes.csv")
    assert classes["given"].sum() == len(issues)
    shown = pd.read_csv(tmp_path / "run/audit/transition.csv", index_col=0)
    np.testing.assert_allclose(shown.sum(axis=1), 1)
    identity = 0.8  # away from 40 % flipped labels
    assert summary["transition_l1_learned"] < identity
    assert summary["transition_l1_audit"] < identity
    written = json.loads((tmp_path / "run/audit/audit.json").read_text())
    assert written == summary


def test_audit_of_a_run_that_was_fitted_to_the_trusted_labels(tmp_path):
    trained, audited = launch(
        tmp_path,
        ("train.py", config(), "--workdir=run"),
        ("audit.py", "--workdir=run"),
    )
    assert trained[0] == audited[0] == 0, audited[2]
    assert "mlc was fitted to the trusted labels, so it cannot" in audited[1]
    assert "--config.method.mlc.clean_weight=0 can." in audited[1]
    summary = json.loads(audited[1].splitlines()[-1])
    assert summary["temperature"] == 1
    assert "clean_label_issues" not in summary
    assert (tmp_path / "run/audit/label_issues.csv").exists()
    assert not (tmp_path / "run/audit/clean_label_issues.csv").exists()


def test_review_writes_a_page_of_the_worst_labels(tmp_path):
    trained, first, second, refused = launch(
        tmp_path,
        ("train.py", config(), "--workdir=run"),
        ("review.py", "--workdir=run"),
        ("review.py", "--workdir=run", "--output=new/a.html", "--most=7"),
        ("review.py", "--workdir=run", "--output=/proc/no/a.html"),
    )
    assert trained[0] == first[0] == second[0] == 0, first[2] + second[2]
    assert "run/review.html is the page" in first[1]
    page = (tmp_path / "run/review.html").read_text()
    run = finished_run.load(tmp_path / "run")
    found = run_audit.audit_run(run, problems.load(run.config))
    worst = review.suspects(found, 200).index.tolist()
    short = (tmp_path / "new/a.html").read_text()
    for text, most in ((page, 200), (short, 7)):
        listed = re.findall(r'<li class="example" data-index="(\d+)"', text)
        assert sorted(map(int, listed)) == sorted(worst[:most])
        assert text.count("<img") == len(listed) + 2
    assert f"<dd>{100 * found.noise_rate:.1f} %</dd>" in page
    accuracy = json.loads(trained[1].splitlines()[-1])["test_accuracy"]
    assert f"<dd>{100 * accuracy:.1f} % " in page
    (cells,) = re.findall(r"label \\ predicted(.*?)</table>", page, re.DOTALL)
    counts = [int(cell) for cell in re.findall(r">(\d+)</td>", cells)]
    matrix = np.reshape(counts, (10, 10))
    assert matrix.sum() == 500
    assert np.trace(matrix) / 500 == pytest.approx(accuracy)
    assert refused[0] == 2
    assert "`output` should be a file that can be written" in refused[2]


def test_export_writes_the_network_and_results_of_the_run(tmp_path):
    export = "export.py", "--workdir=run"
    trained, version, keras_file, litert, onnx, unwritable = launch(
        tmp_path,
        ("train.py", config(), "--workdir=run"),
        (*export, "--output=served/digits"),
        (*export, "--output=out/base.keras", "--format=keras"),
        (*export, "--output=out/base.tflite", "--format=litert"),
        (*export, "--output=out/base.onnx", "--format=onnx"),
        (*export, "--output=/proc/no/base.keras", "--format=keras"),
    )
    assert trained[0] == version[0] == 0, version[2]
    assert version[1].splitlines()[-1].startswith("served/digits/1 is the new ")
    result = json.loads(trained[1].splitlines()[-1])
    card = (tmp_path / "served/digits/1/model_card.md").read_text()
    assert f"{100 * result['test_accuracy']:.2f} % of the test set" in card
    assert "| **9** |" in card and "| clean, trusted | 100 |" in card
    for written, name in (
        (keras_file, "out/base.keras"),
        (litert, "out/base.tflite"),
        (onnx, "out/base.onnx"),
    ):
        assert written[0] == 0, written[2]
        assert written[1].splitlines()[-1] == f"{name} is the network."
        assert (tmp_path / name).stat().st_size > 10_000
    assert unwritable[0] == 2 and "`output` should be a" in unwritable[2]


# As tests/test_distribution.py and tests/run have them, by the launcher.
@pytest.mark.wide
def test_train_keeps_replicas_of_a_split_cpu_in_step(tmp_path):
    single, split = launch(
        tmp_path,
        ("train.py", config(), "--workdir=one"),
        (
            "train.py",
            config(),
            "--workdir=two",
            "--config.train.strategy=mirrored",
            "--config.train.replicas=2",
        ),
    )
    assert single[0] == split[0] == 0, split[2]
    results = [json.loads(run[1].splitlines()[-1]) for run in (single, split)]
    for name in ("test_accuracy", "transition_l1", "train_steps"):
        assert results[1][name] == pytest.approx(results[0][name], rel=1e-3)


def test_compare_trains_missing_runs_and_prints_the_table(tmp_path):
    compare = (
        "compare.py",
        config(),
        "--config.train.epochs=1",
        "--methods=cross_entropy",
        "--seeds=3",
        "--noise=pair,flip_to_one",
    )
    slow = *compare[:-1], "--setting=slow", "--config.optimizer.momentum=0.0"
    first, again, changed = launch(tmp_path, compare, compare, slow)
    assert first[0] == again[0] == 0, first[2]
    assert first[1].count("| `cross_entropy` |") == 2
    assert "[1/2] pair-0.4/cross_entropy-seed3: " in first[1]
    recorded = result_files.read(tmp_path / "results/digits.jsonl")
    name = "flip_to_one-0.4/cross_entropy-seed3"
    assert [*recorded] == [name, "pair-0.4/cross_entropy-seed3"]
    assert (recorded[name]["epochs"], recorded[name]["seed"]) == (1, 3)
    assert (tmp_path / f"runs/digits/{name}/result.json").exists()
    printed = [line for line in first[1].splitlines() if line[:1] != "["]
    assert again[1].splitlines() == printed
    assert changed[0] == 0, changed[2]
    recorded = result_files.read(tmp_path / "results/choices/digits.jsonl")
    assert [*recorded] == ["slow/flip_to_one-0.4/cross_entropy-seed3"]
    assert changed[1].count("| `cross_entropy` |") == 1


def test_clean_budget_draws_accuracy_over_trusted_sets(tmp_path):
    budget = (
        PAPER,
        "--what=clean_budget",
        config(),
        "--config.train.epochs=1",
        "--sizes=3,1",
        "--methods=clean_only",
        "--seeds=4",
    )
    held_out = "--config.dataset.validation=0.2", "--results=held_out"
    run, resumed = launch(
        tmp_path, budget, (*budget, *held_out, "--runs=held_out")
    )
    assert run[0] == resumed[0] == 0, run[2] + resumed[2]
    assert resumed[1].count("| 30 | ") == 1
    folder = tmp_path / "results/clean_budget"
    table = pd.read_csv(folder / "digits-flip_to_one-0.4.csv")
    assert table["clean_examples"].tolist() == [10, 30]
    for size, accuracy in zip((1, 3), table["accuracy"]):
        name = f"{size}-per-class/flip_to_one-0.4/clean_only-seed4"
        result = result_files.read(folder / "digits.jsonl")[name]
        assert accuracy == pytest.approx(100 * result["test_accuracy"])
    assert f"| 30 | {table['accuracy'][1]:.2f} |" in run[1]
    picture = (folder / "digits-flip_to_one-0.4.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


def test_table_1_plans_runs_and_is_made_of_their_results(tmp_path):
    table = (
        PAPER,
        "--what=table1",
        "--dataset=digits",
        "--methods=clean_only",
        "--noises=uniform",
        "--ratios=0.1,0.2",
        "--seeds=0",
    )
    planned, done, left = launch(
        tmp_path, (*table, "--dry_run"), table, (*table, "--dry_run")
    )
    assert planned[0] == done[0] == left[0] == 0, planned[2] + done[2]
    assert "digits/uniform-0.1/clean_only-seed0: ?" in planned[1]
    assert "2 of 2 runs are missing, 2 of unknown cost" in planned[1]
    assert "0 of 2 runs are missing" in left[1]
    folder = tmp_path / "results"
    recorded = result_files.read(folder / "digits.jsonl")
    accuracies = [result["test_accuracy"] for result in recorded.values()]
    first, second = (f"{100 * accuracy:.2f}" for accuracy in accuracies)
    markdown = (folder / "table1/digits.md").read_text()
    assert f"| `clean_only` | {first} | {second} |" in markdown
    assert f"| `clean_only` | {first} | {second} |" in done[1]
    table = pd.read_csv(folder / "table1/digits.csv")
    np.testing.assert_allclose(table["accuracy"], 100 * np.array(accuracies))
    picture = (folder / "table1/digits.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


@pytest.mark.wide
def test_the_papers_figures_from_runs(tmp_path):
    digits = "--dataset=digits"
    dry = digits, "--seeds=0", "--dry_run"
    answers = launch(
        tmp_path,
        (PAPER, "--what=figure4", *dry, "--methods=glc"),
        (PAPER, "--what=figure5", *dry),
        (PAPER, "--what=figure2", digits),
        (
            *(PAPER, "--what=figure3", digits, "--seeds=0"),
            *("--methods=clean_only", "--sizes=5"),
        ),
        (PAPER, "--what=figure2", digits, "--seed=1", "--results=other"),
    )
    assert [answer[0] for answer in answers] == [0] * 5, answers
    assert "36 of 36 runs are missing, 36 of unknown cost" in answers[0][1]
    assert "digits/flip_to_one-0.4/glc-seed0: ?" in answers[0][1]
    assert "48 of 48 runs are missing" in answers[1][1]
    assert "digits/uniform-0.1/noise_layer-seed0: ?" in answers[1][1]

    folder = tmp_path / "results"
    table = pd.read_csv(folder / "figure2/digits.csv")
    diagonal = table[table["clean"] == table["noisy"]].groupby("noise")["T"]
    for noise, value in (("uniform", 0.73), ("flip_random", 0.7)):
        np.testing.assert_allclose(diagonal.get_group(noise), value)
    assert "| 0 | 0.730 | 0.030 | 0.030 | 0.030 |" in answers[2][1]
    redrawn = pd.read_csv(tmp_path / "other/figure2/digits.csv")
    same = (redrawn["T"] == table["T"]).groupby(table["noise"]).all()
    assert same["uniform"] and not same["flip_to_one"]

    table = pd.read_csv(folder / "figure3/digits.csv")
    recorded = result_files.read(folder / "figure3/digits.jsonl")
    assert len(table) == 3 and {*table["clean_examples"]} == {50}
    for row in table.itertuples():
        result = recorded[f"5-per-class/{row.noise}-0.3/clean_only-seed0"]
        assert row.accuracy == pytest.approx(100 * result["test_accuracy"])
        assert f"| {row.clean_examples} | {row.accuracy:.2f} |" in answers[3][1]
    for name in ("figure2", "figure3"):
        picture = (folder / name / "digits.png").read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


def test_tables_and_figures_of_a_fresh_clone_need_no_runs(tmp_path):
    results = tmp_path / "results"
    for part in ("digits", "mnist", "reduced/cifar10", "figure3/digits"):
        copy = results / f"{part}.jsonl"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "results" / f"{part}.jsonl", copy)
    methods = "--methods=mlc,cross_entropy,ce_control,glc"
    other_methods = "noise_layer,confusion,forward,lre,co_teaching,mlc_paper"
    table = PAPER, "--what=table1"
    seeds = "--seeds=0,1,2,3,4"
    answers = launch(
        tmp_path,
        (
            *(*table, "--dataset=digits", seeds),
            f"{methods},{other_methods},glc_em,noise_layer_logits,pencil,true_forward",
        ),
        (*table, "--dataset=mnist", "--seeds=0", methods),
        (
            *(*table, "--dataset=mnist", "--seeds=0"),
            *("--methods=mlc,glc", "--dry_run"),
        ),
        (
            *(*table, "--dataset=cifar10", "--variant=reduced"),
            *("--ratios=0.2,0.4", "--seeds=0", methods),
        ),
        (PAPER, "--what=figure4", "--dataset=digits", seeds),
        (PAPER, "--what=figure5", "--dataset=digits", seeds),
        (PAPER, "--what=figure3", "--dataset=digits", "--sizes=2,5,10,20"),
    )
    assert [answer[0] for answer in answers] == [0] * 7, answers
    file = "results/digits.jsonl"
    assert f"840 results are in '{file}' already." in answers[0][1]
    assert "0 of 24 runs are missing\n" in answers[2][1]
    assert not (tmp_path / "runs").exists()
    made = [path for path in results.rglob("*.png")]
    assert len(made) == 6
    for path in made:
        for suffix in (".md", ".csv"):
            text = path.with_suffix(suffix).read_text()
            name = path.with_suffix(suffix).relative_to(results)
            assert text == (ROOT / "results" / name).read_text()
        picture = path.read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


TABLE_2 = (
    *(PAPER, "--what=table2", "--variant=smoke"),
    *("--seeds=0", "--manual_dir=clothing"),
)


def test_table_2_plans_the_methods_without_an_oracle(tmp_path):
    (plan,) = launch(tmp_path, (*TABLE_2, "--methods=all", "--dry_run"))
    count = sum(not method.oracle for method in methods.METHODS.values())
    assert f"{count} of {count} runs are missing" in plan[1], plan


# As of Table 1, with the network and the data of Clothing1M.
@pytest.mark.wide
def test_table_2_where_the_data_is(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    fake_datasets.write_clothing1m(tmp_path / "clothing")
    command = *TABLE_2, "--methods=cross_entropy"
    ((status, stdout, stderr),) = launch(tmp_path, command)
    assert status == 0, stderr
    folder = tmp_path / "results/smoke"
    recorded = result_files.read(folder / "clothing1m.jsonl")
    accuracy = 100 * recorded["none/cross_entropy-seed0"]["test_accuracy"]
    assert f"| `cross_entropy` | {accuracy:.2f} |" in stdout
    assert "| 1 | 68.94 |" in stdout
    assert (folder / "table2/clothing1m.png").stat().st_size > 10_000


def test_tune_writes_the_result_of_each_search(tmp_path):
    tune = (
        "tune.py",
        config(),
        "--config.train.epochs=1",
        "--noises=uniform:0.4",
        "--trials=2",
        "--folds=2",
        "--validation=0.25",
    )
    elsewhere = *tune, "--methods=gce", "--runs=mine", "--trials=1"
    own, training, more, fresh_clone, mine, over = launch(
        tmp_path,
        (*tune, "--methods=gce"),
        (*tune, "--methods=cross_entropy,clean_only", "--what=training"),
        (*tune, "--methods=gce", "--trials=3"),
        (*tune, "--methods=lre,gce", "--runs=elsewhere"),
        (*elsewhere, "--noises=flip_to_one:0.4", "--results=mine"),
        (*elsewhere, "--noises=flip_to_one:0.4"),
    )
    assert own[0] == training[0] == more[0] == 0, (own, training, more)
    assert more[1].count("gce, trial ") == 1
    # A fresh clone has results of searches, but no state.
    assert (
        fresh_clone[0] == 2
        and "digits.jsonl; give another fold" in fresh_clone[2]
    )
    assert not (tmp_path / "elsewhere").exists()
    # The state may also belong to another search than the results.
    assert mine[0] == 0, mine[2]
    assert over[0] == 2 and "gce in results/tuning/digits.jsonl" in over[2]
    recorded = result_files.read(tmp_path / "results/tuning/digits.jsonl")
    assert [*recorded] == ["gce", "training"]
    found = recorded["training"]
    assert len(found["trials"]) == 2 and len(found["conditions"]) == 2
    assert f"training: best {found['best']}" in training[1]
    assert "gce, trial 0: " in own[1]


# The labels of `own` are noisy as they come: no noise is injected on top.
def test_tune_takes_the_noise_of_a_config_that_injects_none(tmp_path):
    changes = own_arrays(tmp_path / "mine.npz")
    flags = [f"--config.{name}={value}" for name, value in changes.items()]
    tune = "tune.py", config("own", ""), *flags, "--trials=1", "--folds=2"
    default, given = launch(
        tmp_path, (*tune, "--methods=gce"), (*tune, "--noises=human:worst")
    )
    assert default[0] == 0, default[2]
    (path,) = (tmp_path / "results/tuning").glob("*.jsonl")
    (condition,) = result_files.read(path)["gce"]["conditions"].values()
    assert condition["noise.kind"] == "none"
    assert given[0] == 2 and "each as KIND:RATIO" in given[2], given


def test_relabel_makes_a_dataset_that_trains(tmp_path, rng):
    x = rng.normal(size=(60, 4)).astype(np.float32)
    labels = (x[:, 0] > 0).astype(np.int64)
    np.savez(
        tmp_path / "own.npz",
        x_train=x[:40],
        y_train=1 - labels[:40],
        x_clean=x[40:50],
        y_clean=labels[40:50],
        x_test=x[50:],
        y_test=labels[50:],
    )
    known = identity.identities(Arrays(x[:40], labels[:40]))
    (tmp_path / "decisions.csv").write_text(
        "identity,given_label,decision,label\n"
        + "".join(
            f"{text},{1 - label},relabel,{label}\n"
            for text, label in zip(known, labels[:40])
        )
    )
    settings = (
        "train.py",
        config(),
        "--config.noise.kind=none",
        "--config.train.batch_size=10",
        "--config.clean.batch_size=5",
    )
    old, applied, new = launch(
        tmp_path,
        (*settings, "--config.dataset.name=npz:own.npz", "--workdir=old"),
        (
            "relabel.py",
            "--workdir=old",
            "--decisions=decisions.csv",
            "--output=mended.npz",
        ),
        (*settings, "--config.dataset.name=npz:mended.npz", "--workdir=new"),
    )
    assert old[0] == applied[0] == new[0] == 0, old[2] + applied[2] + new[2]
    assert "40 labels changed, 0 examples dropped, 0 left as" in applied[1]
    assert "--config.dataset.name=npz:mended.npz" in applied[1]
    mended = np.load(tmp_path / "mended.npz")
    np.testing.assert_array_equal(mended["y_train"], labels[:40])
    assert (tmp_path / "new/result.json").exists()


def test_describe_prints_the_data_and_draws_it(tmp_path):
    noise = "--config.noise.kind=pair", "--config.noise.ratio=0.2"
    (described,) = launch(tmp_path, ("describe.py", config(), *noise))
    assert described[0] == 0, described[2]
    assert "inputs (8, 8, 1) float32, 10 classes" in described[1]
    (folder,) = (tmp_path / "runs/digits/pair-0.2").glob("data-seed0-????????")
    report = json.loads((folder / "noise.json").read_text())
    counts = "{:,} of {:,} labels".format(report["changed"], report["examples"])
    assert counts in described[1] and report["examples"] == 1297 - 100
    rows = [line.split() for line in described[1].splitlines()]
    assert ["all", "1197", "1197", "100", "500"] in rows
    for label, given, true in zip(
        range(10), report["noisy_counts"], report["true_counts"]
    ):
        start = [str(label), str(given), str(true), "10"]
        assert any(row[:4] == start for row in rows)
    assert (folder / "samples.png").read_bytes().startswith(b"\x89PNG")


def is_summary(ratio):
    low, high = ratio["quartile_1"], ratio["quartile_3"]
    return 0 < low <= ratio["median"] <= high


def test_benchmark_writes_ratios(tmp_path):
    measured, steps = launch(
        tmp_path,
        (MEASURE, config(), "--what=input", "--rounds=2"),
        (MEASURE, config(), "--networks=lenet", "--rounds=1"),
    )
    assert measured[0] == steps[0] == 0, measured[2] + steps[2]
    recorded = result_files.read(tmp_path / "results/benchmark.jsonl")
    assert [*recorded] == ["input-digits-mlp", "step-lenet"]
    written = recorded["input-digits-mlp"]
    assert {"run": "input-digits-mlp", **json.loads(measured[1])} == written
    assert written["rounds"] == 2 and written["versions"]["tensorflow"]
    for name in ("supply_to_demand", "pair_to_plain"):
        assert is_summary(written[name])
    written = recorded["step-lenet"]
    assert (written["network"], written["batch_size"]) == ("lenet", 64)
    ratios = written["ratio_to_cross_entropy"]
    assert ratios["cross_entropy"]["median"] == 1
    assert {"exact", "head", "finite_difference"} < set(ratios)
    assert all(map(is_summary, ratios.values()))
    picture = (tmp_path / "results/benchmark.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


BUDGET = "--what=clean_budget"
MISTAKES = [
    (MEASURE, config(), "--device=gpu", "`device` should be 'cpu'"),
    (MEASURE, config(), "--peer=torch", "--what=memory", "--what=step"),
    ("train.py", config(), "--config.noise.ration=1", "'config.noise.ratio'?"),
    (
        "train.py",
        config(),
        "--config.noise.ratio=1.4",
        "`noise.ratio` should be in",
    ),
    ("train.py", config(), "--config.noise.ratio=x", "convert string to float"),
    ("train.py", config(), "--config.method.name=mcl", "Did you mean 'mlc'"),
    ("train.py", config(), "more", "Unknown arguments: more."),
    ("train.py", config(), "--wordkir=run", "wordkir"),
    ("train.py", "--config=configs/no.py", "a config file that exists."),
    ("train.py", config(variant=":smok"), "Did you mean 'smoke'"),
    ("plot.py", "`workdir` should be the directory of a run"),
    ("plot.py", "--workdir=nowhere", "`workdir` should be the directory"),
    ("audit.py", "`workdir` should be the directory of a finished run"),
    ("audit.py", "--workdir=nowhere", "the directory of a finished run"),
    ("audit.py", "--workdir=x", "--batch_size=0", "`batch_size` should be an"),
    ("audit.py", "--workdir=x", "--pick=-1", "`pick` should be an integer"),
    ("review.py", "`workdir` should be the directory of a finished run"),
    ("review.py", "--workdir=nowhere", "the directory of a finished run"),
    ("review.py", "--workdir=x", "--most=0", "`most` should be an integer"),
    ("export.py", "`workdir` should be the directory of a finished run"),
    ("export.py", "--workdir=x", "`output` should be the folder of the"),
    ("export.py", "--workdir=x", "--output=y", "directory of a finished run"),
    ("export.py", "--format=onx", "Did you mean 'onnx'"),
    (
        "export.py",
        "--workdir=x",
        "--output=y",
        "--format=keras",
        "`output` should be a file that ends in .keras",
    ),
    (
        "export.py",
        "--workdir=x",
        "--output=y.onnx",
        "--format=litert",
        "`output` should be a file that ends in .tflite",
    ),
    ("compare.py", config(), "--seeds=x", "`seeds` should be integers"),
    ("compare.py", config(), "--jobs=0", "`jobs` should be an integer >= 1"),
    (PAPER, BUDGET, config(), "--sizes=1,x", "`sizes` should be integers"),
    (PAPER, BUDGET, config(), "--sizes=0", "`sizes` should be integers >="),
    (PAPER, BUDGET, config(), "--methods=mlcc", "Did you mean 'mlc'"),
    (PAPER, BUDGET, config(), "--methods=", "`method.name` should be one of"),
    (PAPER, BUDGET, config(), "--seeds=²", "`seeds` should be integers"),
    (PAPER, BUDGET, config(), "--sizes=9999", "`clean.per_class` should"),
    (
        PAPER,
        BUDGET,
        config(),
        "--config.noise.kind=none",
        "`noise.kind` should be injected",
    ),
    ("compare.py", config(), "--methods=", "`method.name` should be one of"),
    (PAPER, "--what=table3", "Did you mean 'table"),
    (PAPER, "--what=figure5", "--sizes=5", "`sizes` should be left out with"),
    (PAPER, BUDGET, config(), "--dataset=digits", "`dataset` should be left"),
    (PAPER, "--dataset=mnits", "Did you mean 'mnist'"),
    (PAPER, "--dataset=", "`dataset` should be among digits, mnist"),
    (PAPER, "--methods=mlcc", "Did you mean 'mlc'"),
    (PAPER, "--noises=pair", "`noises` should be among uniform"),
    (PAPER, "--ratios=x", "`ratios` should be numbers"),
    (PAPER, "--ratios=0.5", "`ratios` should be among 0.1, 0.2, 0.3, 0.4"),
    (PAPER, "--ratios=", "`ratios` should be among 0.1, 0.2, 0.3, 0.4"),
    (PAPER, "--jobs=0", "`jobs` should be an integer >= 1"),
    (PAPER, "--variant=reduced", "--dataset=mnist", "`variant` should"),
    (PAPER, "--what=table2", "--methods=mlcc", "Did you mean 'mlc'"),
    (PAPER, "--what=table2", "--variant=smok", "Did you mean 'smoke'"),
    (PAPER, "--what=table2", "--seeds=x", "`seeds` should be integers"),
    (PAPER, "--what=figure2", "--dataset=digit", "Did you mean 'digits'"),
    (PAPER, "--what=figure3", "--sizes=0", "`sizes` should be integers >= 1"),
    (PAPER, "--what=figure3", "--methods=mlcc", "Did you mean 'mlc'"),
    (PAPER, "--what=figure4", "--dataset=digit", "Did you mean 'digits'"),
    (
        PAPER,
        "--what=figure5",
        "--dataset=digits",
        "--jobs=0",
        "`jobs` should be an",
    ),
    ("tune.py", config(), "--what=all", "`what` should be one of"),
    ("tune.py", config(), "--methods=mlcc", "Did you mean 'mlc'"),
    ("tune.py", config(), "--methods=", "`method.name` should be one of"),
    ("tune.py", config(), "--noises=uniform", "`noises` should be each as"),
    ("tune.py", config(), "--noises=", "`conditions` should be at least one"),
    ("tune.py", config(), "--noises=pear:0.4", "Did you mean 'pair'"),
    ("tune.py", config(), "--trials=0", "`trials` should be an integer >= 1"),
    ("tune.py", config(), "--validation=1", "`dataset.validation` should be"),
    ("tune.py", config(), "--folds=0", "`dataset.validation` should be"),
    ("tune.py", config(), "--folds=1", "`folds` should be an integer >= 2"),
    ("paper/study.py", "--what=leter", "Did you mean 'letter'"),
    ("paper/study.py", "--variants=leter", "Did you mean 'letter'"),
    ("paper/study.py", "--jobs=0", "`jobs` should be an integer >= 1"),
    ("paper/first_steps.py", "--study=leter", "Did you mean 'letter'"),
    ("paper/first_steps.py", "--variants=leter", "Did you mean 'letter'"),
    ("paper/first_steps.py", "--steps=0", "`steps` should be an integer >= 1"),
    (
        "paper/label_issues.py",
        "`workdirs` should be the directories of finished runs",
    ),
    (
        "paper/label_issues.py",
        "--workdirs=no",
        "the directory of a finished run",
    ),
    ("relabel.py", "--workdir=x", "`decisions` should be a CSV file"),
    (
        "relabel.py",
        "--workdir=x",
        "--decisions=d.csv",
        "--output=o.npz",
        "the directory of a finished run",
    ),
    ("compare.py", config(), "--methods=mlcc", "Did you mean 'mlc'"),
    ("compare.py", config(), "--noise=pair,pear", "Did you mean 'pair'"),
    ("describe.py", config(), "--config.noise.kind=pear", "mean 'pair'"),
    ("describe.py", config(), "--output=/proc/no", "`output` should be a f"),
    (MEASURE, config(), "--what=inputs", "Did you mean 'input'"),
    (MEASURE, config(), "--networks=lenet,lent", "mean 'lenet'"),
    (MEASURE, config(), "--rounds=0", "`rounds` should be an integer"),
    (MEASURE, config(), "--networks=", "`networks` should be among lenet"),
    (MEASURE, config(), "--results=/proc/no", "`results` should be"),
    (
        MEASURE,
        config(),
        "--config.train.dtype=mixed_bfloat16",
        "`train.dtype` should be left as it is",
    ),
    ("paper/report.py", "--document=none.md", "`document` should be a file"),
    ("paper/report.py", "This folder has no document with marks"),
    ("paper/first_look.py", "`workdir` should be the directory of a fin"),
    ("paper/first_look.py", "--workdir=no", "the directory of a finished run"),
]


def test_a_wrong_value_gets_one_sentence(tmp_path):
    # One test checks all values, since each worker of pytest-xdist would
    # otherwise run all commands.
    answers = launch(tmp_path, *(mistake[:-1] for mistake in MISTAKES))
    wrong = []
    for (*command, expected), (status, _, stderr) in zip(MISTAKES, answers):
        errors = [
            line for line in stderr.splitlines() if line.startswith("error: ")
        ]
        explained = len(errors) == 1 and expected in errors[0]
        if status != 2 or not explained or "Traceback" in stderr:
            wrong.append((command, expected, status, stderr))
    assert not wrong
