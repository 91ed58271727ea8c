"""Which labels are wrong, and what they should be: from a run already paid for.

A trained network tells `f`, what it believes of the clean class, and T how
classes are mislabelled. With the label that was given, Bayes' rule gives the
clean class of each example:

    p(clean = y | x, noisy = g)  ~  f[y] T[y, g]

Column names are those of cleanlab, so that what reads its tables reads ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np
import scipy.optimize
import scipy.special
from sklearn import metrics

from mlc_tf import transitions
from mlc_tf.data import checks
from mlc_tf.data import examples
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_seed
from mlc_tf.errors import import_optional
from mlc_tf.models import prediction

if TYPE_CHECKING:
    import pandas as pd

_MOST_TEMPERATURE = 4.0


@dataclass(frozen=True)
class Audit:
    """What a network and its T say of the labels of a dataset.

    Attributes:
        label_issues: One row an example, in the dataset's order:
            `given_label`, a class id; `predicted_label`, the likeliest clean
            class; `label_quality`, the probability that the given label is
            right, in [0, 1]; `is_label_issue`, whether the two labels differ.
        joint: `(classes, classes)`, expected counts of (clean class, given
            label); rows are clean classes.
        temperature: That the network was calibrated by; 1 if it was not.
    """

    label_issues: pd.DataFrame
    joint: np.ndarray
    temperature: float = 1.0

    @property
    def noise_rate(self) -> float:
        """The expected share of wrong labels."""
        return float(1 - np.trace(self.joint) / self.joint.sum())

    @property
    def transition(self) -> np.ndarray:
        """T as these labels show it, `(classes, classes)`, rows are clean
        classes and sum to 1: a step of expectation-maximisation from the T that
        the audit was made with. The row of a class that nothing is of is that
        of the identity.
        """
        size = self.joint.sum(axis=1, keepdims=True)
        rows = self.joint / np.where(size, size, 1)
        return np.where(size, rows, np.eye(len(self.joint)))

    @property
    def classes(self) -> pd.DataFrame:
        """One row a class: `given`, how many examples have its label;
        `label_issues`, of how many of these it is suspected; `noise_rate_in`,
        the expected share of these that is of other classes;
        `noise_rate_out`, the share of the class that was given other labels.
        A rate of a class that nothing is of is NaN.
        """
        pd = import_optional("pandas", "audit")
        kept = np.diag(self.joint)
        issues = self.label_issues
        size = len(kept)
        given = np.bincount(issues["given_label"], minlength=size)
        suspected = issues.loc[issues["is_label_issue"], "given_label"]
        with np.errstate(invalid="ignore"):
            return pd.DataFrame(
                {
                    "given": given,
                    "label_issues": np.bincount(suspected, minlength=size),
                    "noise_rate_in": 1 - kept / self.joint.sum(axis=0),
                    "noise_rate_out": 1 - kept / self.joint.sum(axis=1),
                }
            ).rename_axis("class")


def find_label_issues(
    model: keras.Model,
    dataset: Any,
    *,
    transition: Any = "learned",
    clean: Any = None,
    batch_size: int = 256,
    verbose: int = 0,
) -> pd.DataFrame:
    """Returns `Audit.label_issues`: which labels are wrong.

    `issues.sort_values("label_quality")` has the most suspicious first.

    Args:
        model: As in `audit_labels`.
        dataset: As in `audit_labels`.
        transition: As in `audit_labels`.
        clean: As in `audit_labels`.
        batch_size: As in `audit_labels`.
        verbose: As in `audit_labels`.

    Raises:
        InputError: as `audit_labels`.
    """
    return audit_labels(
        model,
        dataset,
        transition=transition,
        clean=clean,
        batch_size=batch_size,
        verbose=verbose,
    ).label_issues


def audit_labels(
    model: keras.Model,
    dataset: Any,
    *,
    transition: Any = "learned",
    clean: Any = None,
    batch_size: int = 256,
    verbose: int = 0,
) -> Audit:
    """Returns what a trained model says of the labels of a dataset.

    One pass, without training; it holds one batch of outputs, and a row an
    example.

    Args:
        model: A trained `PairModel`, or a network from inputs to logits.
        dataset: `(x, labels)` arrays, an unbatched `tf.data.Dataset` of
            `(x, label)`, a `keras.utils.PyDataset` of batches or
            `mlc_tf.data.examples.Examples`; labels are class ids.
        transition: `(classes, classes)`, rows are clean classes; only the
            proportions within a column matter. Or "learned", the model's own:
            where it has none, as if it were None. None takes each wrong label
            for equally likely, and then `label_quality` is `f[given]`. Defaults
            to "learned".
        clean: The trusted set, as `dataset`, by which the network is calibrated
            first (`temperature`); not one that it was fitted to, as that would
            make it too sure. Defaults to None, as it is.
        batch_size: Defaults to 256.
        verbose: 1 shows a progress bar. Defaults to 0.

    Raises:
        InputError: if the labels are no ids of the network's classes, or T is
            no such matrix.
    """
    pd = import_optional("pandas", "audit")
    labelled = examples.as_examples("dataset", dataset)
    matrix = _transition_of(model, transition)
    scale = 1.0 if clean is None else temperature(model, clean, batch_size)
    bar = keras.utils.Progbar(
        len(labelled), verbose=verbose, unit_name="example"
    )
    quality = np.empty(len(labelled), np.float32)
    predicted = np.empty(len(labelled), np.int32)
    given = np.empty(len(labelled), np.int32)
    joint = np.zeros((0, 0))
    done = 0
    for logits, labels in prediction.logits(
        prediction.forward_pass(model), labelled.batches(batch_size)
    ):
        size = logits.shape[-1]
        if not done:
            columns, joint = _columns(matrix, size), np.zeros((size, size))
        labels = checks.check_given(labels, size)
        posterior = clean_posterior(logits / scale, columns[labels])
        here = slice(done, done + len(labels))
        given[here] = labels
        predicted[here] = posterior.argmax(axis=1)
        quality[here] = posterior[np.arange(len(labels)), labels]
        np.add.at(joint.T, labels, posterior)
        done += len(labels)
        bar.update(done, finalize=done == len(labelled))
    table = pd.DataFrame(
        {
            "is_label_issue": predicted != given,
            "label_quality": quality,
            "given_label": given,
            "predicted_label": predicted,
        }
    )
    return Audit(table, joint, scale)


def temperature(model: keras.Model, clean: Any, batch_size: int = 256) -> float:
    """Returns what to divide logits by, for probabilities that hold true.

    That under which the trusted labels are likeliest (Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, section 4.2), in
    [1 / 4, 4]: a small set that is all right would else ask for certainty.

    Args:
        model: As in `audit_labels`.
        clean: The trusted set.
        batch_size: Defaults to 256.

    Raises:
        InputError: if the labels are no ids of the network's classes.
    """
    parts = []
    for logits, labels in prediction.logits(
        prediction.forward_pass(model),
        examples.as_examples("clean", clean).batches(batch_size),
    ):
        labels = checks.check_given(labels, logits.shape[-1])
        parts.append((logits.astype(np.float64), labels))
    logits, labels = (np.concatenate(part) for part in zip(*parts))

    def loss(log_temperature: float) -> float:
        logs = scipy.special.log_softmax(logits / np.exp(log_temperature), 1)
        return -float(logs[np.arange(len(labels)), labels].mean())

    limit = np.log(_MOST_TEMPERATURE)
    found = scipy.optimize.minimize_scalar(
        loss, bounds=(-limit, limit), method="bounded"
    )
    return float(np.exp(found.x))


def check_clean_set(
    model: keras.Model, clean: Any, batch_size: int = 256
) -> pd.DataFrame:
    """Returns which labels of the trusted set itself look wrong.

    As `find_label_issues`, without T: that describes the noisy labels.

    Args:
        model: As in `audit_labels`; one that was not fitted to these labels, as of
            "mlc", which takes them for the meta loss only.
        clean: The trusted set.
        batch_size: Defaults to 256.

    Raises:
        InputError: as `audit_labels`.
    """
    return find_label_issues(
        model, clean, transition=None, batch_size=batch_size
    )


def pick_to_check(
    issues: pd.DataFrame, count: int, seed: int = 0
) -> pd.DataFrame:
    """Returns examples to check next, that they may join the trusted set.

    Equally many of each predicted class, as far as there are, drawn at random
    within it: a trusted set should look like the data, and the most suspicious
    examples alone do not.

    Args:
        issues: As `Audit.label_issues`.
        count: How many.
        seed: Draws them. Defaults to 0.

    Returns:
        The rows of `issues`, by their index.

    Raises:
        InputError: if `count` is not in `[1, examples]`.
    """
    if not isinstance(count, (int, np.integer)) or not (
        1 <= count <= len(issues)
    ):
        raise bad_argument("count", f"an integer in [1, {len(issues)}]", count)
    order = issues.sample(frac=1, random_state=check_seed(seed))
    # The first of each class, then the second of each, and so on.
    turn = order.groupby("predicted_label").cumcount()
    chosen = turn.sort_values(kind="stable").index[:count]
    return issues.loc[chosen.sort_values()]


def clean_posterior(logits: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns p(clean | x, noisy) of each example, `(batch, classes)`.

    Args:
        logits: `(batch, classes)`.
        columns: `T[:, given]` of each example, the same shape. One that is zero
            says nothing, and is passed over.
    """
    with np.errstate(divide="ignore"):
        log_columns = np.log(np.asarray(columns, np.float64))
    nothing = ~np.isfinite(log_columns).any(axis=1, keepdims=True)
    log_columns = np.where(nothing, 0.0, log_columns)
    return scipy.special.softmax(logits + log_columns, axis=1)


def scores(wrong: np.ndarray, label_quality: np.ndarray) -> dict[str, float]:
    """Returns how well low quality tells wrong labels from right ones.

    Args:
        wrong: `(examples,)`, whether the given label is wrong.
        label_quality: `(examples,)`.
    """
    suspicion = -np.asarray(label_quality, np.float64)
    return {
        "auroc": float(metrics.roc_auc_score(wrong, suspicion)),
        "average_precision": float(
            metrics.average_precision_score(wrong, suspicion)
        ),
    }


def noise_matrix(transition: Any) -> np.ndarray:
    """Returns T as cleanlab's `noise_matrix`, its transpose.

    `noise_matrix[s, y] = p(given = s | true = y)`: columns sum to 1.

    Args:
        transition: `(classes, classes)`, rows are clean classes and sum to 1.

    Raises:
        InputError: if it is no such matrix.
    """
    return transitions.validate(transition, None).T


def _transition_of(model: keras.Model, transition: Any) -> np.ndarray | None:
    if isinstance(transition, str):
        if transition != "learned":
            raise bad_argument(
                "transition", "a matrix, 'learned' or None", transition
            )
        transition = getattr(model, "transition_matrix", None)
    return None if transition is None else np.asarray(transition)


def _columns(transition: np.ndarray | None, size: int) -> np.ndarray:
    """Returns the columns of T, one a row."""
    if transition is None:
        return np.ones((size, size))
    square = transition.shape == (size, size)
    if not square or not np.isfinite(transition).all() or transition.min() < 0:
        raise bad_argument(
            "transition",
            f"a matrix of shape ({size}, {size}), finite and >= 0",
            transition,
        )
    return transition.T
