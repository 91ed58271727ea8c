"""Distinguishes examples and whole sets, whatever order or index they have.

Decisions on labels belong to examples, and a run belongs to its data. An index
identifies neither: one more file in a folder moves all indices behind it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from mlc_tf.data.examples import Examples

# Rows of an array that are read at once.
_PART = 4096


def identities(examples: Examples) -> list[str] | None:
    """Returns a text per example that does not depend on its position.

    The identity of an image file is its path; the identity of any other
    example is a digest of its input. Equal inputs are numbered in their order.

    Args:
        examples: The examples.

    Returns:
        One text per example, all different; None if the inputs cannot be
        compared, as in a stream.
    """
    if examples.names_identify and examples.names is not None:
        return list(examples.names)
    rows = examples.fingerprints()
    if rows is None:
        return None
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        # Starts with a letter: a spreadsheet then keeps it as text.
        text = f"b2-{hashlib.blake2b(row, digest_size=16).hexdigest()}"
        seen[text] += 1
        found.append(text if seen[text] == 1 else f"{text}-{seen[text]}")
    return found


def digest(examples: Examples) -> dict[str, str | int | None]:
    """Returns what distinguishes a set of examples from another set.

    Args:
        examples: The examples.

    Returns:
        `examples`, their number; `inputs`, a digest of all inputs in their
        order (None if they cannot be compared, as in a stream); and `labels`, a
        digest of all labels in their order.
    """
    rows = _rows(examples)
    inputs = None
    if rows is not None:
        content = hashlib.blake2b(digest_size=16)
        content.update(str(examples.input_spec).encode())
        for row in rows:
            content.update(row)
        inputs = content.hexdigest()
    labels = np.asarray(examples.labels)
    kind = "<i8" if np.issubdtype(labels.dtype, np.integer) else "<f8"
    return {
        "examples": len(examples),
        "inputs": inputs,
        "labels": hashlib.blake2b(
            labels.astype(kind).tobytes(), digest_size=16
        ).hexdigest(),
    }


def _rows(examples: Examples) -> Iterable[Any] | None:
    """Returns the content of a set in its order, for a digest; None if unknown.

    An array is read part by part: a list of its rows would be a second copy.
    """
    if examples.digests is not None:
        # The digests of files are the same whether or not inputs are cached,
        # and known without reading the files again.
        return examples.digests
    x = getattr(examples, "x", None)
    if isinstance(x, np.ndarray) and x.dtype.kind in "biuf":
        starts = range(0, len(x), _PART)
        return (np.ascontiguousarray(x[s : s + _PART]).data for s in starts)
    return examples.fingerprints()
