"""The script that checks a GPU explains what it needs."""

import os
import subprocess

import pytest

from tests.support import ROOT


@pytest.mark.parametrize(
    "arguments, expected",
    [([], "needs two arguments"), (["results", "runs"], "should find a GPU")],
)
def test_the_script_says_what_it_needs(arguments, expected, tmp_path):
    process = subprocess.run(
        [ROOT / "launch/gpu_check.sh", *arguments],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    errors = [
        line
        for line in process.stderr.splitlines()
        if line.startswith("error: ")
    ]
    assert process.returncode == 2
    assert len(errors) == 1 and expected in errors[0]
