"""Shared by all tests: devices, tolerances, and how a test asks for data."""

import os

# Before TensorFlow wakes: quiet, and an autograph fallback is an error.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("AUTOGRAPH_STRICT_CONVERSION", "1")

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import distribution

# Two logical devices, for the tests of distribution.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
tf.config.experimental.enable_tensor_float_32_execution(False)

# Bounds of what is equal "up to rounding", relative and absolute.
FLOAT64 = {"rtol": 1e-8, "atol": 1e-8}
FLOAT32 = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(autouse=True)
def _fresh_keras():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def two_replicas() -> tf.distribute.Strategy:
    return distribution.strategy("mirrored", 2)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
