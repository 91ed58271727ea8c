"""Rebuilds a model from the arguments of its constructor."""

import inspect
from typing import Any

import keras
import numpy as np


class ConstructorArguments(keras.Model):
    """A model whose config is what its constructor was called with.

    `keras.models.clone_model`, `copy.deepcopy`, `pickle` and
    `keras.saving.save_model` need a config. The subclasses are registered with
    Keras by their names.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A class of a test or of a user may have the name of another.
        package = cls.__module__.partition(".")[0]
        keras.saving.register_keras_serializable(package=package)(cls)
        # Before Python 3.11.4 the signature of `__new__` would be shown.
        parameters = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature([*parameters][1:])

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__new__(cls, *args, **kwargs)
        try:
            bound = inspect.signature(cls.__init__).bind(
                instance, *args, **kwargs
            )
        except TypeError:  # the constructor says what is wrong
            return instance
        # Not by `setattr`: a Keras model would track the arguments as layers.
        arguments = dict([*bound.arguments.items()][1:])
        for name, parameter in bound.signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name, {})
        instance.__dict__["_arguments"] = arguments
        return instance

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as Keras serializes them.

        The config of the base has no weights: these are saved apart from it.
        """
        return {
            name: keras.saving.serialize_keras_object(_plain(value))
            for name, value in self._arguments.items()
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Any:
        """Returns a new model from the content of `get_config`."""
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(
                    value, custom_objects=custom_objects
                )
                for name, value in config.items()
            }
        )


def _plain(value: Any) -> Any:
    """Returns what Keras can serialize: plain numbers, and arrays of tables."""
    if hasattr(value, "iloc"):  # of pandas
        return np.asarray(value)
    return value.item() if isinstance(value, np.generic) else value
