"""Labelled images from TensorFlow Datasets: MNIST and CIFAR-10."""

from collections.abc import Callable

import numpy as np

from mlc_tf.datasets.splits import Splits
from mlc_tf.errors import InputError


def loader(name: str) -> Callable[[str | None], Splits]:
    """Returns the loader of a TFDS dataset with splits "train" and "test"."""

    def load(data_dir: str | None = None) -> Splits:
        """Returns the splits, uint8 images `(height, width, channels)`.

        Args:
            data_dir: The folder that holds the prepared dataset; it is
                downloaded there if it is missing. Defaults to `TFDS_DATA_DIR`,
                or to TFDS' own.

        Raises:
            InputError: if it is not there and cannot be downloaded.
        """
        # Imported here: half a second that digits does not need.
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder(name, data_dir=data_dir)
            if not builder.is_prepared():
                print(f"Downloading {name} to {builder.data_dir}", flush=True)
            builder.download_and_prepare()
        except Exception as error:  # TFDS raises whatever its downloader does
            raise InputError(
                f"The dataset {name!r} should be in the TFDS folder "
                f"{data_dir or 'of TFDS_DATA_DIR or ~/tensorflow_datasets'}, "
                "or be downloadable. Received: "
                f"{type(error).__name__}: {_first_line(error)}"
            ) from error
        train, test = (
            tfds.as_numpy(
                builder.as_dataset(
                    split=split, batch_size=-1, as_supervised=True
                )
            )
            for split in ("train", "test")
        )
        return Splits(
            x_train=train[0],
            y_train=train[1].astype(np.int64),
            x_test=test[0],
            y_test=test[1].astype(np.int64),
            class_names=tuple(builder.info.features["label"].names),
        )

    return load


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no reason given"
