"""SymPy's expressions as functions: values against SymPy's own, derivatives, shapes, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import NoClosedFormError
from arrayad.symbolic import expression, from_sympy

sp = pytest.importorskip("sympy")
x, y, k = sp.symbols("x y k")
R = sp.Symbol("r", real=True)

OF_ONE = """sin cos tan sec csc cot asin acos atan acot sinh cosh tanh sech csch coth asinh acosh atanh asech acsch acoth
exp log sqrt Abs sign floor ceiling erf erfc erfinv gamma loggamma digamma factorial sinc Heaviside""".split()
BEYOND_ONE = {"acosh", "asec", "acoth", "acsc"}


@pytest.mark.parametrize("name", [*OF_ONE, "asec", "acsc"])
def test_functions_of_sympys_have_their_values_and_derivatives(name: str) -> None:
    expr = getattr(sp, name)(R)
    f = from_sympy(expr, R)
    for number in (1.3, 2.75) if name in BEYOND_ONE else (0.3, 0.75):
        np.testing.assert_allclose(float(f(number)), float(expr.subs(R, number).evalf()), rtol=1e-12)
    number = 1.3 if name in BEYOND_ONE else 0.3
    if name not in ("sign", "floor", "ceiling", "Heaviside"):
        slope = sp.diff(expr, R).subs(R, sp.Float(number, 40)).evalf(30)
        np.testing.assert_allclose(float(ad.grad(f)(number)), float(slope), rtol=1e-10)


@pytest.mark.parametrize(
    "expr",
    [
        (x + y) ** 2 / (x - y) + x / 3 - 2 * y,
        x**-2 + sp.sqrt(x) + x ** sp.Rational(1, 3) + 1 / sp.sqrt(y) + 2**x + x**y,
        sp.atan2(x, y) * sp.pi + sp.E - sp.EulerGamma + sp.GoldenRatio,
        sp.Max(x, y, 1) - sp.Min(x, y, sp.Rational(1, 2)),
        sp.Mod(x, sp.Rational(1, 3)) + sp.Heaviside(x - y, 1),
        sp.Piecewise((x, x < y), (y**2, sp.And(x > 1, y < 3)), (sp.sin(x), True)),
        sp.Piecewise((1, sp.Or(sp.Eq(x, y), sp.Not(x > 2))), (2, sp.Xor(x > 1, y > 1)), (3, True)),
        sp.polygamma(2, x) + sp.besseli(0, x) + sp.besseli(3, y),
        sp.Sum(x**k / k, (k, 1, 4)) + sp.Product(x + k, (k, 1, 3)),
        sp.Derivative(sp.sin(x * y), x) + sp.Integral(sp.cos(k * x), (k, 0, 1)),
        sp.gamma(x - 3) + sp.gamma(y),
        sp.Integer(3),
    ],
)
def test_expressions_have_sympys_values(expr: Any) -> None:
    f = from_sympy(expr, x, y)
    for a, b in ((0.7, 1.9), (1.6, 0.4), (2.5, 2.5)):
        if a == b and (expr.has(1 / (x - y)) or expr.has(sp.polygamma)):
            continue
        wanted = complex(expr.doit().subs({x: sp.Float(a, 30), y: sp.Float(b, 30)}).evalf(20))
        np.testing.assert_allclose(float(f(a, b)), wanted.real, rtol=1e-12)


def test_a_formula_comes_back_as_it_went() -> None:
    def function(x: Any, y: Any) -> Any:
        return ad.where(x > y, ad.erf(x) * y, ad.maximum(x, 0.25)) + ad.hypot(x, y) ** 3 / (1 + ad.exp(-x))

    formula = expression(function, "x", "y").diff("x")
    again = from_sympy(formula.sympy(), "x", "y")
    for point in ((0.3, 0.8), (1.3, 0.8)):
        np.testing.assert_allclose(float(again(*point)), float(formula(*point)), rtol=1e-12)


def test_the_function_is_like_any_other() -> None:
    f = from_sympy(sp.sin(x) * y, x, y)
    assert ad.vmap(ad.grad(f))(np.ones(3), np.ones(3)).shape == (3,)
    assert float(ad.compile(f)(2.0, 3.0)) == pytest.approx(3 * math.sin(2.0))
    assert str(expression(f).diff("x")) == "y·cos(x)"
    assert ad.trace(f)(1.0, 2.0).names == ["x", "y"]


def test_what_is_shared_is_computed_once() -> None:
    inner = sp.sin(x) + 1
    assert len(ad.trace(from_sympy(inner**2 + sp.exp(inner) * inner, x))(1.0)) == 6


def test_constants_and_arrays_have_the_shape_of_the_arguments() -> None:
    assert from_sympy(sp.Integer(2), x)(np.zeros((2, 3))).shape == (2, 3)
    found = from_sympy(sp.Matrix([[x, 1], [y, x * y]]), x, y)(np.arange(3.0), 2.0)
    assert found.shape == (3, 2, 2)
    np.testing.assert_array_equal(found[1], [[1.0, 1.0], [2.0, 2.0]])
    a, b = from_sympy((x, {"b": y}), x, y)(1.0, 2.0)
    assert float(a) == 1.0 and float(b["b"]) == 2.0


def test_free_symbols_come_by_name_where_none_are_given() -> None:
    assert float(from_sympy(y - x)(1.0, 3.0)) == 2.0


def test_what_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(NoClosedFormError, match=r"\[from_sympy\] zeta is not known, in zeta\(x\); rewrite it"):
        from_sympy(sp.zeta(x), x)
    with pytest.raises(NoClosedFormError, match=r"\[from_sympy\] sin is not known"):
        from_sympy(sp.Function("sin")(x), x)
    with pytest.raises(NoClosedFormError, match=r"I is no real number"):
        from_sympy(x + sp.I, x)
    with pytest.raises(NoClosedFormError, match=r"SymPy finds no closed form of Integral"):
        from_sympy(sp.Integral(sp.sin(sp.sin(k * x)), (k, 0, 1)), x)
    with pytest.raises(ValueError, match=r"the symbol q is not among x; name every symbol"):
        from_sympy(x + sp.Symbol("q"), x)
    with pytest.raises(TypeError, match=r"1 values were needed, for x; 2 came"):
        from_sympy(x, x)(1.0, 2.0)


def test_conditions_that_nothing_meets_give_nan() -> None:
    f = from_sympy(sp.Piecewise((x, x < 0)), x)
    assert float(f(-1.0)) == -1.0 and math.isnan(float(f(1.0)))
