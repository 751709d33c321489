"""The time that `import arrayad` takes beyond NumPy's, and the size of what is installed.

    make bench ARGS="-k import -s"
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import arrayad

PROGRAM = "import time, numpy; start = time.perf_counter(); import arrayad; print(time.perf_counter() - start)"


def test_import(benchmark: Any) -> None:
    seconds = [float(subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout) for _ in range(15)]
    size = sum(f.stat().st_size for f in Path(arrayad.__file__).parent.rglob("*") if f.is_file() and f.suffix != ".pyc")
    print(f"\nimport arrayad over import numpy: {min(seconds) * 1e3:.1f} ms; installed size: {size / 1e6:.2f} MB")
    benchmark.pedantic(lambda: subprocess.run([sys.executable, "-c", "import arrayad"], check=True), rounds=5)
