"""The Keras model that trains a network on pairs of noisy and clean batches.

`PairModel` wraps the network and does not change it: `base` maps inputs to
logits and knows nothing of noise. `call`, `evaluate`, `predict`, `save` and
`export` use the base alone, so training machinery never reaches serving.
"""

import inspect
import re
import warnings
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlc_tf import distribution
from mlc_tf import losses
from mlc_tf import transitions
from mlc_tf.data import checks
from mlc_tf.errors import InputError
from mlc_tf.errors import check_count
from mlc_tf.errors import check_rate
from mlc_tf.models import base_check
from mlc_tf.models import evaluation_data
from mlc_tf.models import export
from mlc_tf.models import forward_pass
from mlc_tf.models import fused_normalization
from mlc_tf.models import metric_inputs
from mlc_tf.models import xla
from mlc_tf.models.constructor_arguments import ConstructorArguments
from mlc_tf.models.multi_worker_fit import MultiWorkerFit

# The models that need nothing but noisy labels.
WITHOUT_CLEAN = (
    "CrossEntropy",
    "GeneralizedCrossEntropy",
    "EarlyLearningRegularization",
    "VolumeMinimization",
    "RobustBilevel",
    "Pencil",
)

# The models that weigh the losses of the noisy examples.
TAKE_WEIGHTS = (
    "MetaLossCorrection",
    "PaperMetaLossCorrection",
    "RobustBilevel",
    "CrossEntropy",
    "GeneralizedCrossEntropy",
    "ForwardCorrection",
    "GoldLossCorrection",
)

_FIT = inspect.signature(keras.Model.fit)
# The least values of arguments of `fit`.
_LEAST = {"epochs": 1, "initial_epoch": 0, "steps_per_epoch": 1}


class PairModel(ConstructorArguments, MultiWorkerFit):
    """Trains `base` on elements `((x, noisy_label), (x_clean, clean_label))`.

    Without a trusted set an element is `((x, noisy_label), ())`. A model whose
    step does not need the clean half takes such elements too.

    A subclass for a method that changes only the loss overrides `example_loss`.
    A subclass for a method with its own step overrides `train_step`, which ends
    with `actual_train`.

    Args:
        base: A built `keras.Model` from inputs to logits `(batch, classes)`:
            Sequential, functional, or subclassed with a Dense layer last.
        clean_weight: The mean cross-entropy of the clean batch, times this
            weight, is added to the loss of the optimizer's step. It costs a
            pass of the clean batch, and this network can then no longer audit
            the trusted labels. Defaults to 0.
        clean_class_weight: `(classes,)`, the weight of a clean example of each
            class. A balanced trusted set, beside noisy labels that are not
            balanced, favours rare classes; `mlc_tf.data.class_weight` corrects
            that. Defaults to None, 1 for each class.
        name: Name of the model. Defaults to a unique name.

    Raises:
        InputError: if `base` is not a Keras model, is not built, ends in a
            softmax, or has no output of width >= 2; or for a bad weight.
    """

    # Names of the metrics that only a training step updates.
    training_trackers: tuple[str, ...] = ()
    # Whether the noisy half of an element is (x, label, index).
    uses_index = False
    # How many examples a model keeps something for; None if it keeps nothing.
    num_examples: int | None = None
    # Whether a step weighs the losses of the noisy examples.
    takes_weights = False
    # Whether a step needs the clean half of an element, whatever the options.
    needs_clean = False
    # Whether the next `fit` decides on XLA; `compile` sets it.
    _chooses_xla = False

    def __init__(
        self,
        base: keras.Model,
        *,
        clean_weight: float = 0.0,
        clean_class_weight: Any = None,
        name: str | None = None,
    ) -> None:
        num_classes = base_check.check(base)
        super().__init__(name=name, dtype=base.dtype_policy)
        self.base = base
        self.num_classes = num_classes
        self.clean_weight = check_rate("clean_weight", clean_weight)
        if clean_class_weight is not None:
            clean_class_weight = checks.as_weights(
                "clean_class_weight", clean_class_weight, num_classes
            )
        self.clean_class_weight = clean_class_weight
        self.loss_tracker = keras.metrics.Mean(name="loss")
        # Otherwise `fit` under a strategy builds the wrapper symbolically,
        # which fails on elements other than (inputs, targets).
        self.built = True

    def compile(
        self,
        optimizer: Any = "rmsprop",
        *,
        metrics: Any = None,
        weighted_metrics: Any = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures training, as `keras.Model.compile` without a loss.

        Args:
            optimizer: A Keras optimizer or its name. Defaults to "rmsprop".
            metrics: Metrics of Keras, or their names. A sparse metric gets
                class ids and logits; any other metric of Keras (AUC, F1Score,
                Precision, CategoricalAccuracy, ...) gets one-hot labels and
                probabilities, and AUC then counts each class of each example.
                A soft label counts as its likeliest class. A metric of your
                own class gets class ids and logits. `fit` passes the *noisy*
                labels, `evaluate` the test labels.
            weighted_metrics: Metrics that `evaluate` weighs with the sample
                weights. Defaults to None.
            jit_compile: Whether XLA compiles the steps. Defaults to "auto":
                XLA if there is a GPU and one replica, and if XLA has all
                operations of the training step, which the first `fit` tries.
            **kwargs: The other arguments of `keras.Model.compile`.

        Raises:
            InputError: if `loss` or `loss_weights` is given, since each method
                defines its loss; or for a bad `jit_compile`.
        """
        xla.check(jit_compile)
        self._chooses_xla = jit_compile == "auto"
        for name in ("loss", "loss_weights"):
            if kwargs.pop(name, None) is not None:
                raise InputError(
                    f"`{name}` should be left out of `compile`: "
                    f"{type(self).__name__} defines the loss."
                )
        super().compile(
            optimizer=optimizer,
            metrics=metric_inputs.for_classifier(metrics, self.num_classes),
            weighted_metrics=metric_inputs.for_classifier(
                weighted_metrics, self.num_classes
            ),
            jit_compile=jit_compile is True,
            **kwargs,
        )

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains, as `keras.Model.fit`, on a dataset of pairs.

        Args:
            x: A `tf.data.Dataset` (`mlc_tf.data.pair` makes one) of batched
                elements `((x, noisy_label), (x_clean, clean_label))`, or
                `((x, noisy_label), ())` without a trusted set, which the
                strategy in scope divides. Or, if each of several workers reads
                only its part, a function from the
                `tf.distribute.InputContext` of a worker to the batches of its
                replicas.
            *args: The other positional arguments of `keras.Model.fit`.
            **kwargs: The other keyword arguments of `keras.Model.fit`.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            InputError: if the elements are not such pairs, or do not fit the
                base or the strategy; or if a label is not in `[0, classes)`.
                Also for an argument without effect, and for numbers of epochs
                or steps that are no such integers.
        """
        _check_fit_arguments(x, *args, **kwargs)
        self._check_weights()
        pairs = self._own_pairs(x) if callable(x) else self._checked(x)
        self.before_fit(x, *args, **kwargs)
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._checked_validation(
                kwargs["validation_data"]
            )
        if self.compiled:
            self._build_metrics()
            # A first step that creates variables would be traced twice.
            self._build_optimizer()
        kwargs.setdefault("shuffle", False)  # the dataset sets the order
        try:
            with self._plain_errors(), self._second_derivatives():
                self._choose_xla(pairs)
                return super().fit(pairs, *args, **kwargs)
        finally:
            self.__dict__.pop("_validation_inputs", None)

    def before_fit(self, x: Any, *args: Any, **kwargs: Any) -> None:
        """Prepares a run; `fit` calls it with its arguments.

        Args:
            x: The dataset, or the function, that `fit` got.
            *args: As in `fit`.
            **kwargs: As in `fit`.
        """

    def _choose_xla(self, pairs: Any) -> None:
        """Lets XLA compile the steps if the user left it open and it pays."""
        if not self._chooses_xla or self.run_eagerly:
            return
        self._chooses_xla = False
        if not xla.pays(self.distribute_strategy):
            return
        obstacle = xla.obstacle(self.train_step, pairs.element_spec)
        if obstacle is None:
            self.jit_compile = True
        else:
            warnings.warn(
                f"{type(self).__name__} trains without XLA, which would be "
                f"faster on this GPU: {obstacle}.",
                stacklevel=3,
            )

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        with checks.plain_errors(), xla.plain_errors():
            yield

    def _check_weights(self) -> None:
        """Checks the base again: it may have changed since it was wrapped."""
        base_check.check_weights(self.base)
        forward = getattr(self, "forward_pass", None)
        if isinstance(forward, forward_pass.LastLayer):
            forward.check()

    @contextmanager
    def _second_derivatives(self) -> Iterator[None]:
        """Names the layer whose second derivative TensorFlow lacks."""
        try:
            yield
        except LookupError as error:
            found = re.search(r"no entry for: (\w+?)(?:Grad)?\b", str(error))
            if found is None:
                raise
            layers = base_check.layers_with_operation(self.base, found[1])
            raise InputError(
                "The layers of `base` should have second derivatives for this "
                f"method. Received: {', '.join(layers) or 'a layer'} with the "
                f"operation {found[1]}, which has none in TensorFlow "
                "(`MetaLossCorrection` needs none with `meta_gradient` = "
                "'head' or 'finite_difference')."
            ) from None

    def check_pairs(self, x: Any, replicas: int | None = None) -> None:
        """Checks a dataset as `fit` does, without reading an element.

        Args:
            x: A dataset, as in `fit`.
            replicas: The number of replicas that share a batch. Defaults to
                the replicas of the strategy in which the model was created.

        Raises:
            InputError: as `fit`, except for bad labels.
        """
        spec = checks.pair_spec(x, self.num_classes, self.uses_index)
        if "clean" not in spec:
            self._check_trains_without_clean()
        weights = checks.noisy_half(spec["noisy"]).weights
        if weights is not None and not self.takes_weights:
            raise InputError(
                f"The noisy examples should have no weights for "
                f"{type(self).__name__}; {', '.join(TAKE_WEIGHTS)} take them. "
                "Received: a weight for each example."
            )
        for which, (inputs, *_) in spec.items():
            base_check.check_inputs(self.base, which, inputs)
        checks.check_batch_sizes(
            spec, replicas or self.distribute_strategy.num_replicas_in_sync
        )

    def _check_trains_without_clean(self) -> None:
        if self.needs_clean:
            raise InputError(
                f"{type(self).__name__} needs a trusted set: "
                "mlc_tf.pair(noisy, clean). Received: pairs without a clean "
                "half. Without a trusted set train "
                f"{', '.join(WITHOUT_CLEAN)} of mlc_tf.baselines."
            )
        if self.clean_weight:
            raise InputError(
                "`clean_weight` should be 0 without a trusted set. Received: "
                f"`clean_weight` = {self.clean_weight}."
            )

    def _checked(self, x: Any, replicas: int | None = None) -> tf.data.Dataset:
        self.check_pairs(x, replicas)
        return checks.check_labels(x, self.num_classes, self.num_examples)

    def _own_pairs(self, x: Any) -> Any:
        return self.distribute_strategy.distribute_datasets_from_function(
            lambda context: self._checked(x(context), replicas=1)
        )

    def _checked_validation(self, data: Any) -> Any:
        parts = data if isinstance(data, (tuple, list)) else (data,)
        if len(parts) > 3:
            raise InputError(
                "`validation_data` should be a dataset, (x, labels) or (x, "
                f"labels, weights). Received: {len(parts)} parts."
            )
        x, y, weights = (*parts, None, None)[:3]
        x = evaluation_data.as_batches(x)
        self._check_test_inputs(x)
        x, y = evaluation_data.checked(x, y, self.num_classes)
        # Not by `setattr`, which would wrap a dict of inputs.
        self.__dict__["_validation_inputs"] = x
        if y is None:
            return x
        return (x, y) if weights is None else (x, y, weights)

    def evaluate(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Evaluates the base, as `keras.Model.evaluate`.

        Args:
            x: Inputs, or a dataset of batches (inputs, labels) or (inputs,
                labels, weights), or a Hugging Face `datasets.Dataset`. With
                weights w the loss is `sum(w * loss) / sum(w)`.
            y: The labels of inputs: class ids, `(examples,)` or
                `(examples, 1)`, or probabilities, `(examples, classes)`.
            *args: The other positional arguments of `keras.Model.evaluate`.
            **kwargs: The other keyword arguments of `keras.Model.evaluate`.

        Raises:
            InputError: for labels other than ids in `[0, classes)` or rows of
                probabilities.
        """
        # `fit` has checked its validation data once for all epochs.
        if x is None or x is not self.__dict__.get("_validation_inputs"):
            x = evaluation_data.as_batches(x)
            self._check_test_inputs(x)
            x, y = evaluation_data.checked(x, y, self.num_classes)
        as_dict = kwargs.pop("return_dict", False)
        with self._plain_errors():
            logs = super().evaluate(x, y, *args, return_dict=True, **kwargs)
        if not logs:
            raise _empty_test_set()
        results = self.get_metrics_result()
        if self.distribute_strategy.num_replicas_in_sync > 1:
            # The logs are means over the replicas, which may have had unequal
            # parts of the examples.
            logs = {name: _as_python(results[name]) for name in logs}
        if as_dict:
            return logs
        values = [logs[name] for name in results if name in logs]
        return values if len(values) > 1 else values[0]

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns the logits of the base, as `keras.Model.predict`.

        `x` may also be a Hugging Face `datasets.Dataset`, with labels, which
        are not read, or without.
        """
        x = evaluation_data.as_batches(x, labelled=False)
        self._check_test_inputs(x)
        with self._plain_errors():
            return super().predict(x, *args, **kwargs)

    def _check_test_inputs(self, x: Any) -> None:
        """Checks inputs in memory, or of a `tf.data.Dataset`."""
        if isinstance(x, tf.data.Dataset):
            spec = x.element_spec
            inputs = spec[0] if isinstance(spec, tuple) else spec
            if not isinstance(inputs, tuple):
                base_check.check_inputs(self.base, "test", inputs)
        elif isinstance(x, dict) or hasattr(x, "shape"):
            base_check.check_inputs(self.base, "test", x)
            if any(np.shape(part)[:1] == (0,) for part in tf.nest.flatten(x)):
                raise _empty_test_set()

    def train_on_batch(
        self, x: Any, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Takes one training step, as `keras.Model.train_on_batch`.

        Args:
            x: The noisy half of an element of `mlc_tf.pair`, (inputs, labels).
            y: The clean half of the element, (inputs, labels); None or `()`
                without a trusted set. Defaults to None.
            *args: Not allowed: weights of examples are in the noisy half.
            **kwargs: `return_dict` of `keras.Model.train_on_batch`.

        Returns:
            The metrics, as `keras.Model.train_on_batch` returns them.

        Raises:
            InputError: if the arguments are not the halves of a pair.
        """
        if args or {*kwargs} - {"return_dict"}:
            raise InputError(
                "`train_on_batch` should get the two halves of an element of "
                "mlc_tf.pair, and return_dict. Received: "
                f"{', '.join(kwargs) or 'more arguments'} as well."
            )
        pairs = tf.data.Dataset.from_tensors((x, () if y is None else y))
        history = self.fit(pairs, epochs=1, verbose=0).history
        logs = {name: values[-1] for name, values in history.items()}
        if kwargs.get("return_dict"):
            return logs
        return (
            list(logs.values()) if len(logs) > 1 else next(iter(logs.values()))
        )

    def test_on_batch(
        self, x: Any, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Evaluates one batch, as `keras.Model.test_on_batch`."""
        evaluation_data.check_batch(x)
        _, labels = evaluation_data.checked(x, y, self.num_classes)
        return super().test_on_batch(x, labels, *args, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as it was compiled when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._build_optimizer()

    def load_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Loads weights, T and, if compiled, the state of the optimizer.

        As `keras.Model.load_weights`.
        """
        if self.compiled:
            self._build_optimizer()
        super().load_weights(filepath, *args, **kwargs)

    def _build_optimizer(self) -> None:
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.optimized_variables)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        with fused_normalization.used_by(self.base):
            return self.base(inputs, training=training)

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves `base` as `keras.Model.save` does; it loads without `mlc_tf`.

        `save_weights` also saves the state of training: T and the optimizer.
        """
        self.base.save(filepath, *args, **kwargs)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        *,
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Exports `base`, and T if the method learns T, for serving.

        Args:
            filepath: A folder, or a file that ends in `.tflite` or `.onnx`.
            format: "tf_saved_model", "litert" or "onnx". Defaults to
                "tf_saved_model".
            verbose: Whether to print the path. Defaults to None, which prints.
            input_signature: A `tf.TensorSpec` of the inputs. A subclassed base
                needs it, since its input shape is not known.
            class_names: One name per class. Defaults to "0", "1", ...

        Raises:
            InputError: as `mlc_tf.models.export.write`.
        """
        matrix = getattr(self, "transition_matrix", None)
        if matrix is not None:
            matrix = transitions.to_rows(
                matrix, getattr(self, "normalization", "rows")
            )
        export.write(
            self.base, filepath, format, class_names, matrix, input_signature
        )
        if verbose or verbose is None:
            print(f"Saved artifact at '{filepath}'.")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        # Keras has a second loss tracker, which only Keras' train step updates.
        others = [metric for metric in super().metrics if metric.name != "loss"]
        return [self.loss_tracker, *others]

    def example_loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each noisy example, `(batch,)`.

        Args:
            logits: `(batch, classes)`, at least float32.
            labels: Noisy labels, `(batch,)` ids or `(batch, classes)`
                probabilities.
        """
        raise NotImplementedError(
            f"{type(self).__name__} should override `example_loss` or "
            "`train_step`."
        )

    def train_step(
        self, data: tuple[tuple[Any, Any], tuple[Any, Any]]
    ) -> dict[str, Any]:
        noisy, clean = checks.noisy_half(data[0]), data[1]
        forward = forward_pass.AllWeights(self.base).forward(noisy.x)
        with forward.tape:
            loss = losses.weighted_mean(
                self.example_loss(forward.logits, noisy.labels), noisy.weights
            )
            loss += self.clean_term(clean)
        return self.actual_train(forward, loss, noisy.labels)

    def test_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        x, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        labels = tf.convert_to_tensor(labels)
        logits = forward_pass.as_float(self(x, training=False))
        example_losses = losses.cross_entropy(logits, labels)
        self.loss_tracker.update_state(example_losses, sample_weight)
        results = self.compute_metrics(x, _ids(labels), logits, sample_weight)
        return {
            name: result
            for name, result in results.items()
            if name not in self.training_trackers
        }

    def clean_term(self, clean: tuple[Any, Any]) -> Any:
        """Returns `clean_weight` times the loss of the clean batch, a scalar.

        A gradient tape in scope records the pass, which changes no state of the
        base.

        Args:
            clean: The clean half of an element, (inputs, labels).
        """
        if not self.clean_weight:
            return 0.0
        x, labels = clean
        return self.clean_weight * losses.mean_cross_entropy(
            forward_pass.passing_logits(self.base, x),
            labels,
            self.clean_class_weight,
        )

    def actual_train(
        self,
        forward: forward_pass.ForwardPass,
        loss: tf.Tensor,
        noisy_labels: tf.Tensor,
    ) -> dict[str, Any]:
        """Takes the optimizer's step on `loss`, and returns the metrics.

        Args:
            forward: The forward pass of the noisy batch; its tape recorded the
                loss.
            loss: The mean loss of this replica's examples, a scalar.
            noisy_labels: `(batch,)` ids or `(batch, classes)` probabilities.
        """
        self.optimizer_step(forward, loss)
        return self.training_metrics(loss, forward.logits, noisy_labels)

    def add_state(
        self, name: str, value: Any, dtype: str | None = None
    ) -> keras.Variable:
        """Returns a variable that training steps assign, without a gradient.

        The variable is saved with the model, and is the same on all replicas.

        Args:
            name: The name of the variable.
            value: The initial value, an array.
            dtype: Defaults to the dtype of the model's variables.
        """
        value = np.asarray(value)
        return self.add_weight(
            name=name,
            shape=value.shape,
            dtype=dtype,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )

    def add_step_counter(self) -> keras.Variable:
        """Returns a counter of training steps, which each step increases.

        It is not the optimizer's, which counts updates: with gradient
        accumulation several steps make one update. A second `compile` does not
        start it again.
        """
        return self.add_state("step", 0, "int64")

    def set_rows(
        self, variable: keras.Variable, indices: tf.Tensor, rows: tf.Tensor
    ) -> None:
        """Writes what a step keeps for its examples.

        Every replica stores all rows, so each writes the rows of the global
        batch. They are assigned and not added, because a batch that spans the
        end of a pass over the data may contain an example twice.

        Args:
            variable: A variable of `add_state`, `(examples, ...)`.
            indices: `(batch,)`, this replica's examples.
            rows: `(batch, ...)`, their new rows.
        """
        variable.assign(
            tf.tensor_scatter_nd_update(
                tf.convert_to_tensor(variable),
                distribution.all_rows(indices)[:, tf.newaxis],
                tf.cast(distribution.all_rows(rows), variable.dtype),
            )
        )

    @property
    def optimized_variables(self) -> list[keras.Variable]:
        """The variables that the optimizer moves."""
        return self.base.trainable_variables

    def optimizer_step(
        self, forward: forward_pass.ForwardPass, loss: tf.Tensor
    ) -> None:
        """Takes the optimizer's step on `loss` and the regularisation.

        Args:
            forward: The forward pass; its tape recorded the loss.
            loss: The mean loss of this replica's examples, a scalar.
        """
        variables = self.optimized_variables
        gradients = self.scaled_gradients(forward, loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables))

    def scaled_gradients(
        self,
        forward: forward_pass.ForwardPass,
        loss: tf.Tensor,
        variables: list[keras.Variable],
    ) -> Any:
        """Returns the gradients for the optimizer's `apply_gradients`.

        Args:
            forward: The forward pass; its tape recorded the loss.
            loss: The mean loss of this replica's examples, without the
                regularisation, which is added here.
            variables: The variables of the gradients.
        """
        with forward.tape:
            total = loss + forward.regularization
            # `apply_gradients` sums gradients over the replicas.
            loss_per_replica = total / distribution.num_replicas()
            scaled = self.optimizer.scale_loss(loss_per_replica)
        return forward.tape.gradient(scaled, variables)

    def training_metrics(
        self, loss: tf.Tensor, logits: tf.Tensor, noisy_labels: tf.Tensor
    ) -> dict[str, Any]:
        """Returns the metrics after a step, computed on the noisy labels."""
        self.loss_tracker.update_state(loss)
        return self.compute_metrics(None, _ids(noisy_labels), logits)

    def _build_metrics(self) -> None:
        # Under a strategy, Keras builds the metrics by a call of the model on
        # (x, noisy_label), which fails. One example builds them here.
        with self.distribute_strategy.scope():
            self.compute_metrics(
                None, tf.zeros([1], tf.int64), tf.zeros([1, self.num_classes])
            )
        self.reset_metrics()


def _empty_test_set() -> InputError:
    return InputError("The test set should not be empty. Received: none.")


def _as_python(value: Any) -> Any:
    """Returns the result of a metric as a number, or as an array."""
    array = keras.ops.convert_to_numpy(value)
    return float(array) if array.ndim == 0 else array


def _check_fit_arguments(*args: Any, **kwargs: Any) -> None:
    """Raises an `InputError` for arguments without effect, and bad numbers."""
    given = _FIT.bind(None, *args, **kwargs).arguments
    for name, reason in (
        ("class_weight", "T weighs the labels"),
        ("sample_weight", "it is an argument of `mlc_tf.pair`"),
        ("validation_split", "give `validation_data` with labels you trust"),
        ("batch_size", "`mlc_tf.pair` makes the batches"),
        ("y", "the elements of the dataset of pairs have the labels"),
    ):
        value = given.get(name)
        if value is not None and not (np.isscalar(value) and value == 0):
            raise InputError(f"`{name}` should be left out of `fit`: {reason}.")
    for name, least in _LEAST.items():
        value = given.get(name, least)
        if name == "steps_per_epoch" and value is None:
            continue
        check_count(name, value, least)


def _ids(labels: tf.Tensor) -> tf.Tensor:
    # Always ids: Keras resolves "accuracy" by the form of the first labels.
    return tf.argmax(labels, axis=-1) if labels.shape.rank == 2 else labels
