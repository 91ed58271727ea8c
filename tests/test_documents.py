"""What the documents name exists, and their code and commands run.

Three rules hold for README.md and the pages of docs/, without the tutorials,
which the build of the site runs, and docs/reference/, which shows fragments:

- the ```python blocks of a page are one script, which runs in an empty folder;
  what it prints is the page's ```text blocks that follow a ```python block, if
  there are any;
- then the commands in its ```sh blocks run, in the same folder;
- a command of ours in any block of any document has flags and settings that
  exist, and `tables_and_figures.py` can plan it.

The first two commands of README.md run in `.ci/run`.
"""

import math
import re
import shlex

import pytest

from mlc_tf.launch import main
from mlc_tf.run import settings
from tests import processes
from tests.support import ROOT

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
# `docs/generate.py` makes pages in these folders.
_GENERATED = ("docs/reference/", "docs/tutorials/")
PAGES = [
    name
    for name in DOCUMENTS
    if name.startswith(("README", "docs/")) and not name.startswith(_GENERATED)
]
_PATH = re.compile(
    r"(?<![\w./-])(?:mlc_tf|configs|launch|tests|results|\.ci)/[\w./-]*\w|setup\.py"
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_FIRST_TWO = [
    "pip install -e . && python launch/train.py --config=configs/digits.py "
    "--workdir=runs/digits",
    "pip install -e '.[test]' && pytest",
]


def blocks_of(name):
    """Returns the (language, content) of each code block of a document."""
    return _BLOCK.findall((ROOT / name).read_text())


def script_of(name):
    """Returns the script of a page, and what the page says that it prints."""
    blocks = [("", ""), *blocks_of(name)]
    script = "".join(text for language, text in blocks if language == "python")
    shown = "".join(
        text
        for (before, _), (language, text) in zip(blocks, blocks[1:])
        if (before, language) == ("python", "text")
    )
    return script, shown


def commands_of(name, *languages):
    """Returns (launcher, *arguments) of each command of ours in a document.

    Args:
        name: The document.
        *languages: The languages of its blocks; all if there are none.
    """
    commands = []
    for language, text in blocks_of(name):
        if languages and language not in languages:
            continue
        for line in text.replace("\\\n", "").splitlines():
            for part in line.split(" && "):
                found = re.match(
                    r"mlc_tf (\w+)|python launch/([\w/]+)\.py", part
                )
                if found:
                    _, _, *arguments = shlex.split(part, comments=True)
                    commands.append((found[1] or found[2], *arguments))
    return commands


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_exists(name):
    paths = set(_PATH.findall((ROOT / name).read_text()))
    missing = [path for path in sorted(paths) if not (ROOT / path).exists()]
    assert not missing


def slug(heading):
    """Returns the anchor of a heading, as GitHub and MkDocs make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_picture_exists(name):
    for link in _LINK.findall((ROOT / name).read_text()):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if str(target.resolve().relative_to(ROOT)).startswith(_GENERATED):
            continue  # the strict build of the site checks these
        pictures = ROOT / "docs" / "pictures"
        if target.resolve().is_relative_to(pictures):
            # The site has the pictures of results/ there.
            target = ROOT / "results" / target.resolve().relative_to(pictures)
        assert target.is_file(), link
        if anchor:
            text = target.read_text()
            assert anchor in map(slug, re.findall(r"^#+ (.+)$", text, re.M)), (
                link
            )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_setting_exists(name):
    text = (ROOT / name).read_text()
    known = settings.flat(settings.default_config()).keys()
    for setting in re.findall(r"--config\.([a-z][\w.]*\w)", text):
        assert any(f"{key}.".startswith(f"{setting}.") for key in known), (
            setting
        )


def test_the_two_commands_are_those_of_the_readme():
    lines = [
        line
        for language, text in blocks_of("README.md")
        if language == "sh"
        for line in text.splitlines()
    ]
    assert lines[:2] == _FIRST_TWO


@pytest.mark.parametrize("name", [name for name in PAGES if script_of(name)[0]])
def test_the_code_of_a_page_runs_and_prints_what_it_shows(name, tmp_path):
    script, shown = script_of(name)
    run_script(script, shown, tmp_path)


def run_script(script, shown, folder):
    (folder / "example.py").write_text(script)
    completed = processes.run(folder / "example.py", cwd=folder)
    assert completed.returncode == 0, completed.stderr
    if shown:
        assert same_output(completed.stdout, shown), completed.stdout


def same_output(printed, shown):
    """Returns whether two texts are the same, within 5 % in the numbers."""
    numbers = [
        [*map(float, _NUMBER.findall(text))] for text in (printed, shown)
    ]
    return _NUMBER.sub("#", printed) == _NUMBER.sub("#", shown) and all(
        math.isclose(one, other, rel_tol=0.05) for one, other in zip(*numbers)
    )


def test_outputs_are_compared():
    assert same_output("a: 0.95\n", "a: 0.94\n")
    assert not same_output("a: 0.95\n", "a: 0.85\n")
    assert not same_output("a: 0.95\n", "b: 0.95\n")
    assert not same_output("a: 0.95\nmore\n", "a: 0.95\n")


WITH_COMMANDS = [
    name for name in PAGES if commands_of(name, "sh") and name != "README.md"
]


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_the_commands_of_a_page_run(name, tmp_path):
    script, shown = script_of(name)
    commands = commands_of(name, "sh")
    if any("mine.npz" in " ".join(command) for command in commands):
        run_script(script, shown, tmp_path)  # it makes the data
    for launcher, *arguments in commands:
        assert launcher in main.COMMANDS  # what an installed wheel has
        ((status, _, stderr),) = processes.launch(
            tmp_path, (f"{launcher}.py", *arguments)
        )
        assert status == 0, (launcher, arguments, stderr[-2000:])


# Parses the flags of a command, and checks its settings, without its `main`.
_PARSE = """
import importlib, sys
from absl import flags
from mlc_tf.launch import command_line
from mlc_tf.run import settings
launcher = sys.argv.pop(1)
module = importlib.import_module("mlc_tf.launch." + launcher.replace("/", "."))
if len(command_line._parse(sys.argv)) > 1:
    sys.exit("unknown arguments")
given = flags.FLAGS
if "config" in given and given.config is not None:
    settings.check(given.config)
if "methods" in given and given.methods:
    command_line.method_names(given["methods"])
if "what" in given and given.what not in module.__doc__ + given["what"].help:
    sys.exit(f"unknown --what={given.what}")
"""


@pytest.mark.parametrize(
    "name", [name for name in DOCUMENTS if commands_of(name)]
)
def test_every_command_is_one_that_we_have(name, tmp_path):
    program = tmp_path / "parse.py"
    program.write_text(_PARSE)
    for launcher, *arguments in sorted({*commands_of(name)}):
        # `figure2` has no runs to plan: it reads the data.
        planned = launcher == "paper/tables_and_figures"
        if planned and "--what=figure2" not in arguments:
            made = processes.run(
                ROOT / "launch" / f"{launcher}.py", *arguments, "--dry_run"
            )
        else:
            made = processes.run(program, launcher, *arguments)
        assert made.returncode == 0, (launcher, arguments, made.stderr[-2000:])
