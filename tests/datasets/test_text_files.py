import os
import re

import pytest

from mlc_tf.datasets.text_files import read_text
from mlc_tf.errors import InputError

TEXT = "é 1\nü 2\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "list.txt"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode(),
    ],
    ids=["plain", "mark", "windows"],
)
def test_utf_8_is_read_with_and_without_its_mark(content, path):
    path.write_bytes(content)
    assert read_text(path) == TEXT


@pytest.mark.parametrize(
    "content, reason",
    [
        (TEXT.encode("utf-16"), r"UTF-16; convert it: iconv -f UTF-16"),
        (TEXT.encode("utf-32"), r"UTF-32; convert it: iconv -f UTF-32"),
        (("a 1\n" + TEXT).encode("latin1"), "the byte 0xe9 in line 2"),
        ("\ufeffa 1\né".encode()[:-1], "the byte 0xc3 in line 2"),
        (b"a 1\nb\0\n", "a NUL in line 2"),
    ],
)
def test_another_encoding_is_named(content, reason, path):
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=f"{re.escape(str(path))} .* UTF-8. Received: {reason}"
    ):
        read_text(path)


def test_a_path_that_cannot_be_read_is_named(path, monkeypatch):
    def refused(reason):
        return pytest.raises(
            InputError,
            match=f"{re.escape(str(path))} .* can be read. Received: {reason}",
        )

    with refused("No such file"):
        read_text(path)
    path.symlink_to("nowhere")
    with refused("No such file"):
        read_text(path)
    path.unlink()
    path.mkdir()
    with refused("a folder"):
        read_text(path)
    path.rmdir()
    os.mkfifo(path)
    with refused("no regular file"):  # and nothing waits for a writer
        read_text(path)


def test_a_file_without_permission_is_named(path, monkeypatch):
    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    path.write_text(TEXT)
    monkeypatch.setattr("io.open", forbidden)
    with pytest.raises(InputError, match="list.txt .*: Permission denied"):
        read_text(path)
