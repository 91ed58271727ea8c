import keras
import numpy as np
import pytest

from mlc_tf.errors import InputError
from mlc_tf.run import description
from mlc_tf.run import training
from tests.support import small


@pytest.fixture
def root(tmp_path, rng):
    """Two classes, four images each; an image file that nothing reads."""
    for split in ("train", "test", "clean"):
        for kind in ("ant", "bee"):
            for number in range(4):
                file = tmp_path / split / kind / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                image = rng.integers(0, 256, (8, 8, 3), np.uint8)
                keras.utils.save_img(file, image, scale=False)
    (tmp_path / "train/ant/x.heic").touch()
    return tmp_path


def config_of(root, **options):
    config = small(**{"noise.kind": "none"})
    config.dataset.name = f"folder:{root}"
    config.train.batch_size = config.clean.batch_size = 4
    for name, value in options.items():
        config.dataset[name] = value
    return config


def test_what_is_left_out_of_a_folder_is_described(root):
    described = description.describe(config_of(root))
    assert f"Left out of {root}: 1 files of another kind (.heic; " in (
        described.text
    )


def test_one_image_under_two_classes_is_described(root):
    copy = (root / "train/ant/1.png").read_bytes()
    (root / "train/bee/3.png").write_bytes(copy)
    described = description.describe(config_of(root, cache="none"))
    assert (
        "1 of 8 training inputs equal another training input of another class, "
        f"such as {root}/train/bee/3.png (bee) and {root}/train/ant/1.png (ant)"
    ) in described.text


@pytest.mark.parametrize(
    "use",
    [
        lambda config, folder: description.describe(config),
        lambda config, folder: training.run(config, folder, verbose=0),
    ],
    ids=["describe", "train"],
)
def test_a_damaged_image_is_a_sentence_without_a_cache(use, root, tmp_path):
    file = root / "train/bee/2.png"
    content = bytearray(file.read_bytes())
    content[-30:-20] = bytes(10)  # in the pixels: the header is whole
    file.write_bytes(content)
    config = config_of(root, cache="none")
    with pytest.raises(InputError, match="readable. Received: .*bee/2.png, wh"):
        use(config, tmp_path / "run")
