"""A short torture: every kind of trial that two minutes have room for, by a seed that is fixed."""

import subprocess
import sys

import pytest

from resnet_bench.paths import ROOT
from tests.torture.faults import COMPILER


@pytest.mark.skipif(COMPILER is None, reason="faults at system calls are compiled by cc")
def test_a_short_torture_finds_nothing() -> None:
    command = [sys.executable, "-m", "tests.torture", "--seconds", "80", "--seed", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("| nothing |") >= 5
