"""Hugging Face's `datasets.Dataset` as `(inputs, labels)`.

The label is the column of class ids; every other column is an input. Columns
are read as `dataset.with_format("numpy")` gives them.
"""

from typing import Any

import numpy as np

from mlc_tf.errors import InputError

_BATCH = 512
_LABELS = ("label", "labels")


def is_dataset(source: Any) -> bool:
    """Returns whether an object is of a class of Hugging Face's `datasets`."""
    # Without an import of the library, and not of a user's own module of that
    # name.
    library = type(source).__module__.split(".")[0] == "datasets"
    return library and hasattr(source, "with_format")


class Batches:
    """The examples of a `datasets.Dataset`, in batches that an index reads.

    Args:
        which: Name of the set, for messages, such as "noisy".
        dataset: A `datasets.Dataset` with one column of class ids, which is the
            only `ClassLabel`, or is called "label" or "labels".
        labelled: Whether the labels are read. Without, the dataset may lack
            them, and they are 0. Defaults to True.

    Raises:
        InputError: if `dataset` is a dict of splits or is not read by index, or
            if it is empty or its column of labels is not clear.
    """

    def __init__(self, which: str, dataset: Any, labelled: bool = True) -> None:
        if not hasattr(dataset, "__len__"):
            raise InputError(
                f"The {which} set should be a datasets.Dataset that has a "
                f"length. Received: a {type(dataset).__name__}."
            )
        if isinstance(dataset, dict):
            raise InputError(
                f"The {which} set should be one split of Hugging Face's "
                f"dataset. Received: a {type(dataset).__name__} of the splits "
                f"{', '.join(dataset)}; take one by its name."
            )
        if not labelled:
            dataset = _with_label_0(dataset)
        self.which, self.label = which, _label_column(which, dataset)
        self.inputs = [
            name for name in dataset.column_names if name != self.label
        ]
        if not self.inputs or not len(dataset):
            raise InputError(
                f"The {which} set should have examples, and a column of inputs "
                f"beside {self.label!r}. Received: {len(dataset)} examples of "
                f"the columns {', '.join(dataset.column_names)}."
            )
        self.dataset = dataset.with_format("numpy")

    def __len__(self) -> int:
        return -(-len(self.dataset) // _BATCH)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        """Returns inputs and labels of a batch.

        The inputs are an array, or a dict of arrays if there are several
        columns of inputs.

        Raises:
            InputError: if a column has values that are neither numbers nor
                texts, values of several shapes, or rows without a value.
        """
        batch = self.dataset[index * _BATCH : (index + 1) * _BATCH]
        inputs = {name: np.asarray(batch[name]) for name in self.inputs}
        for name, values in inputs.items():
            if values.dtype == object:
                _check_objects(self.which, name, values)
        x = inputs if len(inputs) > 1 else inputs[self.inputs[0]]
        return x, np.asarray(batch[self.label])


def is_class_label(dataset: Any, name: str) -> bool:
    """Returns whether a column of a dataset holds ids of named classes."""
    return type(dataset.features[name]).__name__ == "ClassLabel"


def _label_columns(dataset: Any) -> list[str]:
    return [
        name for name in dataset.features if is_class_label(dataset, name)
    ] or [name for name in _LABELS if name in dataset.features]


def _with_label_0(dataset: Any) -> Any:
    inputs = dataset.remove_columns(_label_columns(dataset))
    return inputs.add_column("label", [0] * len(dataset))


def _label_column(which: str, dataset: Any) -> str:
    named = _label_columns(dataset)
    if len(named) != 1:
        raise InputError(
            f"The {which} set should have one column of class ids: the only "
            "ClassLabel, or a column called 'label'. Received: the columns "
            f"{', '.join(dataset.features)}; `dataset.select_columns` and "
            "`dataset.rename_column` help."
        )
    return named[0]


def _check_objects(which: str, name: str, values: np.ndarray) -> None:
    """Raises an `InputError` unless the values of a column are texts.

    Args:
        which: Name of the set, for messages.
        name: The column.
        values: `(batch, ...)` objects.
    """
    kinds = {type(value) for value in values.flat}
    if kinds <= {str}:
        return
    if type(None) in kinds:
        missing = sum(
            any(value is None for value in np.ravel(row)) for row in values
        )
        problem = "a value in each row"
        received = f"{missing} rows of {len(values)} without a value"
    elif kinds <= {np.ndarray, list}:
        problem, received = "values of one shape", _shapes(values)
    else:
        problem = "numbers or texts"
        received = " and ".join(sorted(kind.__name__ for kind in kinds))
    raise InputError(
        f"The {which} set should have {problem} in the column {name!r}. "
        f"Received: {received}; mend them with `dataset.map` or "
        "`dataset.filter`, or leave the column out with "
        "`dataset.remove_columns`."
    )


def _shapes(values: np.ndarray) -> str:
    found = {str(np.shape(value)) for value in values if value is not None}
    return " and ".join(sorted(found)[:2]) or "None"
