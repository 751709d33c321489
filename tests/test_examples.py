"""The programs in examples/ run as their pages say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from arrayad.compiler.toolchain import toolchain
from arrayad.kernels import native

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(toolchain() is None, reason="there is no C compiler")
def test_a_softmax_loss_is_measured_once_its_results_are_compared():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / "softmax_loss.py")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "2 loop nests and 0 calls" in ran.stdout
    assert float(re.search(r"([\d.]+) times as fast", ran.stdout)[1]) > 0


@pytest.mark.slow
@pytest.mark.skipif(native.why_not_native is not None, reason="there are no C kernels")
def test_a_network_is_trained_in_c(tmp_path):
    for tool in ("make", "cc"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} on the path")
    folder = tmp_path / "embed"
    shutil.copytree(ROOT / "examples" / "embed", folder, ignore=shutil.ignore_patterns("main", "fit.*"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        ["make", "run", f"PYTHON={sys.executable}"], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    words = ran.stdout.split()
    first, last = float(words[words.index("first") + 1]), float(words[words.index("last") + 1])
    assert first > 0.5 and last < 0.02
