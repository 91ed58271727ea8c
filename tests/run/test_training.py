import dataclasses
import json
import shutil

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf import networks
from mlc_tf import transitions
from mlc_tf.baselines.forward_correction import anchor_point_transition
from mlc_tf.baselines.masking import Masking
from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.models.pair_model import PairModel
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection
from mlc_tf.run import callbacks
from mlc_tf.run import checkpoints
from mlc_tf.run import directory
from mlc_tf.run import divergence
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run import training
from tests.conftest import FLOAT32
from tests.numpy_reference import softmax
from tests.support import own_arrays
from tests.support import small


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    return workdir, training.run(small(), workdir, verbose=0)


def test_a_run_leaves_a_whole_directory(finished):
    workdir, result = finished
    assert {path.name for path in workdir.iterdir()} == {
        ".lock",
        "checkpoints",
        "config.json",
        "data.json",
        "metrics.jsonl",
        "model.keras",
        "noise.json",
        "result.json",
        "seal.json",
        "tensorboard",
        "transition.npz",
        "versions.json",
    }
    assert json.loads((workdir / "result.json").read_text()) == result
    config = json.loads((workdir / "config.json").read_text())
    assert config["noise"] == {
        "kind": "flip_to_one",
        "ratio": 0.4,
        "mode": "exact",
        "target_seed": 0,
    }
    versions = json.loads((workdir / "versions.json").read_text())
    assert versions["keras"] == keras.__version__
    assert versions["tensorflow"] == tf.__version__


def test_the_result_tells_the_last_epoch(finished):
    workdir, result = finished
    rows = callbacks.read_metrics(workdir / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2]
    expected = {
        "dataset": "digits",
        "method": "mlc",
        "noise": "flip_to_one",
        "ratio": 0.4,
        "seed": 0,
        "network": "mlp",
        "evaluated_on": "test",
        "oracle": "",
        "phases": 1,
        "epochs": 2,
        "train_steps": 2 * ((1297 - 50) // 32),
        "test_accuracy": rows[1]["test_accuracy"],
        "best_test_accuracy": max(row["test_accuracy"] for row in rows),
        "transition_l1": rows[1]["transition_l1"],
    }
    assert {name: result[name] for name in expected} == expected
    chosen = max(rows, key=lambda row: (row["clean_accuracy"], row["epoch"]))
    best = result["best_clean_accuracy_test_accuracy"]
    assert best == chosen["test_accuracy"]
    assert result["options"] == settings.method_options(small())
    assert "rank" not in result["options"]  # which is not given
    assert 0 < result["seconds_per_step"] < result["seconds"]


def test_the_saved_base_has_the_accuracy_of_the_result(finished):
    workdir, result = finished
    base = keras.models.load_model(workdir / "model.keras")
    test = problems.load(small()).test
    predicted = base.predict(test.x, verbose=0).argmax(axis=1)
    accuracy = np.mean(predicted == test.labels)
    np.testing.assert_allclose(accuracy, result["test_accuracy"], rtol=1e-6)


def test_the_transition_is_recorded_for_each_epoch(finished):
    workdir, result = finished
    with np.load(workdir / "transition.npz") as archive:
        learned, true = archive["learned"], archive["true"]
        np.testing.assert_array_equal(archive["epochs"], [0, 1, 2])
    np.testing.assert_allclose(learned[0], 0.8 * np.eye(10) + 0.02, rtol=1e-6)
    np.testing.assert_allclose(learned.sum(axis=2), 1, rtol=1e-5)
    distances = np.abs(learned - true).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(distances[2], result["transition_l1"], rtol=1e-6)
    assert len(learned) == 3 and distances[2] < distances[0]


def test_tensorboard_has_scalars_and_a_heat_map_per_epoch(finished):
    workdir, _ = finished
    steps = {}
    for file in (workdir / "tensorboard" / "train").glob("events*"):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                steps.setdefault(value.tag, []).append(event.step)
    assert steps["transition_matrix"] == [1, 2]
    assert len(steps["epoch_loss"]) == 2


def test_a_finished_run_is_not_run_again(finished):
    workdir, result = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    assert training.run(small(), workdir) == result
    assert before == {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}


def test_another_config_is_refused(finished):
    workdir, _ = finished
    other = small(**{"noise.ratio": 0.2, "seed": 3})
    with pytest.raises(InputError, match=r"differs in noise\.ratio, seed\."):
        training.run(other, workdir)


def test_settings_of_other_methods_and_networks_are_no_other_config(finished):
    workdir, result = finished
    other = small(
        **{
            "method.noise_layer.noise_learning_rate": 7.0,
            "network.wide_resnet.depth": 10,
        }
    )
    assert (result["method"], result["network"]) == ("mlc", "mlp")
    assert training.run(other, workdir) == result
    with pytest.raises(InputError, match=r"in method\.mlc\.clean_weight"):
        training.run(small(**{"method.mlc.clean_weight": 2.0}), workdir)


class Interrupted(Exception):
    pass


def checkpoint(workdir, epochs, steps=0):
    name = f"epoch-{epochs:05d}-step-{steps:08d}.weights.h5"
    return workdir / "checkpoints" / name


@pytest.mark.parametrize("warmup", [0, pytest.param(1, marks=pytest.mark.wide)])
def test_an_interrupted_run_ends_as_if_it_were_not(
    warmup, tmp_path, monkeypatch
):
    config = small(**{"train.epochs": 3, "train.warmup_epochs": warmup})
    whole = training.run(config, tmp_path / "whole", verbose=0)
    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_die(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch == 0:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_die)
        with pytest.raises(Interrupted):
            training.run(config, tmp_path / "cut", verbose=0)
    assert not (tmp_path / "cut" / "result.json").exists()
    versions = tmp_path / "cut" / "versions.json"
    versions.write_text('{"keras": "of the first epoch"}')
    resumed = training.run(config, tmp_path / "cut", verbose=0)
    assert "of the first epoch" in versions.read_text()
    timed = ("seconds", "seconds_per_step")
    for name in set(whole) - set(timed):
        assert resumed[name] == whole[name], name
    archives = [
        np.load(tmp_path / run / "transition.npz")["learned"]
        for run in ("whole", "cut")
    ]
    np.testing.assert_array_equal(*archives)


def shorten(patch):
    """Trains eagerly, draws nothing, and makes masking's pretraining short.

    Returns a list, to which each call of `compile` adds its learning rate.
    """
    compile_model, rates = PairModel.compile, []

    def compile_eagerly(self, optimizer, **kwargs):
        rates.append(float(optimizer.learning_rate))
        compile_model(self, optimizer, run_eagerly=True, **kwargs)

    patch.setattr(PairModel, "compile", compile_eagerly)
    patch.setattr(Masking.pretrain, "__defaults__", (3,))
    patch.setattr(callbacks.TransitionImages, "on_epoch_end", lambda *_: None)
    return rates


@pytest.fixture
def short(monkeypatch):
    """Lists the learning rate of each call of `compile`; see `shorten`."""
    return shorten(monkeypatch)


def tiny(method, **overrides):
    """Phases of an epoch of warm-up and two others, of three steps each."""
    return small(
        method,
        **{
            "train.epochs": 3,
            "train.warmup_epochs": 1,
            "train.steps_per_epoch": 3,
            **overrides,
        },
    )


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-100])


def unseal(path):
    path.with_name(f"{path.name}.json").unlink()


@pytest.fixture(scope="module")
def after_three(tmp_path_factory):
    """(config, result, last checkpoint, run) of four epochs.

    The run is as if it had been cut off after its third epoch.
    """
    folder = tmp_path_factory.mktemp("after_three")
    # Where T comes to rest, it does so over the epochs that a run is to have.
    steady = {"train.warmup_epochs": 0, "method.mlc.transition.decay_steps": 0}
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        config = tiny("mlc", **{"train.epochs": 4, **steady})
        whole = training.run(config, folder / "whole", verbose=0)
        shorter = tiny("mlc", **{"train.epochs": 3, **steady})
        training.run(shorter, folder / "cut", verbose=0)
    (folder / "cut/result.json").unlink()
    shutil.copy(folder / "whole/config.json", folder / "cut/config.json")
    last = checkpoints.Checkpoints(folder / "whole/checkpoints").latest()[1]
    return config, whole, arrays_of(last), folder / "cut"


@pytest.mark.parametrize("damage", [flip_a_bit, cut_off, unseal])
@pytest.mark.parametrize("damaged", [(3,), (2, 3)])
def test_a_damaged_checkpoint_is_not_believed(
    damaged, damage, tmp_path, after_three, short, capsys
):
    config, whole, expected, cut = after_three
    shutil.copytree(cut, tmp_path / "cut")
    for epoch in damaged:
        damage(checkpoint(tmp_path / "cut", epoch))
    resumed = training.run(config, tmp_path / "cut", verbose=0)
    assert capsys.readouterr().out.count("is damaged") == len(damaged)
    for name in set(whole) - {"seconds", "seconds_per_step"}:
        assert resumed[name] == whole[name], name
    again = checkpoints.Checkpoints(tmp_path / "cut/checkpoints").latest()
    assert arrays_of(again[1]) == expected


def test_damaged_checkpoints_do_not_push_out_new_ones(tmp_path):
    model = PairModel(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    )
    saved = checkpoints.Checkpoints(tmp_path / "checkpoints")
    saved.set_model(model)
    for epoch in range(4):
        saved.on_epoch_begin(epoch)
        saved.on_epoch_end(epoch)
    for number in (3, 4):
        flip_a_bit(checkpoint(tmp_path, number))
    assert saved.latest() == ((0, 0), None)
    saved.on_epoch_begin(0)
    saved.on_epoch_end(0)
    assert saved.latest()[0] == (1, 0)
    # It and its seal.
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_a_damaged_begin_of_a_phase_is_told(tmp_path, monkeypatch, short):
    config = tiny("forward", **{"train.epochs": 2, "train.warmup_epochs": 0})
    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_die(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch == 2:  # the first of the second phase
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_die)
        with pytest.raises(Interrupted):
            training.run(config, tmp_path, verbose=0)
    flip_a_bit(tmp_path / "checkpoints/before-2.weights.h5")
    with pytest.raises(InputError, match=r"should hold before-2\.weights\.h5"):
        training.run(config, tmp_path, verbose=0)


def test_only_the_last_two_checkpoints_are_kept(finished):
    names = {path.name for path in (finished[0] / "checkpoints").iterdir()}
    files = {checkpoint(finished[0], epoch).name for epoch in (1, 2)}
    assert names == files | {f"{name}.json" for name in files}


def test_a_run_of_short_epochs_resumes_within_an_epoch(tmp_path, monkeypatch):
    config = small("ce_control", **{"train.steps_per_epoch": 5})
    whole = training.run(config, tmp_path / "whole", verbose=0)
    assert whole["train_steps"] == 2 * 5
    end_step = callbacks.StepTimer.on_train_batch_end

    def end_step_or_die(self, batch, logs=None):
        end_step(self, batch, logs)
        if self.model.optimizer.iterations == 7:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(
            callbacks.StepTimer, "on_train_batch_end", end_step_or_die
        )
        with pytest.raises(Interrupted):
            training.run(config, tmp_path / "cut", verbose=0)
    training.run(config, tmp_path / "cut", verbose=0)
    weights = [
        keras.models.load_model(tmp_path / run / "model.keras").get_weights()
        for run in ("whole", "cut")
    ]
    for expected, resumed in zip(*weights):
        np.testing.assert_array_equal(resumed, expected)


def test_more_steps_than_a_pass_go_on_with_the_next(tmp_path):
    overrides = own_arrays(tmp_path / "own.npz")  # 3 batches
    config = small(**overrides, **{"train.steps_per_epoch": 8})
    assert training.run(config, tmp_path / "run", 0)["train_steps"] == 8


def test_a_run_augments_what_it_trains_on(tmp_path, monkeypatch):
    pair, seen = data.pair, []

    def pair_and_tell(*args, **kwargs):
        seen.append(pair(*args, **kwargs))
        seen.append(pair(*args, **{**kwargs, "augment": None}))
        return seen[-2]

    monkeypatch.setattr(data, "pair", pair_and_tell)
    config = small(**{"train.augment": "crop_and_flip", "train.epochs": 1})
    result = training.run(config, tmp_path, verbose=0)
    assert result["train_steps"] == 1247 // 32
    augmented, plain = (next(iter(dataset)) for dataset in seen[-2:])
    for (x, labels), (plain_x, plain_labels) in zip(augmented, plain):
        np.testing.assert_array_equal(labels, plain_labels)
        # One in 162 draws has neither a shift nor a flip.
        changed = np.any(x != plain_x, axis=(1, 2, 3))
        assert np.mean(changed) > 0.9 and np.max(x) <= np.max(plain_x)


def test_warm_up_is_plain_cross_entropy(tmp_path):
    config = small(**{"train.warmup_epochs": 1})
    training.run(config, tmp_path, verbose=0)
    rows = callbacks.read_metrics(tmp_path / "metrics.jsonl")
    assert [row["transition_l1"] is None for row in rows] == [True, False]


# One of a phase, one of two with an index, and one that trains beforehand.
@pytest.mark.parametrize(
    "method",
    [
        pytest.param("mlc", marks=pytest.mark.wide),
        "glc",
        pytest.param("masking", marks=pytest.mark.wide),
    ],
)
def test_replicas_in_step_end_as_one_device(
    method, tmp_path, monkeypatch, two_replicas
):
    monkeypatch.setattr(Masking.pretrain, "__defaults__", (30,))
    config = tiny(method, **{"train.warmup_epochs": 0, "train.epochs": 1})
    one = training.run(config, tmp_path / "one", verbose=0)
    config.train.strategy, config.train.replicas = "mirrored", 2
    two = training.run(config, tmp_path / "two", verbose=0)
    for name in set(one) - {"seconds", "seconds_per_step"}:
        if isinstance(one[name], float):
            np.testing.assert_allclose(two[name], one[name], rtol=1e-4)
        else:
            assert two[name] == one[name]
    bases = [
        keras.models.load_model(tmp_path / run / "model.keras").get_weights()
        for run in ("one", "two")
    ]
    for pair in zip(*bases):
        np.testing.assert_allclose(*pair, **FLOAT32)


def test_a_batch_that_replicas_cannot_share_is_refused_at_once(
    tmp_path, two_replicas
):
    for which, size in (
        ("noisy", {"train.batch_size": 33}),
        ("clean", {"clean.batch_size": 9}),
    ):
        config = small("fine_tune", **size)
        config.train.strategy, config.train.replicas = "mirrored", 2
        message = f"{which} batches should divide by the 2 replicas"
        with pytest.raises(InputError, match=message):
            training.run(config, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


@pytest.mark.wide
def test_replicas_in_step_resume(tmp_path, monkeypatch, two_replicas):
    config = tiny("mlc", **{"train.warmup_epochs": 0, "train.epochs": 2})
    config.train.strategy, config.train.replicas = "mirrored", 2
    whole = training.run(config, tmp_path / "whole", verbose=0)
    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_die(self, epoch, logs=None):
        save(self, epoch, logs)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_die)
        with pytest.raises(Interrupted):
            training.run(config, tmp_path / "cut", verbose=0)
    resumed = training.run(config, tmp_path / "cut", verbose=0)
    for name in ("test_accuracy", "transition_l1"):
        np.testing.assert_allclose(resumed[name], whole[name], rtol=1e-5)


@pytest.fixture
def fits(monkeypatch, short):
    """Lists (model, weights before, weights after) of each call of `fit`."""
    fit, calls = PairModel.fit, []

    def fit_and_tell(self, *args, **kwargs):
        before = [np.copy(weight) for weight in self.base.get_weights()]
        result = fit(self, *args, **kwargs)
        after = [np.copy(weight) for weight in self.base.get_weights()]
        calls.append((self, before, after))
        return result

    monkeypatch.setattr(PairModel, "fit", fit_and_tell)
    return calls


def same(one, other):
    return all(np.array_equal(*pair) for pair in zip(one, other))


def test_co_teaching_warms_up_both_networks_on_all_examples(tmp_path, fits):
    config = tiny("co_teaching")
    training.run(config, tmp_path, verbose=0)
    (warm_up, before, after), (model, *_) = fits
    assert warm_up.forget_rate == 0 and model.forget_rate == 0.4
    assert warm_up.peer is model.peer
    assert warm_up.optimizer.iterations == 3 and not same(before, after)
    moved = {id(variable) for variable in warm_up.optimized_variables}
    assert moved >= {id(v) for v in model.peer.trainable_variables}


@pytest.mark.parametrize("name", ["mlc", "glc"])
def test_a_second_stage_goes_on_from_the_method_of_its_name(name, tmp_path):
    """To the bit, with the options of that method and their weights."""
    options = {
        "train.epochs": 2,
        "method.mlc.clean_weight": 0.3,
        "method.mlc.virtual_learning_rate": 0.7,
        "method.glc.expectation_rate": 0.2,
    }
    alone = training.network_of(
        config := small(name, **options), problem := problems.load(config)
    )[0]
    first, loads = [], methods.probabilities

    def keep(base, inputs):
        first.append(base.get_weights())
        return loads(base, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "probabilities", keep)
        both, _ = training.network_of(small(f"{name}_semi", **options), problem)
    for one, other in zip(alone.get_weights(), first[-1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert not methods.METHODS[f"{name}_semi"].phases[-1].fresh
    assert not np.array_equal(both.get_weights()[0], first[-1][0])


def test_a_later_phase_keeps_what_its_warm_up_learned(tmp_path, fits):
    training.run(tiny("forward"), tmp_path, verbose=0)
    models = [model for model, *_ in fits]
    assert models[0] is not models[1] and models[2] is models[3]


# The runs of other tests are of these methods.
RUN_ELSEWHERE = (
    "cross_entropy",
    "ce_control",
    "forward",
    "glc",
    "co_teaching",
    "co_teaching_estimated",
    "masking",
    "masking_estimated",
    "masking_hard",
    "pencil",
    "gce",
    "glc_semi",
    "clean_only",
    "fine_tune",
)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=pytest.mark.wide)
        if name in RUN_ELSEWHERE
        else name
        for name in methods.METHODS
    ],
)
def test_every_method_runs(method, tmp_path, monkeypatch):
    monkeypatch.setattr(Masking.pretrain, "__defaults__", (300,))
    config = small(method, **{"train.epochs": 1})
    result = training.run(config, tmp_path, verbose=0)
    phases = methods.METHODS[method].phases
    assert result["method"] == method
    assert result["oracle"] == methods.METHODS[method].oracle
    # One epoch of a tenth-size network: better than chance by far.
    assert result["test_accuracy"] > 0.2
    assert result["phases"] == result["epochs"] == len(phases)
    # The clean set alone is passed as often as an epoch has steps.
    assert result["train_steps"] == sum(
        (1247 + 50 * (phase.data == "merged")) // 32 for phase in phases
    )


# With a warm-up those that draw further weights after it, or twice.
DYING = [*((method, 0) for method in methods.METHODS)] + [
    (method, 1) for method in ("glc", "co_teaching", "fasten", "masking_hard")
]
# A method of one phase, and one of two phases with an index and a warm-up.
DYING_BY_DEFAULT = (("mlc", 0), ("glc", 1))


@pytest.mark.parametrize(
    "method, warmup",
    [
        case
        if case in DYING_BY_DEFAULT
        else pytest.param(*case, marks=pytest.mark.wide)
        for case in DYING
    ],
)
def test_a_run_that_dies_after_each_epoch_ends_as_if_it_did_not(
    method, warmup, tmp_path, monkeypatch, short
):
    overrides = {
        "train.steps_per_epoch": 2,
        "train.epochs": 2 + warmup,
        "train.warmup_epochs": warmup,
    }
    config = tiny(method, **overrides)
    whole = training.run(config, tmp_path / "whole", verbose=0)
    config.train.checkpoint_every = "1 steps"
    save, died_at = checkpoints.Checkpoints._save, []

    def save_and_die(self, position):
        save(self, position)
        died_at.append(position)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "_save", save_and_die)
        for _ in range(2 * whole["epochs"]):
            with pytest.raises(Interrupted):
                training.run(config, tmp_path / "cut", verbose=0)
    assert died_at == [
        position
        for epoch in range(whole["epochs"])
        for position in ((epoch, 1), (epoch + 1, 0))
    ]
    resumed = training.run(config, tmp_path / "cut", verbose=0)
    for name in set(whole) - {"seconds", "seconds_per_step"}:
        assert resumed[name] == whole[name], name
    rows = [
        [
            {k: v for k, v in row.items() if not k.startswith("seconds")}
            for row in callbacks.read_metrics(tmp_path / run / "metrics.jsonl")
        ]
        for run in ("whole", "cut")
    ]
    assert rows[0] == rows[1]
    if (tmp_path / "whole/transition.npz").exists():
        for name in ("learned", "epochs"):
            histories = [
                np.load(tmp_path / run / "transition.npz")[name]
                for run in ("whole", "cut")
            ]
            np.testing.assert_array_equal(*histories)
    bases = [
        keras.models.load_model(tmp_path / run / "model.keras").get_weights()
        for run in ("whole", "cut")
    ]
    assert same(*bases)
    states = [
        checkpoints.Checkpoints(tmp_path / run / "checkpoints").latest()[1]
        for run in ("whole", "cut")
    ]
    assert arrays_of(states[0]) == arrays_of(states[1])


def arrays_of(path):
    """Returns the content of every dataset of an HDF5 file, as bytes."""
    arrays = {}
    with h5py.File(path) as file:

        def note(name, item):
            if isinstance(item, h5py.Dataset):
                arrays[name] = np.asarray(item).tobytes()

        file.visititems(note)
    assert arrays
    return arrays


@pytest.mark.parametrize("method", ["forward", "glc"])
def test_a_fresh_phase_begins_from_the_initial_weights(method, tmp_path, fits):
    config = tiny(method, **{"train.warmup_epochs": 0})
    training.run(config, tmp_path, verbose=0)
    (_, initial, first), (_, second, _) = fits
    assert same(initial, second) and not same(initial, first)


@pytest.mark.parametrize(
    "method", ["fine_tune", "masking", "masking_hard", "t_revision"]
)
def test_a_phase_that_is_not_fresh_goes_on(method, tmp_path, fits):
    training.run(tiny(method), tmp_path, verbose=0)
    (_, _, warm), (_, main, first), (_, second, _) = fits
    assert same(warm, main) and same(first, second)


def test_each_fresh_phase_has_a_warm_up_of_its_own(tmp_path, fits, short):
    result = training.run(tiny("forward"), tmp_path, verbose=0)
    names = [type(model).__name__ for model, *_ in fits]
    assert names == ["CrossEntropy"] * 2 + ["ForwardCorrection"] * 2
    checked = 2  # each phase is compiled once to see that it can be
    np.testing.assert_allclose(short[checked:], [0.01, 0.1] * 2)
    assert result["epochs"] == 6 and result["train_steps"] == 6 * 3


def test_a_method_may_have_a_learning_rate_of_its_own(tmp_path, short):
    rates = {"method.ce_control.learning_rate": 0.02, "train.warmup_epochs": 0}
    own = tiny("ce_control", **rates)
    result = training.run(own, tmp_path / "own", verbose=0)
    shared = tiny("cross_entropy", **rates)
    training.run(shared, tmp_path / "shared", verbose=0)
    # Each is compiled once to see that it can be.
    np.testing.assert_allclose(short, [0.02, 0.02, 0.1, 0.1])
    for config, rate in ((own, 0.02), (shared, 0.1)):
        told = settings.of_training(config)
        assert told["optimizer.learning_rate"] == rate
    assert "learning_rate" not in result["options"]


def test_forward_has_the_transition_that_its_first_phase_shows(tmp_path, fits):
    config = tiny("forward", **{"train.warmup_epochs": 0})
    training.run(config, tmp_path, verbose=0)
    problem = problems.load(config)
    base = training.build_base(config, problem)
    base.set_weights(fits[0][2])
    logits = base.predict(
        np.concatenate([problem.noisy.x, problem.clean.x]), verbose=0
    )
    expected = anchor_point_transition(softmax(logits.astype(float)))
    learned = fits[1][0].transition_matrix
    np.testing.assert_allclose(learned, expected, rtol=1e-4)


def test_gold_marks_just_the_clean_examples(tmp_path, fits):
    config = tiny("glc")
    training.run(config, tmp_path, verbose=0)
    problem = problems.load(config)
    clean = {row.tobytes() for row in problem.clean.x}
    merged = np.concatenate([problem.noisy.x, problem.clean.x])
    expected = [row.tobytes() in clean for row in merged]
    np.testing.assert_array_equal(fits[-1][0].gold, expected)


@pytest.mark.parametrize("method, phase", [("clean_only", 0), ("fine_tune", 1)])
def test_a_phase_of_clean_examples_sees_no_other(
    method, phase, tmp_path, monkeypatch, short
):
    pair, seen = data.pair, []

    def pair_and_tell(*args, **kwargs):
        seen.append(pair(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(data, "pair", pair_and_tell)
    config = tiny(method, **{"train.warmup_epochs": 0})
    training.run(config, tmp_path, verbose=0)
    clean = problems.load(config).clean
    known = {(x.tobytes(), y) for x, y in zip(clean.x, clean.labels.tolist())}
    fed = seen[len(seen) // 2 :]  # the first half was only tried
    drawn = [
        (x.tobytes(), int(label))
        for (xs, labels), _ in fed[phase].as_numpy_iterator()
        for x, label in zip(xs, labels)
    ]
    assert len(drawn) == 3 * 3 * 32 and set(drawn) == known


@pytest.mark.parametrize(
    "method, option, value, message",
    [
        (
            "masking_hard",
            "noise_learning_rate",
            -1.0,
            "`method.masking_hard.noise_learning_rate`",
        ),
        ("masking_hard", "structure", "M.txt", "`structure` should name a"),
        ("masking", "structure", "none.npy", "which cannot be read"),
        (
            "co_teaching",
            "forget_rate",
            1.5,
            r"`method.co_teaching.forget_rate` should be in \[",
        ),
        ("co_teaching", "ramp", 1.5, r"`method.co_teaching.ramp` should be in"),
        *(
            (name, "expectation_rate", -1.0, f"`method.{name}.expectation_rate")
            for name in ("forward", "glc", "glc_em", "true_forward")
        ),
        *(
            (name, "clean_weight", -1.0, f"`method.{name}.clean_weight` should")
            for name in (
                "ce_control",
                "glc_em",
                "lre",
                "meta_weight_net",
                "true_forward",
            )
        ),
        *(
            (
                name,
                "clean_class_weight",
                "equl",
                f"`method.{name}.clean_class_weight` = 'equl'. Did you mean",
            )
            for name in ("mlc", "ce_control", "glc_em")
        ),
        (
            "pencil",
            "alpha",
            -1.0,
            "`method.pencil.alpha` should be a finite float >= 0",
        ),
        ("gce", "q", 2.0, r"`method.gce.q` should be in \(0, 1\]"),
        (
            "fasten",
            "threshold",
            2.0,
            r"`method.fasten.threshold` should be in \(0, 1\]",
        ),
    ],
)
def test_bad_options_are_refused_before_any_training(
    method, option, value, message, tmp_path, fits
):
    config = small(method, **{f"method.{method}.{option}": value})
    with pytest.raises(InputError, match=message):
        training.run(config, tmp_path / "run")
    assert not fits and not (tmp_path / "run").exists()


def test_what_the_user_tells_is_no_oracle(tmp_path, short):
    structure = tmp_path / "structure.npy"
    np.save(structure, np.ones((10, 10)))
    for method, option in (
        ("co_teaching", {"forget_rate": 0.3}),
        ("masking_hard", {"structure": str(structure)}),
    ):
        config = tiny(method, **{"train.epochs": 2})
        config.method[method].update(option)
        result = training.run(config, tmp_path / method, verbose=0)
        assert result["oracle"] == ""
        assert result["options"].items() >= option.items()


def test_noise_of_an_unknown_rate_needs_a_forget_rate(tmp_path, short):
    overrides = own_arrays(tmp_path / "own.npz")
    config = small("co_teaching", **overrides)
    with pytest.raises(InputError, match="forget_rate` should be given unless"):
        training.run(config, tmp_path / "run")
    config.method.co_teaching.forget_rate = 0.25
    assert training.run(config, tmp_path / "run", 0)["oracle"] == ""


def test_a_diverging_run_stops_and_keeps_its_checkpoint(tmp_path, monkeypatch):
    config = small("ce_control", **{"train.epochs": 3})
    finite = checkpoints.Checkpoints(tmp_path / "checkpoints")

    class Poisoned(divergence.StopOnNonFiniteLoss):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == 1:
                bias = self.model.base.trainable_variables[-1]
                bias.assign_add(np.full(10, np.nan))

    monkeypatch.setattr(divergence, "StopOnNonFiniteLoss", Poisoned)
    with pytest.raises(
        DivergedError, match=r"became nan at step 1 of epoch 2\. Earlier"
    ):
        training.run(config, tmp_path, verbose=0)
    assert finite.latest()[0] == (1, 0)
    assert not (tmp_path / "result.json").exists()


def test_a_result_says_that_it_is_of_a_validation_set(tmp_path):
    config = small(**{"dataset.validation": 0.25, "train.epochs": 1})
    assert training.run(config, tmp_path, 0)["evaluated_on"] == "validation"


def test_own_data_with_noise_of_its_own(tmp_path):
    overrides = own_arrays(tmp_path / "own.npz")
    result = training.run(small(**overrides), tmp_path / "run", verbose=0)
    assert result["ratio"] is None and result["transition_l1"] is None
    with np.load(tmp_path / "run" / "transition.npz") as archive:
        assert archive.files == ["learned", "epochs"]


def test_a_channel_without_variance_becomes_zero(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    x[:, 2] = 5.0
    overrides = own_arrays(tmp_path / "own.npz", x_train=x)
    result = training.run(small(**overrides), tmp_path / "run", verbose=0)
    assert np.isfinite(result["test_accuracy"])


def test_an_oracle_without_injected_noise_is_refused(tmp_path):
    overrides = own_arrays(tmp_path / "own.npz")
    with pytest.raises(InputError, match="should be run with injected noise"):
        training.run(small("true_forward", **overrides), tmp_path / "run")


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"noise.ratio": 1.4}, r"`noise.ratio` should be in \[0, 1\]"),
        ({"noise.kind": "flip"}, "`noise.kind` should be one of uniform"),
        ({"noise.kind": "uniform:0.4"}, "`noise.kind` should be one of unif"),
        ({"noise.kind": "human:"}, "Did you mean 'human:SET'"),
        ({"noise.kind": "file:"}, "Did you mean 'file:PATH'"),
        ({"noise.kind": "file:T.txt"}, "name a .npy or .csv file"),
        ({"noise.mode": "exactly"}, "Did you mean 'exact'"),
        ({"train.steps_per_epoch": -1}, "0 for one pass. .* = -1"),
        ({"train.augment": "crop_and_flop"}, "Did you mean 'crop_and_flip'"),
        ({"network.weights": "imagenet"}, "left out .* 'imagenet' for 'mlp'"),
        ({"dataset.cache": "ram"}, "`dataset.cache` should be one of memory"),
        ({"dataset.cache": "disk:"}, "`dataset.cache` .* memory, none, disk"),
        ({"dataset.image_size": (8,)}, r"should be \(height, width\)"),
        ({"dataset.image_size": (8, 0)}, r"should be \(height, width\)"),
        ({"dataset.name": "digit"}, "Did you mean 'digits'"),
        ({"network.name": "lenett"}, "Did you mean 'lenet'"),
        ({"method.name": "mlcc"}, "Did you mean 'mlc'"),
        ({"optimizer.name": "sdg"}, "Did you mean 'sgd'"),
        ({"optimizer.schedule": "cos"}, "Did you mean 'cosine'"),
        ({"optimizer.learning_rate": 0.0}, "`optimizer.learning_rate` should"),
        ({"train.warmup_learning_rate": -1.0}, "`train.warmup_learning_rate`"),
        (
            {"method.mlc.learning_rate": 0.0},
            "`method.mlc.learning_rate` should be a finite float > 0",
        ),
        ({"train.strategy": "mirrord"}, "Did you mean 'mirrored'"),
        ({"train.replicas": 2}, "and 0 unless `train.strategy` = 'mirrored'"),
        (
            {"train.strategy": "mirrored", "train.replicas": -1},
            "`train.replicas` should be an integer >= 0",
        ),
        ({"train.epochs": 0}, "`train.epochs` should be an integer >= 1"),
        ({"train.warmup_epochs": 2}, r"`train.warmup_epochs` should be in \["),
        ({"train.dtype": "mixed_float"}, "Did you mean 'mixed_float16'"),
        ({"train.batch_size": 5000}, "at most the 1247 examples of the noisy"),
        ({"train.batch_size": 0}, "`train.batch_size` should be an integer"),
        ({"clean.per_class": -1}, "`clean.per_class` should be an integer"),
        ({"clean.per_class": 500}, "`clean.per_class` should be less than"),
        ({"clean.batch_size": 0}, "`clean.batch_size` should be an integer"),
        (
            {"dataset.validation": 1.0},
            r"`dataset.validation` should be in \(0, 1\)",
        ),
        (
            {"method.mlc.transition.name": "projectd"},
            "`method.mlc.transition.name` .*Did you mean 'projected'",
        ),
        ({"seed": -1}, "`seed` should be an integer in"),
        ({"optimizer.momentum": 2.0}, r"`optimizer.momentum` should be in \["),
        ({"network.weight_decay": -1.0}, "`network.weight_decay` should be"),
        ({"train.steps_per_execution": 0}, "`train.steps_per_execution`"),
    ],
)
def test_bad_settings(overrides, message, tmp_path):
    with pytest.raises(InputError, match=message):
        training.run(small(**overrides), tmp_path)


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"noise.kind": "pairs"}, "Did you mean 'pair'"),
        (
            {"noise.kind": "instance", "noise.ratio": 1.4},
            "`noise.ratio` should be",
        ),
        ({"noise.kind": "pair", "noise.ratio": 1.4}, "`noise.ratio` should be"),
        ({"noise.kind": "human:worst", "noise.mode": "id"}, "mean 'iid'"),
        ({"dataset.image_size": (8.5, 8)}, r"should be \(height, width\)"),
    ],
)
def test_some_bad_settings_are_refused_before_data_are_read(overrides, message):
    with pytest.raises(InputError, match=message):
        settings.check(small(**overrides))


@pytest.mark.parametrize("kind", ["none", "human:worst", "file:T.npy"])
def test_a_noise_without_a_ratio_takes_any(kind):
    settings.check(small(**{"noise.kind": kind, "noise.ratio": 7.0}))


@pytest.mark.parametrize(
    "dataset, kind, name",
    [
        ("digits", "flip_to_one", "digits/flip_to_one-0.4"),
        ("npz:/a/b.npz", "none", "npz__a_b_npz/none"),
        ("digits", "file:../../T.npy", "digits/file_______T_npy"),
        ("cifar10_n", "human:worst", "cifar10_n/human_worst"),
    ],
)
def test_the_directory_of_a_run_is_named_after_it(dataset, kind, name):
    config = small(**{"dataset.name": dataset, "noise.kind": kind, "seed": 2})
    assert directory.name_of(config) == f"{name}/mlc-seed2"


def test_a_workdir_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a directory that can be written and"):
        training.run(small(), tmp_path / "file" / "run")


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_a_setting(dtype, tmp_path):
    config = small(**{"train.dtype": dtype, "train.epochs": 1})
    assert training.run(config, tmp_path, 0)["test_accuracy"] > 0.2


def test_the_defaults_are_those_of_the_class():
    import inspect

    for method, model in (
        ("mlc", MetaLossCorrection),
        ("mlc_paper", PaperMetaLossCorrection),
    ):
        parameters = inspect.signature(model).parameters
        options = settings.default_config().method[method].to_dict()
        update = options.pop("transition")
        if method == "mlc":
            # Of the class it goes with rates of T from the length of the run.
            assert options.pop("virtual_learning_rate") == 0.1
        for name, value in options.items():
            if value is not None:
                assert parameters[name].default == value
        if method == "mlc_paper":
            assert parameters["transition"].default == update
        else:
            name = update.pop("name")
            assert set(update.values()) == {None}
            built = transitions.get(name).get_config()
            assert built == transitions.Exponentiated().get_config()
            assert update.keys() == built.keys() - {"initial"}


def test_every_setting_of_a_method_can_be_given_by_a_flag():
    # One that is None without a type cannot.
    section = settings.default_config().method
    for method in methods.METHODS:
        for option in section[method]:
            assert section[method].get_type(option) is not type(None)


def test_every_network_can_be_configured():
    configured = set(settings.default_config().network)
    shared = {"name", "initializer", "weight_decay", "weights"}
    assert configured - shared <= set(networks.NETWORKS)


def test_a_refused_config_leaves_the_workdir_free(tmp_path):
    with pytest.raises(InputError, match="`method.mlc.meta_gradient`"):
        wrong = small(**{"method.mlc.meta_gradient": "hed"})
        training.run(wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        {"train.batch_size": 1000},
        {"train.batch_size": 256, "train.steps_per_execution": 4},
    ],
)
def test_an_epoch_of_one_execution(overrides, tmp_path):
    config = small(**overrides, **{"train.epochs": 1})
    result = training.run(config, tmp_path, verbose=0)
    assert result["seconds_per_step"] is None


def test_weights_that_blow_up_in_a_last_step_are_not_saved(
    tmp_path, monkeypatch
):
    config = small("ce_control", **{"train.batch_size": 1000})  # one step

    class Poisoned(divergence.StopOnNonFiniteLoss):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if self._epoch == 1:
                bias = self.model.base.trainable_variables[-1]
                bias.assign_add(np.full(10, np.nan))

    monkeypatch.setattr(divergence, "StopOnNonFiniteLoss", Poisoned)
    with pytest.raises(DivergedError, match=r"weights became .* in epoch 2\."):
        training.run(config, tmp_path, verbose=0)
    saved = checkpoints.Checkpoints(tmp_path / "checkpoints")
    assert saved.latest()[0] == (1, 0)
    with pytest.raises(DivergedError, match=r"weights became .* in epoch 2\.$"):
        training.network_of(config, problems.load(config))


def test_what_is_trained_for_its_result_alone_keeps_nothing(
    tmp_path, monkeypatch
):
    config = small("glc", **{"train.epochs": 2})  # of two phases
    expected = training.run(config, tmp_path, verbose=0)

    def unexpected(*arguments, **named):
        raise AssertionError("Nobody will read it.")

    monkeypatch.setattr(checkpoints.Checkpoints, "_save", unexpected)
    monkeypatch.setattr(keras.callbacks, "TensorBoard", unexpected)
    _, result = training.network_of(config, problems.load(config))
    assert result["test_accuracy"] == expected["test_accuracy"]
    assert result["transition_l1"] == expected["transition_l1"]


def test_only_images_are_augmented(tmp_path):
    overrides = own_arrays(tmp_path / "own.npz")
    overrides["train.augment"] = "crop_and_flip"
    with pytest.raises(
        InputError, match=r"other than images\. .* of shape \(4,\)"
    ):
        training.run(small(**overrides), tmp_path / "run")


def test_a_run_tells_what_is_to_be_known_of_its_data(
    tmp_path, monkeypatch, capsys
):
    problem = problems.load(small())
    noted = dataclasses.replace(problem, notes=("3 images were left out.",))
    monkeypatch.setattr(problems, "load", lambda config: noted)
    training.run(small(**{"train.epochs": 1}), tmp_path, verbose=0)
    assert "3 images were left out.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=() if name == "mlc" else pytest.mark.wide)
        for name in methods.METHODS
    ],
)
def test_a_run_of_each_method_compiles(method, tmp_path):
    """A run evaluates too, and its step has no kernel that XLA lacks."""
    plain, compiled = (
        training.run(
            small(method, **{"train.epochs": 1, "train.jit_compile": jit}),
            tmp_path / str(jit),
            verbose=0,
        )
        for jit in (False, True)
    )
    np.testing.assert_allclose(
        compiled["test_accuracy"], plain["test_accuracy"], atol=0.02
    )
