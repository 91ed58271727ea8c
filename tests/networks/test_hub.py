"""Networks of KerasHub: images by name, texts in Python."""

import keras
import keras_hub
import numpy as np
import pytest
from PIL import Image

import mlc_tf
from mlc_tf import networks
from mlc_tf.audit import run_audit
from mlc_tf.errors import InputError
from mlc_tf.run import finished_run
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run import training

WORDS = [f"w{number}" for number in range(40)]
GOOD, BAD = ["good", "fine"], ["bad", "poor"]


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """The folder of a small random image classifier."""
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    preprocessor = keras_hub.models.ResNetImageClassifierPreprocessor(
        keras_hub.layers.ResNetImageConverter(
            image_size=(16, 16), scale=1 / 255
        )
    )
    folder = tmp_path_factory.mktemp("preset")
    keras_hub.models.ResNetImageClassifier(
        backbone, num_classes=2, preprocessor=preprocessor
    ).save_to_preset(str(folder))
    return str(folder)


def test_weights_of_a_preset_or_random_ones(preset):
    build = networks.get(f"keras_hub:{preset}").build
    x = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), np.uint8)
    saved = keras_hub.models.ImageClassifier.from_preset(preset)
    first = saved.backbone.get_weights()[0]

    def first_of(model):
        classifier = next(
            layer
            for layer in model.layers
            if isinstance(layer, keras_hub.models.ImageClassifier)
        )
        return classifier.backbone.get_weights()[0]

    model = build((20, 24, 3), 3)
    assert model(x).shape == (2, 3)
    np.testing.assert_array_equal(first_of(model), first)
    random = build((20, 24, 3), 3, weights="")
    assert not np.allclose(first_of(random), first)


def test_images_from_a_folder_to_an_audit(preset, tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("clean", 4), ("test", 4)):
        for name, color in (("red", [200, 0, 0]), ("blue", [0, 0, 200])):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = color + rng.integers(0, 50, (16, 16, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(
                    folder / f"{number}.png"
                )
    config = settings.default_config()
    config.update_from_flattened_dict(
        {
            "dataset.name": f"folder:{tmp_path / 'images'}",
            "dataset.image_size": (16, 16),
            "noise.kind": "none",
            "network.name": f"keras_hub:{preset}",
            "network.weights": "preset",
            "train.epochs": 1,
            "train.batch_size": 8,
        }
    )
    training.run(config, tmp_path / "run", 0)
    run = finished_run.load(tmp_path / "run")
    audited = run_audit.audit_run(run, problems.load(run.config))
    assert len(audited.label_issues) == 32


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weights": "imagenet"}, "`network.weights` should be 'preset' or ''"),
        ({"weight_decay": 0.1}, "`network.weight_decay` should be 0 for"),
        (
            {"initializer": "uniform"},
            "`network.initializer` should be left out",
        ),
        ({"input_shape": (20, 24, 1)}, "The inputs should be RGB images"),
        ({"input_shape": ()}, "a classifier of texts is wrapped in Python"),
    ],
)
def test_options_that_have_no_effect(preset, options, message):
    arguments = {"input_shape": (20, 24, 3), "num_classes": 3, **options}
    with pytest.raises(InputError, match=message):
        networks.get(f"keras_hub:{preset}").build(**arguments)


def test_a_folder_that_is_no_preset(tmp_path):
    with pytest.raises(InputError, match="keras_hub:PRESET.*cannot be loaded"):
        networks.get(f"keras_hub:{tmp_path}").build((20, 24, 3), 3)


def test_a_text_classifier_from_input_to_audit():
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    keras.utils.set_random_seed(0)
    tokenizer = keras_hub.models.BertTokenizer(
        [*vocabulary, *WORDS, *GOOD, *BAD]
    )
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
        tokenizer, sequence_length=8
    )
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=1,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=8,
    )
    classifier = keras_hub.models.BertTextClassifier(
        backbone, num_classes=2, preprocessor=preprocessor
    )
    rng = np.random.default_rng(0)
    labels = np.arange(640) % 2
    texts = [
        " ".join([*rng.choice(WORDS, 3), rng.choice([BAD, GOOD][label])])
        for label in labels
    ]
    x = {key: np.asarray(part) for key, part in preprocessor(texts).items()}
    noisy = mlc_tf.corrupt(labels[40:], "flip_to_one", ratio=0.3, seed=0).labels

    def take(part):
        return {key: values[part] for key, values in x.items()}

    model = mlc_tf.MetaLossCorrection(
        classifier, meta_gradient="head", clean_weight=0.3
    )
    model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
    first = slice(40, None)
    model.fit(
        mlc_tf.pair((take(first), noisy), (take(slice(40)), labels[:40]), 32),
        epochs=8,
        verbose=0,
    )
    assert model.evaluate(take(first), labels[40:], verbose=0)[1] > 0.9
    issues = mlc_tf.find_label_issues(model, (take(first), noisy))
    assert np.mean(issues["is_label_issue"] == (noisy != labels[40:])) > 0.9
