"""Data, checkpoints and results know which run they belong to.

Each test damages or swaps files of a run, and trains, resumes or loads it: the
answer is right, or one sentence.
"""

import functools
import itertools
import json
import shutil

import numpy as np
import pytest

from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from mlc_tf.run import callbacks
from mlc_tf.run import checkpoints
from mlc_tf.run import directory
from mlc_tf.run import finished_run
from mlc_tf.run import training
from tests.support import small


def arrays():
    """Returns the arrays of an `npz:` dataset of two classes."""
    rng = np.random.default_rng(0)

    def part(count):
        labels = np.arange(count) % 2
        x = rng.normal(size=(count, 3)) + 2 * labels[:, None]
        return x.astype(np.float32), labels

    named = {}
    for which, count in (("train", 60), ("test", 10), ("clean", 8)):
        named[f"x_{which}"], named[f"y_{which}"] = part(count)
    return named


def config_of(folder, **changes):
    return small(
        **{
            "dataset.name": f"npz:{folder / 'data.npz'}",
            "noise.kind": "none",
            "train.batch_size": 20,
            "train.epochs": 3,
            "network.mlp.hidden_units": (4,),
            **changes,
        }
    )


class Killed(Exception):
    pass


def train(folder, name, until=None, **changes):
    """Trains a run in a folder; `until` an epoch, after which it is killed."""
    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_die(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch + 1 == until:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        if until is not None:
            patch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_die)
        config = config_of(folder, **changes)
        try:
            return training.run(config, folder / name, verbose=0)
        except Killed:
            return None


def make_runs(folder):
    np.savez(folder / "data.npz", **arrays())
    train(folder, "finished")
    train(folder, "cut", until=2)
    train(folder, "other", seed=1)
    train(folder, "wide", until=2, **{"network.mlp.hidden_units": (5,)})


@pytest.fixture
def runs(made_once, tmp_path):
    """A folder with data, a finished run, and runs that were killed."""
    made = made_once("ownership", make_runs)
    shutil.copytree(made, tmp_path / "own", symlinks=True)
    folder = tmp_path / "own"
    # The config names the place of the data.
    for path in folder.glob("*/config.json"):
        text = path.read_text().replace(str(made), str(folder))
        path.write_text(text)
    return folder


@pytest.fixture
def same_place(made_once):
    """The folder itself, for tests that resume a run: its path is a setting."""
    return made_once("ownership", make_runs)


def resume(folder, tmp_path, change):
    """Resumes a copy of the run that was killed, after a change; its result."""
    copy = tmp_path / "copy"
    shutil.copytree(folder / "cut", copy)
    change(copy)
    return training.run(config_of(folder), copy, verbose=0)


def checkpoint(run, epochs):
    return run / "checkpoints" / f"epoch-{epochs:05d}-step-00000000.weights.h5"


def rename(old, new):
    """Renames a checkpoint and its seal."""
    for suffix in ("", ".json"):
        shutil.move(f"{old}{suffix}", f"{new}{suffix}")


def without_times(result):
    return {k: v for k, v in result.items() if not k.startswith("seconds")}


def permute(named):
    order = np.roll(np.arange(60), 7)
    named["x_train"] = named["x_train"][order]
    named["y_train"] = named["y_train"][order]


def edit(name, index, value):
    def change(named):
        named[name] = named[name].copy()
        named[name][index] = value

    return change


def drop_last(named):
    named["x_train"], named["y_train"] = (
        named[name][:-1] for name in ("x_train", "y_train")
    )


DATA = {
    "permuted": (permute, "other noisy inputs"),
    "an input": (edit("x_train", (5, 1), 9.0), "other noisy inputs than"),
    "a label": (edit("y_train", 5, 0), "other noisy labels than"),
    "a row less": (drop_last, "59 instead of 60 noisy examples"),
    "a test label": (edit("y_test", 3, 0), "other test labels"),
    "a clean input": (edit("x_clean", 0, 1.5), "other clean inputs"),
    "class names": (
        lambda named: named.update(class_names=np.array(["a", "b"])),
        "other class names",
    ),
}


@pytest.mark.parametrize("what", DATA)
def test_a_run_whose_data_changed_is_refused(what, runs):
    change, told = DATA[what]
    finished_run.data_of(finished_run.load(runs / "finished"))
    named = arrays()
    change(named)
    np.savez(runs / "data.npz", **named)
    with pytest.raises(InputError, match=f"Received: .*{told}"):
        finished_run.data_of(finished_run.load(runs / "finished"))


def test_a_run_whose_data_changed_does_not_resume(tmp_path):
    np.savez(tmp_path / "data.npz", **arrays())
    train(tmp_path, "run", until=1)
    before = sorted((tmp_path / "run").rglob("*"))
    named = arrays()
    permute(named)
    np.savez(tmp_path / "data.npz", **named)
    with pytest.raises(
        InputError, match="other noisy inputs, other noisy label"
    ):
        train(tmp_path, "run")
    assert sorted((tmp_path / "run").rglob("*")) == before


def test_a_run_that_never_trained_may_have_new_data(tmp_path, monkeypatch):
    np.savez(tmp_path / "data.npz", **arrays())
    with monkeypatch.context() as patch:
        patch.setattr(training.PairModel, "fit", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tmp_path, "run")
    named = arrays()
    permute(named)
    np.savez(tmp_path / "data.npz", **named)
    assert train(tmp_path, "run")["epochs"] == 3


def test_runs_of_older_versions_are_taken_with_a_printed_line(runs, capsys):
    (runs / "finished" / "data.json").unlink()
    (runs / "finished" / "seal.json").unlink()
    finished_run.data_of(finished_run.load(runs / "finished"))
    printed = capsys.readouterr().out
    assert "finished has no data.json: an older version wrote it." in printed
    assert "finished has no seal.json: an older version wrote it" in printed


def same_seed_only(folder):
    """Puts a checkpoint of another run, with its seal, into the run."""

    def change(copy):
        for suffix in ("", ".json"):
            source = checkpoint(folder / "other", 3)
            shutil.copy(f"{source}{suffix}", f"{checkpoint(copy, 3)}{suffix}")

    return change


def other_width(folder):
    def change(copy):
        for suffix in ("", ".json"):
            source = checkpoint(folder / "wide", 2)
            shutil.copy(f"{source}{suffix}", f"{checkpoint(copy, 2)}{suffix}")

    return change


FOREIGN = {
    "another seed": (same_seed_only, "belongs to another run; it is skipped"),
    "another width": (other_width, "belongs to another run; it is skipped"),
    "renamed past the end": (
        lambda folder: (
            lambda copy: rename(checkpoint(copy, 2), checkpoint(copy, 9))
        ),
        "has the name of another checkpoint; it is skipped",
    ),
    "renamed within": (
        lambda folder: (
            lambda copy: rename(
                checkpoint(copy, 1),
                copy / "checkpoints/epoch-00001-step-00000002.weights.h5",
            )
        ),
        "",
    ),
    "a user's copies": (
        lambda folder: (
            lambda copy: [
                shutil.copy(checkpoint(copy, 2), copy / "checkpoints" / name)
                for name in ("epoch-best.weights.h5", "epoch-3.weights (1).h5")
            ]
        ),
        "",
    ),
    "a seal that is a list": (
        lambda folder: (
            lambda copy: (
                checkpoint(copy, 2).with_suffix(".h5.json").write_text("[]")
            )
        ),
        "is damaged",
    ),
    "no checkpoints": (
        lambda folder: lambda copy: shutil.rmtree(copy / "checkpoints"),
        "",
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_checkpoint_is_skipped(what, same_place, tmp_path, capsys):
    change, told = FOREIGN[what]
    expected = directory.finished_result(same_place / "finished")
    resumed = resume(same_place, tmp_path, change(same_place))
    assert without_times(resumed) == without_times(expected)
    assert told in capsys.readouterr().out
    finished_run.load(tmp_path / "copy")


def text(content):
    return lambda path: path.write_bytes(content)


DAMAGES = {
    "empty": text(b""),
    "half": lambda path: path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 2]
    ),
    "binary": text(bytes(range(128, 256))),
    "null": text(b"null"),
    "list": text(b"[]"),
    "mapping": text(b"{}"),
    "lines": text(b"null\n[]\n"),
    "gone": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}
RECORDS = ("metrics.jsonl", "transition.npz")
# JSON of another form; NumPy reads none of them as an archive.
OTHER_JSON = ("null", "list", "mapping")


@pytest.mark.parametrize(
    "name, damage",
    [
        pytest.param(
            *case,
            marks=pytest.mark.wide
            if case[0] == "transition.npz" and case[1] in OTHER_JSON
            else (),
        )
        for case in itertools.product(RECORDS, DAMAGES)
    ],
)
def test_records_are_restored_from_the_checkpoint(
    name, damage, same_place, tmp_path, capsys
):
    if damage == "folder":
        with pytest.raises((InputError, InterruptedRunError)):
            resume(
                same_place, tmp_path, lambda run: DAMAGES[damage](run / name)
            )
        return
    resumed = resume(
        same_place, tmp_path, lambda copy: DAMAGES[damage](copy / name)
    )
    expected = directory.finished_result(same_place / "finished")
    assert without_times(resumed) == without_times(expected)
    printed = capsys.readouterr().out
    if name == "metrics.jsonl":
        assert "metrics.jsonl is written again from epoch-00002" in printed
    else:
        assert "the history of T starts again after epoch 2" in printed
        learned = callbacks.read_history(tmp_path / "copy" / name).learned
        assert sorted(learned) == [2, 3]


@pytest.mark.parametrize("name", RECORDS)
def test_records_of_another_run_are_not_believed(
    name, same_place, tmp_path, capsys
):
    resumed = resume(
        same_place,
        tmp_path,
        lambda copy: shutil.copy(same_place / "other" / name, copy / name),
    )
    expected = directory.finished_result(same_place / "finished")
    assert without_times(resumed) == without_times(expected)
    assert name in capsys.readouterr().out


def prune(run):
    (run / "metrics.jsonl").unlink()
    shutil.rmtree(run / "checkpoints")


@pytest.mark.parametrize(
    "change, told",
    [
        (
            lambda run: (run / "config.json").unlink(),
            "result.json of a run, but",
        ),
        (prune, "differs in seed"),
        (
            lambda run: (prune(run), (run / "config.json").unlink()),
            "which holds result.json of a run, but no config.json",
        ),
        (
            lambda run: (
                prune(run),
                (run / "config.json").unlink(),
                (run / "result.json").unlink(),
            ),
            "which holds model.keras of a run",
        ),
    ],
)
def test_a_result_of_another_config_is_not_returned(
    change, told, same_place, tmp_path
):
    copy = tmp_path / "copy"
    shutil.copytree(same_place / "finished", copy)
    change(copy)
    with pytest.raises(InputError, match=told):
        training.run(config_of(same_place, seed=5), copy, verbose=0)


@pytest.mark.parametrize(
    "name", ["model.keras", "transition.npz", "result.json"]
)
def test_files_of_another_run_are_noticed(name, runs):
    shutil.copy(runs / "other" / name, runs / "finished" / name)
    for use in (
        lambda: finished_run.load(runs / "finished"),
        lambda: training.run(config_of(runs), runs / "finished", verbose=0),
    ):
        with pytest.raises(
            InputError, match=f"{name}' \\(it has another content\\)"
        ):
            use()


STATE = (
    "config.json",
    "result.json",
    "model.keras",
    "data.json",
    "seal.json",
    *RECORDS,
)


def answers(function):
    """Returns whether a function answers, and not with a traceback."""
    try:
        function()
    except (InputError, InterruptedRunError) as error:
        assert "\n" not in str(error).strip()
        assert len(str(error)) < 700
        return str(error)
    return ""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", STATE)
def test_a_damaged_file_of_a_finished_run_is_one_sentence(name, damage, runs):
    run = runs / "finished"
    DAMAGES[damage](run / name)
    loaded = answers(lambda: finished_run.data_of(finished_run.load(run)))
    trained = answers(lambda: training.run(config_of(runs), run, verbose=0))
    sealed = ("model.keras", "result.json", "transition.npz")
    if name in sealed or (damage != "gone" and name != "metrics.jsonl"):
        assert name in loaded or "result.json" in loaded
    if name == "config.json" and damage != "mapping":
        assert name in trained


@pytest.mark.wide
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["config.json", "data.json", *RECORDS])
def test_a_damaged_file_of_a_killed_run(name, damage, same_place, tmp_path):
    run = functools.partial(
        resume, same_place, tmp_path, lambda copy: DAMAGES[damage](copy / name)
    )
    said = answers(run)
    if said:
        assert name in said or str(tmp_path) in said


def test_a_directory_that_is_moved_while_it_trains(tmp_path, monkeypatch):
    np.savez(tmp_path / "data.npz", **arrays())
    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_move(self, epoch, logs=None):
        save(self, epoch, logs)
        if not epoch:
            shutil.move(tmp_path / "run", tmp_path / "elsewhere")

    monkeypatch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_move)
    with pytest.raises(
        InterruptedRunError, match="run could not be read or wr"
    ):
        train(tmp_path, "run")


def test_the_digest_of_a_run_is_of_what_it_computes():
    config = small()
    data = {"noisy": {"examples": 3}}
    digest = directory.run_digest(config, data)
    config.train.checkpoint_every = "5 steps"
    config.network.wide_resnet.depth = 10
    assert directory.run_digest(config, data) == digest
    config.seed = 1
    assert directory.run_digest(config, data) != digest
    config.seed = 0
    assert directory.run_digest(config, {"noisy": {"examples": 4}}) != digest
    json.dumps(digest)


def test_a_run_of_an_older_version_goes_on(same_place, tmp_path):
    def older(copy):
        written = json.loads((copy / "config.json").read_text())
        del written["dataset"]["columns"], written["dataset"]["download"]
        (copy / "config.json").write_text(json.dumps(written))

    resumed = resume(same_place, tmp_path, older)
    expected = directory.finished_result(same_place / "finished")
    assert without_times(resumed) == without_times(expected)
    set_now = config_of(same_place, **{"dataset.columns": "a:ignore"})
    with pytest.raises(InputError, match=r"differs in dataset\.columns\."):
        training.run(set_now, tmp_path / "copy", verbose=0)


def test_names_of_any_length_have_a_directory(tmp_path):
    config = config_of(tmp_path)
    config.dataset.name = f"npz:{'/very-long-name' * 40}.npz"
    first = directory.default_workdir(config)
    assert max(len(part) for part in first.parts) < 100
    config.dataset.name += "2"
    assert directory.default_workdir(config) != first
    with pytest.raises(InputError, match="File name too long"):
        train(tmp_path, "n" * 300)


def test_a_checkpoint_of_an_older_version_resumes(same_place, tmp_path, capsys):
    def older(copy):
        (copy / "data.json").unlink()
        for file in (copy / "checkpoints").glob("*.h5"):
            path = file.with_suffix(".h5.json")
            progress = json.loads(path.read_text())["progress"]
            for name in ("rows", "history"):
                progress.pop(name, None)
            seal = {
                **checkpoints._measure(file, progress),
                "progress": progress,
            }
            path.write_text(json.dumps(seal))

    resumed = resume(same_place, tmp_path, older)
    expected = directory.finished_result(same_place / "finished")
    assert without_times(resumed) == without_times(expected)
    assert "Resuming from epoch 2, step 0." in capsys.readouterr().out


def test_checkpoints_of_another_run_are_not_removed(same_place, tmp_path):
    def foreign(copy):
        shutil.rmtree(copy / "checkpoints")
        shutil.copytree(same_place / "wide/checkpoints", copy / "checkpoints")
        for suffix in ("", ".json"):
            shutil.move(
                f"{checkpoint(copy, 2)}{suffix}",
                f"{checkpoint(copy, 7)}{suffix}",
            )

    resume(same_place, tmp_path, foreign)
    assert checkpoint(tmp_path / "copy", 7).exists()
