"""What the world does to a run: each fault is reported, and the run resumes."""

import errno
import os
import re
import resource
import signal
import subprocess
import threading
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf.baselines import CrossEntropy
from mlc_tf.baselines import EarlyLearningRegularization
from mlc_tf.data import augmentation
from mlc_tf.errors import DivergedError
from mlc_tf.errors import InputError
from mlc_tf.errors import InterruptedRunError
from mlc_tf.models.pair_model import PairModel
from mlc_tf.run import callbacks
from mlc_tf.run import checkpoints
from mlc_tf.run import directory
from mlc_tf.run import faults
from mlc_tf.run import training
from mlc_tf.run.termination import Termination
from tests.support import ROOT
from tests.support import small

STEPS = 4


def short(**overrides):
    """Two epochs of four steps each."""
    return small(**{"train.steps_per_epoch": STEPS, **overrides})


def at_step(monkeypatch, position, action):
    """Calls `action` once, after a step of (epoch, number), from 1."""
    end_step, done = callbacks.StepTimer.on_train_batch_end, []

    def end_step_and_act(self, batch, logs=None):
        end_step(self, batch, logs)
        steps = int(self.model.optimizer.iterations)
        if not done and divmod(steps - 1, STEPS) == (
            position[0],
            position[1] - 1,
        ):
            done.append(True)
            action()

    monkeypatch.setattr(
        callbacks.StepTimer, "on_train_batch_end", end_step_and_act
    )


def bits(workdir):
    """All that a run computed."""
    base = keras.models.load_model(workdir / "model.keras")
    with np.load(workdir / "transition.npz") as archive:
        history = archive["learned"]
    rows = [
        {k: v for k, v in row.items() if "seconds" not in k}
        for row in callbacks.read_metrics(workdir / "metrics.jsonl")
    ]
    return [w.tobytes() for w in base.get_weights()], history.tobytes(), rows


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    keras.config.set_dtype_policy("float32")
    training.run(short(), workdir, verbose=0)
    return bits(workdir)


def resumes(workdir, config, undisturbed):
    training.run(config, workdir, verbose=0)
    assert bits(workdir) == undisturbed


@pytest.mark.parametrize(
    "number, status, position",
    [
        (signal.SIGTERM, 143, (0, 2)),
        (signal.SIGINT, 130, (1, STEPS)),
        pytest.param(signal.SIGTERM, 143, (1, STEPS), marks=pytest.mark.wide),
        pytest.param(signal.SIGINT, 130, (0, 2), marks=pytest.mark.wide),
    ],
)
def test_a_run_that_is_asked_to_end_saves_first(
    number, status, position, tmp_path, monkeypatch, undisturbed
):
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(patch, position, lambda: os.kill(os.getpid(), number))
        with pytest.raises(
            InterruptedRunError, match=f"{number.name}, and its state was saved"
        ) as caught:
            training.run(short(), tmp_path, verbose=0)
    assert caught.value.status == status
    assert signal.getsignal(number) is before
    saved, _ = checkpoints.Checkpoints(tmp_path / "checkpoints").latest()
    assert saved == (position if position[1] < STEPS else (position[0] + 1, 0))
    resumes(tmp_path, short(), undisturbed)


def test_a_run_that_has_not_begun_ends_at_once():
    with (
        pytest.raises(InterruptedRunError, match=r"by SIGTERM\. The same"),
        Termination().listening(),
    ):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def usual_signals():
    """Ctrl-C as in a terminal: a shell lets background jobs ignore it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_a_second_signal_has_its_usual_effect(usual_signals):
    termination = Termination()
    with pytest.raises(KeyboardInterrupt), termination.listening():
        termination.deferred = True
        os.kill(os.getpid(), signal.SIGINT)
        assert termination.asked
        os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_do_not_listen():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def listen():
        with Termination().listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_directory_in_use_is_refused(tmp_path):
    training.run(short(**{"train.epochs": 1}), tmp_path / "other", verbose=0)
    with directory.claimed(tmp_path / "run", short()):
        with pytest.raises(InputError, match=f"of process {os.getpid()} on .*"):
            training.run(short(), tmp_path / "run", verbose=0)
        assert not (tmp_path / "run" / "metrics.jsonl").exists()
    training.run(short(), tmp_path / "run", verbose=0)  # free again


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(directory.fcntl, "flock", refuse)
    with pytest.raises(InputError, match=r"locked\. .*No locks available"):
        training.run(short(), tmp_path / "run")


def test_a_disk_that_does_not_answer_damages_no_checkpoint(
    tmp_path, monkeypatch, undisturbed
):
    with monkeypatch.context() as patch:
        at_step(patch, (1, 2), lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(InterruptedRunError):
            training.run(short(), tmp_path, verbose=0)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.hashlib, "file_digest", fail)
        with pytest.raises(InterruptedRunError, match="Input/output error"):
            training.run(short(), tmp_path, verbose=0)
    saved, _ = checkpoints.Checkpoints(tmp_path / "checkpoints").latest()
    assert saved == (1, 2)
    resumes(tmp_path, short(), undisturbed)


def test_an_interval_that_no_execution_ends_at(tmp_path, monkeypatch):
    saved, save = [], checkpoints.Checkpoints._save

    def save_and_tell(self, position):
        saved.append(position)
        save(self, position)

    monkeypatch.setattr(checkpoints.Checkpoints, "_save", save_and_tell)
    overrides = {
        "train.epochs": 1,
        "train.steps_per_epoch": 10,
        "train.steps_per_execution": 2,
        "train.checkpoint_every": "3 steps",
    }
    training.run(small(**overrides), tmp_path, verbose=0)
    assert saved == [(0, 4), (0, 8), (1, 0)]


def test_the_work_of_another_config_is_refused_within_an_epoch(
    tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        at_step(patch, (0, 2), lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(InterruptedRunError):
            training.run(short(), tmp_path, verbose=0)
    assert not (tmp_path / "metrics.jsonl").exists()
    with pytest.raises(InputError, match=r"differs in noise\.ratio, seed\."):
        training.run(short(**{"seed": 1, "noise.ratio": 0.2}), tmp_path)


def test_how_a_run_is_done_may_change(tmp_path, monkeypatch, undisturbed):
    with monkeypatch.context() as patch:
        at_step(patch, (0, 2), lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(InterruptedRunError):
            training.run(short(), tmp_path, verbose=0)
    config = short(**{"train.checkpoint_every": "1 steps"})
    resumes(tmp_path, config, undisturbed)


@pytest.mark.parametrize("text", ["", "5", "0 steps", "1.5 seconds", "5 hours"])
def test_bad_intervals_are_refused(text, tmp_path):
    config = short(**{"train.checkpoint_every": text})
    with pytest.raises(InputError, match="'epoch', 'N steps' or 'N seconds'"):
        training.run(config, tmp_path / "run")


def test_checkpoints_by_the_clock(tmp_path, monkeypatch):
    clock = iter(range(1000))  # a second goes by each time that it is read
    monkeypatch.setattr(
        checkpoints,
        "time",
        types.SimpleNamespace(monotonic=lambda: next(clock)),
    )
    saved, save = [], checkpoints.Checkpoints._save

    def save_and_tell(self, position):
        saved.append(position)
        save(self, position)

    monkeypatch.setattr(checkpoints.Checkpoints, "_save", save_and_tell)
    config = short(**{"train.checkpoint_every": "3 seconds"})
    training.run(config, tmp_path, verbose=0)
    assert saved == [(0, 2), (1, 0), (1, 2), (2, 0)]


def test_a_disk_that_is_full(tmp_path, monkeypatch, undisturbed):
    def fill():
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))

    config = short(**{"train.checkpoint_every": "1 steps"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with monkeypatch.context() as patch:
            at_step(patch, (1, 2), fill)
            with pytest.raises(
                InterruptedRunError,
                match=r"not be read or written \(File too large\)\. When this",
            ):
                training.run(config, tmp_path, verbose=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    saved, _ = checkpoints.Checkpoints(tmp_path / "checkpoints").latest()
    assert saved == (1, 1)
    assert not list((tmp_path / "checkpoints").glob(".part*"))
    resumes(tmp_path, config, undisturbed)


def test_a_full_disk_where_space_cannot_be_asked_for(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    path = tmp_path / "a.weights.h5"
    checkpoints.save(base, path)
    assert checkpoints.is_whole(path)
    full = types.SimpleNamespace(free=1000)
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda _: full)
    with pytest.raises(OSError, match="No space left on device"):
        checkpoints.save(base, tmp_path / "b.weights.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.weights.h5",
        "a.weights.h5.json",
    ]


def test_a_checkpoint_of_other_variables_is_one_sentence(tmp_path):
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model = EarlyLearningRegularization(base, num_examples=3)
    path = tmp_path / "a.weights.h5"
    checkpoints.save(model, path)
    without = CrossEntropy(base)
    with pytest.raises(InputError, match="other variables .*; start again in"):
        checkpoints.load(without, path)


def test_a_tensor_flow_writer_whose_disk_is_full_is_told(tmp_path):
    error = tf.errors.ResourceExhaustedError(None, None, "No space left on ..")
    with (
        pytest.raises(InterruptedRunError, match="No space left on device"),
        faults.translate_faults(tmp_path),
    ):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file"),
        tf.errors.ResourceExhaustedError(None, None, "OOM"),
        tf.errors.UnavailableError(None, None, "no worker here"),
    ],
)
def test_what_is_no_fault_of_the_world_keeps_its_traceback(error, tmp_path):
    with pytest.raises(type(error)), faults.translate_faults(tmp_path):
        raise error


def test_a_lost_worker_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(faults.distribution, "has_workers", lambda: True)
    monkeypatch.setattr(faults.distribution, "worker", lambda: 0)
    with (
        pytest.raises(
            InterruptedRunError,
            match=r"^Worker 0 lost another worker of this run, .*\(Gone\)",
        ) as caught,
        faults.translate_faults(tmp_path),
    ):
        raise tf.errors.UnavailableError(None, None, "Gone\nfor good")
    assert caught.value.status == 1


def make_read_only(folder):
    """Returns what undoes it; root may write anywhere but on such a mount."""
    if os.geteuid():
        folder.chmod(0o555)
        return lambda: folder.chmod(0o755)
    mounted = subprocess.run(
        ["mount", "--bind", folder, folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("root may write anywhere, and may mount nothing here")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    return lambda: subprocess.run(["umount", folder], check=True)


def test_a_directory_that_cannot_be_written(tmp_path, undisturbed):
    folder = tmp_path / "runs"
    folder.mkdir()
    undo = make_read_only(folder)
    try:
        with pytest.raises(
            InputError,
            match=r"be written and locked\. .*(Read-only|Permission)",
        ):
            training.run(short(), folder / "run", verbose=0)
    finally:
        undo()
    resumes(folder / "run", short(), undisturbed)


def test_a_directory_that_can_no_longer_be_written(
    tmp_path, monkeypatch, undisturbed
):
    undo = []
    try:
        with monkeypatch.context() as patch:
            at_step(
                patch, (1, 1), lambda: undo.append(make_read_only(tmp_path))
            )
            with pytest.raises(
                (InterruptedRunError, InputError),
                match=r"written .*(Read-only|Permission)",
            ):
                training.run(short(), tmp_path, verbose=0)
    finally:
        undo[0]()
    resumes(tmp_path, short(), undisturbed)


def image_folder(root):
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 4)):
        for name in ("cat", "dog"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (8, 8, 3))
                keras.utils.save_img(
                    folder / f"{number:02}.png", pixels, scale=False
                )


def test_data_that_vanish(tmp_path, monkeypatch):
    data, workdir = tmp_path / "data", tmp_path / "run"
    image_folder(data)
    config = small(
        **{
            "dataset.name": f"folder:{data}",
            "dataset.cache": "none",
            "train.batch_size": 8,
            "train.steps_per_epoch": 60,  # many more than are prefetched
            "noise.mode": "iid",
        }
    )
    training.run(config, tmp_path / "whole", verbose=0)
    away = tmp_path / "away"

    with monkeypatch.context() as patch:
        at_step(patch, (0, STEPS), lambda: (data / "train").rename(away))
        with pytest.raises(
            InputError, match=r"should be readable\. .*train/.*\.png, which"
        ):
            training.run(config, workdir, verbose=0)
    away.rename(data / "train")
    resumes(workdir, config, bits(tmp_path / "whole"))


def test_a_batch_of_nan(tmp_path, monkeypatch):
    config = short(
        **{"train.augment": "crop_and_flip", "train.steps_per_epoch": 60}
    )
    whole = tmp_path / "whole"
    training.run(config, whole, verbose=0)
    # A ReLU may make 0 of NaN: the loss then stays finite, the weights do not.
    real, spoiled = augmentation.crop_and_flip, []

    def spoil(x):
        return x * np.float32(np.nan if spoiled else 1)

    def augment(x, key):
        images = real(x, key)
        return tf.ensure_shape(
            tf.numpy_function(spoil, [images], images.dtype), images.shape
        )

    with monkeypatch.context() as patch:
        patch.setitem(augmentation.AUGMENTATIONS, "crop_and_flip", augment)
        end_epoch = callbacks.StepTimer.on_epoch_end

        def end_epoch_and_spoil(self, epoch, logs=None):
            end_epoch(self, epoch, logs)
            spoiled.append(True)

        patch.setattr(callbacks.StepTimer, "on_epoch_end", end_epoch_and_spoil)
        with pytest.raises(
            DivergedError, match=r"became (nan|NaN) .*epoch 2\. Earlier"
        ):
            training.run(config, tmp_path / "run", verbose=0)
    resumes(tmp_path / "run", config, bits(whole))


def test_nothing_that_could_run_code_is_ever_loaded():
    loads = 0
    for folder in ("mlc_tf", "launch"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            assert not re.search(
                r"import pickle|safe_mode=False|enable_unsafe|extractall"
                r"|allow_pickle=True|Lambda\(|\beval\(|\bexec\(",
                text,
            ), path
            for call in re.findall(r"np\.load\([^)]*\)+", text):
                loads += 1
                assert "allow_pickle=False" in call, (path, call)
    assert loads >= 4


def test_fit_keeps_the_state_of_metrics_within_an_epoch(tmp_path):
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model = PairModel(base)
    model.loss_tracker.update_state(3.0)
    saved = checkpoints.Checkpoints(tmp_path)
    saved.set_model(model)
    saved.on_epoch_begin(0)
    saved.set_params({"steps": 5})
    saved._save(checkpoints.Position(0, 2))
    other = PairModel(base)
    again = checkpoints.Checkpoints(tmp_path)
    position, file = again.latest()
    assert position == (0, 2) and again.resume_from(position, file) >= 0
    again.set_model(other)
    again.on_epoch_begin(0)
    assert float(other.loss_tracker.result()) == 3.0
