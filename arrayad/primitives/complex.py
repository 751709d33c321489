"""Rows of complex numbers: parts, conjugates, angles.

Rules know nothing of conjugation: tangents and cotangents pair as Re Σ ct · t, so that a holomorphic row's cotangent is
ct · f'(z).  The public gradient is its conjugate, taken where a transform gives it out (docs/complex.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.dependence import Links, same_element
from arrayad.namespace import attach, attach_operator, expose, public
from arrayad.primitive import OUTPUT, alike, general, like_first, linear
from arrayad.primitives import arithmetic
from arrayad.primitives.arithmetic import ratio
from arrayad.primitives.casting import astype, part_shape, real, real_part
from arrayad.primitives.trigonometric import atan2
from arrayad.samples import Samples
from arrayad.shaped import Shaped
from arrayad.tensor import Tensor
from arrayad.weights import weight_of

SAMPLES = Samples(shapes=[(2, 3), (), (0,)])


def conj_transpose(ct: Any, x: Shaped) -> Any:
    return conj(ct)


conj = linear(
    "conj",
    """Complex conjugate of each element: y[i] = Re x[i] - i Im x[i]; real elements as they are.""",
    numpy=np.conjugate,
    shape=like_first,
    transpose=conj_transpose,
    batch=alike,
    pattern=same_element,
    samples=SAMPLES,
)
expose(conj, method=True, numpy="conjugate")
expose(conj, "conjugate", method=True, numpy=())


expose(real, numpy="real")
attach("real", property(real, doc=real.__doc__))


def imag_pattern(row: Any, i: int, output: Any, x: Any) -> Links:
    """Real elements have no imaginary part to depend on."""
    return same_element(row, i, output, x) if x.dtype.kind == "c" else []


def imag_transpose(ct: Any, x: Shaped) -> Any:
    """Re Σ (-i ct) t = Σ ct Im t."""
    return astype(ct, dtype=x.dtype) * -1j if x.dtype.kind == "c" else 0.0 * ct


imag = linear(
    "imag",
    """Imaginary part of each element; 0 of real ones.""",
    numpy=lambda x: x.imag,
    shape=part_shape,
    transpose=imag_transpose,
    batch=alike,
    pattern=imag_pattern,
    samples=SAMPLES,
)
expose(imag, numpy="imag")
attach("imag", property(imag, doc=imag.__doc__))


@public(numpy="angle")
def angle(z: Any) -> Tensor:
    """Argument of each complex number, in radians in (-π, π]: y[i] = atan2(Im z[i], Re z[i]).

    **Kinks** at 0 that of `atan2`.

    **Example**

    >>> import arrayad as ad
    >>> ad.angle(ad.tensor(1j))
    Tensor(1.57079633)
    """
    return atan2(imag(z), real(z))


def conjugated(x: Any) -> Any:
    """The conjugate of a complex Tensor; a real one as it is."""
    return conj(x) if x is not None and x.dtype.kind == "c" else x


def magnitude_jvp(tangents: Any, y: Any, x: Any) -> Any:
    return real_part(tangents[0] * ratio(conjugated(x), y))


def magnitude_vjp(needed: Any, ct: Any, y: Any, x: Any) -> Any:
    return (ct * ratio(conjugated(x), y),)


magnitude = general(
    "magnitude",
    """Absolute value of complex numbers: y[i] = |z[i]|.

    **Kinks** the derivative at 0 is 0, as that of a norm; the second derivative there is nan.
    """,
    numpy=np.absolute,
    shape=part_shape,
    jvp=magnitude_jvp,
    vjp=magnitude_vjp,
    residuals=(0, OUTPUT),
    batch=alike,
    pattern=same_element,
    samples=Samples(shapes=[(2, 3), (), (0,)], low=0.5, complex=True),
    cost=lambda output, x: weight_of("mp.hypot(x1, x2)") * output.size,
)


def is_complex(x: Any) -> bool:
    """Whether an operand is complex: a Tensor, an array or a Python number."""
    dtype = getattr(x, "dtype", None)
    return x.__class__ is complex or (dtype is not None and dtype.kind == "c")


def absolute(x: Any) -> Any:
    """Absolute value: y[i] = |x[i]|, of real and complex numbers.

    **Kinks** the derivative at 0 is 0, the middle of the subdifferential.  The second derivative at 0 is 0 of a real number, nan
    of a complex one, which is a norm of two.

    **Example**

    >>> import arrayad as ad
    >>> ad.abs(ad.tensor(3.0 + 4.0j))
    Tensor(5.)
    """
    return magnitude(x) if is_complex(x) else arithmetic.absolute(x)


expose(absolute, "abs", method=True, numpy="absolute")
attach_operator("abs", absolute)


def sign(x: Any) -> Any:
    """The direction of each element: -1, 0 or 1 of real numbers, z / |z| of complex ones, 0 at 0; nan stays nan.

    The derivative of real numbers is 0; that of complex ones turns along the circle.

    **Kinks** of complex numbers the derivative at 0 is nan.

    **Example**

    >>> import arrayad as ad
    >>> ad.sign(ad.tensor(-2.0)), ad.sign(ad.tensor(3.0 + 4.0j))
    (Tensor(-1.), Tensor(0.6+0.8j, dtype=complex128))
    """
    return ratio(x, magnitude(x)) if is_complex(x) else arithmetic.sign(x)


expose(sign, method=True, numpy="sign")
