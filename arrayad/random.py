"""Random numbers: `default_rng(seed)` gives a `Generator` with the methods of NumPy's.

A generator is a key and a counter.  Drawing reads the counter's place in the key's stream and moves it on: the stream is the
same on every machine, backend and number of threads, and two draws of n and m samples never share a word.  Both parts are
Tensors and a generator is a tree of them, so a program that takes one as an argument draws anew whenever it is replayed;
one that a trace merely finds around it has given constants.

A generator belongs to one thread: give each its own with `split`.

**Source** J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11, doi 10.1145/2063384.2063405.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import CompileError, DTypeError, ShapeError, describe
from arrayad.functions.creation import asarray, shape_of
from arrayad.functions.indexing import take
from arrayad.functions.reduction import argmax
from arrayad.functions.scan import cumulative_sum
from arrayad.functions.shape import moveaxis
from arrayad.functions.sorting import searchsorted, top_k
from arrayad.kernels.philox import seed_to_key, words_per_sample
from arrayad.modes import capturing
from arrayad.primitives import random_bits as rows
from arrayad.primitives.comparison import greater, less
from arrayad.primitives.exponential import log
from arrayad.primitives.indexing import getitem
from arrayad.primitives.selection import at_least, at_most, where
from arrayad.shaped import is_abstract, is_weak, normalize_axis
from arrayad.tensor import Tensor, freeze, handle
from arrayad.tracing import STATE

Size = int | tuple[int, ...] | None


class Generator:
    """A stream of random numbers: a key, uint32[2], and the counter of the first block that has not been read, uint64[].

    Made by `default_rng`.  Copies, also pickled ones, continue the stream where it was copied.

    **Example**

    >>> rng = default_rng(0)
    >>> rng.normal(size=2), rng.normal(size=2)
    (Tensor([1.06368765, 0.66297341]), Tensor([-0.92821189, -0.83894185]))
    """

    def __init__(self, key: Tensor, counter: Tensor) -> None:
        self.key = key
        self.counter = counter

    def __repr__(self) -> str:
        if is_abstract(self.key.value) or is_abstract(self.counter.value):
            return "Generator(abstract)"
        if self.counter.ndim:
            return f"Generator(batch of {self.counter.size})"
        low, high = self.key.tolist()
        return f"Generator(key=0x{high << 32 | low:016x}, counter={self.counter.item()})"

    def draw(self, row: Callable[..., Any], words: int, **params: Any) -> Tensor:
        """Apply a row at the counter's place, and move the counter past the words that it read."""
        if self.counter.ndim:
            raise ShapeError(f"[random] a batch of {self.counter.size} generators came; draw from one of them, as under vmap")
        samples = row(self.key, self.counter, **params)
        self.counter = self.counter + rows.blocks_of(words)
        return samples

    # --- real numbers ---------------------------------------------------------------------------------------------

    def random(self, size: Size = None, dtype: Any = None) -> Tensor:
        """Uniform samples in [0, 1): multiples of 2^-53, or of 2^-24 for float32.

        **Parameters** `size`: the shape, a single number if None; `dtype`: float64, the default, or float32.

        **Example**

        >>> default_rng(0).random(3)
        Tensor([0.14373511, 0.25367379, 0.67664883])
        """
        return self.real("random", rows.random_uniform, shape_or_single("random", size), dtype)

    def standard_normal(self, size: Size = None, dtype: Any = None) -> Tensor:
        """Normal samples of mean 0 and variance 1."""
        return self.real("standard_normal", rows.random_normal, shape_or_single("standard_normal", size), dtype)

    def real(self, name: str, row: Callable[..., Any], shape: tuple[int, ...], dtype: Any) -> Tensor:
        """Draw floating-point samples."""
        dtype = np.dtype(np.float64 if dtype is None else dtype)
        if dtype not in (np.float32, np.float64):
            raise DTypeError(f"[{name}] dtype is {dtype}; float32 or float64 is needed; convert the samples with astype")
        return self.draw(row, math.prod(shape) * words_per_sample(dtype), shape=shape, dtype=dtype)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Size = None, dtype: Any = None) -> Tensor:
        """Uniform samples in [low, high): y[i] = low[i] + (high[i] - low[i]) u[i], differentiable in both bounds.

        **Parameters** `low`, `high`: numbers or arrays; `size`: a shape to which they broadcast, by default their own;
        `dtype`: by default that of the bounds which are floating-point arrays, else float64.  The last rounding may reach
        `high`.
        """
        shape, dtype = settled("uniform", size, dtype, low, high)
        u = self.real("uniform", rows.random_uniform, shape, dtype)
        return asarray(low + (high - low) * u, dtype)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Size = None, dtype: Any = None) -> Tensor:
        """Normal samples: y[i] = loc[i] + scale[i] z[i], differentiable in both parameters.

        **Parameters** as in `uniform`.

        **Example**

        >>> import arrayad as ad
        >>> ad.grad(lambda s: ad.sum(ad.random.default_rng(0).normal(0.0, s, size=2)))(1.0)
        Tensor(1.72666106)
        """
        shape, dtype = settled("normal", size, dtype, loc, scale)
        z = self.real("normal", rows.random_normal, shape, dtype)
        return asarray(loc + scale * z, dtype)

    # --- integers and truths --------------------------------------------------------------------------------------

    def integers(self, low: int, high: int | None = None, size: Size = None, dtype: Any = None, endpoint: bool = False) -> Tensor:
        """Integers, equally likely in [low, high), in [low, high] with `endpoint`, in [0, low) without `high`; int64.

        **Raises** `ValueError` where there are none, or where the dtype cannot hold them.

        **Example**

        >>> default_rng(0).integers(10, size=5)
        Tensor([1, 2, 6, 7, 4])
        """
        first, last = (0, index(low)) if high is None else (index(low), index(high))
        last += endpoint
        dtype = np.dtype(np.int64 if dtype is None else dtype)
        bounds = np.iinfo(dtype) if dtype.kind in "iu" else np.iinfo(np.int64)
        if not max(bounds.min, -(2**63)) <= first < last <= min(bounds.max + 1, 2**63):
            raise ValueError(f"[integers] the range is [{first}, {last}); it must not be empty, and fit into {dtype} and int64")
        shape = shape_or_single("integers", size)
        drawn = self.draw(rows.random_integers, 2 * math.prod(shape), shape=shape, low=first, high=last)
        return asarray(drawn, dtype)

    def bernoulli(self, p: Any = 0.5, size: Size = None) -> Tensor:
        """Booleans, true with probability p[i]; `size` is by default the shape of `p`.

        **Raises** `ValueError` for a Python number outside [0, 1].
        """
        if is_weak(p) and not 0 <= p <= 1:
            raise ValueError(f"[bernoulli] p is {p}; a probability in [0, 1] is needed")
        shape, dtype = settled("bernoulli", size, None, p)
        return less(self.real("bernoulli", rows.random_uniform, shape, dtype), p)

    def categorical(self, logits: Any, size: Size = None, axis: int = -1) -> Tensor:
        """Classes, int64: along `axis` of `logits`, class k with probability e^logits[k] / Σ e^logits.

        **Parameters** `size`: the shape of the result, to which the other axes of `logits` broadcast; by default theirs.

        **Source** the Gumbel-max trick: E. J. Gumbel (1954); C. J. Maddison et al., arXiv:1411.0030.

        **Example**

        >>> default_rng(0).categorical([0.0, 1.0, -math.inf], size=8)
        Tensor([1, 1, 0, 0, 1, 1, 1, 1])
        """
        logits = asarray(logits)
        scores = moveaxis(logits, normalize_axis(axis, logits.ndim, "categorical"), -1)
        shape = fitting("categorical", size, scores.shape[:-1])
        return argmax(scores + self.gumbel((*shape, scores.shape[-1])), axis=-1)

    def gumbel(self, shape: tuple[int, ...]) -> Tensor:
        """Standard Gumbel samples: -ln(-ln u), u uniform in (0, 1)."""
        u = at_least(self.real("gumbel", rows.random_uniform, shape, np.float64), 2.0**-54)
        return -log(-log(u))

    # --- orders and choices ---------------------------------------------------------------------------------------

    def permutation(self, x: Any, axis: int = 0) -> Tensor:
        """The numbers below an int `x`, or the elements of an array along `axis`, in an order of which all are equally likely.

        **Example**

        >>> default_rng(0).permutation(5)
        Tensor([0, 1, 4, 2, 3])
        """
        if isinstance(x, int | np.integer):
            return self.draw(rows.random_permutation, 2 * int(x), size=shape_of("permutation", int(x))[0])
        x = asarray(x)
        return take(x, self.permutation(x.shape[normalize_axis(axis, x.ndim, "permutation")]), axis)

    def shuffle(self, x: Any, axis: int = 0) -> Tensor:
        """`permutation` of an array.  It returns a new one, since values never change."""
        return self.permutation(asarray(x), axis)

    def choice(self, a: Any, size: Size = None, replace: bool = True, p: Any = None, axis: int = 0) -> Tensor:
        """Elements of `a` along `axis`, or numbers below an int `a`; equally likely, or with probabilities `p`.

        **Parameters** `replace`: whether an element may be drawn more than once; `p`: one weight for each element, whose sum
        need not be 1.

        **Raises** `ValueError` where more elements are asked for than there are.

        **Example**

        >>> default_rng(0).choice([10, 20, 30], size=2, replace=False)
        Tensor([10, 20])
        """
        array = None if isinstance(a, int | np.integer) else asarray(a)
        count = int(a) if array is None else array.shape[normalize_axis(axis, array.ndim, "choice")]
        shape = shape_or_single("choice", size)
        wanted = math.prod(shape)
        if wanted and count < (1 if replace else wanted):
            raise ValueError(f"[choice] {shape} was asked of {count} elements, which are too few; pass more, or replace=True")
        weights = None if p is None else asarray(p)
        if weights is not None and weights.shape != (count,):
            raise ShapeError(f"[choice] p is {describe(weights)}; one weight for each of the {count} elements is needed")
        found = self.with_replacement(count, shape, weights) if replace else self.without_replacement(count, shape, weights)
        return found if array is None else take(array, found, axis)

    def with_replacement(self, count: int, shape: tuple[int, ...], weights: Tensor | None) -> Tensor:
        """Positions, each drawn alone."""
        if weights is None:
            return self.integers(count, size=shape)
        steps = cumulative_sum(weights)
        u = self.random(shape) * getitem(steps, index=(-1,))
        return at_most(searchsorted(steps, u, side="right"), count - 1)

    def without_replacement(self, count: int, shape: tuple[int, ...], weights: Tensor | None) -> Tensor:
        """Distinct positions, in the order in which they would be drawn one after the other."""
        wanted = math.prod(shape)
        if weights is None:
            order = self.permutation(count)[:wanted]
        else:
            possible = greater(weights, 0.0)
            if not is_abstract(possible.value) and np.count_nonzero(possible.value) < wanted:
                raise ValueError(f"[choice] {wanted} elements were asked of those whose p is not 0, which are fewer")
            scores = where(possible, log(where(possible, weights, 1.0)) + self.gumbel((count,)), -math.inf)
            order = top_k(scores, wanted)[1]
        return order.reshape(shape)

    # --- other streams --------------------------------------------------------------------------------------------

    def split(self, n: int = 2) -> list[Generator]:
        """`n` generators of streams independent of this one, of each other and of those split off before or later.

        **Example**

        >>> first, second = default_rng(0).split()
        >>> first
        Generator(key=0x7727b12b2777e775, counter=0)
        """
        keys = self.draw(rows.random_keys, 2 * n, count=shape_of("split", n)[0])
        return [Generator(getitem(keys, index=(i,)), handle(np.uint64(0))) for i in range(n)]

    spawn = split

    def batch(self, n: int) -> Generator:
        """`n` generators as one tree, for `vmap`, which gives each example its own: those that `split` gives.

        **Example**

        >>> import arrayad as ad
        >>> ad.vmap(lambda rng: rng.normal(size=2))(default_rng(0).batch(3)).shape
        (3, 2)
        """
        keys = self.draw(rows.random_keys, 2 * n, count=shape_of("batch", n)[0])
        return Generator(keys, handle(np.zeros(n, np.uint64)))


tree.register(Generator, lambda rng: ((rng.key, rng.counter), ("key", "counter")), lambda keys, parts: Generator(*parts))


def shape_or_single(name: str, size: Size) -> tuple[int, ...]:
    """The shape of `size`, () if it is None."""
    return () if size is None else shape_of(name, size)


def fitting(name: str, size: Size, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of `size`, to which parameters of `shape` must broadcast; None stands for their own."""
    wanted = shape if size is None else shape_of(name, size)
    aligned = (1,) * (len(wanted) - len(shape)) + shape
    if len(aligned) != len(wanted) or any(n not in (1, m) for n, m in zip(aligned, wanted, strict=True)):
        raise ShapeError(f"[{name}] size is {wanted}, to which the parameters' shape {shape} does not broadcast")
    return wanted


def settled(name: str, size: Size, dtype: Any, *parameters: Any) -> tuple[tuple[int, ...], Any]:
    """The shape and the dtype of samples with these parameters."""
    arrays = [asarray(x) for x in parameters if not is_weak(x)]
    try:
        common = np.broadcast_shapes(*(x.shape for x in arrays))
    except ValueError:
        raise ShapeError(f"[{name}] the parameters {', '.join(map(describe, arrays))} do not broadcast") from None
    shape = fitting(name, size, common)
    if dtype is None:
        dtype = np.result_type(*({x.dtype for x in arrays if x.dtype.kind == "f"} or {np.dtype(np.float64)}))
    return shape, dtype


# --- generators --------------------------------------------------------------------------------------------------------


def default_rng(seed: int | Generator | None = None) -> Generator:
    """A generator: of an integer seed >= 0, the same stream everywhere; of None, one that the system makes unpredictable.

    A generator passes as it is.

    **Raises** `ValueError` for a negative seed, `TypeError` for what is no integer.

    **Example**

    >>> default_rng(42).random()
    Tensor(0.26182094)
    """
    if isinstance(seed, Generator):
        return seed
    if seed is None:
        if capturing() is not None:
            raise CompileError(
                "[default_rng] without a seed, inside a compiled function, it would be the same generator at each call; "
                "make the generator outside, or give it a seed"
            )
        seed = int.from_bytes(os.urandom(8), "little")
    return Generator(handle(freeze(seed_to_key(seed))), handle(np.uint64(0)))


SHARED = default_rng(0)
"""The generator of layers and of dropout that are given none.  It starts from the same seed in every process."""

STATE.append(SHARED)


def manual_seed(seed: int) -> Generator:
    """Start the shared generator, from which layers and dropout draw that are given none, anew from `seed`; return it.

    Without a call it starts from 0, so that a program gives the same numbers each time it is run.

    **Example**

    >>> import arrayad as ad
    >>> ad.random.manual_seed(1)
    Generator(key=0x910a2dec89025cc1, counter=0)
    """
    fresh = default_rng(seed)
    SHARED.key, SHARED.counter = fresh.key, fresh.counter
    return SHARED
