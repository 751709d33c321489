"""Which kernels are in use, and how threads and forks behave."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from arrayad import kernels
from arrayad.kernels import machine, native
from arrayad.kernels.elementwise import PARALLEL

needs_c = pytest.mark.skipif(native.why_not_native is not None, reason="there are no C kernels")


def run(code, **environment):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ARRAYAD_")}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env={**variables, **environment}, text=True, capture_output=True, timeout=60)


PRINT = "from arrayad import kernels; i = kernels.info(); print(i['backend'], i['isa'], i['threads'])"


@needs_c
def test_the_backend_is_switched_for_a_block():
    before = kernels.backend()
    with kernels.backend("numpy") as name:
        assert name == kernels.backend() == "numpy"
        with kernels.backend("c"):
            assert kernels.backend() == "c"
        assert kernels.backend() == "numpy"
    assert kernels.backend() == before


@needs_c
def test_switching_takes_effect_at_once():
    calls = []
    large = kernels.elementwise("exp", lambda x: calls.append(x) or x)
    x = np.ones(PARALLEL, np.float32)
    with kernels.backend("c"):
        assert large(x)[0] == np.exp(np.float32(1)) and not calls
        with kernels.backend("numpy"):
            large(x)
            assert len(calls) == 1


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="'cuda' came"):
        kernels.backend("cuda")


def test_asking_for_c_where_there_is_none_says_why(monkeypatch):
    monkeypatch.setattr(native, "why_not_native", "the disk is full")
    with pytest.raises(RuntimeError, match="the disk is full"):
        kernels.backend("c")


@needs_c
def test_the_environment_chooses():
    assert run(PRINT, ARRAYAD_BACKEND="numpy", ARRAYAD_NUM_THREADS="3", ARRAYAD_ISA="baseline").stdout.split() == [
        "numpy",
        "baseline",
        "3",
    ]
    assert run(PRINT).stdout.split()[:2] == ["c", kernels.isas()[-1]]
    assert "'abacus' came" in run(PRINT, ARRAYAD_ISA="abacus").stderr
    assert "ARRAYAD_NUM_THREADS is '0'" in run(PRINT, ARRAYAD_NUM_THREADS="0").stderr
    assert "'gpu' came" in run(PRINT, ARRAYAD_BACKEND="gpu").stderr


WITHOUT = "import sys; sys.modules['arrayad._native'] = None\n"


def test_the_absence_of_c_is_said_once():
    said = run(WITHOUT + PRINT)
    assert said.returncode != 0 and "RuntimeWarning: arrayad runs without its C kernels" in said.stderr
    assert run(WITHOUT + PRINT, ARRAYAD_BACKEND="numpy").stdout.split() == ["numpy", "None", "None"]
    assert "RuntimeError: [backend] there are no C kernels" in run(WITHOUT + PRINT, ARRAYAD_BACKEND="c").stderr


def test_without_c_numpy_computes():
    code = WITHOUT + (
        "import numpy as np\n"
        "from arrayad import kernels\n"
        "x = np.ones((200, 200), np.float32)\n"
        "assert kernels.elementwise('add', np.add)(x, x).sum() == 80000\n"
        "assert kernels.reduction('sum', np.sum)(x, (0,)).shape == (200,)\n"
        "assert kernels.scan('sum', np.cumsum)(x, 0)[-1, 0] == 200\n"
        "assert kernels.cross_entropy(x, np.zeros(200, int)).shape == (200,)\n"
        "kernels.set_threads(2)\n"
        "print(kernels.isas())"
    )
    ran = run(code, ARRAYAD_BACKEND="numpy")
    assert ran.stdout == "[]\n", ran.stderr


@needs_c
def test_an_unknown_isa_or_count_is_refused():
    with pytest.raises(ValueError, match="'sse9' came"):
        kernels.set_isa("sse9")
    for count in (0, -1, 5000):
        with pytest.raises(ValueError, match=f"{count} came"):
            kernels.set_threads(count)


def test_info_says_what_computes():
    info = kernels.info()
    assert info["backend"] in ("c", "numpy") and info["blas"]
    assert info["isa"] is None or info["isa"] in info["isas"]


@pytest.mark.parametrize("text, expected", [("max 100000", None), ("250000 100000", (250000, 100000)), ("", None)])
def test_the_quota_of_a_cgroup(text, expected, monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(machine, "CGROUPS", str(tmp_path))
    assert machine.cgroup_quota() == expected


def test_threads_follow_the_quota(monkeypatch):
    monkeypatch.setattr(machine, "cgroup_quota", lambda: (50000, 100000))
    assert machine.usable_processors() == 1
    monkeypatch.setattr(machine, "cgroup_quota", lambda: None)
    assert machine.usable_processors() >= 1


@needs_c
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_a_forked_child_computes():
    code = (
        "import os, numpy as np\n"
        "from arrayad import kernels\n"
        "kernels.set_threads(4)\n"
        "x = np.random.default_rng(0).random(1 << 18)\n"
        "y = kernels.elementwise('exp', None)(x)\n"
        "child = os.fork()\n"
        "again = kernels.elementwise('exp', None)(x)\n"
        "if not child: os._exit(0 if (again == y).all() else 1)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        "assert (again == y).all()"
    )
    ran = run(code)
    assert ran.returncode == 0, ran.stderr


@needs_c
def test_two_threads_may_submit_at_once(rng):
    x = rng.random(4 * PARALLEL)
    large = kernels.elementwise("exp", None)
    expected, wrong = large(x), []

    def submit():
        for _ in range(20):
            if not (large(x) == expected).all():
                wrong.append(1)

    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_c
@pytest.mark.slow
def test_a_long_call_can_be_interrupted():
    code = (
        "import numpy as np, signal\n"
        "from arrayad import kernels\n"
        "x = np.full(1 << 27, 0.5)\n"
        "large = kernels.elementwise('sin', np.sin)\n"
        "print('ready', flush=True)\n"
        "while True: large(x)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    start = time.monotonic()
    process.send_signal(2)
    process.communicate(timeout=60)
    assert time.monotonic() - start < 1.0
