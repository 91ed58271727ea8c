"""What the launchers of the paper's tables and figures share: their files.

The configs of `configs/`, and where results go.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import ml_collections
import pandas as pd
from absl import flags
from matplotlib.figure import Figure

from mlc_tf.errors import unknown_name
from mlc_tf.errors import writable_or_error

# Of CIFAR-100 the Table 1 has no uniform noise; Clothing1M has its own.
DATASETS = ("digits", "mnist", "twitter", "cifar10")
_BY_HAND = ("twitter", "clothing1m")
_CONFIGS = Path(__file__).parents[1] / "configs"
VARIANT = flags.DEFINE_string(
    "variant", "", "Of the config, as smoke; gets a folder of its own."
)
_RESULTS = flags.DEFINE_string("results", "results", "Where results go.")
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir", "", f"Where the files of {' or '.join(_BY_HAND)} lie."
)


def config_of(
    dataset: str, known: Sequence[str] = DATASETS
) -> ml_collections.ConfigDict:
    """Returns the config of a dataset, as `configs/DATASET.py` has it.

    It is the variant of it that `--variant` names.

    Args:
        dataset: Its name.
        known: Those that the launcher knows. Defaults to `DATASETS`.

    Raises:
        InputError: for a dataset that is not known to the launcher.
    """
    if dataset not in known:
        raise unknown_name("dataset", dataset, known)
    spec = importlib.util.spec_from_file_location(
        dataset, _CONFIGS / f"{dataset}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(VARIANT.value)
    if dataset in _BY_HAND:
        config.dataset.manual_dir = _MANUAL_DIR.value
    return config


def results_in(under: str = "") -> Path:
    """Returns the folder of the results of this variant, or one in it."""
    return Path(_RESULTS.value) / VARIANT.value / under


def title_of(dataset: str) -> str:
    """Returns the name of a dataset, with that of the variant."""
    return f"{dataset}, {VARIANT.value}" if VARIANT.value else dataset


def write(name: str, text: str, table: pd.DataFrame, figure: Figure) -> None:
    """Writes `NAME.md`, `.csv` and `.png` to the folder of the results."""
    path = results_in(name)
    with writable_or_error("results", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".md").write_text(text)
        table.to_csv(path.with_suffix(".csv"), index=False)
        figure.savefig(path.with_suffix(".png"), dpi=120)
    print(text)
    print(path.with_suffix(".md"))
