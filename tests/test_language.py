"""The checker of the language, and what it finds in the project."""

import pytest

from tests import language
from tests.support import ROOT

CHECKED = sorted(
    path
    for part in (
        *ROOT.glob("*.md"),
        *(ROOT / name for name in ("docs", "mlc_tf", "launch", "configs")),
        ROOT / "tests",
    )
    for path in language.files(part)
)
LONG = "Word" + 34 * " word"


@pytest.mark.parametrize(
    "path", CHECKED, ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_language_is_plain(path):
    assert not [
        f"{path}:{line}: {sentence}: {reason}"
        for line, sentence, reason in language.check(path)
    ]


@pytest.mark.parametrize(
    "sentence, count",
    [
        ("It reports the loss.", 0),
        ("It tells the loss.", 1),
        ("It was Told that the loss of `that of` is 3.", 1),
        ("It tells the loss of that of the batch.", 2),
        ("A teller foretold it.", 0),
        ("All but for one.", 1),
        (LONG, 0),
        (f"{LONG} word", 1),
        (f"{LONG} = + –", 0),
        (f"{LONG} `told that of` told", 2),
    ],
)
def test_reasons(sentence, count):
    assert len(language.reasons(sentence)) == count


@pytest.mark.parametrize(
    "text, lines",
    [
        ("Told.", [1]),
        ("One.\nTwo.\n\n- three\n  is told", [4]),
        ("# Told\n\ntext", [1]),
        ("A code, `told`, and a [link](told.md).", []),
        ("```\ntold\n```\n\n    told\n\n<!-- told -->", []),
        (f"{LONG}. {LONG}. E.g. {LONG}", []),
        (f"{LONG}\nword. Short, it is told.", [1, 2]),
        (f"{LONG}. † {LONG}. * {LONG}", []),
        (f"{LONG} `a b c d` word", [1]),
        (f"| a |\n|---|\n| {LONG} {LONG} |", []),
        ("| a |\n|---|\n| told |", [3]),
        (f"- {LONG}\n- {LONG}", []),
    ],
)
def test_markdown(text, lines):
    found = language.findings(language.markdown(text))
    assert [finding.line for finding in found] == lines


SOURCE = '''"""Told.

Told again:

    told = 1
"""


class A:
    def b(self, c):
        """Says.

        Args:
            c: First. It is
                told.
            d: SHORTER
            e: SHORTER, word

        Returns:
            What tells.
        """
        # A comment on two
        # lines, told.
        x = 1  # told
        # code: `told`
        raise ValueError(f"{c} is told {x}")
        y = "LONGER"
        z = f"LONGER{x}\\n{c} LONGER"
'''.replace("SHORTER", 34 * "word ").replace("LONGER", 36 * "word ")


def test_python():
    found = {
        kind.__name__: sorted(f.line for f in language.findings(kind(SOURCE)))
        for kind in (language.docstrings, language.comments, language.strings)
    }
    assert found == {
        "docstrings": [1, 3, 14, 17, 20],
        "comments": [22, 24],
        "strings": [26, 27],
    }


def test_the_command(tmp_path, capsys):
    (tmp_path / "a.md").write_text("Plain.\n\nIt is told.\n")
    (tmp_path / "b.py").write_text("x = 1  # told\n")
    assert language.main([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith(
        f'{tmp_path / "a.md"}:3: It is told.: "told": '
    )
    assert err == "2 findings\n"
    assert language.main([str(tmp_path / "b.py")]) == 1
    (tmp_path / "b.py").write_text("x = 1  # plain\n")
    assert language.main([str(tmp_path / "b.py")]) == 0
