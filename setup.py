"""Installs `mlc_tf`; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages
from setuptools import setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "mlc_tf" / "__init__.py").read_text()
)[1]

setup(
    name="mlc_tf",
    version=VERSION,
    description=(
        "Meta Loss Correction (CVPR 2020) for Keras 3: training with wrong "
        "labels and a small trusted set"
    ),
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["mlc_tf", "mlc_tf.*"]),
    package_data={"mlc_tf": ["*.j2"], "mlc_tf.review": ["*.j2"]},
    python_requires=">=3.11",
    install_requires=[
        "absl-py",
        # tensorflow-datasets 4.9 imports it without requiring it.
        "importlib_resources",
        "jinja2",
        "keras>=3.15",
        "keras-tuner>=1.4.8",
        "matplotlib",
        "ml_collections",
        "numpy",
        "pandas",
        "pillow",
        "pyarrow",
        "scikit-learn",
        "scipy",
        "tensorboard",
        "tensorflow>=2.21",
        "tensorflow-datasets>=4.9.10",
    ],
    extras_require={
        "cuda": ["tensorflow[and-cuda]>=2.21"],
        "onnx": ["onnx", "tf2onnx>=1.17"],
        "test": [
            "ai-edge-litert",
            "cleanlab",
            "kubernetes-validate",
            "mypy",
            "onnx",
            "onnxruntime",
            "pytest",
            "pytest-xdist",
            "ruff",
            "selenium",
            "tf2onnx>=1.17",
        ],
    },
)
