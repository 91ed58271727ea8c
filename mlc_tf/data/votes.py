"""Labels by several annotators: their votes, and soft labels made of these."""

from typing import Any

import numpy as np

from mlc_tf.data.checks import check_unmasked
from mlc_tf.errors import InputError
from mlc_tf.errors import check_count

# The entry of an annotator who did not label an example.
NO_VOTE = -1


def soft_labels(votes: Any, num_classes: int) -> np.ndarray:
    """Returns the share of an example's votes that each class got.

    `mlc_tf.pair` takes soft labels as it takes class ids. T then describes the
    votes: `T[i, j]` is the share of the votes for class j on examples of class
    i. After training, `mlc_tf.audit.audit_votes` finds a T for each annotator.

    Args:
        votes: `(examples, annotators)` integers: the class id that each
            annotator gave, or -1 for no vote. Each example needs a vote.
        num_classes: Number of classes.

    Returns:
        `(examples, num_classes)` float32; rows sum to 1.

    Raises:
        InputError: for votes of another form, an id outside
            `[0, num_classes)`, or an example without a vote.

    Example:

    >>> soft_labels([[0, 1], [2, -1]], 3).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    counts = count(check_votes(votes, num_classes), num_classes)
    return (counts / counts.sum(1, keepdims=True)).astype(np.float32)


def check_votes(votes: Any, num_classes: int) -> np.ndarray:
    """Returns votes as an array, after checking them.

    Args:
        votes: As in `soft_labels`.
        num_classes: Number of classes.

    Returns:
        `(examples, annotators)` int64.

    Raises:
        InputError: as `soft_labels`.
    """
    check_count("num_classes", num_classes, least=2)
    check_unmasked("votes", votes)
    try:
        given = np.asarray(votes)
    except ValueError:  # rows of several lengths
        given = np.array(None)
    if given.ndim != 2 or given.dtype.kind not in "iu" or not given.size:
        raise InputError(
            "`votes` should be integers of shape (examples, annotators), -1 "
            f"for no vote. Received: {given.dtype} of shape {given.shape}."
        )
    outside = (given < NO_VOTE) | (given >= num_classes)
    if outside.any():
        example, annotator = np.argwhere(outside)[0]
        raise InputError(
            f"`votes` should be in [0, {num_classes}), or -1 for no vote. "
            f"Received: {given[example, annotator]} by annotator {annotator} "
            f"for example {example}."
        )
    given = given.astype(np.int64)
    without = np.flatnonzero((given == NO_VOTE).all(axis=1))
    if len(without):
        raise InputError(
            "`votes` should hold a vote for each example. Received: none for "
            f"{len(without)} of {len(given)} examples, such as example "
            f"{without[0]}; leave these examples out."
        )
    return given


def count(votes: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns the votes that each class got.

    Args:
        votes: As `check_votes` returns them.
        num_classes: Number of classes.

    Returns:
        `(examples, num_classes)` float64.
    """
    examples, annotators = np.nonzero(votes != NO_VOTE)
    counts = np.zeros((len(votes), num_classes))
    np.add.at(counts, (examples, votes[examples, annotators]), 1)
    return counts
