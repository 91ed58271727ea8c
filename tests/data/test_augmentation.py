import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf.data import augmentation

PLACES = 9


def candidates(image):
    """Returns the 81 crops of a padded image, then their mirror images."""
    height, width, _ = image.shape
    padded = np.pad(image, [(4, 4), (4, 4), (0, 0)])
    crops = np.stack(
        [
            padded[top : top + height, left : left + width]
            for top in range(PLACES)
            for left in range(PLACES)
        ]
    )
    return np.concatenate([crops, crops[:, :, ::-1]])


def draws(image, count, key=(0, 1)):
    """Returns which of the 162 candidates each of `count` outputs is."""
    expected = candidates(image)
    outputs = augmentation.crop_and_flip(np.stack([image] * count), key)
    outputs = np.asarray(outputs).reshape(count, -1)
    equal = (outputs[:, None] == expected.reshape(len(expected), -1)).all(-1)
    np.testing.assert_array_equal(equal.sum(axis=1), 1)
    return equal.argmax(axis=1)


@pytest.fixture
def image(rng):
    return rng.integers(1, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(5, 7, 3), (8, 6, 1), (12, 12, 3)])
def test_each_output_is_one_of_the_162_crops(shape, dtype, rng):
    image = rng.integers(1, 256, shape, np.uint8).astype(dtype)
    outputs = augmentation.crop_and_flip(image[None], (0, 1))
    assert outputs.dtype == dtype and outputs.shape == (1, *shape)
    assert len(set(draws(image, 40))) > 20


def test_each_image_keeps_to_its_place_in_the_batch(rng):
    images = rng.integers(1, 256, (16, 5, 7, 3), np.uint8)
    outputs = np.asarray(augmentation.crop_and_flip(images, (3, 4)))
    for image, output in zip(images, outputs):
        assert (candidates(image) == output).all((1, 2, 3)).sum() == 1


def test_places_are_uniform_and_half_are_flipped():
    # Of nine pixels a side, so that no crop is empty and each is unlike all.
    image = np.arange(1, 82, dtype=np.uint8).reshape(9, 9, 1)
    count = 8100
    flipped, place = np.divmod(draws(image, count), PLACES**2)
    # Six standard deviations of each binomial count.
    assert abs(flipped.mean() - 0.5) < 6 * 0.5 / count**0.5
    for counts in (
        np.bincount(place, minlength=81),
        np.bincount(place[flipped == 1], minlength=81) * 2,
    ):
        assert abs(counts - 100).max() < 6 * 200**0.5
    for offset in (place // PLACES, place % PLACES):
        counts = np.bincount(offset, minlength=PLACES)
        assert abs(counts - 900).max() < 6 * 800**0.5
    correlations = np.corrcoef([place // PLACES, place % PLACES, flipped])
    assert abs(correlations - np.eye(3)).max() < 6 / count**0.5


def test_the_key_decides_whatever_the_global_seed(image):
    tf.random.set_seed(1)
    first = draws(image, 50, (3, 4))
    tf.random.set_seed(2)
    np.testing.assert_array_equal(draws(image, 50, (3, 4)), first)
    assert not np.array_equal(draws(image, 50, (3, 5)), first)
    assert not np.array_equal(draws(image, 50, (4, 4)), first)


def test_in_a_pipeline_as_by_itself(image):
    images = np.stack([image] * 6)
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(4)
    outputs = dataset.map(
        lambda batch: augmentation.crop_and_flip(batch, (0, 1))
    )
    assert outputs.element_spec.shape.as_list() == [None, 5, 7, 3]
    first, last = outputs.as_numpy_iterator()
    for output, size in ((first, 4), (last, 2)):
        np.testing.assert_array_equal(
            output, augmentation.crop_and_flip(images[:size], (0, 1))
        )


def test_pair_augments_both_halves_and_leaves_the_labels(rng):
    images = rng.integers(1, 256, (8, 5, 7, 3), np.uint8)
    known = [candidates(image) for image in images]
    pairs = data.pair(
        (images, np.arange(8)),
        (images, np.arange(8)),
        batch_size=4,
        augment=augmentation.AUGMENTATIONS["crop_and_flip"],
    )
    moved = 0
    for element in pairs.as_numpy_iterator():
        for x, labels in element:
            for output, label in zip(x, labels):
                assert (known[label] == output).all((1, 2, 3)).any()
                moved += not np.array_equal(output, images[label])
    assert moved > 8


def test_no_augmentation_is_none():
    assert augmentation.AUGMENTATIONS["none"] is None
