"""The stiffest cantilever that can be made of a given amount of material: topology optimisation with an adjoint.

    python examples/topology.py [--small] [--picture topology.png]

A plate of square finite elements is clamped on the left and loaded on the right.  Each element has a density between 0, a hole,
and 1, material.  Which densities make the plate stiffest, if they may fill no more than half of it?  The displacement u solves
the sparse linear system K(ρ) u = f; the compliance fᵀu is the work of the load; its gradient by all the densities at once costs
little more than itself.  docs/topology.md explains the program.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import measuring
import numpy as np
import scipy.sparse

import arrayad as ad

Array = np.ndarray[Any, Any]

SOLID, VOID, POISSON = 1.0, 1e-9, 0.3
"""Young's modulus of the material and of holes, which keeps K regular, and the material's Poisson's ratio."""
PENALTY = 3.0
"""The exponent p of SIMP, E(ρ) = VOID + ρᵖ (SOLID - VOID): half the material gives an eighth of the stiffness, a bad bargain."""
STEP = 0.2
"""No density changes by more in an iteration."""


class Problem(NamedTuple):
    """A plate of `rows` by `columns` elements, what holds it, what pulls at it, and how much of it may be filled."""

    rows: int
    columns: int
    fixed: Array
    """The degrees of freedom that do not move: 2 v to the right, 2 v + 1 downwards, at node v in C order."""
    load: Array
    """The force at each degree of freedom."""
    volume: float
    """The part of the plate that may be filled."""
    radius: float
    """That of the density filter, in elements."""


def nodes(rows: int, columns: int) -> Array:
    """The numbers of the nodes, the corners of the elements."""
    return np.arange((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1)


def cantilever(rows: int, columns: int, volume: float = 0.5, radius: float = 2.4) -> Problem:
    """Clamped at its left end, with a weight at the middle of its right end."""
    v = nodes(rows, columns)
    load = np.zeros(2 * v.size)
    load[2 * v[rows // 2, -1] + 1] = 1.0
    return Problem(rows, columns, np.append(2 * v[:, 0], 2 * v[:, 0] + 1), load, volume, radius)


def beam(rows: int, columns: int, volume: float = 0.5, radius: float = 2.4) -> Problem:
    """The right half of a beam on two supports with a weight on its middle: the MBB beam, the benchmark of the literature."""
    v = nodes(rows, columns)
    load = np.zeros(2 * v.size)
    load[2 * v[0, 0] + 1] = 1.0
    return Problem(rows, columns, np.append(2 * v[:, 0], 2 * v[-1, -1] + 1), load, volume, radius)


# --- from a design to its compliance -------------------------------------------------------------------------------


def density_filter(problem: Problem) -> Any:
    """The sparse matrix that gives each element the mean of those around it, with weights radius - distance."""
    reach = int(np.ceil(problem.radius)) - 1
    elements = np.arange(problem.rows * problem.columns).reshape(problem.rows, problem.columns)
    i, j = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(elements, reach, constant_values=-1), i.shape)
    around = around.reshape(elements.size, -1)
    weights = np.where(around < 0, 0.0, np.maximum(problem.radius - np.hypot(i, j).reshape(-1), 0.0))
    weights /= weights.sum(axis=1, keepdims=True)
    element, neighbour = np.nonzero(weights)
    return scipy.sparse.csr_array((weights[element, neighbour], (element, around[element, neighbour])))


def projected(x: ad.Tensor, sharpness: float) -> ad.Tensor:
    """A smooth step at ½, which keeps 0, ½ and 1 and takes the others the closer to 0 or 1 the sharper it is."""
    if not sharpness:
        return x
    return 0.5 + ad.tanh(sharpness * (x - 0.5)) / (2.0 * ad.tanh(sharpness / 2.0))


def element_stiffness() -> Array:
    """The stiffness matrix, 8 by 8, of a square bilinear element in plane stress, by Gauss's rule with 2 by 2 points.

    Its nodes go round from the upper left; of each node the motion to the right comes first, then that downwards.
    """
    elasticity = np.array([[1.0, POISSON, 0.0], [POISSON, 1.0, 0.0], [0.0, 0.0, (1.0 - POISSON) / 2.0]]) / (1.0 - POISSON**2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    total = np.zeros((8, 8))
    for x, y in corners / np.sqrt(3.0):
        by_x, by_y = (corners * (1.0 + corners[:, ::-1] * (y, x)) / 2.0).T  # the slopes of each node's shape function
        strain = np.zeros((3, 8))
        strain[0, 0::2] = strain[2, 1::2] = by_x
        strain[1, 1::2] = strain[2, 0::2] = by_y
        total += strain.T @ elasticity @ strain / 4.0
    return total


class Plate:
    """The finite elements of a problem: functions of a design, the array of densities before filter and projection."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.filter = density_filter(problem)
        self.element = element_stiffness()
        v = nodes(problem.rows, problem.columns)
        corners = np.stack([v[:-1, :-1], v[:-1, 1:], v[1:, 1:], v[1:, :-1]], axis=-1).reshape(-1, 4, 1)
        self.degrees = (2 * corners + [0, 1]).reshape(-1, 8)
        """Of each element the degrees of freedom of its corners."""
        self.free = np.setdiff1d(np.arange(2 * v.size), problem.fixed)
        self.load = problem.load[self.free]
        place = np.full(2 * v.size, -1)
        place[self.free] = np.arange(self.free.size)
        rows, columns = np.broadcast_arrays(place[self.degrees][:, :, None], place[self.degrees][:, None, :])
        self.moving = np.flatnonzero((rows >= 0) & (columns >= 0))
        """Which elements of the element matrices, one after another, are in the matrix of the plate."""
        self.places = rows.reshape(-1)[self.moving], columns.reshape(-1)[self.moving]

    def densities(self, design: Any, sharpness: float = 0.0) -> ad.Tensor:
        """The material that there is."""
        smooth = ad.sparse.matmul(self.filter, ad.reshape(design, (-1,)))
        return ad.reshape(projected(smooth, sharpness), (self.problem.rows, self.problem.columns))

    def volume(self, design: Any, sharpness: float = 0.0) -> ad.Tensor:
        """The part of the plate that is filled."""
        return ad.mean(self.densities(design, sharpness))

    def displacement(self, densities: ad.Tensor) -> ad.Tensor:
        """The u of K(ρ) u = f, at the degrees of freedom that are free."""
        stiffness = VOID + ad.reshape(densities, (-1, 1)) ** PENALTY * (SOLID - VOID)
        values = ad.reshape(stiffness * self.element.reshape(-1), (-1,))[self.moving]
        return ad.sparse.solve((values, self.places), self.load, symmetric=True)

    def compliance(self, design: Any, sharpness: float = 0.0) -> ad.Tensor:
        """The work of the load, fᵀu."""
        return ad.sum(self.load * self.displacement(self.densities(design, sharpness)))


# --- from a design to a better one ---------------------------------------------------------------------------------


def optimality_criteria(x: Array, worth: Array, weight: Array, volume: Callable[[Array], float], limit: float) -> Array:
    """The next design: x √(worth / (λ weight)), with the λ that uses up the volume.

    At an optimum what a density between 0 and 1 is worth, by how much it lowers the compliance, is λ times what it adds to the
    volume; then it stays (Bendsøe & Sigmund 2003, section 1.2.1).
    """
    low, high = 1e-9, 1e9
    while high > (1.0 + 1e-5) * low:
        price = np.sqrt(low * high)
        new = np.clip(x * np.sqrt(worth / (price * weight)), np.maximum(x - STEP, 0.0), np.minimum(x + STEP, 1.0))
        low, high = (price, high) if volume(new) > limit else (low, price)
    return new


class Optimised(NamedTuple):
    """What came out: the designs after each stage; compliance and volume before each iteration, and of the last design."""

    stages: list[Array]
    """The densities at the end of each stage."""
    starts: list[int]
    """The iteration that each stage began with."""
    compliance: list[float]
    volume: list[float]

    @property
    def densities(self) -> Array:
        return self.stages[-1]

    @property
    def grayness(self) -> float:
        """The mean of 4 ρ (1 - ρ): 0 for black and white, 1 for gray all over (Sigmund 2007)."""
        return float(np.mean(4.0 * self.densities * (1.0 - self.densities)))


def improved(plate: Plate, x: Array, sharpness: float) -> tuple[float, float, Array]:
    """The compliance and the volume of a design, and the next design."""

    def filled(x: Array) -> float:
        return plate.volume(x, sharpness).item()

    compliance, slope = ad.value_and_grad(plate.compliance)(x, sharpness)
    volume, weight = ad.value_and_grad(plate.volume)(x, sharpness)
    worth = np.maximum(-slope.numpy(), 0.0)
    return compliance.item(), volume.item(), optimality_criteria(x, worth, weight.numpy(), filled, plate.problem.volume)


def optimise(plate: Plate, schedule: Sequence[tuple[float, int]], tolerance: float = 0.01, progress: bool = True) -> Optimised:
    """The best design by a schedule of stages, (sharpness, iterations), each of which ends early once no density moves."""
    x = np.full((plate.problem.rows, plate.problem.columns), plate.problem.volume)
    found = Optimised([], [], [], [])
    with measuring.progress(sum(count for _, count in schedule), "iterations", progress) as advance:
        for sharpness, count in schedule:
            found.starts.append(len(found.compliance))
            for _ in range(count):
                before = x
                compliance, volume, x = improved(plate, x, sharpness)
                found.compliance.append(compliance)
                found.volume.append(volume)
                advance()
                if np.abs(x - before).max() < tolerance:
                    break
            found.stages.append(plate.densities(x, sharpness).numpy())
    found.compliance.append(plate.compliance(x, sharpness).item())
    found.volume.append(plate.volume(x, sharpness).item())
    return found


# --- the program ---------------------------------------------------------------------------------------------------


class Size(NamedTuple):
    problem: Problem
    schedule: tuple[tuple[float, int], ...]
    """The stages: first the densities as the filter leaves them, then steps that are sharper and sharper."""


FULL = Size(cantilever(80, 160, radius=2.0), ((0.0, 30), (2.0, 12), (4.0, 12), (8.0, 12), (16.0, 12)))
SMALL = Size(cantilever(20, 40, radius=1.5), ((0.0, 20), (4.0, 10), (16.0, 10)))


def draw(found: Optimised, path: str) -> None:
    """The design, how it came about, and the compliance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.6), layout="constrained")
    rows = figure.subfigures(2, 1, height_ratios=(2.1, 1))
    axes = rows[0].subplots()
    show(axes, found.densities)
    axes.annotate("", (1.0, 0.3), (1.0, 0.5), "axes fraction", arrowprops={"arrowstyle": "-|>", "color": "C3", "lw": 2})
    axes.plot([0, 0], [0, 1], color="C0", lw=6, transform=axes.transAxes, clip_on=False)
    axes.set_title(
        f"compliance {found.compliance[-1]:.1f}, {found.volume[-1]:.1%} filled, clamped on the left, loaded on the right"
    )
    first, history = rows[1].subplots(1, 2)
    show(first, found.stages[0])
    first.set_title("filtered, before the projection", fontsize="medium")
    history.semilogy(found.compliance, color="C0")
    for start in found.starts[1:]:
        history.axvline(start, color="0.8", lw=1, zorder=0)
    history.set(xlabel="iteration", ylabel="compliance")
    history.set_title("lines: the projection becomes sharper", fontsize="medium")
    figure.savefig(path, dpi=80)


def show(axes: Any, densities: Array) -> None:
    axes.imshow(densities, cmap="gray_r", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def check(plate: Plate) -> tuple[measuring.Agreement, measuring.Cost]:
    """The gradient of the compliance at a random design, against differences; and its cost."""
    shape = plate.problem.rows, plate.problem.columns
    x = np.random.default_rng(0).uniform(0.2, 0.8, shape)
    both = ad.value_and_grad(plate.compliance)
    agreement = measuring.agreement(lambda x: plate.compliance(x, 2.0), both(x, 2.0)[1], x)
    return agreement, measuring.cost(lambda: plate.compliance(x, 2.0), lambda: both(x, 2.0), rounds=5)


def main(arguments: Sequence[str] | None = None) -> Optimised:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true", help="a coarse plate, in a second or two")
    parser.add_argument("--picture", metavar="PATH", help="where to draw the design")
    options = parser.parse_args(arguments)
    problem, schedule = SMALL if options.small else FULL
    plate = Plate(problem)
    print(f"{problem.rows} by {problem.columns} elements, {len(plate.free):,} degrees of freedom, {problem.volume:.0%} to fill")
    agreement, cost = check(plate)
    print(f"the slope along a random direction: {agreement}")
    print(f"one compliance takes {cost}, for {problem.rows * problem.columns:,} derivatives")
    found = optimise(plate, schedule)
    for sharpness, start in zip((sharpness for sharpness, _ in schedule), found.starts, strict=True):
        print(f"iteration {start:3}, sharpness {sharpness:4.1f}: compliance {found.compliance[start]:8.3f}")
    print(f"iteration {len(found.compliance) - 1:3}, at the end:     compliance {found.compliance[-1]:8.3f}")
    print(f"{found.volume[-1]:.3%} filled, {1.0 - found.grayness:.1%} of it black or white")
    if options.picture:
        draw(found, options.picture)
        print(f"drawn to {options.picture}")
    return found


if __name__ == "__main__":
    main()
