"""Holds the project's English to a word list and a length of sentences.

    python -m tests.language README.md mlc_tf launch

prints each finding as `FILE:LINE: sentence: reason`. A folder stands for its
Markdown and Python files. In Markdown, prose and cells of tables are checked.
In Python, docstrings, comments and, except in tests, string literals are. The
length counts in prose alone, not in headings and cells. Code is one word.
"""

import ast
import inspect
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

LONGEST = 35
# A pattern, and what to write in its place.
WORDS = {
    r"tells?|telling|told": "write report, say, state, show or distinguish",
    r"(that|those) of": "repeat the noun",
    r"but for": "write except for",
    r"anew": "write again or new",
    r"at hand": "write available",
    r"lest|whereof|thereof|thereby|hereby": "write plain English",
}
_WORDS = {
    re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE): reason
    for pattern, reason in WORDS.items()
}

_END = re.compile(
    r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)[\"')\]]*\s+(?=[A-Z`\"(\[*†])"
)
_CODE = re.compile(r"`[^`]*`")
# Google's sections are lists to Markdown once they have their marks.
_SECTION = re.compile(r"^[A-Z]\w+:$", re.MULTILINE)
_ENTRY = re.compile(r"^    (?=\*{0,2}\w[\w., *]*: )", re.MULTILINE)
_MARKDOWN = MarkdownIt("commonmark").enable("table")


class Block(NamedTuple):
    """A paragraph, its first line, and whether it has whole sentences."""

    line: int
    text: str
    prose: bool = True


class Finding(NamedTuple):
    line: int
    sentence: str
    reason: str


def reasons(sentence, prose=True):
    """Returns what is wrong with `sentence`, a text for each fault."""
    sentence = _CODE.sub("`code`", sentence)
    found = [
        f'"{match[0]}": {reason}'
        for pattern, reason in _WORDS.items()
        if (match := pattern.search(sentence))
    ]
    words = sum(bool(re.search(r"\w", word)) for word in sentence.split())
    if prose and words > LONGEST:
        found.append(f"{words} words, at most {LONGEST}")
    return found


def findings(blocks):
    """Yields what is found in `blocks`."""
    for block in blocks:
        start = 0
        for end in [*(m.end() for m in _END.finditer(block.text)), None]:
            sentence = " ".join(block.text[start:end].split())
            line = block.line + block.text[:start].count("\n")
            start = end
            for reason in reasons(sentence, block.prose):
                yield Finding(line, sentence, reason)


def markdown(text, line=1):
    """Yields the paragraphs, headings and cells of a Markdown text."""
    tokens = _MARKDOWN.parse(text)
    for before, token in zip(tokens, tokens[1:]):
        if token.type == "inline":
            content = "".join(map(_words_of, token.children))
            prose = before.type == "paragraph_open"
            yield Block(line + token.map[0], content, prose)


def _words_of(token):
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    if token.type == "code_inline":
        # One word, and no end of a sentence.
        return "`" + re.sub(r"\s", "_", token.content) + "`"
    return token.content if token.type == "text" else ""


def docstrings(source):
    """Yields the paragraphs of all docstrings; an entry of `Args:` is one."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            text = inspect.cleandoc(node.body[0].value.value)
            text = _ENTRY.sub("-   ", _SECTION.sub("-", text))
            yield from markdown(text, node.body[0].lineno)


def comments(source):
    """Yields the comments; lines that follow each other are one."""
    lines = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        own_line = not token.line[: token.start[1]].strip()
        if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
            text = token.string.lstrip("#").strip()
            row, column = token.start
            first = lines.pop((row - 1, column), None) if own_line else None
            first = first or Block(row, "")
            lines[row, column] = Block(
                first.line, f"{first.text}\n{text}".lstrip("\n")
            )
    for block in lines.values():
        yield from markdown(block.text, block.line)


def strings(source):
    """Yields the string literals; what an f-string fills in is one word.

    A string of several lines is a program or a page, and has no sentences.
    """
    tree = ast.parse(source)
    skipped = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            text = "".join(
                part.value if isinstance(part, ast.Constant) else "…"
                for part in node.values
            )
            yield Block(node.lineno, text, "\n" not in text.strip())
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            yield Block(node.lineno, text, "\n" not in text.strip())


def check(path):
    """Returns the findings in a file, in the order of their lines."""
    text = path.read_text()
    kinds = [docstrings, comments, strings]
    if path.suffix == ".md":
        kinds = [markdown]
    elif "tests" in path.resolve().parts:
        kinds.remove(strings)  # There, they are data.
    return sorted(finding for kind in kinds for finding in findings(kind(text)))


def files(path):
    """Returns the checked files below `path`, or `path` itself."""
    if path.is_file():
        return [path]
    return sorted([*path.rglob("*.md"), *path.rglob("*.py")])


def main(arguments):
    count = 0
    for argument in arguments:
        for path in files(Path(argument)):
            for line, sentence, reason in check(path):
                print(f"{path}:{line}: {sentence}: {reason}")
                count += 1
    print(f"{count} findings", file=sys.stderr)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
