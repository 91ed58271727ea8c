"""Makes the pages of the site that are not written by hand.

MkDocs calls `on_files` before it reads the pages. The tutorials are executed
there, so that a tutorial that fails breaks the build; the settings and the
commands come from the code, so that their pages cannot be stale.

`MLC_TF_TUTORIALS=show` shows the tutorials without executing them, for a quick
look at the other pages.
"""

import ast
import base64
import functools
import importlib
import inspect
import os
import re
import sys
import tempfile
import textwrap
import tokenize
from collections.abc import Iterator
from concurrent import futures
from io import StringIO
from pathlib import Path
from typing import Any
from typing import NamedTuple

import griffe
import jupytext
import nbclient
import nbformat
from absl import flags
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File
from mkdocs.structure.files import Files
from ml_collections import ConfigDict

from mlc_tf import datasets
from mlc_tf import distribution
from mlc_tf import networks
from mlc_tf import transitions
from mlc_tf.data import noise
from mlc_tf.data.augmentation import AUGMENTATIONS
from mlc_tf.datasets.options import Options
from mlc_tf.launch import main as launcher
from mlc_tf.run import methods
from mlc_tf.run import settings
from mlc_tf.run import tracking

ROOT = Path(__file__).parents[1]
# Seconds that a cell may take; the cells take less than a minute.
_CELL_TIMEOUT = 900
# Tutorials that are executed at the same time. Each imports TensorFlow.
_JOBS = min(2, os.cpu_count() or 1)
# Characters of a table's cell that stay on one line if it has a number.
_SHORT = 26
_ROW_CELL = re.compile(r"(?<=\|)[^|\n]+(?=\|)")
NO_BREAK = "\u00a0"
_BASH = "%%bash\n"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_EPOCH = re.compile(r"(?:^Epoch \d+/\d+\n.*\n)+", re.M)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages, and the pictures of `results/`."""
    for tutorial in tutorials(os.environ.get("MLC_TF_TUTORIALS") != "show"):
        for path, content in tutorial.items():
            files.append(File.generated(config, path, content=content))
    for path, content in (
        ("reference/settings.md", settings_page()),
        ("reference/commands.md", commands_page()),
    ):
        files.append(File.generated(config, path, content=content))
    for picture in sorted((ROOT / "results").rglob("*.png")):
        path = f"pictures/{picture.relative_to(ROOT / 'results').as_posix()}"
        files.append(File.generated(config, path, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Returns a page whose tables do not break a number and its interval."""
    return "".join(
        _ROW_CELL.sub(_unbroken, line) if line.startswith("|") else line
        for line in markdown.splitlines(keepends=True)
    )


def _unbroken(cell: re.Match[str]) -> str:
    text = cell[0].strip()
    number = len(text) <= _SHORT and any(map(str.isdigit, text))
    return f" {text.replace(' ', NO_BREAK)} " if number else cell[0]


# Tutorials


def tutorials(execute: bool) -> Iterator[dict[str, str | bytes]]:
    """Yields the files of each tutorial, by their paths in the site.

    Args:
        execute: Whether to execute the tutorials, and to show what they print
            and draw.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    scripts = sorted((ROOT / "docs" / "tutorials").glob("*.py"))
    # Each tutorial has a process of its own, which a thread waits for.
    with futures.ThreadPoolExecutor(_JOBS) as pool:
        yield from pool.map(functools.partial(_tutorial, execute), scripts)


def _tutorial(execute: bool, script: Path) -> dict[str, str | bytes]:
    notebook = jupytext.read(script)
    with tempfile.TemporaryDirectory() as folder:
        if execute:
            nbclient.NotebookClient(
                notebook,
                timeout=_CELL_TIMEOUT,
                kernel_name="python3",
                coalesce_streams=True,
                resources={"metadata": {"path": folder}},
            ).execute(env=_environment())
        page, files = markdown(notebook, script.stem)
        # Files of the tutorial that its text links to.
        for name in re.findall(rf"\]\({script.stem}/([\w.]+)\)", page):
            made = Path(folder, name)
            if name not in files:
                files[name] = made.read_bytes() if execute else b"Not run."
    named = {f"tutorials/{script.stem}/{name}": files[name] for name in files}
    return {f"tutorials/{script.stem}.md": page, **named}


def _environment() -> dict[str, str]:
    commands = Path(sys.executable).parent  # `mlc_tf` is there
    path = f"{commands}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}


def markdown(
    notebook: nbformat.NotebookNode, name: str
) -> tuple[str, dict[str, bytes]]:
    """Returns a notebook as a page, and its pictures by their file names.

    What cells write to stderr, TensorFlow's log, is not shown.

    Args:
        notebook: The notebook, executed or not.
        name: The folder of the pictures, relative to the page.
    """
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        language, source = "python", cell.source
        if source.startswith(_BASH):
            language, source = "sh", source.removeprefix(_BASH)
        parts.append(_fenced(source, language))
        for output in cell.outputs:
            data = output.get("data", {})
            if output.get("name") == "stdout":
                parts.append(_fenced(plain(output.text), "text .output"))
            elif "image/png" in data:
                file = f"{len(pictures) + 1}.png"
                pictures[file] = base64.b64decode(data["image/png"])
                alternative = cell.metadata.get("alt", "")
                parts.append(f"![{alternative}]({name}/{file})")
            elif "text/html" in data:
                parts.append(_table(data["text/html"]))
            elif "text/plain" in data:
                parts.append(_fenced(data["text/plain"], "text .output"))
    return "\n\n".join(parts) + "\n", pictures


def plain(text: str) -> str:
    """Returns the text that a terminal shows in the end.

    Of the progress of many epochs the first and the last are kept.
    """
    lines = _ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    shown = "\n".join(line.rstrip("\r").split("\r")[-1] for line in lines)
    return _EPOCH.sub(lambda found: _shortened(found[0]), shown).rstrip()


def _shortened(epochs: str) -> str:
    lines = epochs.splitlines()
    if len(lines) <= 6:
        return epochs
    return "\n".join([*lines[:2], "...", *lines[-2:], ""])


def _fenced(text: str, classes: str) -> str:
    return f"``` {{ .{classes} }}\n{text}\n```"


def _table(html: str) -> str:
    """Returns a table of pandas without its style: the site has its own."""
    html = re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    html = re.sub(r"<(table|tr)\b[^>]*>", r"<\1>", html)
    return "\n".join(line.strip() for line in html.splitlines())


# Settings


class Setting(NamedTuple):
    """A setting, as its page shows it."""

    name: str
    default: str
    description: str

    @property
    def section(self) -> str:
        return self.name.rpartition(".")[0]


def settings_page() -> str:
    """Returns the page of all settings, from their definition."""
    parts = [_SETTINGS_INTRODUCTION.format(**_names())]
    section = None
    # By section: a section comes before the sections inside it.
    for setting in sorted(all_settings(), key=lambda each: each.section):
        top = setting.section
        if top != section:
            section = top
            level = "###" if "." in top else "##"
            title = f"`{top}`" if top else "All of the run"
            parts.append(f"\n{level} {title}\n")
            parts.append("| setting | default | what it is |\n|---|---|---|")
        parts.append(
            f"| `{setting.name.rpartition('.')[2]}` | {setting.default} | "
            f"{setting.description} |"
        )
    parts.append(_configs())
    return "\n".join(parts) + "\n"


_SETTINGS_INTRODUCTION = """# Settings

All settings of a run, with their defaults. Each is a flag of the
[commands](commands.md): `--config.train.epochs=20`. A config file sets them in
Python: `config.train.epochs = 20`. A setting that does not exist is an error,
and the message names the nearest one.

*Not given* means that the default of the class applies, which
[the methods](api/baselines.md) and
[MetaLossCorrection](meta_loss_correction.md) state. Each method also has a
setting `method.NAME.learning_rate`: the optimizer's rate for this method, where
it differs from `optimizer.learning_rate`.

This page is made from the code: from `mlc_tf/run/settings.py`, from
`mlc_tf/datasets/options.py`, and from the classes that take the options.

The names that settings take:

| setting | names |
|---|---|
| `dataset.name` | {datasets}; your own data: {schemes} |
| `noise.kind` | {noises}, `instance`, `file:PATH`, `human:SET`, `none` |
| `method.name` | {methods} |
| `method.mlc.transition.name` | {updates}, `{auto}` |
| `network.name` | {networks} |
| `optimizer.name` | {optimizers} |
| `optimizer.schedule` | {schedules} |
| `train.augment` | {augmentations} |
| `train.dtype` | {dtypes} |
| `train.strategy` | {strategies} |
| `train.tracker` | {trackers} |
"""


def _names() -> dict[str, str]:
    named = {
        "datasets": datasets.DATASETS,
        "schemes": [f"{name}:..." for name in datasets.SCHEMES],
        "noises": noise.KINDS,
        "methods": methods.METHODS,
        "updates": transitions.UPDATES,
        "networks": [
            *networks.NETWORKS,
            *(f"{name}:NAME" for name in networks.FAMILIES),
        ],
        "optimizers": settings.OPTIMIZERS,
        "schedules": settings.SCHEDULES,
        "augmentations": AUGMENTATIONS,
        "dtypes": settings.DTYPES,
        "strategies": distribution.STRATEGIES,
        "trackers": tracking.TRACKERS,
    }
    lists = {
        key: ", ".join(f"`{name}`" for name in names)
        for key, names in named.items()
    }
    return {**lists, "auto": methods.AUTO}


def all_settings() -> list[Setting]:
    """Returns all settings but the optimizer's rates of single methods.

    Raises:
        LookupError: for a setting that is described nowhere.
    """
    config = settings.default_config()
    described = _descriptions()
    found = []
    for name, value in settings.flat(config).items():
        if is_rate_of_method(name):
            continue
        # A second stage has the settings of the method of its first.
        first = name.replace("_semi.", ".")
        comment = described.get(name) or described.get(first, "")
        text = f"{_of_class(name)} {comment}".strip()
        if not text:
            raise LookupError(f"{name} should be described where it is defined")
        if value is None:
            default = f"*not given* ({_type_of(config, name)})"
        else:
            default = f"`{value!r}`"
            # The default stands beside it, unless the text explains it.
            text = re.sub(r"\s*Defaults to [^:]*$", "", text)
        found.append(Setting(name, default, _cell(text)))
    return found


def is_rate_of_method(name: str) -> bool:
    """Returns whether a setting is `method.NAME.learning_rate`."""
    return re.fullmatch(r"method\.\w+\.learning_rate", name) is not None


def _of_class(name: str) -> str:
    """Returns the description of an option by the class that takes it."""
    *sections, option = name.split(".")
    section, path = sections[:1], sections[1:]
    if section == ["method"] and path[1:] == ["transition"]:
        return _argument(transitions.Exponentiated, option)
    if section == ["method"] and path:
        for phase in reversed(methods.METHODS[path[0]].phases):
            if text := _argument(phase.model, option):
                return text
        return ""
    if section == ["network"] and path:
        return _argument(networks.NETWORKS[path[0]].build, option)
    return ""


def _argument(function: Any, name: str) -> str:
    """Returns the description of an argument in a docstring."""
    function = getattr(function, "func", function)  # of a partial
    found = ""
    for described in getattr(function, "__mro__", [function]):
        text = griffe.Docstring(inspect.getdoc(described) or "")
        for section in text.parse("google", warnings=False):
            if section.kind is griffe.DocstringSectionKind.parameters:
                for argument in section.value:
                    if argument.name == name:
                        found = " ".join(argument.description.split())
        if found and not found.startswith("As in"):  # else of a base class
            break
    return found


def _type_of(config: ConfigDict, name: str) -> str:
    *sections, last = name.split(".")
    for section in sections:
        config = config[section]
    return str(config.get_type(last).__name__)


@functools.cache
def _descriptions() -> dict[str, str]:
    """Returns the descriptions of the settings: comments, and a docstring."""
    source = inspect.getsource(settings.default_config)
    comments = _comments(source)
    described = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assign):
            continue
        target = ast.unparse(node.targets[0]).removeprefix("config.")
        if not target.isidentifier():
            continue  # an option that several methods share
        described[target] = _comment(node.lineno, comments)
        for found in ast.walk(node.value):
            if isinstance(found, ast.Dict):
                described.update(_described(found, target, comments))
                break
    options = griffe.Docstring(inspect.getdoc(Options) or "").parse(
        "google", warnings=False
    )
    for part in options:
        if part.kind is griffe.DocstringSectionKind.attributes:
            for option in part.value:
                text = " ".join(option.description.split())
                described[f"dataset.{option.name}"] = text
    return described


def _described(
    section: ast.Dict, prefix: str, comments: dict[int, str]
) -> Iterator[tuple[str, str]]:
    """Yields each key of a nested dict, dotted, with its comment."""
    for key, value in zip(section.keys, section.values):
        if not isinstance(key, ast.Constant):
            continue  # the options of a dataset
        name = f"{prefix}.{key.value}"
        text = _comment(key.lineno, comments)
        if isinstance(value, ast.Dict):
            # On one line, the keys inside have no comments of their own.
            own = {
                line: comment
                for line, comment in comments.items()
                if abs(line) > key.lineno
            }
            for inner, said in _described(value, name, own):
                yield inner, f"{text} {said}".strip()
                text = ""  # it comes before the first
        else:
            yield name, text


def _comment(number: int, comments: dict[int, str]) -> str:
    """Returns the comment above a line of code, and the one beside it."""
    above, line = [], number - 1
    while line in comments:
        above.insert(0, comments[line])
        line -= 1
    return " ".join([*above, comments.get(-number, "")]).strip()


def _comments(source: str) -> dict[int, str]:
    """Returns the comments by line; beside code, by the negative line."""
    found = {}
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            beside = token.line[:column].strip()
            found[-line if beside else line] = token.string.lstrip("# ")
    return found


def _configs() -> str:
    """Returns a section on the config files, and on what each sets."""
    parts = [
        "\n## The named configs\n",
        "`--config=NAME` starts from the defaults above and sets:",
    ]
    defaults = settings.flat(settings.default_config())
    for path in sorted((ROOT / "configs").glob("[!_]*.py")):
        module = importlib.import_module(f"mlc_tf.configs.{path.stem}")
        values = settings.flat(module.get_config())
        title = (inspect.getdoc(module) or "").splitlines()[0]
        parts.append(f"\n### `{path.stem}`\n\n{title}\n")
        parts.append("| setting | value |\n|---|---|")
        parts.extend(
            f"| `{name}` | `{value!r}` |"
            for name, value in values.items()
            if value != defaults[name]
        )
    return "\n".join(parts)


# Commands


class Command(NamedTuple):
    """A command: its docstring, and its own flags."""

    name: str
    text: str
    flags: list[flags.Flag]


def commands_page() -> str:
    """Returns the page of all commands, from their docstrings and flags."""
    parts = [_COMMANDS_INTRODUCTION]
    parts.extend(
        f"| [`{each.name}`](#{each.name}) | {each.text.splitlines()[0]} |"
        for each in all_commands()
    )
    for command in all_commands():
        parts.append(f"\n## `mlc_tf {command.name}` {{ #{command.name} }}\n")
        parts.append(_as_markdown(command.text))
        parts.append("\n| flag | default | what it is |\n|---|---|---|")
        parts.extend(
            f"| `--{flag.name}` | {_default(flag)} | {_cell(flag.help)} |"
            for flag in command.flags
        )
    return "\n".join(parts) + "\n"


_COMMANDS_INTRODUCTION = """# Commands

`pip install` installs the command `mlc_tf`. In a checkout,
`python launch/NAME.py` is the same as `mlc_tf NAME`. A command with a
`--config` also takes each of the [settings](settings.md) as a flag:
`--config.train.epochs=20`. `mlc_tf NAME --help` prints what is here.

A mistake in a flag or in the data ends a command with one sentence and the
status 2. An interrupted run ends with 130 (Ctrl-C) or 143 (SIGTERM); the same
command resumes it.

| command | what it does |
|---|---|"""


@functools.cache
def all_commands() -> tuple[Command, ...]:
    """Returns all commands.

    The launchers define flags of the same names: each launcher's flags are
    taken out of absl's registry before the next launcher is imported.
    """
    registry = flags.FLAGS
    found = []
    for name in launcher.COMMANDS:
        before = {*registry}
        module = importlib.import_module(f"mlc_tf.launch.{name}")
        own = registry.get_key_flags_for_module(module)
        text = (module.__doc__ or "").strip()
        found.append(Command(name, text, sorted(own, key=lambda f: f.name)))
        for flag in {*registry} - before:
            delattr(registry, flag)
    return tuple(found)


def _as_markdown(text: str) -> str:
    """Returns a docstring with its indented commands in fences."""
    blocks = []
    for block in text.split("\n\n"):
        if block.startswith("    "):
            code = textwrap.dedent(block)
            command = code.startswith(("mlc_tf ", "python "))
            blocks.append(_fenced(code, "sh" if command else "text"))
        else:
            blocks.append(block)
    return "\n\n".join(blocks)


def _default(flag: flags.Flag) -> str:
    text = flag.default_as_str
    return f"`{text}`" if text not in (None, "None") else ""


def _cell(text: str | None) -> str:
    line = " ".join((text or "").split()).replace("|", "\\|")
    return line[:1].upper() + line[1:]
