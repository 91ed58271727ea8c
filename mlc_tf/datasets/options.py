"""The options of all datasets: folders, keys, image size, cache."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

CACHES = ("memory", "none", "disk:DIR")
# Of one image: a larger image does not fit beside a network.
_MOST_PIXELS = 100_000_000


@dataclass(frozen=True)
class Options:
    """The options of all datasets; a dataset rejects options it does not use.

    Attributes:
        data_dir: The folder of prepared TFDS datasets. Defaults to "":
            `TFDS_DATA_DIR`, or else the default folder of TFDS.
        manual_dir: The folder of the files that TFDS cannot download
            (Clothing1M, Twitter, the human labels). Defaults to "":
            `downloads/manual` in `data_dir`.
        clean: The trusted examples: "split:NAME", "column:NAME" (a column of
            true and false in a table) or "list:FILE" (a text file with one
            file name per line). Defaults to "": the dataset's own clean set,
            or else a set that is drawn from the training set before noise is
            injected, or none.
        cache: "memory" (decode once, keep all inputs), "disk:DIR" (decode
            once, into files in that folder) or "none" (decode in each epoch).
            Defaults to "memory".
        image_size: (height, width) in pixels, to which images are resized.
            Defaults to `()`: images keep their size, which must be the same
            for all.
        labels: Path of a CSV of images (`folder:`), with the columns file,
            label and, if not all are training images, split. Defaults to "":
            the images lie in class folders.
        input_key: The TFDS feature that is the network's input. Defaults to "":
            the input that TFDS names for supervised learning.
        label_key: The TFDS feature, or the column of a table, that is the
            label. Defaults to "": the label that TFDS names for supervised
            learning, or the column "label".
        columns: Kinds of the columns of a table (`csv:`), as
            "NAME:KIND,NAME:KIND" with the kinds numeric, categorical, date and
            ignore. Defaults to "": each kind is found by looking at the cells.
        download: Whether TFDS may download a dataset that is not prepared.
            Defaults to False: the error says how large it is, if TFDS knows.
        train_split: The TFDS split to train on. Defaults to "train".
        test_split: The TFDS split to test on; "" for none. Defaults to "test".
        embeddings: Path of a text file of words and their vectors (`twitter`).
            Defaults to "": embeddings are trained.
    """

    data_dir: str = ""
    manual_dir: str = ""
    clean: str = ""
    cache: str = "memory"
    image_size: tuple[int, ...] = ()
    labels: str = ""
    input_key: str = ""
    label_key: str = ""
    columns: str = ""
    download: bool = False
    train_split: str = "train"
    test_split: str = "test"
    embeddings: str = ""

    def __post_init__(self) -> None:
        scheme, _, folder = self.cache.partition(":")
        if self.cache not in CACHES[:2] and not (scheme == "disk" and folder):
            raise bad_argument(
                "dataset.cache", f"one of {', '.join(CACHES)}", self.cache
            )
        size = self.image_size
        if size and not (
            isinstance(size, (tuple, list))
            and len(size) == 2
            and all(isinstance(pixels, int) and pixels > 0 for pixels in size)
        ):
            raise bad_argument("dataset.image_size", "(height, width)", size)
        if size and size[0] * size[1] > _MOST_PIXELS:
            raise bad_argument(
                "dataset.image_size",
                f"(height, width) of at most {_MOST_PIXELS:,} pixels",
                size,
            )

    def only(self, name: str, *used: str) -> None:
        """Raises an `InputError` if an unused option is set.

        Args:
            name: Name of the dataset, for messages.
            *used: Names of the options that the dataset uses.
        """
        for option in dataclasses.fields(self):
            value = getattr(self, option.name)
            if option.name not in used and value != option.default:
                raise InputError(
                    f"`dataset.{option.name}` should be left out for the "
                    f"dataset {name}, which does not use it. Received: "
                    f"`dataset.{option.name}` = {value!r}."
                )

    def trusted(self, name: str, *schemes: str) -> tuple[str, str]:
        """Returns the scheme and the argument of `clean`, `("", "")` if unset.

        Args:
            name: Name of the dataset, for messages.
            *schemes: The schemes that the dataset supports: "split", "column",
                "list".

        Raises:
            InputError: if `clean` has another scheme, or no argument.
        """
        scheme, _, argument = self.clean.partition(":")
        if self.clean and (scheme not in schemes or not argument):
            expected = " or ".join(f"{known}:..." for known in schemes)
            raise bad_argument(
                "dataset.clean",
                f"{expected} for the dataset {name}",
                self.clean,
            )
        return scheme, argument

    @classmethod
    def from_config(cls, section: Any) -> "Options":
        """Returns the options in a config's section `dataset`."""
        names = [option.name for option in dataclasses.fields(cls)]
        values = {name: section[name] for name in names}
        values["image_size"] = tuple(values["image_size"])
        return cls(**values)


def existing_file(name: str, path: str | Path) -> Path:
    """Returns the path of an existing file.

    Args:
        name: Name of the argument that holds the path, for messages.
        path: The path.

    Raises:
        InputError: if there is no such file.
    """
    path = Path(path)
    # Not `Path.is_file`, which raises for a name that is too long.
    if not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "which does not exist"
        if os.path.lexists(path) and not os.path.isdir(path):
            kind = "a broken link, or no regular file"
        raise InputError(
            f"`{name}` should be a file. Received: `{name}` = '{path}', {kind}."
        )
    return path
