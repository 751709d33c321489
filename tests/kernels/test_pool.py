"""The pool of large buffers: reuse when an array and its views are dead, not before."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from arrayad.kernels import pool

pytestmark = pytest.mark.skipif(not pool.HAS_MAPPINGS, reason="the platform has no anonymous private mappings")

F4 = np.dtype(np.float32)
MEGABYTE = (1 << 18,)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture(autouse=True)
def an_empty_pool():
    gc.collect()
    pool.clear()


def test_a_dead_array_gives_its_memory_to_the_next():
    a = pool.empty(MEGABYTE, F4)
    before, mapped = address(a), pool.stats()["mapped"]
    del a
    b = pool.empty((512, 512), F4)
    assert address(b) == before and pool.stats()["mapped"] == mapped


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[10:20],
        lambda a: a[::2][3:].reshape(-1, 1).T,
        lambda a: a.view(np.int32),
        lambda a: np.broadcast_to(a[:1], (7, 1)),
        lambda a: np.lib.stride_tricks.as_strided(a, (3,), (4,)),
        lambda a: a.flat,
        memoryview,
        lambda a: np.asarray(memoryview(a)),
        lambda a: np.frombuffer(a, np.uint8),
        lambda a: a.__dlpack__(),
    ],
)
def test_a_view_keeps_the_memory(view):
    a = pool.empty(MEGABYTE, F4)
    before, kept = address(a), view(a)
    del a
    assert address(pool.empty(MEGABYTE, F4)) != before
    del kept
    gc.collect()
    pool.clear()
    assert pool.stats()["live"] == 0


def test_small_arrays_are_numpys():
    assert pool.empty((100,), F4).base is None
    assert pool.empty((), F4).shape == ()
    assert pool.empty((0, 1 << 30), F4).size == 0
    assert pool.empty(MEGABYTE, np.dtype(object)).base is None


@pytest.mark.parametrize("nbytes", [1 << 16, (1 << 16) + 4, 100_000, 1_000_000, 7_654_320])
def test_memory_is_little_larger_than_the_array(nbytes):
    a = pool.empty((nbytes // 4,), F4)
    assert nbytes <= pool.stats()["live"] <= 1.25 * nbytes + 4096
    a[:] = 1.0


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(pool.POOL, "limit", 3 << 20)
    arrays = [pool.empty(MEGABYTE, F4) for _ in range(10)]
    assert pool.stats()["live"] == 10 << 20
    del arrays
    assert pool.stats()["live"] == 0 and pool.stats()["cached"] == 3 << 20
    pool.clear()
    assert pool.stats()["cached"] == 0


@pytest.mark.parametrize("value, limit", [("0", 0), ("12345", 12345)])
def test_the_environment_sets_the_limit(value, limit, monkeypatch):
    monkeypatch.setenv("ARRAYAD_POOL_LIMIT", value)
    assert pool.memory_limit() == limit


def test_a_limit_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("ARRAYAD_POOL_LIMIT", "1G")
    with pytest.raises(ValueError, match="ARRAYAD_POOL_LIMIT is '1G'"):
        pool.memory_limit()


def test_cycles_give_back_too():
    a = pool.empty(MEGABYTE, F4)
    cycle = [a]
    cycle.append(cycle)
    del a, cycle
    gc.collect()
    assert pool.stats()["live"] == 0


def test_threads_do_not_share_memory():
    wrong = []

    def fill(value):
        for _ in range(300):
            a = pool.empty((1 << 14,), F4)
            a[:] = value
            if not (a == value).all():
                wrong.append(value)

    threads = [threading.Thread(target=fill, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and pool.stats()["live"] == 0


FORK = """
import os, numpy as np
from arrayad.kernels import pool
a = pool.empty((1 << 18,), np.dtype("float32")); a[:] = 1.0
dead = pool.empty((1 << 18,), np.dtype("float32")); dead[:] = 2.0
del dead
child = os.fork()
b = pool.empty((1 << 18,), np.dtype("float32")); b[:] = 3.0 if child else 4.0
a[:10] = 5.0 if child else 6.0
if not child:
    os._exit(0 if (b == 4.0).all() and (a[:10] == 6.0).all() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert (b == 3.0).all() and (a[:10] == 5.0).all() and (a[10:] == 1.0).all()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_parent_and_child_do_not_share_memory():
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60, env={**os.environ, "ARRAYAD_BACKEND": "numpy"})
