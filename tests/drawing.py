"""Draw the operands that a row's `Samples` ask for."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE, Primitive
from arrayad.primitives.picking import outputs
from arrayad.shaped import Bundle
from arrayad.tensor import Tensor

BROADCASTING = {
    1: [(5,), (2, 3), (), (0,), (2, 1, 2)],
    2: [((3,), (3,)), ((2, 1), (3,)), ((), (4,)), ((2, 2), ()), ((0,), (1,)), ((), ())],
    3: [((3,), (3,), (3,)), ((2, 1), (3,), ()), ((), (2,), (3, 1)), ((0,), (1,), (0,))],
}


@dataclass(frozen=True)
class Case:
    """A row, the shapes of its operands and its parameters."""

    row: Primitive
    shapes: tuple[tuple[int, ...], ...]
    params: dict[str, Any]
    complex: bool = False

    @property
    def dtypes(self) -> tuple[str, str]:
        """The dtype of the operands, and its shorter brother."""
        return ("complex128", "complex64") if self.complex else ("float64", "float32")

    def __repr__(self) -> str:
        params = ",".join(f"{k}={v}" for k, v in self.params.items())
        kind = "-complex" if self.complex else ""
        return f"{self.row.name}-{'x'.join(str(s).replace(' ', '') for s in self.shapes)}{'-' + params if params else ''}{kind}"

    def operands(self, dtype: str | None = None, seed: int = 0) -> list[np.ndarray[Any, Any]]:
        """Seeded operands: the same for the same row, shapes and seed."""
        dtype = self.dtypes[0] if dtype is None else dtype
        rng = np.random.default_rng([zlib.crc32(repr(self).encode()), seed])
        return [self.draw(rng, i, shape, dtype) for i, shape in enumerate(self.shapes)]

    def draw(self, rng: np.random.Generator, i: int, shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
        samples = self.row.samples
        if i in samples.make:
            x = samples.make[i](rng, shape)
            return np.asarray(x + 1j * anti_symmetric(rng, shape) if np.dtype(dtype).kind == "c" else x, dtype=dtype)
        low, high = (b[i] if isinstance(b, tuple) else b for b in (samples.low, samples.high))
        kind = np.dtype(samples.dtypes.get(i, dtype)).kind
        if kind == "b":
            return np.asarray(rng.random(shape) < 0.5)
        if kind in "iu":
            return np.asarray(rng.integers(low, high, shape), dtype=samples.dtypes[i])
        if samples.distinct:
            steps = rng.permutation(int(np.prod(shape))).reshape(shape)
            return np.asarray(low + (high - low) * (steps + 0.5) / max(1, steps.size), dtype=dtype)
        x = rng.uniform(low, high, shape)
        return np.asarray(x + 1j * rng.uniform(low, high, shape) if kind == "c" else x, dtype=dtype)

    def is_smooth_operand(self, i: int) -> bool:
        """Whether there can be a derivative by operand i."""
        row = self.row
        if isinstance(row, Elementwise):
            return row.partials[i] is not None
        return np.dtype(row.samples.dtypes.get(i, "float64")).kind == "f"


def cases_of(row: Primitive) -> Iterator[Case]:
    samples = row.samples
    if samples.cases is not None:
        pairs = list(samples.cases)
    else:
        shapes = samples.shapes
        if shapes is None:
            shapes = BROADCASTING[row.arity] if isinstance(row, Elementwise) else [(3,)]
        pairs = [(shape, params) for shape in shapes for params in samples.params]
    for shape, params in pairs:
        several = bool(shape) and isinstance(shape[0], tuple)
        yield Case(row, tuple(shape) if several else (shape,), params)


def every_case(differentiable: bool = False) -> list[Case]:
    """Every case of every row, or of those with a derivative: of real operands, and of complex ones where the row takes them."""
    real = [case for row in TABLE.values() if row.differentiable or not differentiable for case in cases_of(row)]
    return [*real, *(replace(case, complex=True) for case in real if case.row.samples.complex)]


def anti_symmetric(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Small imaginary parts of matrices, with which a symmetric one becomes Hermitian; none of a vector of eigenvalues."""
    if len(shape) < 2:
        return np.zeros(shape)
    x = rng.uniform(-0.2, 0.2, shape)
    return x - np.swapaxes(x, -1, -2) if shape[-1] == shape[-2] else x


def normal_like(rng: np.random.Generator, x: Any) -> np.ndarray[Any, Any]:
    """Normal numbers, complex ones for a complex array."""
    drawn = np.asarray(rng.standard_normal(x.shape))
    return drawn + 1j * rng.standard_normal(x.shape) if x.dtype.kind == "c" else drawn


def cases_in_floats() -> list[Any]:
    """The cases that compute with floats; of each row all are slow but one of several elements, and one of a scalar."""
    found = []
    for row in TABLE.values():
        if (isinstance(row, Elementwise) and row.mpmath is None) or row.samples.lapack:
            continue
        cases = [case for case in cases_of(row) if "dtype" not in case.params]
        cases = [case for case in cases if any(x.dtype.kind == "f" for x in case.operands())]
        several = [case for case in cases if all(shape and 0 not in shape for shape in case.shapes)]
        scalars = [case for case in cases if () in case.shapes]
        quick = [*several[:1], *scalars[:1]]
        found += [pytest.param(case, id=repr(case), marks=[] if case in quick else pytest.mark.slow) for case in cases]
    return found


def parts_of(y: Tensor) -> list[Any]:
    return list(y.value) if y.value.__class__ is Bundle else [y.value]


def derivatives_of(case: Case, operands: list[Any]) -> list[Any]:
    """What a seeded cotangent of the row's result brings the smooth operands, and seeded tangents of these the result."""
    chosen = [i for i in range(len(operands)) if case.is_smooth_operand(i)]
    found = case.row.apply(*operands, **case.params)
    if not case.row.differentiable or found.value.__class__ is Bundle or not chosen:
        return []

    def function(*primals: Any) -> Any:
        full = list(operands)
        for i, primal in zip(chosen, primals, strict=True):
            full[i] = primal
        return case.row.apply(*full, **case.params)

    rng = np.random.default_rng(0)
    ct, tangents = rng.standard_normal(found.shape), tuple(rng.standard_normal(operands[i].shape) for i in chosen)
    primals = tuple(operands[i] for i in chosen)
    pulled = ad.vjp(function, *primals)[1](ct)
    return [x.value for x in (*pulled, ad.jvp(function, primals, tangents)[1])]


def is_several(y: Any) -> bool:
    """Whether an operation has several outputs."""
    return y.__class__ is Bundle or (y.__class__ is Tensor and y.value.__class__ is Bundle)


def joined(y: Any) -> Any:
    """An operation's output; of several the elements of all, one after another."""
    return ad.concat([ad.reshape(part, (part.size,)) for part in outputs(y)]) if is_several(y) else y
