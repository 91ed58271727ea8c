"""Reads users' text files; error messages name the file and the line."""

import codecs
from pathlib import Path

from mlc_tf.errors import InputError

# UTF-32 begins as UTF-16 does.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_text(path: str | Path) -> str:
    """Returns the content of a text file in UTF-8, without a byte-order mark.

    Line ends become newlines.

    Raises:
        InputError: if the file cannot be read, or is not in UTF-8. The message
            names the encoding, or the line with the first invalid byte.
    """
    path = Path(path)
    try:
        # Reading a named pipe would wait for its writer.
        if path.exists() and not path.is_file():
            raise OSError(0, "a folder" if path.is_dir() else "no regular file")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} should be a file that can be read. Received: "
            f"{error.strerror}."
        ) from None
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            raise InputError(
                f"{path} should be text in UTF-8. Received: {encoding}; "
                f"convert it: iconv -f {encoding} -t UTF-8."
            )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} should be text in UTF-8. Received: the byte "
            f"0x{error.object[error.start]:02x} in line {line}, as in a file "
            "of another encoding; convert it: iconv -f LATIN1 -t UTF-8."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            f"{path} should be text in UTF-8. Received: a NUL in line {line}, "
            "as in a binary file."
        )
    return text.replace("\r\n", "\n")
