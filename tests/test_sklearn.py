"""The classifier of scikit-learn."""

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
from cleanlab.classification import CleanLearning
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import mlc_tf
from mlc_tf import transitions
from mlc_tf.baselines import RobustBilevel
from mlc_tf.errors import InputError
from mlc_tf.networks import mlp
from mlc_tf.sklearn import MetaLossCorrectionClassifier

NAMES = np.array(["ant", "bee", "cat"])


@pytest.fixture(scope="module")
def blobs():
    """Three groups of points with 30 % of the labels flipped to the next."""
    x, labels = sklearn.datasets.make_blobs(
        400, centers=[(0, 0), (4, 0), (0, 4)], random_state=0
    )
    wrong = mlc_tf.corrupt(labels[:300], "pair", ratio=0.3, seed=0).labels
    return (
        (x[:300], NAMES[wrong]),
        (x[300:330], NAMES[labels[300:330]]),
        (
            x[330:],
            NAMES[labels[330:]],
        ),
    )


@pytest.fixture(scope="module")
def fitted(blobs):
    noisy, trusted, _ = blobs
    return MetaLossCorrectionClassifier(trusted=trusted, random_state=0).fit(
        *noisy
    )


@pytest.mark.parametrize("number", [1, 20, 31, 300])
def test_an_example_has_one_answer_whatever_is_beside_it(number, fitted, blobs):
    x = blobs[0][0]
    chosen = np.random.default_rng(0).permutation(len(x))[:number]
    np.testing.assert_allclose(
        fitted.predict_proba(x[chosen]),
        fitted.predict_proba(x)[chosen],
        rtol=1e-7,
        atol=1e-9,  # as scikit-learn's check of the order
    )


def test_it_learns_the_clean_classes_and_t(fitted, blobs):
    noisy, _, test = blobs
    assert type(fitted.model_) is mlc_tf.MetaLossCorrection
    # No rate was given: the lengths of the run and of the sets decide.
    update = transitions.for_run(steps=30 * (300 // 64), num_classes=3)
    assert fitted.model_.transition.get_config() == update.get_config()
    assert fitted.model_.clean_weight == pytest.approx(0.3)
    assert fitted.classes_.tolist() == NAMES.tolist()
    assert fitted.score(*test) > 0.95
    assert fitted.predict_proba(test[0]).sum(1) == pytest.approx(1)
    true = mlc_tf.corrupt(np.arange(3), "pair", ratio=0.3, seed=0).expected
    assert transitions.distance(fitted.transition_matrix_, true) < 0.25
    # The model audits, with class ids.
    ids = np.searchsorted(NAMES, noisy[1])
    issues = mlc_tf.find_label_issues(
        fitted.model_, (noisy[0].astype(np.float32), ids)
    )
    assert 60 < issues["is_label_issue"].sum() < 120


def test_without_trusted_examples_it_takes_the_robust_steps(blobs):
    noisy, _, test = blobs
    classifier = MetaLossCorrectionClassifier(random_state=0).fit(*noisy)
    assert type(classifier.model_) is RobustBilevel
    assert classifier.score(*test) > 0.9


def test_the_weight_of_trusted_examples_is_given_or_by_their_number(blobs):
    noisy, (x, labels), _ = blobs
    few = {"trusted": (x[:6], labels[:6]), "epochs": 1}
    for given, expected in ((None, 3 * 6 / 300), (0.0, 0.0), (0.7, 0.7)):
        classifier = MetaLossCorrectionClassifier(clean_weight=given, **few)
        weight = classifier.fit(*noisy).model_.clean_weight
        assert weight == pytest.approx(expected)


def test_the_given_rates_and_update_are_those_of_the_model(blobs):
    noisy, trusted, _ = blobs
    update = transitions.Projected(learning_rate=0.5, smoothing=0.2)
    for trusted_or_none in (trusted, None):
        model = (
            MetaLossCorrectionClassifier(
                trusted=trusted_or_none,
                transition=update,
                virtual_learning_rate=0.25,
                learning_rate=0.02,
                epochs=3,
                batch_size=50,
            )
            .fit(*noisy)
            .model_
        )
        assert model.virtual_learning_rate == 0.25
        assert model.transition.get_config() == update.get_config()
        rate = model.optimizer.get_config()["learning_rate"]["config"]
        assert rate["initial_learning_rate"] == 0.02
        assert rate["decay_steps"] == 3 * 300 // 50


def test_the_seed_decides(fitted, blobs):
    noisy, _, test = blobs
    again = clone(fitted).fit(*noisy)
    np.testing.assert_array_equal(
        again.predict_proba(test[0]), fitted.predict_proba(test[0])
    )
    other = clone(fitted).set_params(random_state=1).fit(*noisy)
    assert (other.predict_proba(test[0]) != fitted.predict_proba(test[0])).any()


def test_a_search_over_a_pipeline(blobs):
    noisy, _, test = blobs
    pipeline = make_pipeline(
        StandardScaler(), MetaLossCorrectionClassifier(random_state=0)
    )
    search = GridSearchCV(
        pipeline, {"metalosscorrectionclassifier__epochs": [1, 20]}, cv=2
    ).fit(*noisy)
    assert search.best_params_ == {"metalosscorrectionclassifier__epochs": 20}
    assert search.score(*test) > 0.9


def test_clean_learning_finds_the_wrong_labels(blobs):
    noisy, _, test = blobs
    ids = np.searchsorted(NAMES, noisy[1])
    learning = CleanLearning(
        MetaLossCorrectionClassifier(epochs=10, random_state=0), cv_n_folds=2
    ).fit(noisy[0], ids)
    found = learning.get_label_issues()["is_label_issue"]
    assert 60 < found.sum() < 120
    right = learning.predict(test[0]) == np.searchsorted(NAMES, test[1])
    assert right.mean() > 0.9


def test_a_network_for_images():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4, 4, 1))
    y = (x.mean((1, 2, 3)) > 0).astype(int)
    built = []

    def network(shape, classes):
        built.append((shape, classes))
        return keras.Sequential(
            [
                keras.Input(shape),
                keras.layers.Flatten(),
                keras.layers.Dense(classes),
            ]
        )

    classifier = MetaLossCorrectionClassifier(network, epochs=2)
    assert classifier.fit(x, y).predict(x).shape == (64,)
    assert built == [((4, 4, 1), 2)]


def test_it_is_a_network_only_after_fit():
    with pytest.raises(NotFittedError):
        MetaLossCorrectionClassifier().predict(np.zeros((2, 2)))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epochs": 0}, "`epochs` should be an integer >= 1"),
        ({"batch_size": 0.5}, "`batch_size` should be an integer >= 1"),
        ({"trusted": 3}, r"`trusted` should be \(x, labels\) or None"),
        (
            {"trusted": (np.zeros((2, 5)), [0, 1])},
            r"inputs of shape \(2,\), as `X`. Received: inputs of shape \(5,\)",
        ),
        (
            {"trusted": (np.zeros((2, 2)), [0, 7])},
            "`trusted` should have the labels of `y`. Received: 7, which is no",
        ),
        (
            {"trusted": (np.zeros((2, 2)), [0, 0])},
            "`trusted` should have the labels of `y`. Received: 1, which is mi",
        ),
        (
            {"trusted": (np.zeros((2, 2)), [[0], [1]])},
            r"one label for each input.* labels of shape \(2, 1\)",
        ),
        ({"trusted": (np.full((2, 2), np.nan), [0, 1])}, "finite inputs"),
        ({"trusted": ([["a", "b"]] * 2, [0, 1])}, "one array of numbers"),
        ({"trusted": ([[0.0], [0.0, 1.0]], [0, 1])}, "ragged lists"),
        (
            {"trusted": (np.ma.masked_equal([[1.0, 2], [3, 4]], 2), [0, 1])},
            "no masked values",
        ),
        (
            {"trusted": (np.zeros((2, 2)), np.ma.masked_equal([0, 1], 1))},
            "values without a mask",
        ),
        ({"meta_gradient": "heads"}, "`meta_gradient` should be one of"),
        ({"network": "mlp"}, "`network` should be a function of"),
        (
            {"network": lambda shape, classes: mlp(shape, classes + 2)},
            "`network` should be a function to a model with 2 outputs",
        ),
        ({"learning_rate": -1.0}, "`learning_rate` should be a finite float"),
        ({"learning_rate": "0.1"}, "`learning_rate` should be a finite float"),
    ],
)
def test_bad_arguments(arguments, message):
    x, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    with pytest.raises(InputError, match=message):
        MetaLossCorrectionClassifier(**arguments).fit(x, y)


def test_trusted_numbers_have_any_dtype_that_the_inputs_may_have(blobs):
    (x, y), (trusted, labels), _ = blobs
    expected, *scores = [
        MetaLossCorrectionClassifier(
            trusted=(np.asarray(trusted, of), labels), epochs=1, random_state=0
        )
        .fit(np.asarray(x, of), y)
        .predict_proba(x[:20])
        for of in (np.float64, object, str, np.longdouble)
    ]
    for each in scores:
        np.testing.assert_allclose(each, expected, atol=1e-5)


def test_trusted_columns_are_those_of_the_table():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(20, 2)), columns=["a", "b"])
    y = np.arange(20) % 2
    trusted = x[["b", "a"]], y
    message = "The trusted set .* X set .*, 'a', 'b'. Received: 'b', 'a'"
    with pytest.raises(InputError, match=message):
        MetaLossCorrectionClassifier(trusted=trusted).fit(x, y)
    trusted = trusted[0][["a", "b"]], y
    MetaLossCorrectionClassifier(trusted=trusted, epochs=1).fit(x, y)


@pytest.mark.wide
def test_the_checks_of_scikit_learn():
    failed = {}
    classifier = MetaLossCorrectionClassifier(random_state=0)
    for estimator, check in estimator_checks_generator(classifier):
        try:
            check(estimator)
        except Exception as error:
            failed[check.func.__name__] = error
    # Skipped where SCIPY_ARRAY_API is not set.
    failed.pop("check_array_api_input", None)
    assert not failed
