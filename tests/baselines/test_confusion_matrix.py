import numpy as np

from mlc_tf.baselines.confusion_matrix import confusion_transition


def sure_of(*classes):
    return np.eye(2)[list(classes)] * 0.2 + 0.4


def test_the_counts_are_smoothed_by_a_hundredth():
    labels = np.array([0, 0, 1])
    right = confusion_transition(sure_of(0, 0, 1), labels)
    np.testing.assert_allclose(right, [[0.995, 0.005], [0.005, 0.995]])
    half = confusion_transition(sure_of(0, 1, 1), labels)
    np.testing.assert_allclose(half, [[0.5, 0.5], [0.005, 0.995]])


def test_rows_are_clean_classes():
    matrix = confusion_transition(sure_of(1, 1, 1), np.array([0, 0, 1]))
    np.testing.assert_allclose(matrix, [[0.005, 0.995], [0.005, 0.995]])


def test_a_class_without_clean_examples_has_a_uniform_row():
    matrix = confusion_transition(sure_of(0, 0), np.array([0, 0]))
    np.testing.assert_allclose(matrix, [[0.995, 0.005], [0.5, 0.5]])
