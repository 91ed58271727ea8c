"""The hooks of pre-commit."""

import yaml

from tests.support import ROOT


def test_the_hooks_are_the_linters_of_ci():
    configured = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (hooks,) = [repository["hooks"] for repository in configured["repos"]]
    commands = [hook["entry"] for hook in hooks]
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    first = ci.index(commands[0])
    assert ci[first : first + len(commands)] == commands
    # Each runs as there: on all files, and in the same environment.
    for hook in hooks:
        assert hook["language"] == "system" and not hook["pass_filenames"]
