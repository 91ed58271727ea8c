import keras
import numpy as np
import pytest

from mlc_tf.baselines.fasten import Fasten
from mlc_tf.errors import InputError
from tests import numpy_reference
from tests.baselines import one_step
from tests.numpy_reference import softmax
from tests.support import subclassed_base

pytestmark = pytest.mark.usefixtures("float64")
GIVEN = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def make(base, **arguments):
    return Fasten(base, **{"labels": GIVEN, **arguments})


def indexed(x, *indices):
    return x, GIVEN[list(indices)], np.array(indices)


def sure(*classes):
    """Inputs for which `linear(identity)` has f = 0.8 or more."""
    return 3.0 * np.eye(3)[list(classes)]


def test_the_transition_is_the_mean_of_the_noisy_head_by_class():
    model = make(one_step.linear(np.eye(3)))
    head = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, -1.0], [0.5, 0.0, 0.5]])
    model.noisy_head.set_weights([head, np.zeros(3)])
    clean = sure(0, 2, 2), np.array([0, 2, 2])
    one_step.fit(model, (indexed(sure(0), 0), clean), rate=0.0)
    np.testing.assert_allclose(
        model.transition_matrix,
        # Class 1 is not in the batch, and keeps the row that it had.
        [softmax(3 * head[[0]])[0], [0, 1, 0], softmax(3 * head[[2]])[0]],
        rtol=1e-6,
    )
    other = sure(1, 0), np.array([0, 1])
    before = model.transition_matrix
    one_step.fit(model, (indexed(sure(0), 0), other), rate=0.0)
    np.testing.assert_allclose(
        model.transition_matrix,
        [softmax(3 * head[[1]])[0], softmax(3 * head[[0]])[0], before[2]],
        rtol=1e-6,
    )


def test_a_step_equals_numpy(rng):
    base = one_step.two_layers(rng)
    model = make(base, noisy_weight=0.7, threshold=1.0)
    head, bias = rng.normal(size=(5, 3)), rng.normal(size=3)
    model.noisy_head.set_weights([head, bias])
    x, _ = one_step.half(rng)
    noisy = x, labels, indices = indexed(x, 3, 0, 7, 2, 5, 4)
    x_clean, clean_labels = rng.normal(size=(4, 4)), np.array([2, 0, 1, 0])
    weights = [*base.get_weights(), head, bias]

    def heads(weights, x):
        features = np.tanh(x @ weights[0])
        return features @ weights[1], features @ weights[2] + weights[3]

    probs = softmax(heads(weights, x_clean)[1])
    transition = np.stack(
        [probs[clean_labels == label].mean(axis=0) for label in range(3)]
    )

    def loss(weights):
        (logits, noisy_logits), (clean_logits, _) = (
            heads(weights, inputs) for inputs in (x, x_clean)
        )
        corrected = numpy_reference.corrected_loss(logits, labels, transition)
        plain = np.mean(one_step.losses(clean_logits, clean_labels))
        own = np.mean(one_step.losses(noisy_logits, labels))
        return (6 * corrected + 4 * plain) / 10 + 0.7 * own

    slopes = numpy_reference.gradient(loss, weights)
    one_step.fit(model, (noisy, (x_clean, clean_labels)))
    # The noisy head is in float32 whatever the policy.
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(model.transition_matrix, transition, **close)
    learned = [*base.get_weights(), *model.noisy_head.get_weights()]
    for old, slope, new in zip(weights, slopes, learned):
        np.testing.assert_allclose(new, old - slope, **close)


def test_a_label_is_replaced_once_the_clean_head_is_sure():
    base = one_step.linear(np.eye(3))
    model = make(base)
    # Of class 2, as is one labelled 0; not sure; sure of what was given.
    x = np.stack([*sure(2), np.array([1.0, 0, 0]), *sure(1)])
    one_step.fit(model, (indexed(x, 3, 5, 7), (x, GIVEN[:3])), rate=0.0)
    np.testing.assert_array_equal(
        model.corrected.numpy(), [0, 1, 2, 2, 1, 2, 0, 1]
    )


def test_a_replaced_label_is_used_from_the_next_visit_on():
    model = make(one_step.linear(np.eye(3)), noisy_weight=0.0)
    x = sure(2)
    element = indexed(x, 3), (x, np.array([2]))
    first, second = (
        one_step.fit(model, element, rate=0.0)["loss"] for _ in range(2)
    )
    (mine,) = softmax(x)
    mixture = mine @ model.transition_matrix
    np.testing.assert_allclose(
        [first, second],
        [(-np.log(mixture[i]) - np.log(mine[2])) / 2 for i in (0, 2)],
        rtol=1e-5,
    )


def test_the_threshold_itself_is_sure_enough():
    # f = (.5, .5) exactly, and the first of the likeliest is 0.
    base = one_step.linear(np.zeros((1, 2)))
    labels = np.ones(2, int)
    for threshold, expected in ((0.5, 0), (0.6, 1)):
        model = Fasten(base, labels=labels, threshold=threshold)
        noisy = np.ones((1, 1)), labels[:1], np.array([1])
        one_step.fit(model, (noisy, noisy[:2]), rate=0.0)
        np.testing.assert_array_equal(model.corrected.numpy(), [1, expected])


def test_an_example_that_is_twice_in_a_batch_is_corrected_once():
    model = make(one_step.linear(np.eye(3)))
    x = sure(2, 2)
    one_step.fit(model, (indexed(x, 0, 0), (x, GIVEN[1:3])), rate=0.0)
    np.testing.assert_array_equal(model.corrected.numpy(), [2, *GIVEN[1:]])


def test_the_sets_may_have_inputs_of_two_dtypes():
    x, clean = np.eye(3), (sure(0, 2), np.array([0, 2]))
    losses = []
    for dtype in ("float64", "uint8"):
        keras.utils.set_random_seed(0)  # the noisy head
        model = make(one_step.linear(np.eye(3)))
        noisy = x.astype(dtype), GIVEN[:3], np.arange(3)
        losses.append(one_step.fit(model, (noisy, clean), rate=0.0)["loss"])
    assert losses[0] == losses[1]


def test_a_missing_axis_of_one_number_is_no_obstacle():
    base = one_step.linear(np.array([[1.0, 0.0, -1.0]]))
    model = Fasten(base, labels=GIVEN)
    noisy = np.arange(3.0), GIVEN[:3], np.arange(3)
    clean = np.ones((2, 1)), GIVEN[:2]
    one_step.fit(model, (noisy, clean), rate=0.0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"labels": [0.0, 1.0]}, "`labels` should be class ids .*'float64"),
        ({"labels": [0, 3]}, r"`labels` should be in \[0, 3\)\. .* = 3\."),
        ({"noisy_weight": -1.0}, "`noisy_weight` should be a finite float"),
        ({"threshold": 0.0}, r"`threshold` should be in \(0, 1\]"),
        ({"threshold": "0.5"}, r"`threshold` should be in \(0, 1\]"),
        ({"threshold": 1.1}, r"`threshold` should be in \(0, 1\]"),
    ],
)
def test_bad_arguments(arguments, message, rng):
    with pytest.raises(InputError, match=message):
        make(one_step.two_layers(rng), **arguments)


def test_a_base_without_a_last_dense_layer_is_refused():
    keras.config.set_dtype_policy("float32")
    with pytest.raises(InputError, match=r"linear Dense layer\. .* does not\."):
        Fasten(subclassed_base(), labels=GIVEN)
