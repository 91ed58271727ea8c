"""What a dataset can be asked for, beyond its name."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlc_tf.errors import InputError
from mlc_tf.errors import bad_argument

CACHES = ("memory", "none", "disk:DIR")


@dataclass(frozen=True)
class Options:
    """The options of all datasets; each refuses those it has no use for.

    Attributes:
        data_dir: Where TFDS keeps prepared datasets. Defaults to
            `TFDS_DATA_DIR`, or to the folder that TFDS uses by itself.
        manual_dir: Where the files lie that TFDS cannot download (Clothing1M,
            Twitter, the human labels). Defaults to `downloads/manual` in
            `data_dir`.
        clean: Which examples are trusted: "split:NAME", "column:NAME" (true or
            false, of a table) or "list:FILE" (file names, one a line).
            Defaults to the dataset's own clean set, if it has one; else one is
            drawn.
        cache: "memory" (decode once, keep all inputs), "disk:DIR" (decode
            once, into files there) or "none" (decode in each epoch). Defaults
            to "memory".
        image_size: (height, width) to resize images to. Defaults to their own,
            which must then be one.
        labels: A CSV of images (`folder:`), with the columns file, label and
            split. Defaults to none: class folders.
        input_key: The TFDS feature to learn from. Defaults to the one that
            TFDS names for supervised learning.
        label_key: The TFDS feature, or the column of a table, to learn.
            Defaults to the same, or to "label".
        train_split: The TFDS split to train on. Defaults to "train".
        test_split: The TFDS split to test on. Defaults to "test".
        embeddings: A text file of words with their vectors (`twitter`).
            Defaults to none: embeddings are trained.
    """

    data_dir: str = ""
    manual_dir: str = ""
    clean: str = ""
    cache: str = "memory"
    image_size: tuple[int, ...] = ()
    labels: str = ""
    input_key: str = ""
    label_key: str = ""
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
            len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)
        ):
            raise bad_argument("dataset.image_size", "(height, width)", size)

    def only(self, name: str, *used: str) -> None:
        """Raises if an option is given that the dataset `name` cannot use."""
        for option in dataclasses.fields(self):
            value = getattr(self, option.name)
            if option.name not in used and value != option.default:
                raise InputError(
                    f"`dataset.{option.name}` should be left out for the "
                    f"dataset {name}, which has no use for it. Received: "
                    f"`dataset.{option.name}` = {value!r}."
                )

    def trusted(self, name: str, *schemes: str) -> tuple[str, str]:
        """Returns the scheme and the argument of `clean`, "" for none."""
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
        """Returns the options in the section `dataset` of a config."""
        names = [option.name for option in dataclasses.fields(cls)]
        values = {name: section[name] for name in names}
        values["image_size"] = tuple(values["image_size"])
        return cls(**values)


def existing_file(name: str, path: str | Path) -> Path:
    """Returns the path of a file that a user named, or raises."""
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"`{name}` should be a file. Received: `{name}` = '{path}'."
        )
    return path
