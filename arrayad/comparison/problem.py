"""A function at a point whose derivatives are compared: its arguments, its evaluations, its Jacobian as one matrix."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.errors import DTypeError, describe
from arrayad.functions.creation import tensor
from arrayad.kernels import pool
from arrayad.tensor import Tensor
from arrayad.transforms.boundary import parameter_names

Array = np.ndarray[Any, Any]

SECONDS = 0.2
"""How long each program is timed, if it takes no longer."""


class Measured(NamedTuple):
    """What a program cost: the least seconds that a run took, and the most bytes that one held beyond what was there before."""

    seconds: float
    memory: int


class Problem:
    """A function of trees of arrays, at a point; it counts its evaluations.

    `args` are all arguments, `smooth` the positions of those that have derivatives: trees of floats.  The Jacobian of the results
    by these is one matrix, a row for each element of the results.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], names: Sequence[str] = ()) -> None:
        self.f, self.args = f, tuple(args)
        self.names = list(names) or parameter_names(f, len(self.args))
        self.smooth = tuple(i for i, x in enumerate(self.args) if is_smooth(x))
        if not self.smooth:
            came = ", ".join(map(describe, tree.leaves(self.args)))
            raise DTypeError(f"[compare] the arguments are ({came}), and one at least must be floating-point: write 3.0")
        self.evaluations = 0
        self.chosen = tuple(self.args[i] for i in self.smooth)
        leaves, self.structure = tree.flatten(self.chosen)
        self.inputs = [np.asarray(plain(x)) for x in leaves]
        self.value = self(*self.chosen)
        results = tree.leaves(self.value)
        if not all(isinstance(plain(y), float | np.ndarray | np.generic) for y in results):
            raise DTypeError(f"[compare] the function returned {self.value!r}; an array of floats is needed, or a tree of them")
        self.results = [np.asarray(plain(y)) for y in results]
        self.leaf_names = [path for i in self.smooth for path, _ in tree.paths(self.args[i], self.names[i])]
        self.elements = [
            f"{path}[{', '.join(map(str, index))}]" if index else path
            for path, x in zip(self.leaf_names, self.inputs, strict=True)
            for index in np.ndindex(x.shape)
        ]

    def __call__(self, *chosen: Any) -> Any:
        """The function's value where these are its smooth arguments."""
        self.evaluations += 1
        return self.uncounted(*chosen)

    def uncounted(self, *chosen: Any) -> Any:
        """The same, for programs that are kept and run again."""
        return self.f(*self.complete(chosen))

    def complete(self, chosen: Sequence[Any]) -> list[Any]:
        """All arguments, where these are the smooth ones."""
        full = list(self.args)
        for i, x in zip(self.smooth, chosen, strict=True):
            full[i] = x
        return full

    def of_tuple(self, chosen: Any) -> Any:
        """The function of one tuple."""
        return self(*chosen)

    @property
    def name(self) -> str:
        """What the function is called."""
        return name_of(self.f, "f")

    def element(self, i: int, j: int) -> str:
        """The name of an element of the Jacobian: the input, and the result where there are several."""
        by = self.elements[j] if self.elements else ""
        return by if sum(y.size for y in self.results) == 1 else f"{i} by {by}"

    @property
    def size(self) -> int:
        """The number of elements of the smooth arguments."""
        return sum(x.size for x in self.inputs)

    @property
    def is_scalar(self) -> bool:
        """Whether the result is one number."""
        return len(self.results) == 1 and self.results[0].ndim == 0

    def matrix(self, derivative: Any) -> Array:
        """The Jacobian of `jacobian(f, argnums=(…))`, a tree of arrays, as one matrix."""
        blocks = iter(tree.leaves(derivative))
        rows = []
        for y in self.results:
            row = [np.asarray(plain(next(blocks))).reshape(y.size, x.size) for x in self.inputs]
            rows.append(np.concatenate(row, axis=1))
        return np.concatenate(rows, axis=0)

    def unit(self, i: int) -> list[Array]:
        """The leaves of the direction of input i."""
        whole = np.zeros(self.size)
        whole[i] = 1.0
        ends = np.cumsum([x.size for x in self.inputs])[:-1]
        return [part.reshape(x.shape).astype(x.dtype) for part, x in zip(np.split(whole, ends), self.inputs, strict=True)]

    def tree_of_columns(self, columns: list[Any]) -> Any:
        """The columns of the Jacobian, each a tree of arrays, as the tree that `matrix` takes."""
        whole = np.array([np.concatenate([np.ravel(plain(y)) for y in tree.leaves(column)]) for column in columns]).T
        rows = np.split(whole, np.cumsum([y.size for y in self.results])[:-1], axis=0)
        ends = np.cumsum([x.size for x in self.inputs])[:-1]
        return [block for row in rows for block in np.split(row, ends, axis=1)]

    def exact(self) -> Any:
        """The smooth arguments as Tensors of mpmath's numbers."""
        return tree.map(lambda x: tensor(np.asarray(plain(x)), dtype=object), self.chosen)

    def evaluations_of(self, run: Callable[[], Any]) -> tuple[Any, int]:
        """What a program gives, and how often it evaluated the function."""
        before = self.evaluations
        found = run()
        return found, self.evaluations - before


def name_of(f: Callable[..., Any], unnamed: str) -> str:
    """What a function is called, if it has a name."""
    name = getattr(f, "__name__", type(f).__name__)
    return unnamed if name == "<lambda>" else name


def plain(x: Any) -> Any:
    """A Tensor's value as an array of NumPy's; anything else as it is."""
    return x.numpy() if x.__class__ is Tensor else x


def is_smooth(x: Any) -> bool:
    """Whether an argument is a tree of floats."""
    leaves = [plain(leaf) for leaf in tree.leaves(x)]
    return bool(leaves) and all(isinstance(y, float) or (hasattr(y, "dtype") and y.dtype.kind in "fc") for y in leaves)


def measure(run: Callable[[], Any], seconds: float = SECONDS) -> Measured:
    """Time and memory of a program, once warm.

    The memory is what Python and NumPy allocate, at its peak, and what the pool of large buffers grows by; no time is taken then.
    """
    run()
    start = time.perf_counter()
    best = once(run)
    while time.perf_counter() - start < seconds:
        best = min(best, once(run))
    pool.clear()
    before = pool.stats()
    tracemalloc.start()
    try:
        run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    after = pool.stats()
    return Measured(best, peak + after["live"] + after["cached"] - before["live"] - before["cached"])


def once(run: Callable[[], Any]) -> float:
    """Seconds that one run takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
