"""Schedules of checkpoints: the adjoint of a Runge-Kutta integration of 1,000 variables, its time and its memory.

make bench ARGS="-k memory -s"

Each schedule runs in a process of its own, so that the peak of its resident memory over the baseline is its own.  Beside JAX,
whose scan keeps all, and with `jax.checkpoint` on stretches of √steps.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from measure import table
from peers import peer

STEPS = 100_000
SCHEDULES = ("None", "'sqrt'", "'binomial'", "('binomial', 300)", "memory_limit")

PROGRAM = """
import json, resource, sys, time
import numpy as np
import {module} as m

def rhs(y):
    return m.sin(y) * 0.9 - 0.1 * y * y

def step(y, _):
    h = 1e-4
    k1 = rhs(y); k2 = rhs(y + 0.5 * h * k1); k3 = rhs(y + 0.5 * h * k2); k4 = rhs(y + h * k3)
    return y + (h / 6) * (k1 + 2.0 * k2 + 2.0 * k3 + k4), None

{setup}
y0 = np.linspace(0.1, 1.0, 1000)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
gradient(y0, 10)
base = peak()
start = time.perf_counter()
g = gradient(y0, {steps})
seconds = time.perf_counter() - start
print(json.dumps([seconds, (peak() - base) / 1e3, float(np.asarray(g).sum())]))
"""

OURS = """
def gradient(y, steps):
    f = lambda y: m.sum(m.scan(step, y, length=steps, checkpoint={checkpoint})[0] ** 2)
    return m.grad(f, memory_limit={limit})(y)
"""

JAX = """
import jax
jax.config.update("jax_enable_x64", True)

def gradient(y, steps):
    def f(y):
        if {stretched}:
            inner = int(steps ** 0.5)
            stretch = jax.checkpoint(lambda y, _: (jax.lax.scan(step, y, None, inner)[0], None))
            y = jax.lax.scan(stretch, y, None, steps // inner)[0]
            y = jax.lax.scan(step, y, None, steps % inner)[0]
        else:
            y = jax.lax.scan(step, y, None, steps)[0]
        return m.sum(y ** 2)
    return jax.jit(jax.grad(f))(y).block_until_ready()
"""


def run(program: str) -> list[float]:
    """Seconds, megabytes over the baseline and the sum of the gradient, of a program in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def programs() -> dict[str, str]:
    """The programs to run, by what the table calls them."""
    found = {}
    for schedule in SCHEDULES:
        limited = schedule == "memory_limit"
        setup = OURS.format(checkpoint=None if limited else schedule, limit='"256MB"' if limited else None)
        name = 'memory_limit="256MB"' if limited else f"checkpoint={schedule}"
        found[name] = PROGRAM.format(module="arrayad", setup=setup, steps=STEPS)
    if peer("jax") is not None:
        for name, stretched in (("jax.jit, keeping all", False), ("jax.jit, jax.checkpoint of stretches", True)):
            found[name] = PROGRAM.format(module="jax.numpy", setup=JAX.format(stretched=stretched), steps=STEPS)
    return found


def test_memory(benchmark: Any) -> None:
    rows, first, total = [], None, None
    for name, program in programs().items():
        seconds, megabytes, value = run(program)
        first, total = first or seconds, total or value
        assert abs(value - total) <= 1e-8 * abs(total), name
        rows.append((name, f"{seconds:.1f}", f"{megabytes:,.0f}", f"{seconds / first:.2f}"))
    print("\n" + table(rows, (f"{STEPS:,} steps of 1,000 float64", "s", "peak MB over the baseline", "time / keeping all")))
    benchmark(lambda: None)
