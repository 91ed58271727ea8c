"""What the documents name exists, and their code runs."""

import re

import pytest

from tests import processes
from tests.support import ROOT

DOCUMENTS = [
    "README.md",
    "RESULTS.md",
    "BUILD_NOTES.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/fidelity.md",
]
_PATH = re.compile(
    r"(?<![\w/])"
    r"(?:mlc_tf|configs|launch|tests|results|\.ci)/[\w./-]*\w|setup\.py"
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_exists(name):
    paths = set(_PATH.findall((ROOT / name).read_text()))
    missing = [path for path in sorted(paths) if not (ROOT / path).exists()]
    assert not missing


def test_the_two_commands_are_those_of_the_readme():
    blocks = re.findall(
        r"^```sh\n(.*?)^```$",
        (ROOT / "README.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    commands = [line for block in blocks for line in block.splitlines()]
    assert commands[:2] == [
        "pip install -e . && python launch/train.py --config=configs/digits.py "
        "--workdir=runs/digits",
        "pip install -e '.[test]' && pytest",
    ]


def test_the_examples_of_the_readme_work(tmp_path):
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.M)
    script = "\n".join([*blocks, "print(accuracy, classifier.score(*test))"])
    (tmp_path / "example.py").write_text(script)
    completed = processes.run(tmp_path / "example.py", cwd=tmp_path)
    assert completed.returncode == 0, completed.stderr
    accuracy, of_classifier = map(
        float, completed.stdout.splitlines()[-1].split()
    )
    assert accuracy > 0.9
    assert of_classifier > 0.85
