"""Finds wrong labels with a trained network and its T, without more training.

The softmax f of the network estimates p(clean class | x), and
`T[y, g] = p(given label = g | clean class = y)`. With the given label g of an
example, Bayes' rule gives the distribution of its clean class:

    p(clean = y | x, given = g)  ~  f[y] T[y, g]

The tables use cleanlab's column names, so that tools for cleanlab's tables can
read them.
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
from mlc_tf.audit.instance_dependence import InstanceDependence
from mlc_tf.data import checks
from mlc_tf.data import order
from mlc_tf.data import sources
from mlc_tf.data import streams
from mlc_tf.data.examples import Stream
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count
from mlc_tf.errors import check_seed
from mlc_tf.errors import import_optional
from mlc_tf.errors import is_integer
from mlc_tf.models import base_check
from mlc_tf.models import prediction
from mlc_tf.models.pair_model import PairModel

if TYPE_CHECKING:
    import pandas as pd

_MOST_TEMPERATURE = 4.0


@dataclass(frozen=True)
class Audit:
    """The labels of a dataset, as a network and its T judge them.

    Attributes:
        label_issues: One row per example, in the order of the dataset.
            `given_label` is a class id, and `predicted_label` the most probable
            clean class. `label_quality` is the probability in [0, 1] that the
            given label is right. `is_label_issue` is whether the two labels
            differ.
        joint: `(classes, classes)`, expected counts of (clean class, given
            label); rows are clean classes.
        temperature: The temperature that the network's logits were divided by.
            Defaults to 1, no calibration.
        instance_dependence: Whether the labels depend on more than the class,
            as the audit of a run tests it. Defaults to None, not tested.
    """

    label_issues: pd.DataFrame
    joint: np.ndarray
    temperature: float = 1.0
    instance_dependence: InstanceDependence | None = None

    @property
    def noise_rate(self) -> float:
        """The expected share of wrong labels, in [0, 1]."""
        return float(1 - np.trace(self.joint) / self.joint.sum())

    @property
    def transition(self) -> np.ndarray:
        """T as estimated from these labels, `(classes, classes)`.

        Rows are clean classes and sum to 1. The estimate is one step of
        expectation-maximisation from the T of the audit. A class without
        expected examples has its row of the identity.
        """
        size = self.joint.sum(axis=1, keepdims=True)
        rows = self.joint / np.where(size, size, 1)
        return np.where(size, rows, np.eye(len(self.joint)))

    @property
    def classes(self) -> pd.DataFrame:
        """One row per class, indexed by class id.

        The columns are:

        * `given`: the number of examples with this label;
        * `label_issues`: the number of these examples with a suspicious label;
        * `noise_rate_in`: the expected share of these examples that belong to
          another class;
        * `noise_rate_out`: the expected share of the examples of this class
          that were given another label.

        A rate of a class without expected examples is NaN.
        """
        pd = import_optional("pandas", "audit")
        correct = np.diag(self.joint)
        issues = self.label_issues
        size = len(correct)
        given = np.bincount(issues["given_label"], minlength=size)
        suspected = issues.loc[issues["is_label_issue"], "given_label"]
        with np.errstate(invalid="ignore"):
            return pd.DataFrame(
                {
                    "given": given,
                    "label_issues": np.bincount(suspected, minlength=size),
                    "noise_rate_in": 1 - correct / self.joint.sum(axis=0),
                    "noise_rate_out": 1 - correct / self.joint.sum(axis=1),
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
    """Returns the table `Audit.label_issues` of a dataset.

    `issues.sort_values("label_quality")` lists the most suspicious labels
    first.

    Args:
        model: A trained `PairModel`, or a network from inputs to logits.
        dataset: The examples, in any form that `audit_labels` takes.
        transition: T, `(classes, classes)`, rows are clean classes; "learned",
            the T of the model; or None, no T. Defaults to "learned".
        clean: A trusted set to calibrate the network on. Defaults to None, no
            calibration.
        batch_size: Examples in a forward pass. Defaults to 256.
        verbose: 1 shows a progress bar. Defaults to 0.

    Returns:
        One row per example, in the order of the dataset.

    Raises:
        InputError: if a label is not a class id of the network, or T is not
            such a matrix.
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
    """Returns the audit of a dataset's labels by a trained model.

    The audit takes one forward pass over the dataset and trains nothing. It
    keeps one batch of outputs and one row per example in memory.

    Args:
        model: A trained `PairModel`, or a network from inputs to logits.
        dataset: `(x, labels)` arrays, where `x` may be a dict or tuple of
            arrays; a `tf.data.Dataset` of `(x, label)` or of batches; a
            `keras.utils.PyDataset` of batches; a Hugging Face
            `datasets.Dataset`; or `mlc_tf.data.examples.Examples`. Labels are
            class ids. A dataset must have one order; it is read once more to
            count its examples if it does not know their number.
        transition: T, `(classes, classes)`, rows are clean classes; only the
            proportions within a column matter. Or "learned": the T of the
            model, or None if the model has no T. Or None: every wrong label is
            taken as equally likely, and `label_quality` is `f[given]`. Defaults
            to "learned".
        clean: A trusted set, in any form of `dataset`, on which `temperature`
            calibrates the network first. The network must not be fitted to this
            set, because the calibration would then make the network
            overconfident. Defaults to None, no calibration.
        batch_size: Examples in a forward pass. Defaults to 256.
        verbose: 1 shows a progress bar. Defaults to 0.

    Raises:
        InputError: if the model does not return finite logits, or T is not such
            a matrix; if a label is not a class id of the network, or the order
            of the dataset changes.
    """
    pd = import_optional("pandas", "audit")
    _check_network(model)
    check_count("batch_size", batch_size)
    labelled = sources.as_examples("dataset", dataset)
    if isinstance(labelled, Stream):
        order.check("dataset", labelled.dataset)
    matrix = _transition_to_use(model, transition)
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
        prediction.forward_pass(model),
        streams.read("dataset", labelled.batches(batch_size)),
    ):
        size = logits.shape[-1]
        if not done:
            columns, joint = _columns(matrix, size), np.zeros((size, size))
        labels = checks.check_given(labels, size)
        prediction.check_finite(logits, done)
        posterior = clean_posterior(logits / scale, columns[labels])
        batch = slice(done, done + len(labels))
        given[batch] = labels
        predicted[batch] = posterior.argmax(axis=1)
        quality[batch] = posterior[np.arange(len(labels)), labels]
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
    """Returns the temperature that calibrates a network on a trusted set.

    The softmax of the logits divided by this temperature maximises the
    likelihood of the trusted labels. The temperature is limited to [1/4, 4]:
    otherwise a small set that the network classifies perfectly would make the
    temperature vanish.

    Args:
        model: A trained `PairModel`, or a network from inputs to logits.
        clean: The trusted set, in any form that `audit_labels` takes. The
            network must not be fitted to it.
        batch_size: Examples in a forward pass. Defaults to 256.

    Raises:
        InputError: if a label is not a class id of the network, or the model
            does not return finite logits.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
        section 4.2.
    """
    _check_network(model)
    check_count("batch_size", batch_size)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for logits, labels in prediction.logits(
        prediction.forward_pass(model),
        streams.read(
            "clean", sources.as_examples("clean", clean).batches(batch_size)
        ),
    ):
        labels = checks.check_given(labels, logits.shape[-1])
        parts.append((logits.astype(np.float64), labels))
    logits, labels = (np.concatenate(part) for part in zip(*parts))
    prediction.check_finite(logits, 0)

    def loss(log_temperature: float) -> float:
        logs = scipy.special.log_softmax(logits / np.exp(log_temperature), 1)
        return -float(logs[np.arange(len(labels)), labels].mean())

    limit = np.log(_MOST_TEMPERATURE)
    found = scipy.optimize.minimize_scalar(
        loss, bounds=(-limit, limit), method="bounded"
    )
    return float(np.exp(found.x))


def _check_network(model: Any) -> None:
    """Raises an `InputError` unless a model is a `PairModel` or has logits."""
    if not isinstance(model, PairModel):  # it has checked its base
        base_check.check_logits(model)


def check_clean_set(
    model: keras.Model, clean: Any, batch_size: int = 256
) -> pd.DataFrame:
    """Returns the table `Audit.label_issues` of the trusted set itself.

    T is not used, because T describes the noisy labels.

    Args:
        model: A trained `PairModel`, or a network from inputs to logits. It
            must not be fitted to the trusted labels; "mlc", for example, uses
            them for the meta loss only.
        clean: The trusted set, in any form that `audit_labels` takes.
        batch_size: Examples in a forward pass. Defaults to 256.

    Raises:
        InputError: if a label is not a class id of the network.
    """
    return find_label_issues(
        model, clean, transition=None, batch_size=batch_size
    )


def pick_to_check(
    issues: pd.DataFrame, count: int, seed: int = 0
) -> pd.DataFrame:
    """Returns examples to check by hand, so that they can join the trusted set.

    The examples are drawn at random, equally many of each predicted class as
    far as the class has them. A trusted set should resemble the data; the most
    suspicious examples alone do not.

    Args:
        issues: A table as `Audit.label_issues`.
        count: How many examples to draw, an integer in [1, examples].
        seed: The seed of the draw, an integer >= 0. Defaults to 0.

    Returns:
        The drawn rows of `issues`, ordered by their index.

    Raises:
        InputError: if `count` is not in `[1, examples]`.
    """
    if not is_integer(count) or not 1 <= count <= len(issues):
        raise bad_argument("count", f"an integer in [1, {len(issues)}]", count)
    order = issues.sample(frac=1, random_state=check_seed(seed))
    # The first example of each class, then the second of each, and so on.
    turn = order.groupby("predicted_label").cumcount()
    chosen = turn.argsort(kind="stable")[:count]
    return order.iloc[chosen].sort_index()


def clean_posterior(logits: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns p(clean class | x, given label) of each example.

    Args:
        logits: The network's logits, `(batch, classes)`.
        columns: `T[:, given]` of each example, `(batch, classes)`. A column of
            zeros is ignored: the posterior is then the softmax.

    Returns:
        `(batch, classes)` float64; rows sum to 1.
    """
    with np.errstate(divide="ignore"):
        log_columns = np.log(np.asarray(columns, np.float64))
    all_zero = ~np.isfinite(log_columns).any(axis=1, keepdims=True)
    log_columns = np.where(all_zero, 0.0, log_columns)
    return scipy.special.softmax(logits + log_columns, axis=1)


def scores(wrong: np.ndarray, label_quality: np.ndarray) -> dict[str, float]:
    """Returns how well a low label quality detects wrong labels.

    Args:
        wrong: `(examples,)` booleans, True if the given label is wrong.
        label_quality: `(examples,)`, as in `Audit.label_issues`.

    Returns:
        `auroc` and `average_precision`, both in [0, 1]. Without a wrong label
        `auroc` is NaN and `average_precision` 0; without a right label `auroc`
        is NaN.
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
        InputError: if `transition` is not such a matrix.
    """
    return transitions.validate(transition, None).T


def _transition_to_use(
    model: keras.Model, transition: Any
) -> np.ndarray | None:
    if isinstance(transition, str):
        if transition != "learned":
            raise bad_argument(
                "transition", "a matrix, 'learned' or None", transition
            )
        transition = getattr(model, "transition_matrix", None)
    return None if transition is None else np.asarray(transition)


def _columns(transition: np.ndarray | None, size: int) -> np.ndarray:
    """Returns the transpose of T: row g is the column of the given label g."""
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
