"""Rows that leave the elements as they are, or change only their dtype: copies, casts, real parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import OBJECT, of
from arrayad.dependence import same_element
from arrayad.errors import DTypeError, describe
from arrayad.namespace import public
from arrayad.primitive import alike, general, like_first, linear, nothing
from arrayad.samples import Samples
from arrayad.shaped import Shaped, aval
from arrayad.tape import Entry, Scope, Traced, Unfollowed, recorded, with_entry
from arrayad.tensor import Tensor, freeze, handle
from arrayad.tracing import program_value


def identity_transpose(ct: Any, x: Shaped) -> Any:
    return ct


identity = linear(
    "identity",
    """The operand itself: ties what a transform sees to what its caller had.""",
    numpy=lambda x: x,
    shape=like_first,
    transpose=identity_transpose,
    view=True,
    pattern=same_element,
    batch=alike,
    samples=Samples(shapes=[(3,), ()]),
)


def fresh(x: Any, scope: Scope) -> Tensor:
    """The transform's own input: the caller's value under a new entry of `identity`, its only tie to the caller's own."""
    if x.__class__ is not Tensor:
        x = handle(freeze(np.asarray(x)))
    parent = recorded(x.history)
    entry = Traced() if isinstance(parent, Traced) and parent.trace.open else Entry()
    entry.serial = scope.serial
    entry.primitive = identity.primitive  # type: ignore[attr-defined]
    entry.params = {}
    entry.parents = (parent,)
    entry.residuals = (None, None)
    entry.avals = (aval(x.value),)
    entry.scopes = frozenset((scope,)) if parent is None else parent.scopes | {scope}
    if isinstance(parent, Traced) and isinstance(entry, Traced):
        entry.location = parent.location
        entry.trace, entry.inputs, entry.output = parent.trace, (program_value(x, parent.trace),), aval(x.value)
    return handle(x.value, with_entry(x.history, entry))


constant = general(
    "stop_gradient",
    """The operand as a constant, which a trace records.""",
    numpy=lambda x: x,
    shape=like_first,
    batch=alike,
    samples=Samples(shapes=[(3,), ()], complex=True),
    cost=nothing,
)
constant.primitive.is_view = True  # type: ignore[attr-defined]


@public(method="detach", numpy=())
def stop_gradient(x: Any) -> Any:
    """The same values as constants: their derivative is 0 to every order and in every mode.

    **Parameters** `x`: an array, or a tree of arrays.

    **Example**

    >>> import arrayad as ad
    >>> ad.grad(lambda x: x * ad.stop_gradient(x))(3.0)
    Tensor(3.)
    """
    return tree.map(stopped, x)


def stopped(x: Any) -> Tensor:
    Unfollowed.count += 1
    plain = x.__class__ is Tensor and (x.history is None or x.history.__class__ is Entry)
    return handle(x.value) if plain else constant(x)


def part_shape(x: Any) -> Shaped:
    """The shape rule of a real or an imaginary part."""
    return Shaped(x.shape, x.dtype.type(0).real.dtype if x.dtype.kind == "c" else x.dtype)


def real_transpose(ct: Any, x: Shaped) -> Any:
    return astype(ct, dtype=x.dtype)


real = linear(
    "real",
    """Real part of each element.""",
    numpy=lambda x: x.real,
    shape=part_shape,
    transpose=real_transpose,
    batch=alike,
    pattern=same_element,
    view=True,
    samples=Samples(shapes=[(2, 3), (), (0,)]),
)


def real_part(x: Any) -> Any:
    """The real part of a complex Tensor; a real one as it is."""
    return real(x) if x.dtype.kind == "c" else x


def cast_back(ct: Any, x: Shaped, *, dtype: Any) -> Any:
    """A real operand that was made complex has the real part for its cotangent."""
    return astype(ct if x.dtype.kind == "c" else real_part(ct), dtype=x.dtype)


def cast_shape(x: Any, *, dtype: Any) -> Shaped:
    """The shape rule of `astype`.

    **Raises** `DTypeError` where the imaginary parts of complex numbers would be lost.
    """
    if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cbO":
        raise DTypeError(
            f"[astype] {describe(x)} came to be cast to {np.dtype(dtype)}, which would discard the imaginary parts; "
            "take real, imag or abs"
        )
    return Shaped(x.shape, dtype)


def cast(x: Any, *, dtype: Any) -> Any:
    if x.dtype.kind == "c":
        cast_shape(x, dtype=dtype)
    return of(x) if dtype == OBJECT else x.astype(dtype, copy=False)


astype = linear(
    "astype",
    """Each element converted to `dtype`, as NumPy converts it; but complex numbers never to real ones, of which NumPy warns.""",
    numpy=cast,
    shape=cast_shape,
    transpose=cast_back,
    pattern=same_element,
    batch=alike,
    samples=Samples(
        shapes=[(2, 3), (), (0,)], params=[{"dtype": np.dtype("float32")}, {"dtype": np.dtype("float64")}], complex=False
    ),
)
