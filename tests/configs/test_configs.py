import os
from pathlib import Path

import pytest

from mlc_tf import datasets
from mlc_tf.errors import InputError
from mlc_tf.run import settings
from mlc_tf.run import training
from tests.support import ROOT
from tests.support import get_config

# `own` is for the data of a user.
CONFIGS = [
    path
    for path in sorted((ROOT / "configs").glob("[!_]*.py"))
    if path.stem != "own"
]
each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)


def test_there_is_a_config_for_each_dataset():
    assert {path.stem for path in CONFIGS} == set(datasets.DATASETS)


@pytest.mark.parametrize(
    "path, variant",
    [(path, variant) for path in CONFIGS for variant in ("", "smoke")]
    + [
        (CONFIGS[0].with_name("cifar10.py"), name)
        for name in ("gpu", "reduced")
    ],
    ids=lambda part: getattr(part, "stem", part),
)
def test_configs_hold_good_settings(path, variant):
    config = get_config(path, variant)
    settings.check(config)
    assert config.dataset.name == path.stem
    # No key that `default_config` does not know.
    known = settings.default_config().to_dict()
    assert _keys(config.to_dict()) == _keys(known)


@each_config
def test_an_unknown_variant_is_refused(path):
    with pytest.raises(InputError, match="Did you mean 'smoke'"):
        get_config(path, "smok")


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_the_smoke_variant_trains_on_real_images(name, tmp_path):
    folder = os.environ.get("TFDS_DATA_DIR")
    if not folder or not (Path(folder) / name).is_dir():
        pytest.skip(f"{name} is not in TFDS_DATA_DIR")
    config = get_config(Path(CONFIGS[0]).with_name(f"{name}.py"), "smoke")
    result = training.run(config, tmp_path, verbose=0)
    assert result["test_accuracy"] > 0.15


def _keys(tree):
    if not isinstance(tree, dict):
        return None
    return {key: _keys(value) for key, value in tree.items()}
