"""The time that `import arrayad` takes beyond NumPy's, and the size of what is installed.

make bench ARGS="-k import -s"
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import arrayad

PROGRAM = "import time, numpy; start = time.perf_counter(); import arrayad; print(time.perf_counter() - start)"


def timed(environment: dict[str, str]) -> float:
    """The seconds that a fresh process says its import took."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment)
    return float(ran.stdout)


def test_import(benchmark: Any) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    seconds = [timed(environment) for _ in range(20)]
    size = sum(f.stat().st_size for f in Path(arrayad.__file__).parent.rglob("*") if f.is_file() and f.suffix != ".pyc")
    print(f"\nimport arrayad over import numpy: {min(seconds) * 1e3:.1f} ms; installed size: {size / 1e6:.2f} MB")
    benchmark.pedantic(lambda: subprocess.run([sys.executable, "-c", "import arrayad"], check=True), rounds=5)
