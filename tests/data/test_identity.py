"""What distinguishes examples, and sets."""

import hashlib
from pathlib import Path

import numpy as np

from mlc_tf.data import examples
from mlc_tf.data import identity
from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import ImageFiles

_X = np.arange(12, dtype=np.float32).reshape(6, 2)
_LABELS = np.array([0, 1, 2, 0, 1, 2])


def test_an_identity_moves_with_its_example():
    order = np.array([3, 0, 5, 1, 4, 2])

    before = identity.identities(Arrays(_X, _LABELS))
    after = identity.identities(Arrays(_X[order], _LABELS[order]))

    assert after == [before[index] for index in order]
    assert len({*before}) == 6


def test_equal_inputs_are_numbered():
    found = identity.identities(Arrays(np.zeros((3, 2)), np.zeros(3, int)))

    assert len({*found}) == 3
    assert [text.split("-")[2:] for text in found] == [[], ["2"], ["3"]]


def test_the_path_identifies_an_image_in_every_cache(tmp_path):
    from PIL import Image

    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for path in paths:
        Image.new("RGB", (2, 2)).save(path)
    files = ImageFiles(paths, np.array([0, 1]), (2, 2))
    cached = (
        files,
        examples.in_memory(files),
        examples.in_memory(files).take(np.array([0, 1])),
        examples.on_disk(files, Path(tmp_path / "cache.npy")),
    )

    for each in cached:
        assert identity.identities(each) == [str(path) for path in paths]


def test_the_digest_tells_order_inputs_and_labels_apart():
    order = np.array([1, 0, 2, 3, 4, 5])
    changed = _X.copy()
    changed[5, 1] += 1

    whole = identity.digest(Arrays(_X, _LABELS))
    permuted = identity.digest(Arrays(_X[order], _LABELS[order]))
    edited = identity.digest(Arrays(changed, _LABELS))
    relabelled = identity.digest(Arrays(_X, _LABELS[order]))

    assert whole == identity.digest(Arrays(_X.copy(), _LABELS.astype(np.uint8)))
    assert permuted["inputs"] != whole["inputs"] != edited["inputs"]
    assert permuted["labels"] != whole["labels"] == edited["labels"]
    assert relabelled["inputs"] == whole["inputs"]
    assert relabelled["labels"] != whole["labels"]


def test_the_digest_reads_an_array_in_parts(monkeypatch):
    whole = identity.digest(Arrays(_X, _LABELS))
    monkeypatch.setattr(identity, "_PART", 4)
    assert identity.digest(Arrays(_X, _LABELS)) == whole
    assert identity.digest(Arrays(np.asfortranarray(_X), _LABELS)) == whole
    content = hashlib.blake2b(digest_size=16)
    content.update(str(Arrays(_X, _LABELS).input_spec).encode())
    content.update(_X.tobytes())
    assert whole["inputs"] == content.hexdigest()
