"""Installs `mlc_tf`; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages
from setuptools import setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "mlc_tf" / "__init__.py").read_text()
)[1]

_OUTSIDE = [
    "configs",
    *find_packages(include=["launch", "launch.*"]),
]

setup(
    name="mlc_tf",
    version=VERSION,
    description=(
        "Meta Loss Correction (CVPR 2020) for Keras 3: training with wrong "
        "labels and a small trusted set"
    ),
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    packages=[
        *find_packages(include=["mlc_tf", "mlc_tf.*"]),
        *(f"mlc_tf.{name}" for name in _OUTSIDE),
    ],
    # launch/ and configs/ stand at the top level, and are installed inside.
    package_dir={f"mlc_tf.{name}": name.replace(".", "/") for name in _OUTSIDE},
    package_data={
        "mlc_tf": ["py.typed"],
        "mlc_tf.audit": ["*.j2"],
        "mlc_tf.audit.review": ["*.j2"],
    },
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
