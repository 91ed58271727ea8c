import keras
import pytest


@pytest.fixture
def float64():
    """Every weight of the test's models is in float64."""
    keras.config.set_dtype_policy("float64")
