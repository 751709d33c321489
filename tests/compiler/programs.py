"""Random programs: functions drawn from a seed, of views, elementwise functions, folds, products, indexing and loops.

A program draws each step from what its values are at that moment, their shapes and dtypes, so that the seed and the operands'
shapes fix it: eager, traced, batched and differentiated it is one and the same.  Values stay of order one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import arrayad as ad
from arrayad.nn import functional

LENGTHS = (0, 1, 1, 2, 3, 4, 5, 7, 8, 13, 16, 31)
MOST = 4000
"""Elements of a value, unless the operands are larger."""

UNARY: list[Callable[[Any], Any]] = [
    *(ad.sin, ad.cos, ad.tanh, ad.sigmoid, ad.abs, ad.square, ad.negative, ad.arctan, ad.arcsinh, ad.softplus),
    *(functional.relu, functional.gelu, functional.silu, ad.erf, lambda x: ad.exp(-x * x), lambda x: ad.log1p(x * x)),
    *(
        lambda x: ad.sqrt(x * x + 0.5),
        lambda x: 1.0 / (1.5 + ad.cos(x)),
        lambda x: x * 0.5 + 0.25,
        lambda x: ad.clip(x, -0.71, 0.83),
    ),
    *(lambda x: ad.expm1(ad.sin(x)), lambda x: ad.power(ad.abs(x) + 0.3, 1.5), lambda x: x**3 * 0.1),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    *(ad.add, ad.subtract, ad.multiply, ad.maximum, ad.minimum, ad.hypot, ad.logaddexp, ad.arctan2),
    *(lambda x, y: x / (1.5 + ad.cos(y)), lambda x, y: ad.where(x > y * 0.37 + 0.11, x, y * 2.0)),
    *(lambda x, y: ad.where(x < 0.123, y, x), lambda x, y: (x + y) * (x - y)),
]
FOLDS: list[Callable[..., Any]] = [
    ad.sum,
    ad.mean,
    ad.max,
    ad.min,
    ad.std,
    ad.logsumexp,
    ad.vector_norm,
    lambda x, **k: ad.prod(ad.cos(x), **k),
]


class Program:
    """The function that a seed makes of its operands; `loops` says whether it may hold scans, branches and loops."""

    def __init__(self, seed: int, steps: int = 8, loops: bool = True, smooth: bool = False) -> None:
        self.seed, self.steps, self.loops, self.smooth = seed, steps, loops, smooth

    def __repr__(self) -> str:
        return f"Program({self.seed}, steps={self.steps}, loops={self.loops}, smooth={self.smooth})"

    def __call__(self, *operands: Any) -> list[Any]:
        rng = np.random.default_rng(self.seed)
        pool = list(operands)
        for _ in range(self.steps):
            made = self.step(rng, pool)
            pool += made if isinstance(made, list) else [made]
        return [bounded(x) for x in pool[-min(3, self.steps) :]]

    def step(self, rng: Any, pool: list[Any]) -> Any:
        x = chosen(rng, pool)
        kinds = list(STEPS)
        weights = np.array([STEPS[kind] for kind in kinds], float)
        if not self.loops:
            weights[[kinds.index(kind) for kind in (scanned, branched, looped)]] = 0
        kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
        return kind(rng, pool, x)


def chosen(rng: Any, pool: list[Any]) -> Any:
    """A value, the last ones more often."""
    k = min(int(rng.geometric(0.25)), len(pool))
    return pool[-k]


def bounded(x: Any) -> Any:
    return ad.tanh(x) if x.dtype.kind == "f" else x


def floating(x: Any) -> Any:
    return x if x.dtype.kind == "f" else ad.astype(x, "float64")


def unary(rng: Any, pool: list[Any], x: Any) -> Any:
    return UNARY[rng.integers(len(UNARY))](floating(x))


def partner(rng: Any, pool: list[Any], x: Any) -> Any:
    """Another value whose shape is broadcast with this one's, made to fit if need be."""
    fitting = [y for y in pool if fits(x.shape, y.shape)]
    y = chosen(rng, fitting) if fitting else x
    return y


def fits(first: Any, second: Any) -> bool:
    try:
        return math.prod(np.broadcast_shapes(first, second)) <= max(MOST, math.prod(first), math.prod(second))
    except ValueError:
        return False


def binary(rng: Any, pool: list[Any], x: Any) -> Any:
    y = partner(rng, pool, x)
    if x.dtype.kind != "f" and y.dtype.kind != "f":
        function = [ad.add, ad.multiply, ad.equal, ad.less, ad.maximum, ad.minimum, ad.not_equal][rng.integers(7)]
        return function(x, y) if not (x.dtype.kind == "b" and y.dtype.kind == "b") else ad.logical_xor(x, y)
    return bound(BINARY[rng.integers(len(BINARY))](floating(x), floating(y)), rng)


def bound(x: Any, rng: Any) -> Any:
    return ad.sin(x) if rng.random() < 0.3 else x


def compared(rng: Any, pool: list[Any], x: Any) -> Any:
    """Truths, integers, or another dtype."""
    which = rng.integers(6)
    if x.dtype.kind != "f":
        return (
            ad.astype(x, ["float64", "float32", "int64", "int32", "bool", "uint8"][which])
            if x.dtype.kind == "b" or which < 5
            else ad.abs(x)
        )
    if which == 0:
        return x > 0.217
    if which == 1:
        return ad.astype(ad.floor(ad.tanh(x) * 3.3 + 0.117), "int64")
    if which == 2:
        return ad.astype(x, "float32" if x.dtype == np.float64 else "float64")
    if which == 3:
        return ad.logical_and(x > -0.3, x < 0.51)
    if which == 4:
        return ad.where(ad.abs(x) < 0.41, x, 0.0)
    return ad.astype(ad.round(ad.tanh(x) * 2.7), "int32")


def reshaped(rng: Any, pool: list[Any], x: Any) -> Any:
    factors = prime_factors(x.size) if x.size else [0]
    rng.shuffle(factors)
    shape: list[int] = []
    while factors:
        take = int(rng.integers(1, 3))
        shape.append(math.prod(factors[:take]))
        factors = factors[take:]
    for _ in range(rng.integers(0, 2)):
        shape.insert(int(rng.integers(len(shape) + 1)), 1)
    return ad.reshape(x, tuple(shape))


def prime_factors(n: int) -> list[int]:
    found, p = [], 2
    while p * p <= n:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return [*found, n] if n > 1 else found


def permuted(rng: Any, pool: list[Any], x: Any) -> Any:
    return ad.permute_dims(x, tuple(int(a) for a in rng.permutation(x.ndim))) if x.ndim else x


def repeated(rng: Any, pool: list[Any], x: Any) -> Any:
    n = int(LENGTHS[rng.integers(len(LENGTHS))])
    if x.size * n > MOST:
        return x
    axis = int(rng.integers(x.ndim + 1))
    x = ad.expand_dims(x, axis=axis)
    return ad.broadcast_to(x, (*x.shape[:axis], n, *x.shape[axis + 1 :]))


def basic_part(rng: Any, n: int, reverse: bool = True) -> Any:
    if n and rng.random() < 0.2:
        return int(rng.integers(-n, n))
    steps = [1, 1, 1, 2, 3, -1, -2] if reverse else [1]
    step = int(steps[rng.integers(len(steps))])
    a, b = sorted(int(k) for k in rng.integers(0, n + 1, 2))
    if rng.random() < 0.3:
        a, b = 0, n
    if step > 0:
        return slice(a, b, step)
    return slice(b - 1, a - 1 if a else None, step) if b else slice(0, 0)


def basic_index(rng: Any, x: Any, reverse: bool = True) -> Any:
    index: list[Any] = [basic_part(rng, n, reverse) if rng.random() < 0.7 else slice(None) for n in x.shape]
    if rng.random() < 0.2:
        index.insert(int(rng.integers(len(index) + 1)), None)
    elif rng.random() < 0.2 and index:
        index = [*index[: len(index) // 2], Ellipsis]
    return tuple(index)


def sliced(rng: Any, pool: list[Any], x: Any) -> Any:
    return x[basic_index(rng, x)]


def indexed(rng: Any, pool: list[Any], x: Any) -> Any:
    """By arrays of integers: known ones, or such as are computed."""
    if not x.ndim or 0 in x.shape:
        return x
    axis = int(rng.integers(x.ndim))
    n = x.shape[axis]
    shape = tuple(int(k) for k in rng.integers(1, 5, rng.integers(1, 3)))
    places = rng.integers(-n, n, shape)
    which = rng.integers(4)
    if which == 0:
        return ad.take(x, places.reshape(-1), axis=axis)
    if which == 1 and x.ndim > 1:
        other = (axis + 1) % x.ndim
        index: list[Any] = [slice(None)] * x.ndim
        index[axis] = places
        index[other] = rng.integers(0, x.shape[other], shape[-1:])
        return x[tuple(index)]
    if which == 2 and x.dtype.kind == "f":
        found = ad.astype(ad.floor(ad.sigmoid(ad.reshape(x, (-1,))[:5]) * 0.999 * n), "int64")
        return ad.take(x, found, axis=axis)
    index = [basic_part(rng, m) if rng.random() < 0.4 else slice(None) for m in x.shape]
    index[axis] = places
    return x[tuple(index)]


def assigned(rng: Any, pool: list[Any], x: Any) -> Any:
    """A part of the array set, by a slice or by places."""
    if not x.ndim or 0 in x.shape:
        return x
    y = x * 1 if x.dtype.kind != "b" else ad.logical_not(x)
    if rng.random() < 0.75:
        index = basic_index(rng, x, bool(rng.random() < 0.5))
        part = x[index]
        value = ad.flip(part, axis=part.ndim - 1) if part.ndim and rng.random() < 0.5 else part
        y[index] = value if x.dtype.kind == "b" else value * 2
        return y
    index = rng.permutation(x.shape[0])[:3]
    y[index] = x[0]
    return y


def combined(rng: Any, pool: list[Any], x: Any) -> Any:
    which = rng.integers(6)
    if not x.ndim:
        return ad.stack([x, x * 2 if x.dtype.kind != "b" else x])
    axis = int(rng.integers(x.ndim))
    alike = [
        y
        for y in pool
        if y.ndim == x.ndim
        and y.dtype == x.dtype
        and y.shape[:axis] == x.shape[:axis]
        and y.shape[axis + 1 :] == x.shape[axis + 1 :]
    ]
    if which == 0:
        return ad.roll(x, int(rng.integers(-5, 6)), axis=axis)
    if which == 1:
        return ad.flip(x, axis=axis)
    if which == 2 and x.size * 2 <= MOST:
        return ad.stack([x, chosen(rng, [y for y in alike if y.shape == x.shape])], axis=int(rng.integers(x.ndim + 1)))
    if which == 3 and x.dtype.kind == "f":
        return ad.pad(x, [(int(a), int(b)) for a, b in rng.integers(0, 3, (x.ndim, 2))])
    if which == 4 and x.dtype.kind == "f" and x.ndim > 1:
        return ad.tril(x) if rng.random() < 0.5 else ad.triu(x)
    found = [chosen(rng, alike) for _ in range(rng.integers(2, 12) if x.size < 300 else 2)]
    return ad.concat(found, axis=axis) if sum(y.size for y in found) <= MOST else x


def axes_of(rng: Any, x: Any) -> Any:
    which = rng.integers(3)
    if which == 0 or not x.ndim:
        return None
    if which == 1:
        return int(rng.integers(x.ndim))
    return tuple(int(a) for a in rng.permutation(x.ndim)[: rng.integers(1, x.ndim + 1)])


def folded(rng: Any, pool: list[Any], x: Any) -> Any:
    axis, keepdims = axes_of(rng, x), bool(rng.random() < 0.4)
    along = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    function = FOLDS[rng.integers(len(FOLDS))]
    if x.dtype.kind == "b":
        return (ad.any if rng.random() < 0.5 else ad.all)(x, axis=axis, keepdims=keepdims)
    if x.dtype.kind in "iu":
        return ad.sum(x, axis=axis, keepdims=keepdims)
    if any(x.shape[a] == 0 for a in along):
        return ad.sum(x, axis=axis, keepdims=keepdims)
    if function is ad.std:
        x = x + ad.reshape(ad.sin(ad.astype(ad.arange(x.size), x.dtype)), x.shape)
    if function is ad.vector_norm:
        x = x + 0.75
    y = function(x, axis=axis, keepdims=keepdims)
    return y / math.sqrt(max(1, x.size // max(1, y.size))) if function is ad.sum else y


def normalised(rng: Any, pool: list[Any], x: Any) -> Any:
    """Softmax, layer norm, running sums, order."""
    x = floating(x)
    if not x.ndim or 0 in x.shape:
        return x
    axis = int(rng.integers(x.ndim))
    which = rng.integers(9)
    if which == 0:
        return functional.softmax(x, axis=axis)
    if which == 1:
        return functional.log_softmax(x, axis=axis) * 0.5
    if which == 2:
        centred = x - ad.mean(x, axis=axis, keepdims=True)
        return centred / ad.sqrt(ad.mean(centred * centred, axis=axis, keepdims=True) + 0.1)
    if which == 3:
        return ad.cumulative_sum(x, axis=axis) / math.sqrt(x.shape[axis])
    if which == 4:
        return ad.cumulative_prod(ad.cos(x), axis=axis)
    if which == 5:
        return ad.sort(x, axis=axis)
    if which == 6:
        return ad.argmax(x, axis=axis)
    if which == 7:
        return ad.diff(x, axis=axis)
    shifted = x - ad.max(x, axis=axis, keepdims=True)
    return ad.exp(shifted) / ad.sum(ad.exp(shifted), axis=axis, keepdims=True)


def multiplied(rng: Any, pool: list[Any], x: Any) -> Any:
    """Products of matrices, stacks of them, vectors, sums over products."""
    x = floating(x)
    if not x.ndim:
        return x * x
    k = x.shape[-1]
    which = rng.integers(5)
    others = [y for y in pool if y.dtype == x.dtype and y.ndim >= 2 and y.shape[-2] == k and fits(x.shape[:-2], y.shape[:-2])]
    scale = 1 / math.sqrt(max(k, 1))
    if which == 0 and x.ndim >= 2:
        y = ad.swapaxes(x, -1, -2)
        if x.size * x.shape[-2] <= 20 * MOST:
            return x @ y * scale
    if which == 1 and others and x.ndim >= 2:
        y = chosen(rng, others)
        return x @ y * scale
    weights = ad.astype(ad.reshape(ad.sin(ad.arange(k * 3.0) * 1.7), (k, 3)), x.dtype)
    if which == 2:
        return x @ weights[:, 0] * scale
    if which == 3 and x.ndim >= 2:
        return ad.einsum("...ij,ik->...jk", x, x[(0,) * (x.ndim - 2)]) * (1 / math.sqrt(max(x.shape[-2], 1)))
    return x @ weights * scale


def small_program(rng: Any) -> Program:
    return Program(int(rng.integers(2**31)), steps=int(rng.integers(1, 4)), loops=False)


def same_shape(program: Program, x: Any) -> Any:
    """What a program gives, as something of its operand's shape and dtype."""
    found = floating(program(x)[-1])
    total = ad.sum(found) / max(1, found.size)
    if found.shape == x.shape:
        return ad.astype(ad.sin(found), x.dtype) + x * 0.5
    return ad.astype(ad.sin(total), x.dtype) + x * 0.5


def scanned(rng: Any, pool: list[Any], x: Any) -> Any:
    x = floating(x)
    if not x.ndim or x.size > MOST:
        return x
    inner = small_program(rng)
    reverse = bool(rng.random() < 0.3)
    if rng.random() < 0.5:
        first = ad.zeros(x.shape[1:], dtype=x.dtype) + 0.1
        carry, ys = ad.scan(lambda c, row: (same_shape(inner, c + row), ad.sin(c) * row), first, x, reverse=reverse)
        return [carry, ys]
    carry, _ = ad.scan(lambda c, _: (same_shape(inner, c), None), x, None, length=int(rng.integers(0, 5)), reverse=reverse)
    return carry


def branched(rng: Any, pool: list[Any], x: Any) -> Any:
    x = floating(x)
    first, second = small_program(rng), small_program(rng)
    return ad.cond(ad.sum(x) > 0.217, lambda x: same_shape(first, x), lambda x: same_shape(second, x) * 2.0, x)


def looped(rng: Any, pool: list[Any], x: Any) -> Any:
    x = floating(x)
    inner = small_program(rng)
    count = int(rng.integers(0, 4))
    return ad.fori_loop(0, count, lambda i, c: same_shape(inner, c), x)


STEPS: dict[Callable[[Any, list[Any], Any], Any], float] = {
    unary: 3,
    binary: 4,
    compared: 1,
    reshaped: 1.5,
    permuted: 1,
    repeated: 0.7,
    sliced: 1.5,
    indexed: 1,
    assigned: 1,
    combined: 1.5,
    folded: 2,
    normalised: 1.5,
    multiplied: 1.5,
    scanned: 0.4,
    branched: 0.3,
    looped: 0.3,
}


def operands_of(seed: int, count: int = 3, lengths: Any = LENGTHS, dtype: str | None = None) -> list[np.ndarray[Any, Any]]:
    """Seeded operands, some of which share their shapes."""
    rng = np.random.default_rng([seed, 1])
    found: list[np.ndarray[Any, Any]] = []
    kind = dtype or ("float64" if rng.random() < 0.7 else "float32")
    for _ in range(count):
        shape = tuple(int(lengths[k]) for k in rng.integers(0, len(lengths), rng.integers(0, 4)))
        if found and rng.random() < 0.5:
            shape = found[-1].shape
        while math.prod(shape) > MOST:
            shape = shape[1:]
        found.append(rng.uniform(-1.5, 1.5, shape).astype(kind))
    return found


def smooth_operands(program: Program, operands: list[Any]) -> list[int]:
    """The operands by which there can be a derivative: those of floating-point numbers."""
    return [i for i, x in enumerate(operands) if x.dtype.kind == "f"]


def total(program: Program) -> Callable[..., Any]:
    """A number of all that a program returns in floating-point numbers, no two elements with one weight."""

    def function(*operands: Any) -> Any:
        found = ad.sum(ad.sin(operands[0])) * 0.25
        for k, y in enumerate(program(*operands)):
            if y.dtype.kind == "f":
                found = found + ad.sum(y * ad.astype(ad.reshape(ad.cos(ad.arange(y.size) * 1.0 + k), y.shape), y.dtype))
        return found

    return function


def gradient(program: Program) -> Callable[..., Any]:
    return lambda *operands: ad.grad(total(program), argnums=tuple(range(len(operands))))(*operands)


def pushed(program: Program) -> Callable[..., Any]:
    return lambda *operands: ad.jvp(total(program), operands, tuple(ad.cos(x) for x in operands))


def batched(program: Program) -> Callable[..., Any]:
    """The program on three scaled copies of its operands."""
    return lambda *operands: ad.vmap(lambda s: program(*(x * ad.astype(s, x.dtype) for x in operands)))(
        np.array([0.5, 1.0, -0.75])
    )


def batched_gradient(program: Program) -> Callable[..., Any]:
    return lambda *operands: ad.vmap(lambda s: gradient(program)(*(x * ad.astype(s, x.dtype) for x in operands)))(
        np.array([0.5, 1.0])
    )


def curvature(program: Program) -> Callable[..., Any]:
    """A Hessian, of a few directions, times a vector."""

    def function(*operands: Any) -> Any:
        along = lambda t: total(program)(*(x + ad.astype(t, x.dtype) * ad.cos(x) for x in operands))  # noqa: E731
        return ad.grad(ad.grad(along))(ad.tensor(0.1)), ad.hvp(
            lambda x: total(program)(x, *operands[1:]), operands[0], ad.cos(operands[0])
        )

    return function


MODES: dict[str, Callable[[Program], Callable[..., Any]]] = {
    "value": lambda program: program,
    "gradient": gradient,
    "pushed": pushed,
    "batched": batched,
    "batched gradient": batched_gradient,
    "curvature": curvature,
}
