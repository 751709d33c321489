"""Smoke that draws a ∇: the initial wind of a fluid, found by the gradient through the whole flow.

    python examples/smoke.py [--small] [--picture smoke.png] [--animation smoke.gif]

A layer of smoke lies on the floor of a closed room.  Which wind, blown once and then left to itself, carries it into a picture?
Each step of the solver moves velocity and smoke along the flow and makes the velocity free of divergence again.  The misfit of
the last frame is differentiated by the velocity of the first, through all steps, and goes down by L-BFGS.
docs/smoke.md goes through it.

Lengths are in cells and times in steps.  The grid is staggered, with arrays indexed [row, column] from the upper left:

    smoke   (n, n)       in the middles of cells
    u       (n, n - 1)   to the right, in the middles of the upright faces between cells
    v       (n - 1, n)   downwards, in the middles of the level faces
"""

from __future__ import annotations

import argparse
import functools
import io
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import arrayad as ad
from arrayad.extras import extra

Array = np.ndarray[Any, Any]

SMOOTHING = 0.1
"""The weight of the wind's mean squared vorticity beside the misfit: of winds that do as well, a smooth one."""


class State(NamedTuple):
    """What the fluid is at one moment."""

    u: ad.Tensor
    v: ad.Tensor
    smoke: ad.Tensor


# --- the solver ----------------------------------------------------------------------------------------------------------


def walled(u: ad.Tensor, v: ad.Tensor) -> tuple[ad.Tensor, ad.Tensor]:
    """The velocity on all faces: nothing flows through the walls."""
    return ad.pad(u, ((0, 0), (1, 1))), ad.pad(v, ((1, 1), (0, 0)))


def divergence(u: ad.Tensor, v: ad.Tensor) -> ad.Tensor:
    """What flows out of each cell."""
    across, down = walled(u, v)
    return ad.diff(across, axis=1) + ad.diff(down, axis=0)


def vorticity(u: ad.Tensor, v: ad.Tensor) -> ad.Tensor:
    """Twice the rate at which the fluid turns, at the inner corners of cells."""
    return ad.diff(v, axis=1) - ad.diff(u, axis=0)


@functools.cache
def cosines(n: int) -> tuple[Array, Array]:
    """The matrix of the discrete cosine transform, and the eigenvalues of the Laplacian that it diagonalises, (n, n)."""
    wave, cell = np.indices((n, n))
    transform = np.sqrt(np.where(wave == 0, 1, 2) / n) * np.cos(np.pi * wave * (cell + 0.5) / n)
    second_difference = 2 * np.cos(np.pi * np.arange(n) / n) - 2
    eigenvalues = second_difference[:, None] + second_difference
    eigenvalues[0, 0] = np.inf  # the mean of the pressure is 0: it acts on nothing
    return transform, eigenvalues


def project(u: ad.Tensor, v: ad.Tensor) -> tuple[ad.Tensor, ad.Tensor]:
    """The velocity without its divergence: minus the gradient of the pressure p, where div grad p = div (u, v)."""
    transform, eigenvalues = cosines(len(u))
    pressure = transform.T @ (transform @ divergence(u, v) @ transform.T / eigenvalues) @ transform
    return u - ad.diff(pressure, axis=1), v - ad.diff(pressure, axis=0)


def sample(field: ad.Tensor, row: ad.Tensor, column: ad.Tensor) -> ad.Tensor:
    """The field between its points, by bilinear interpolation; beyond its edges, the value at the edge."""
    rows, columns = field.shape
    row, column = ad.clip(row, 0, rows - 1), ad.clip(column, 0, columns - 1)
    top, left = ad.minimum(ad.floor(row), rows - 2), ad.minimum(ad.floor(column), columns - 2)
    corner = ad.astype(top * columns + left, "int64")
    a, b, c, d = (ad.take(field, corner + offset) for offset in (0, 1, columns, columns + 1))
    upper, lower = a + (column - left) * (b - a), c + (column - left) * (d - c)
    return upper + (row - top) * (lower - upper)


def halfway(x: ad.Tensor, axis: int) -> ad.Tensor:
    """The means of neighbours along an axis."""
    return (x[1:] + x[:-1]) / 2 if axis == 0 else (x[:, 1:] + x[:, :-1]) / 2


def departure(across: ad.Tensor, down: ad.Tensor) -> tuple[ad.Tensor, ad.Tensor]:
    """Where the fluid in the middle of each cell was one step ago, by the midpoint rule: rows and columns of cells."""
    rows, columns = np.indices((len(across), len(across)))
    row, column = rows - halfway(down, axis=0) / 2, columns - halfway(across, axis=1) / 2
    return rows - sample(down, row + 0.5, column), columns - sample(across, row, column + 0.5)


def step(state: State) -> State:
    """One step of stable fluids: everything comes from where its fluid was, and the velocity loses its divergence."""
    across, down = walled(state.u, state.v)
    row, column = departure(across, down)
    smoke = sample(state.smoke, row, column)
    u = sample(across, halfway(row, axis=1), halfway(column, axis=1) + 0.5)
    v = sample(down, halfway(row, axis=0) + 0.5, halfway(column, axis=0))
    return State(*project(u, v), smoke)


def simulate(wind: tuple[Any, Any], smoke: Any, steps: int) -> State:
    """What becomes of smoke in a wind, whose divergence is taken away first.

    A `scan`: one step is traced, differentiated and compiled, however many there are, and the sweep keeps the states alone.
    """
    first = State(*project(*wind), smoke)
    return ad.scan(lambda state, _: (step(state), None), first, length=steps)[0]


def film(wind: tuple[Any, Any], smoke: Any, steps: int) -> State:
    """All states from the first to the last, along a leading axis."""
    first = State(*project(*wind), smoke)
    later = ad.scan(lambda state, _: (step(state),) * 2, first, length=steps)[1]
    return State(*(ad.concat([x[None], rest]) for x, rest in zip(first, later, strict=True)))


# --- the problem -----------------------------------------------------------------------------------------------------------


def filled(distance: Array) -> Array:
    """What lies within a shape, given the distance from its outline, negative inside: 1, and shades at the outline."""
    return np.clip(0.5 - distance * len(distance), 0, 1)


def layer(n: int, amount: float) -> Array:
    """Smoke on the floor, of a given total."""
    y, x = (np.indices((n, n)) + 0.5) / n
    half_width, bottom = 0.35, 0.95
    half_height = amount / n**2 / (4 * half_width)
    return filled(np.maximum(np.abs(x - 0.5) - half_width, np.abs(y - bottom + half_height) - half_height))


def nabla(n: int) -> Array:
    """The picture: a ∇, a triangle without a smaller one."""
    y, x = (np.indices((n, n)) + 0.5) / n - [[[0.46]], [[0.5]]]
    triangle = np.maximum(-y, (y + np.sqrt(3) * np.abs(x)) / 2)
    return filled(np.maximum(triangle - 0.22, 0.09 - triangle))


def loss(wind: tuple[Any, Any], smoke: Any, target: Any, steps: int) -> ad.Tensor:
    """How far the last frame is from the target, relative to it, and how rough the wind is."""
    misfit = ad.sum((simulate(wind, smoke, steps).smoke - target) ** 2) / ad.sum(target**2)
    return misfit + SMOOTHING * ad.mean(vorticity(*wind) ** 2)


def random_wind(n: int, seed: int) -> tuple[Array, Array]:
    """A wind without order, or a direction.  It leaves no departure on a point of the grid, where interpolation has its kinks."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, n - 1)), rng.standard_normal((n - 1, n))


# --- the search ------------------------------------------------------------------------------------------------------------


class Size(NamedTuple):
    """How large a run is."""

    cells: int
    steps: int
    iterations: int
    compiled: bool
    """Whether to compile: worth it once the run takes longer than the C compiler."""


FULL = Size(cells=80, steps=60, iterations=120, compiled=True)
SMALL = Size(cells=24, steps=12, iterations=30, compiled=False)


class Examined(NamedTuple):
    """A derivative along a random direction, by the gradient and by differences; the seconds of f, and of f with its gradient."""

    slope: float
    difference: float
    seconds: float
    seconds_with_gradient: float

    @property
    def digits(self) -> int:
        """How many of the two agree."""
        return int(-np.log10(max(abs(self.slope / self.difference - 1), 1e-16)))

    def __str__(self) -> str:
        ratio = self.seconds_with_gradient / self.seconds
        return (
            f"gradient    {self.slope:.9f} along a random direction, {self.difference:.9f} by differences: "
            f"{self.digits} digits agree\n"
            f"cost        {1e3 * self.seconds:.0f} ms for f, {1e3 * self.seconds_with_gradient:.0f} ms with the gradient: "
            f"{ratio:.1f} times as long"
        )


def examine(f: Callable[[Any], ad.Tensor], n: int, compiled: bool, h: float = 1e-7) -> Examined:
    """Compare the gradient of f with differences, and what it costs with what f costs.

    A larger h carries some of the thousands of departures over a kink of the interpolation.
    """
    value, both = (ad.compile(g) if compiled else g for g in (f, ad.value_and_grad(f)))
    at, direction = random_wind(n, seed=0), random_wind(n, seed=1)
    for call in (value, both):
        call(at)  # the first call traces
    ahead, behind = (tuple(x + step * d for x, d in zip(at, direction, strict=True)) for step in (h, -h))
    difference = (value(ahead) - value(behind)).item() / (2 * h)
    slope = sum(ad.sum(g * d).item() for g, d in zip(both(at)[1], direction, strict=True))
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(5):
        for call, seconds in zip((value, both), spent, strict=True):
            started = time.perf_counter()
            call(at)
            seconds.append(time.perf_counter() - started)
    return Examined(slope, difference, *map(statistics.median, spent))


class Found(NamedTuple):
    """What came out: the wind, what becomes of it, and the losses on the way."""

    wind: tuple[ad.Tensor, ad.Tensor]
    film: State
    target: Array
    losses: list[float]

    def __str__(self) -> str:
        smoke = self.film.smoke.numpy()
        first, last = self.losses[0], self.losses[-1]
        largest = max(ad.max(ad.abs(divergence(u, v))).item() for u, v in zip(self.film.u, self.film.v, strict=True))
        return (
            f"loss        {first:.3f} fell to {last:.4f}, a factor of {first / last:.0f}\n"
            f"divergence  no larger than {largest:.0e} in any cell at any step\n"
            f"smoke       between {smoke.min():.3g} and {smoke.max():.3g}; its total {smoke[0].sum():.1f} became "
            f"{smoke[-1].sum():.1f}, {100 * (smoke[-1].sum() / smoke[0].sum() - 1):+.1f} %"
        )


def search(size: Size, report: Callable[[str], object] = print) -> Found:
    """Find the wind, starting from still air."""
    target = nabla(size.cells)
    smoke = layer(size.cells, target.sum())
    still = tuple(np.zeros_like(x) for x in random_wind(size.cells, seed=0))
    f = functools.partial(loss, smoke=smoke, target=target, steps=size.steps)
    report(f"{size.cells} × {size.cells} cells, {size.steps} steps, {sum(x.size for x in still):,} unknowns")
    report(str(examine(f, size.cells, size.compiled)))

    def tell(state: Any) -> None:
        if state.iteration % 20 == 0:
            report(f"iteration   {state.iteration:3d}: loss {state.value:.4f}")

    found = ad.optim.minimize(f, still, "l-bfgs", max_iterations=size.iterations, callback=tell, compile=size.compiled)
    return Found(found.x, film(found.x, smoke, size.steps), target, found.history.value)


# --- pictures --------------------------------------------------------------------------------------------------------------


def draw(found: Found, path: str) -> None:
    """Write a strip of frames: the smoke above, the vorticity below; at the end the target, and how the loss fell."""
    from matplotlib.figure import Figure
    from PIL import Image

    smoke = found.film.smoke.numpy()
    chosen = np.linspace(0, len(smoke) - 1, 7).round().astype(int)
    spins = [vorticity(found.film.u[k], found.film.v[k]).numpy() for k in chosen]
    figure = Figure(figsize=(13.6, 3.9), dpi=100, layout="constrained")
    axes = figure.subplots(2, len(chosen) + 1)
    for k, spin, upper, lower in zip(chosen, spins, *axes[:, :-1], strict=True):
        upper.imshow(smoke[k], cmap="inferno", vmin=0, vmax=1)
        upper.set_title("at first" if k == 0 else f"step {k}", fontsize=10)
        lower.imshow(spin, cmap="RdBu", vmin=-0.5, vmax=0.5)
    axes[0, -1].imshow(found.target, cmap="inferno", vmin=0, vmax=1)
    axes[0, -1].set_title("target", fontsize=10)
    for each in (*axes[0], *axes[1, :-1]):
        each.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("smoke")
    axes[1, 0].set_ylabel("vorticity")
    axes[1, -1].semilogy(found.losses, color="black")
    axes[1, -1].set_xlabel("iterations", fontsize=9)
    axes[1, -1].set_title("loss", fontsize=10)
    canvas = io.BytesIO()
    figure.savefig(canvas)
    Image.open(canvas).convert("RGB").quantize(256).save(path)  # a third of the bytes


def animate(found: Found, path: str, width: int = 160, shades: int = 32) -> None:
    """Write every second frame of the smoke as an animated GIF, in few shades: small enough for a page."""
    from matplotlib import colormaps
    from PIL import Image

    palette = (255 * colormaps["inferno"](np.linspace(0, 1, shades))[:, :3]).round().astype(np.uint8)
    frames = []
    for smoke in found.film.smoke.numpy()[::2]:
        large = Image.fromarray(smoke.astype(np.float32)).resize((width, width), Image.Resampling.BICUBIC)
        frames.append(Image.fromarray(((shades - 1) * np.clip(large, 0, 1)).round().astype(np.uint8)))
        frames[-1].putpalette(palette.tobytes())
    milliseconds = [100] * (len(frames) - 1) + [2000]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Find the wind that carries smoke into a picture.")
    parser.add_argument("--small", action="store_true", help="a coarse grid and few steps: seconds")
    parser.add_argument("--picture", metavar="PATH", help="write a strip of frames (needs matplotlib)")
    parser.add_argument("--animation", metavar="PATH", help="write all frames as an animated GIF (needs matplotlib)")
    options = parser.parse_args(arguments)
    if options.picture or options.animation:
        extra("smoke", "matplotlib", "plot")  # what is missing is said before the search, not after it
    found = search(SMALL if options.small else FULL)
    print(found)
    for path, write in ((options.picture, draw), (options.animation, animate)):
        if path:
            write(found, path)
            print(f"wrote       {path}")


if __name__ == "__main__":
    main()
