"""Meta Loss Correction as a classifier of scikit-learn."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import scipy.special
from sklearn.base import BaseEstimator
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from sklearn.utils.validation import validate_data

from mlc_tf import transitions
from mlc_tf.baselines.robust_bilevel import RobustBilevel
from mlc_tf.data.checks import check_unmasked
from mlc_tf.data.inputs import as_numbers
from mlc_tf.data.inputs import check_columns
from mlc_tf.data.pairs import clean_weight
from mlc_tf.data.pairs import pair
from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument
from mlc_tf.errors import check_count
from mlc_tf.errors import check_rate
from mlc_tf.models import base_check
from mlc_tf.models.meta_loss_correction import MetaLossCorrection
from mlc_tf.networks import mlp
from mlc_tf.networks import statistics

# Without it a small perceptron learns wrong labels by heart.
_WEIGHT_DECAY = 0.03
# Of predictions; `_BLOCK` divides it.
_BATCH_SIZE = 256
_BLOCK = 32


class MetaLossCorrectionClassifier(ClassifierMixin, BaseEstimator):
    """A classifier for labels of which some are wrong.

    With trusted examples it trains by `mlc_tf.MetaLossCorrection`. Without them
    it trains by `mlc_tf.baselines.RobustBilevel`, which takes the same steps on
    noisy labels alone. It works in pipelines, grid searches and cleanlab's
    `CleanLearning`.

    ```python
    classifier = MetaLossCorrectionClassifier(trusted=(x_clean, y_clean))
    classifier.fit(x, noisy_labels).predict(x_test)
    ```

    Args:
        network: Maps (input shape, number of classes) to a built `keras.Model`
            whose outputs are logits. Defaults to None: a perceptron with 128
            hidden units and weight decay, which standardises its inputs.
        trusted: `(x, labels)` of examples whose labels are right, at least one
            of each class, with the features of `X`. In a pipeline, the steps
            before this one transform `X` and not these. Defaults to None, no
            trusted examples.
        transition: How T starts and moves, an object of `mlc_tf.transitions`.
            Defaults to None, as in `MetaLossCorrection`: rates that follow
            from the length of the training.
        virtual_learning_rate: As in `MetaLossCorrection`. Defaults to 1.
        meta_gradient: As in `MetaLossCorrection`. Defaults to "head".
        clean_weight: As in `MetaLossCorrection`; without trusted examples it
            has no effect. Defaults to None, the weight of
            `mlc_tf.data.clean_weight`.
        learning_rate: The rate of Adam, which falls along a cosine. Defaults to
            0.003.
        epochs: The number of passes over the data. Defaults to 30.
        batch_size: The number of noisy examples in a batch; fewer where there
            are fewer. Defaults to 64.
        random_state: As in scikit-learn. An integer makes `fit` repeatable: it
            seeds Keras, and with it the global generators of Python and NumPy.
            Defaults to None.
        verbose: As in `keras.Model.fit`. Defaults to 0.

    Attributes:
        classes_: The labels, `(classes,)`, sorted.
        model_: The trained `PairModel`, for `mlc_tf.audit`; it has class ids.
        transition_matrix_: T as learned, `(classes, classes)`,
            `T[i, j] = p(noisy label = j | clean label = i)`, rows sum to 1.
        n_features_in_: The number of features, or the length of the second axis
            of `X` if it has more than two.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> y = np.where(x[:, 0] > 0, "right", "left")
    >>> classifier = MetaLossCorrectionClassifier(random_state=0)
    >>> classifier.fit(x, y).score(x, y) > 0.9
    True
    """

    def __init__(
        self,
        network: Callable[..., keras.Model] | None = None,
        *,
        trusted: tuple[Any, Any] | None = None,
        transition: transitions.TransitionUpdate | None = None,
        virtual_learning_rate: float = 1.0,
        meta_gradient: str = "head",
        clean_weight: float | None = None,
        learning_rate: float = 3e-3,
        epochs: int = 30,
        batch_size: int = 64,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.network = network
        self.trusted = trusted
        self.transition = transition
        self.virtual_learning_rate = virtual_learning_rate
        self.meta_gradient = meta_gradient
        self.clean_weight = clean_weight
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "MetaLossCorrectionClassifier":  # noqa: N803
        """Trains the network and T.

        Args:
            X: `(examples, ...)` numbers: features, or images.
            y: `(examples,)` given labels, of which some are wrong: numbers or
                texts.

        Returns:
            The classifier.

        Raises:
            ValueError: for inputs or labels that no classifier can take.
            InputError: for a bad argument of the constructor, or trusted
                examples of other classes or features.
        """
        x, y = validate_data(self, X, y, allow_nd=True, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                "`y` should have at least two classes. Received: 1 class, "
                f"{self.classes_[0]!r}."
            )
        for name in ("epochs", "batch_size"):
            check_count(name, getattr(self, name))
        learning_rate = check_rate("learning_rate", self.learning_rate)
        trusted = self._trusted(x, X)
        seed = int(check_random_state(self.random_state).randint(2**31))
        if self.random_state is not None:
            keras.utils.set_random_seed(seed)
        batch_size = min(self.batch_size, len(x))
        steps = self.epochs * (len(x) // batch_size)
        base = self._network(x, len(self.classes_))
        if base_check.check(base) != len(self.classes_):
            raise bad_argument(
                "network",
                f"a function to a model with {len(self.classes_)} outputs, one "
                "for each class",
                f"a model with {base.output_shape[-1]}",
            )
        self.model_ = self._model(base, trusted, len(x))
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        self.model_.compile(keras.optimizers.Adam(rate), metrics=["accuracy"])
        pairs = pair(
            (x, labels),
            trusted,
            batch_size,
            seed=seed,
            epochs=range(self.epochs),
        )
        self.model_.fit(
            pairs,
            epochs=self.epochs,
            steps_per_epoch=len(x) // batch_size,
            verbose=self.verbose,
        )
        self.transition_matrix_ = transitions.to_rows(
            self.model_.transition_matrix, self.model_.normalization
        )
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns probabilities of the clean classes, `(examples, classes)`.

        Args:
            X: As in `fit`.
        """
        check_is_fitted(self)
        x = validate_data(self, X, allow_nd=True, dtype=np.float32, reset=False)
        # A matrix product can round the last rows of an array in another way.
        # In full blocks an example has one answer, whatever is beside it.
        rest = np.zeros((-len(x) % _BLOCK, *x.shape[1:]), x.dtype)
        blocks = np.concatenate([x, rest])
        logits = self.model_.predict(blocks, batch_size=_BATCH_SIZE, verbose=0)
        logits = logits[: len(x)]
        return scipy.special.softmax(logits.astype(np.float64), axis=1)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the likeliest clean class of each example, `(examples,)`.

        Args:
            X: As in `fit`.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _trusted(
        self, x: np.ndarray, given: Any
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns the trusted examples with class ids, after checking them.

        Args:
            x: The inputs as an array.
            given: The inputs as the user gave them.
        """
        if self.trusted is None:
            return None
        if (
            not isinstance(self.trusted, (tuple, list))
            or len(self.trusted) != 2
        ):
            raise bad_argument("trusted", "(x, labels) or None", self.trusted)
        check_columns(("X", given), ("trusted", self.trusted[0]))
        inputs = as_numbers("trusted", self.trusted[0]).astype(np.float32)
        check_unmasked("trusted", self.trusted[1])
        labels = np.asarray(self.trusted[1])
        if inputs.shape[1:] != x.shape[1:]:
            raise InputError(
                f"`trusted` should have inputs of shape {x.shape[1:]}, as `X`. "
                f"Received: inputs of shape {inputs.shape[1:]}."
            )
        if labels.shape != inputs.shape[:1]:
            raise InputError(
                "`trusted` should have one label for each input. Received: "
                f"inputs of shape {inputs.shape}, labels of shape "
                f"{labels.shape}."
            )
        trusted, known = set(labels.tolist()), set(self.classes_.tolist())
        for wrong, where in (
            (trusted - known, "which is not in `y`"),
            (known - trusted, "which is missing"),
        ):
            if wrong:
                raise InputError(
                    "`trusted` should have the labels of `y`. Received: "
                    f"{sorted(wrong, key=str)[0]!r}, {where}."
                )
        return inputs, np.searchsorted(self.classes_, labels)

    def _network(self, x: np.ndarray, num_classes: int) -> keras.Model:
        shape = x.shape[1:]
        if self.network is None:
            return mlp(
                shape,
                num_classes,
                weight_decay=_WEIGHT_DECAY,
                **statistics.channels(x),
            )
        if not callable(self.network) or isinstance(self.network, keras.Model):
            raise bad_argument(
                "network",
                "a function of (shape, classes), or None",
                self.network,
            )
        return self.network(shape, num_classes)

    def _model(
        self, base: keras.Model, trusted: Any, num_noisy: int
    ) -> MetaLossCorrection:
        arguments: dict[str, Any] = {
            "transition": self.transition,
            "virtual_learning_rate": self.virtual_learning_rate,
            "meta_gradient": self.meta_gradient,
        }
        if trusted is None:
            return RobustBilevel(base, **arguments)
        weight = self.clean_weight
        if weight is None:
            weight = clean_weight(num_noisy, len(trusted[0]))
        return MetaLossCorrection(base, clean_weight=weight, **arguments)
