"""The site: its generated pages, its links, and the code in its pages."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from mlc_tf.launch.main import COMMANDS
from mlc_tf.run import settings
from tests import processes
from tests.processes import launch
from tests.support import ROOT

# A page that loads something by one of these is not usable offline.
_LOADS = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc="?(?P<src>[^\s">]+)
    |<link\b(?=[^>]*\brel="?(?:stylesheet|icon|preconnect|preload))
     [^>]*\bhref="?(?P<href>[^\s">]+)""",
    re.X,
)
_IN_STYLE = re.compile(r"(?:@import|url\()\s*[\"']?(?!data:)([^\s\"')]+)")


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location(
        "generate", ROOT / "docs" / "generate.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module  # for its named tuples
    spec.loader.exec_module(module)
    return module


def build(config, site, environment=()):
    """Builds the site without executing the tutorials, which .ci/run does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"]
        + ["--config-file", str(config), "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "MLC_TF_TUTORIALS": "show", **dict(environment)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(made_once):
    def make(folder):
        built = build(ROOT / "mkdocs.yml", folder)
        assert built.returncode == 0, built.stderr[-3000:]

    return made_once("site", make)


def test_the_site_loads_nothing_from_other_hosts(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > 40
    loaded = {
        found["src"] or found["href"]
        for page in pages
        for found in _LOADS.finditer(page.read_text())
    }
    styles = {
        address
        for style in site.rglob("*.css")
        for address in _IN_STYLE.findall(style.read_text())
    }
    assert any(address.endswith(".css") for address in loaded)
    outside = {
        address
        for address in loaded | styles
        if re.match(r"(?:[a-z]+:)?//", address)
    }
    assert not outside


def test_the_site_has_the_pictures_of_results(site):
    pictures = {
        path.relative_to(ROOT / "results")
        for path in (ROOT / "results").rglob("*.png")
    }
    shown = {
        path.relative_to(site / "pictures")
        for path in (site / "pictures").rglob("*.png")
    }
    assert pictures and shown == pictures


def test_all_tutorials_are_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text()
    scripts = [*(ROOT / "docs" / "tutorials").glob("*.py")]
    assert len(scripts) == 7
    assert all(f"tutorials/{script.stem}.md" in text for script in scripts)


def test_a_cell_that_fails_breaks_the_build(generate, tmp_path):
    script = tmp_path / "failing.py"
    script.write_text("# %%\nprint('before')\n\n# %%\n1 / 0\n")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        generate._tutorial(True, script)
    script.write_text('# %% language="bash"\n# false\n')
    with pytest.raises(Exception, match="CalledProcessError"):
        generate._tutorial(True, script)


def test_a_page_shows_what_a_script_printed_and_drew(generate, tmp_path):
    script = tmp_path / "shown.py"
    script.write_text(
        "# %% [markdown]\n# # Title\n\n"
        '# %% language="bash"\n# echo out; echo log >&2\n\n'
        '# %% alt="A line."\n# %matplotlib inline\n'
        "import matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nplt.show()\n"
    )
    files = generate._tutorial(True, script)
    page = files["tutorials/shown.md"]
    assert page.startswith("# Title\n")
    assert "``` { .sh }\necho out; echo log >&2\n```" in page
    assert "``` { .text .output }\nout\n```" in page
    assert "\nlog" not in page
    assert "![A line.](shown/1.png)" in page
    assert files["tutorials/shown/1.png"].startswith(b"\x89PNG")


def test_a_number_and_its_interval_stay_on_one_line(generate):
    text = "| mlc | 0.5 [0.4, 0.6] | 5 of them, as all the others have |\n1 2\n"
    assert generate.on_page_markdown(text) == text.replace(
        "0.5 [0.4, 0.6]", "0.5\u00a0[0.4,\u00a00.6]"
    )


def test_the_end_of_a_progress_bar_is_shown(generate):
    epochs = "".join(
        f"Epoch {number}/4\n\r\x1b[1m1/2\x1b[0m\r2/2 - {number}\n"
        for number in range(1, 5)
    )
    assert generate.plain(f"{epochs}done\n") == (
        "Epoch 1/4\n2/2 - 1\n...\nEpoch 4/4\n2/2 - 4\ndone"
    )


def test_every_setting_is_described(generate):
    known = settings.flat(settings.default_config())
    described = {each.name: each for each in generate.all_settings()}
    rates = {name for name in known if generate.is_rate_of_method(name)}
    assert known.keys() - described.keys() == rates
    assert all(each.description for each in described.values())
    # From a comment above, beside, from `Options`, from a class, from a class
    # that refers to another.
    for name, text in (
        ("noise.kind", "A name of `noise.KINDS`"),
        ("optimizer.momentum", "Of sgd"),
        ("dataset.cache", '"memory" (decode once'),
        ("method.gce.q", "The exponent, in (0, 1]."),
        ("method.ce_control.clean_weight", "The mean cross-entropy of the"),
        ("network.wide_resnet.depth", ""),
    ):
        assert described[name].description.startswith(text), name
    page = generate.settings_page()
    assert "| `epochs` | `10` | Of each phase of the method |" in page
    assert "### `digits`" in page and "| `train.epochs` | `30` |" in page


# In a process of its own: other tests import launchers, whose flags absl keeps.
COMMANDS_AS_JSON = f"""
import json, sys
sys.path.insert(0, {str(ROOT / "docs")!r})
import generate
found = generate.all_commands()
flags = {{each.name: [flag.name for flag in each.flags] for each in found}}
print(json.dumps([flags, generate.commands_page()]))
"""


def test_every_command_is_described_with_its_flags(tmp_path):
    (tmp_path / "commands.py").write_text(COMMANDS_AS_JSON)
    completed = processes.run(tmp_path / "commands.py")
    assert completed.returncode == 0, completed.stderr
    flags, page = json.loads(completed.stdout.splitlines()[-1])
    assert tuple(flags) == COMMANDS
    assert flags["train"] == ["config", "join_timeout", "workdir"]
    assert flags["audit"] == ["batch_size", "output", "pick", "workdir"]
    assert "| `--pick` | `'0'` |" in page
    assert "``` { .sh }\nmlc_tf plot --workdir=" in page


def documented_files(heading):
    """Returns the files that a table of the page on a run's files lists."""
    text = (ROOT / "docs/reference/run_directory.md").read_text()
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    # A name of a column has neither.
    files = re.findall(r"^\| `([^`]*[./][^`]*)` \|", section[1], re.M)
    return {re.sub(r"epoch-E-step-S", "epoch-N-step-N", name) for name in files}


def written_files(folder):
    """Returns the files in a directory, and its folder of TensorBoard."""
    names = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }
    names = {re.sub(r"^tensorboard/.*", "tensorboard/", name) for name in names}
    return {
        re.sub(r"epoch-\d+-step-\d+", "epoch-N-step-N", name) for name in names
    }


def test_the_files_of_a_run_are_those_on_the_page(tmp_path):
    (tmp_path / "table.csv").write_text(
        "a,b,label,split\n"
        + "".join(
            f"{number % 7},{number % 3},{'xy'[number % 2]},"
            f"{('train', 'train', 'clean', 'test')[number // 2 % 4]}\n"
            for number in range(160)
        )
    )
    runs = (
        (
            "runs/digits",
            ("--config=digits:smoke", "--config.method.mlc.clean_weight=0"),
        ),
        (
            "table",
            (
                "--config=own",
                "--config.dataset.name=csv:table.csv",
                "--config.dataset.clean=split:clean",
                "--config.method.mlc.clean_weight=0",
                "--config.train.epochs=1",
                "--config.train.batch_size=16",
            ),
        ),
    )
    for name, flags in runs:
        answers = launch(
            tmp_path,
            ("train.py", *flags, f"--workdir={name}"),
            ("audit.py", f"--workdir={name}", "--pick=3"),
            ("review.py", f"--workdir={name}"),
        )
        assert [status for status, *_ in answers] == [0] * 3, answers
    trained = documented_files("Files of training")
    audited = documented_files("Files of the audit")
    assert "result.json" in trained and "audit/audit.json" in audited
    documented = trained | audited | {"review.html"}
    # Digits are no table, and the table's labels are noisy as they come.
    assert written_files(tmp_path / "runs/digits") == documented - {
        "columns.json"
    }
    assert written_files(tmp_path / "table") == documented - {"noise.json"}
    page = (ROOT / "docs/reference/run_directory.md").read_text()
    (fragment,) = re.findall(r"^```py\n(.*?)^```$", page, re.S | re.M)
    (tmp_path / "page.py").write_text(f"{fragment}print(learned.shape)\n")
    read = processes.run(tmp_path / "page.py", cwd=tmp_path)
    assert read.stdout == "(10, 10)\n", read.stderr
    for file, heading in (
        ("result.json", "`result.json`"),
        ("noise.json", "`noise.json`"),
        ("metrics.jsonl", "`metrics.jsonl`"),
    ):
        content = (tmp_path / "runs/digits" / file).read_text().splitlines()
        text = "".join(content) if file.endswith(".json") else content[0]
        section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        named = {
            name
            for row in re.findall(r"^\| (`.*?) \|", section, re.M)
            for name in re.findall(r"`(\w+)`", row)
        }
        entries = json.loads(text).keys() - {"meta_gradient_norm"}
        assert entries == named, file


def test_the_fragment_on_the_page_of_the_class_runs(tmp_path):
    # It begins where the script of the first page has its data and network.
    home, fragment = (
        "".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M))
        for language, text in (
            ("python", (ROOT / "docs/index.md").read_text()),
            (
                "py",
                (ROOT / "docs/reference/meta_loss_correction.md").read_text(),
            ),
        )
    )
    script = f"{home}{fragment}print(model.evaluate(*test)[1])\n"
    (tmp_path / "page.py").write_text(script)
    completed = processes.run(tmp_path / "page.py", cwd=tmp_path)
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "network.keras").exists()
    # Plain training ends below 0.8.
    assert float(completed.stdout.splitlines()[-1]) > 0.85


@pytest.mark.wide
@pytest.mark.parametrize("link", ["missing.md", "index.md#missing"])
def test_a_broken_link_breaks_the_build(link, tmp_path):
    class Loader(yaml.SafeLoader):
        """Reads a config of MkDocs, whose tags name Python objects."""

    (tmp_path / "docs").mkdir()
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)  # noqa: S506
    for name in ("hooks", "nav", "plugins", "exclude_docs", "extra_css"):
        config.pop(name)
    config |= {"docs_dir": "docs", "watch": [], "theme": "mkdocs"}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config))
    page = tmp_path / "docs" / "index.md"
    page.write_text("# Home\n\n[itself](index.md)\n")
    assert build(tmp_path / "mkdocs.yml", tmp_path / "site").returncode == 0
    page.write_text(f"# Home\n\n[gone]({link})\n")
    broken = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert broken.returncode != 0 and "missing" in broken.stderr
