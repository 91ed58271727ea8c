"""The clean labels behind votes: by hand, and on digits."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from mlc_tf import audit
from mlc_tf import baselines
from mlc_tf import data
from mlc_tf import transitions
from mlc_tf.audit import annotators
from mlc_tf.data import noise
from mlc_tf.errors import InputError


def test_one_step_of_expectation_maximisation_by_hand():
    """At the fixed point each T has the expected shares, and Bayes holds."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), 40)
    votes = rng.integers(-1, 3, (40, 4))
    votes[:, 0] = rng.integers(0, 3, 40)
    posterior, matrices = annotators.fit_annotators(np.log(probs), votes)
    np.testing.assert_allclose(posterior.sum(1), 1)
    np.testing.assert_allclose(matrices.sum(2), 1)
    for example in range(40):
        expected = probs[example].copy()
        for annotator, vote in enumerate(votes[example]):
            if vote >= 0:
                expected *= matrices[annotator, :, vote]
        np.testing.assert_allclose(
            posterior[example], expected / expected.sum(), atol=1e-4
        )
    pooled = np.zeros((3, 3)) + 1 / 3
    for annotator in range(4):
        for example in range(40):
            if votes[example, annotator] >= 0:
                pooled[:, votes[example, annotator]] += posterior[example]
    pooled /= pooled.sum(1, keepdims=True)
    counts = pooled.copy()  # one vote, as all annotators vote
    for example in range(40):
        if votes[example, 2] >= 0:
            counts[:, votes[example, 2]] += posterior[example]
    np.testing.assert_allclose(
        matrices[2], counts / counts.sum(1, keepdims=True), atol=1e-4
    )


@pytest.fixture(scope="module")
def digits():
    """Three annotators of digits: a careful, a careless and a biased one."""
    images, labels = load_digits(return_X_y=True)
    votes = np.stack(
        [
            noise.corrupt(labels, kind, ratio, seed, "iid").labels
            for seed, (kind, ratio) in enumerate(
                (("uniform", 0.1), ("uniform", 0.5), ("flip_to_one", 0.6))
            )
        ],
        axis=1,
    )
    votes[::5, 0] = -1
    return (images / 16).astype(np.float32), labels, votes


@pytest.fixture(scope="module")
def audited(digits):
    x, _, votes = digits
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(10),
        ]
    )
    model = baselines.CrossEntropy(base)
    model.compile(keras.optimizers.Adam(3e-3))
    soft = data.soft_labels(votes, 10)
    model.fit(data.pair((x, soft)), epochs=8, verbose=0)
    return audit.audit_votes(model, x, votes)


def test_the_posterior_is_better_than_the_majority(digits, audited):
    _, labels, votes = digits
    table = audited.label_issues
    majority = np.mean(table["given_label"] == labels)
    assert np.mean(table["predicted_label"] == labels) > 0.95
    assert np.mean(table["predicted_label"] == labels) > majority + 0.05
    issues = table[table["is_label_issue"]]
    assert np.mean(issues["given_label"] != labels[issues.index]) > 0.9
    np.testing.assert_array_equal(table["votes"], (votes >= 0).sum(1))
    # The quality is of the label with most votes, which need not be likely.
    np.testing.assert_array_equal(
        table["label_quality"],
        audited.posterior[np.arange(len(votes)), table["given_label"]],
    )
    assert (table["label_quality"][issues.index] <= 0.5).all()


def test_each_annotator_has_a_transition_of_their_own(digits, audited):
    _, labels, votes = digits
    for annotator in range(3):
        cast = votes[:, annotator] >= 0
        true = noise.empirical_transition(
            labels[cast], votes[cast, annotator], 10
        )
        found = audited.transitions[annotator]
        assert transitions.distance(found, true) < 0.12
    people = audited.annotators
    np.testing.assert_array_equal(people["votes"], (votes >= 0).sum(0))
    accuracy = [
        np.mean(votes[votes[:, each] >= 0, each] == labels[votes[:, each] >= 0])
        for each in range(3)
    ]
    np.testing.assert_allclose(people["accuracy"], accuracy, atol=0.03)


def test_an_annotator_without_votes_is_like_the_others(digits, audited):
    votes = np.column_stack([digits[2], np.full(len(digits[0]), -1)])
    logits = np.zeros((len(votes), 10))
    _, matrices = annotators.fit_annotators(logits - np.log(10), votes)
    pooled = matrices[:3].mean(0)
    np.testing.assert_allclose(matrices[3].sum(1), 1)
    assert transitions.distance(matrices[3], pooled) < 0.1


def test_the_accuracy_of_an_annotator_without_votes_is_not_known():
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    votes = [[0, -1, 1], [2, -1, 2], [1, -1, -1]]
    people = audit.audit_votes(base, np.zeros((3, 4)), votes).annotators
    assert people["votes"].tolist() == [3, 0, 2]
    assert people["accuracy"].isna().tolist() == [False, True, False]


def test_a_network_whose_outputs_are_not_finite():
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    x = np.zeros((2, 4), np.float32)
    base.set_weights([np.full((4, 3), np.nan), np.zeros(3)])
    with pytest.raises(InputError, match="finite logits.* at example 0"):
        audit.audit_votes(base, x, [[0, 2], [1, 1]])


def test_bad_input():
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(InputError, match=r"in \[0, 3\), or -1 for no vote"):
        audit.audit_votes(base, np.zeros((2, 4)), [[0, 3], [1, 1]])
    with pytest.raises(InputError, match="one label per example"):
        audit.audit_votes(base, np.zeros((3, 4)), [[0, 2], [1, 1]])
