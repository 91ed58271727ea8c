import numpy as np

from mlc_tf.run import figures


def test_the_pixels_of_a_heat_map_go_from_white_to_blue():
    learned, true = np.eye(2), np.full((2, 2), 0.5)
    pixels = figures.heat_map_pixels(learned, true)
    assert pixels.shape == (320, 660, 3) and pixels.dtype == np.uint8
    assert pixels[0, 0].tolist() == pixels[-1, 319].tolist() == [8, 48, 107]
    assert pixels[0, 319].tolist() == pixels[0, 330].tolist() == [255] * 3
    assert pixels[0, -1].tolist() == [132, 152, 181]
    np.testing.assert_array_equal(
        figures.heat_map_pixels(learned)[:, :320], pixels[:, :320]
    )
