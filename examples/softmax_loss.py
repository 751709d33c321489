"""A softmax cross entropy with its gradient, eager and compiled: what becomes of it, and what it takes.

    python examples/softmax_loss.py

docs/compiler.md goes through it step by step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import arrayad as ad

ROWS, CLASSES = 512, 256
ROUNDS, CALLS = 100, 5


def loss(scores: ad.Tensor, targets: ad.Tensor) -> ad.Tensor:
    """The mean over the rows of the cross entropy of softmax(scores) with targets."""
    shifted = scores - ad.stop_gradient(ad.max(scores, axis=1, keepdims=True))
    log_sum = ad.log(ad.sum(ad.exp(shifted), axis=1, keepdims=True))
    return ad.mean(ad.sum(targets * (log_sum - shifted), axis=1))


def inputs() -> tuple[ad.Tensor, ad.Tensor]:
    """Scores, and one class for each row as a row of ones and zeros, in float32."""
    rng = ad.random.default_rng(0)
    labels = rng.integers(0, CLASSES, (ROWS, 1))
    return rng.normal(size=(ROWS, CLASSES), dtype="float32"), ad.astype(ad.arange(CLASSES) == labels, "float32")


def in_turns(*calls: Callable[[], Any]) -> list[float]:
    """The median of the microseconds that each call takes, in rounds in which they take turns."""
    spent: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, seconds in zip(calls, spent, strict=True):
            started = time.perf_counter()
            for _ in range(CALLS):
                call()
            seconds.append((time.perf_counter() - started) / CALLS)
    return [statistics.median(seconds) * 1e6 for seconds in spent]


def main() -> None:
    scores, targets = inputs()
    eager = ad.value_and_grad(loss)
    compiled = ad.compile(eager)
    started = time.perf_counter()
    compiled(scores, targets)
    first = time.perf_counter() - started
    value, gradient = compiled(scores, targets)  # the first call returned what the trace had computed, not the program
    expected, expected_gradient = eager(scores, targets)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-9)
    print(compiled.report())
    slow, quick = in_turns(lambda: eager(scores, targets), lambda: compiled(scores, targets))
    print(
        f"\neager {slow:,.0f} µs, compiled {quick:,.0f} µs, {slow / quick:.1f} times as fast; the first call took {first:.2f} s"
    )


if __name__ == "__main__":
    main()
