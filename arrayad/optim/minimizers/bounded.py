"""L-BFGS within bounds: the quadratic model is minimised along the projected gradient's path, then over what that leaves free.

The model is m(x + z) = f + g·z + z·B z / 2 with B = θ I - W M Wᵀ, W = [Y, θ S].  Along the path each element stops at its bound
at a time of its own.  At the k-th of these times, in order, sums over the elements that move on and over those that have stopped
give slope and curvature of the model, for all k at once.

**Source** Byrd, Lu, Nocedal & Zhu, A limited memory algorithm for bound constrained optimization, SIAM J. Sci. Comput. 16 (1995),
sections 3 to 5; projection in the subspace: Morales & Nocedal, Remark on algorithm 778, ACM Trans. Math. Softw. 38 (2011).
"""

from __future__ import annotations

import math

import numpy as np

from arrayad.optim.minimizers.limited_memory import check_memory
from arrayad.optim.minimizers.line_search import search
from arrayad.optim.minimizers.objective import Objective, Point
from arrayad.optim.minimizers.quasi_newton import QuasiNewton, first_step
from arrayad.optim.minimizers.space import Array


class BoundedLimitedMemory(QuasiNewton):
    """L-BFGS whose steps stay within bounds.

    **Parameters** `memory`: how many pairs of steps and changes of the gradient make the model's Hessian.
    """

    name = "l-bfgs"

    def __init__(self, objective: Objective, memory: int = 10) -> None:
        super().__init__(objective)
        check_memory(objective.name, memory)
        assert objective.box is not None
        self.box, self.memory = objective.box, memory
        self.forget()

    def direction(self, point: Point) -> Array:
        return self.target(point) - point.x

    def searched(self, point: Point, direction: Array) -> Point | None:
        first = first_step(direction) if self.is_fresh else 1.0
        return search(self.objective, point, direction, first, longest=max(1.0, self.box.longest(point.x, direction)))

    # --- the model's Hessian ----------------------------------------------------------------------------------------

    def forget(self) -> None:
        size = self.objective.space.size
        self.s, self.y = np.zeros((size, 0)), np.zeros((size, 0))
        self.theta, self.w, self.middle = 1.0, np.zeros((size, 0)), np.zeros((0, 0))

    def remember(self, s: Array, y: Array) -> None:
        self.s = np.column_stack([self.s, s])[:, -self.memory :]
        self.y = np.column_stack([self.y, y])[:, -self.memory :]
        products = self.s.T @ self.y
        self.theta = float(y @ y) / float(s @ y)
        lower = np.tril(products, -1)
        self.w = np.hstack([self.y, self.theta * self.s])
        self.middle = np.linalg.inv(np.block([[-np.diag(np.diag(products)), lower.T], [lower, self.theta * (self.s.T @ self.s)]]))

    # --- where the model is least -----------------------------------------------------------------------------------

    def target(self, point: Point) -> Array:
        """The minimum of the model over the elements that its minimum along the projected gradient leaves free."""
        x, g = point.x, point.gradient
        with np.errstate(divide="ignore", invalid="ignore"):
            times = np.where(g < 0, (x - self.box.high) / g, np.where(g > 0, (x - self.box.low) / g, math.inf))
        step = np.where(times > 0, -g, 0.0)
        time = self.path_minimum(times, step)
        cauchy = self.box.project(x + np.minimum(time, times, where=step != 0, out=np.zeros_like(x)) * step)
        free = (cauchy > self.box.low) & (cauchy < self.box.high)
        if not free.any() or not self.s.shape[1]:
            return cauchy
        best = cauchy.copy()
        best[free] += self.subspace_step(g, cauchy - x, free)
        best = self.box.project(best)
        if float(g @ (best - x)) < 0:
            return best
        inward = np.where(free, best - cauchy, 0.0)
        return cauchy + min(1.0, self.box.longest(cauchy, inward)) * inward

    def path_minimum(self, times: Array, step: Array) -> float:
        """The time of the first minimum of the model along x(t) = P(x - t g), of which `times` are those of the bounds."""
        moving = np.flatnonzero(step)
        order = moving[np.argsort(times[moving], kind="stable")]
        t, d, w = times[order], step[order], self.w[order]
        starts = np.concatenate(([0.0], t))
        # After k stops: what moves on, from the back; what has stopped, from the front.
        left = np.concatenate((np.cumsum((d * d)[::-1])[::-1], [0.0]))
        p = np.vstack([np.cumsum((d[:, None] * w)[::-1], axis=0)[::-1], np.zeros((1, w.shape[1]))])
        finite = np.isfinite(starts)
        since = np.where(finite, starts, 0.0)
        stopped = np.vstack([np.zeros((1, w.shape[1])), np.cumsum((since[1:] * d)[:, None] * w, axis=0)])
        c = since[:, None] * p + stopped
        pm = p @ self.middle
        slopes = -left + self.theta * since * left - np.einsum("ki,ki->k", pm, c)
        bends = self.theta * left - np.einsum("ki,ki->k", pm, p)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.where(slopes >= 0, starts, starts - slopes / bends)
        reached = (slopes >= 0) | ((bends > 0) & (ends <= np.append(t, math.inf)))
        reached &= finite
        return float(ends[int(np.argmax(reached))]) if reached.any() else float(t[-1])

    def subspace_step(self, g: Array, z: Array, free: Array) -> Array:
        """From the point x + z to the minimum of the model over the free elements."""
        w = self.w[free]
        reduced = g[free] + self.theta * z[free] - w @ (self.middle @ (self.w.T @ z))
        v = self.middle @ (w.T @ reduced)
        n = np.eye(v.size) - self.middle @ (w.T @ w) / self.theta
        return -reduced / self.theta - w @ np.linalg.solve(n, v) / self.theta**2
