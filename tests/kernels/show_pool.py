"""Print what forty results of 4 MB that all stay alive, as on a tape, cost in memory of the pool, fresh and reused."""

import time

import numpy as np

from arrayad.kernels import pool

SHAPE, F4, RESULTS = (1 << 20,), np.dtype(np.float32), 40


def milliseconds(new):
    """The best of ten: forty sums, each into a result of its own from `new`, all dropped at the end."""
    x = np.ones(SHAPE, F4)
    best = np.inf
    for _ in range(10):
        start = time.perf_counter()
        kept = [np.add(x, x, out=new(i)) for i in range(RESULTS)]
        best = min(best, time.perf_counter() - start)
        del kept
    return 1e3 * best


def fresh(i):
    pool.clear()
    return pool.empty(SHAPE, F4)


if __name__ == "__main__":
    buffers = [np.ones(SHAPE, F4) for _ in range(RESULTS)]
    print(f"buffers that are at hand  {milliseconds(lambda i: buffers[i]):6.1f} ms")
    print(f"pool                      {milliseconds(lambda i: pool.empty(SHAPE, F4)):6.1f} ms")
    print(f"np.empty                  {milliseconds(lambda i: np.empty(SHAPE, F4)):6.1f} ms")
    print(f"new mappings              {milliseconds(fresh):6.1f} ms")
