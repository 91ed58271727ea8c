"""Finds the clean labels behind the votes of several annotators, and a T of
each annotator, with a trained network.

The softmax f of the network estimates p(clean class | x). Each annotator a has
a matrix of their own, `T_a[y, v] = p(vote = v | clean class = y)`, and
annotators err independently. With the votes v_a of an example:

    p(clean = y | x, votes)  ~  f[y] prod_a T_a[y, v_a]

The matrices maximise the likelihood of the votes. Expectation-maximisation
finds them; the network stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np
import scipy.sparse
import scipy.special

from mlc_tf.data import sources
from mlc_tf.data import streams
from mlc_tf.data import votes as votes_of_annotators
from mlc_tf.errors import import_optional
from mlc_tf.models import base_check
from mlc_tf.models import prediction

if TYPE_CHECKING:
    import pandas as pd

# The weight of the T of all annotators in a row of an annotator's T, in votes:
# an annotator with few votes has a T like the others.
_PRIOR_VOTES = 1.0
_MOST_ITERATIONS = 200
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class VotesAudit:
    """The votes of several annotators, as a network judges them.

    Attributes:
        posterior: `(examples, classes)`, p(clean class | x, votes).
        transitions: `(annotators, classes, classes)`, the T of each annotator.
            Rows are clean classes and sum to 1.
        label_issues: One row per example. `votes` is the number of votes, and
            `given_label` the class with most votes (the lowest id of several).
            `predicted_label` is the most probable clean class. `label_quality`
            is the probability that the given label is right. `is_label_issue`
            is whether the two labels differ.
        annotators: One row per annotator with the columns `votes`, their
            number, and `accuracy`, the expected share of right votes.
    """

    posterior: np.ndarray
    transitions: np.ndarray
    label_issues: pd.DataFrame
    annotators: pd.DataFrame


def audit_votes(
    model: keras.Model, x: Any, votes: Any, *, batch_size: int = 256
) -> VotesAudit:
    """Returns the clean labels behind votes, and a T of each annotator.

    Args:
        model: A trained `PairModel`, or a network from inputs to logits. Train
            it on `mlc_tf.data.soft_labels(votes, num_classes)`, for example.
        x: `(examples, ...)`, the inputs; or a dict or tuple of such arrays.
        votes: `(examples, annotators)` integers: the class id that each
            annotator gave, or -1 for no vote. Each example needs a vote.
        batch_size: Examples in a forward pass. Defaults to 256.

    Raises:
        InputError: for votes of another form, or another number of examples,
            or if an output of the model is not finite.

    References:
        Dawid and Skene, 1979; with a classifier, Raykar et al., "Learning From
        Crowds", JMLR 2010, whose classifier is here not trained any further.
    """
    pd = import_optional("pandas", "audit")
    num_classes = base_check.check_logits(getattr(model, "base", model))
    given = votes_of_annotators.check_votes(votes, num_classes)
    soft = votes_of_annotators.soft_labels(given, num_classes)
    labelled = sources.as_examples("dataset", (x, soft))
    parts = prediction.logits(
        prediction.forward_pass(model),
        streams.read("dataset", labelled.batches(batch_size)),
    )
    logits = np.concatenate([part for part, _ in parts]).astype(np.float64)
    prediction.check_finite(logits, 0)
    posterior, matrices = fit_annotators(
        scipy.special.log_softmax(logits, axis=1), given
    )
    most_voted = votes_of_annotators.count(given, num_classes).argmax(1)
    predicted = posterior.argmax(1)
    cast = given != votes_of_annotators.NO_VOTE
    # The posterior of the class of each vote; 0 where there is no vote.
    of_votes = cast * np.take_along_axis(posterior, given * cast, axis=1)
    right = of_votes.sum(0)
    with np.errstate(invalid="ignore"):
        accuracy = right / cast.sum(0)
    return VotesAudit(
        posterior,
        matrices,
        pd.DataFrame(
            {
                "is_label_issue": predicted != most_voted,
                "label_quality": posterior[np.arange(len(given)), most_voted],
                "given_label": most_voted,
                "predicted_label": predicted,
                "votes": cast.sum(1),
            }
        ),
        pd.DataFrame({"votes": cast.sum(0), "accuracy": accuracy}).rename_axis(
            "annotator"
        ),
    )


def fit_annotators(
    log_probs: np.ndarray, votes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the posterior of the clean classes, and the T of each annotator.

    The first posterior is the mean of the network's softmax and the shares of
    the votes.

    Args:
        log_probs: `(examples, classes)`, the logarithm of the softmax of the
            network.
        votes: `(examples, annotators)`, as `votes.check_votes` returns them.

    Returns:
        `(examples, classes)`, and `(annotators, classes, classes)`.
    """
    num_examples, num_classes = log_probs.shape
    num_annotators = votes.shape[1]
    # Sparse, since most annotators of a crowd see few of the examples.
    examples, voters = np.nonzero(votes != votes_of_annotators.NO_VOTE)
    rows = voters * num_classes + votes[examples, voters]
    cast = scipy.sparse.csr_array(
        (np.ones(len(rows)), (rows, examples)),
        shape=(num_annotators * num_classes, num_examples),
    )
    shares = votes_of_annotators.count(votes, num_classes)
    shares /= shares.sum(1, keepdims=True)
    posterior = (np.exp(log_probs) + shares) / 2
    for _ in range(_MOST_ITERATIONS):
        counts = (cast @ posterior).reshape(-1, num_classes, num_classes)
        counts = counts.transpose(0, 2, 1)  # from [a, v, y] to [a, y, v]
        everyone = counts.sum(0) + 1 / num_classes
        everyone /= everyone.sum(1, keepdims=True)
        matrices = counts + _PRIOR_VOTES * everyone
        matrices /= matrices.sum(2, keepdims=True)
        logs = np.log(matrices).transpose(0, 2, 1)
        evidence = cast.T @ logs.reshape(-1, num_classes)
        new = scipy.special.softmax(log_probs + evidence, axis=1)
        change = np.abs(new - posterior).max()
        posterior = new
        if change < _TOLERANCE:
            break
    return posterior, matrices
