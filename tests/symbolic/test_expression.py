"""Expressions of functions: their derivatives, what is shared, what is written out, and what has no closed form."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import NoClosedFormError, ShapeError
from arrayad.symbolic import expression

XS = np.linspace(0.4, 1.7, 9)


def agrees(found: Any, wanted: Any, rtol: float = 1e-11) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=rtol, atol=1e-12)


# --- derivatives ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function, first, second",
    [
        (lambda x: ad.sin(x**2 + 1), "2·x·cos(x² + 1)", "2·cos(x² + 1) - 4·x²·sin(x² + 1)"),
        (lambda x: x * ad.exp(-(x**2)), "exp(-x²)·(1 - 2·x²)", "x·exp(-x²)·(4·x² - 6)"),
        (lambda x: x**3 - 2 * x**2 + x - 1, "3·x² - 4·x + 1", "6·x - 4"),
        (lambda x: x**x, "x^x·(log(x) + 1)", "x^x·((log(x) + 1)² + 1/x)"),
        (lambda x: 1 / (1 + x), "-1/(x + 1)²", "2/(x + 1)³"),
        (lambda x: ad.erf(x), "2·exp(-x²)/√π", "-4·x·exp(-x²)/√π"),
        (lambda x: ad.atan(x), "1/(x² + 1)", "-2·x/(x² + 1)²"),
        (lambda x: ad.log(x) * x, "log(x) + 1", "1/x"),
        (lambda x: ad.where(x > 0, ad.sqrt(x), 0.0), "where(x > 0, 1/(2·√x), 0)", "where(x > 0, -1/(4·(√x)³), 0)"),
        (lambda x: ad.maximum(x, 0) ** 2, "where(x > 0, 2·maximum(x, 0), 0)", "where(x > 0, 2, 0)"),
        (lambda x: 5.0 + 0 * x, "0", "0"),
    ],
)
def test_derivatives_come_out_as_textbooks_have_them(function: Any, first: str, second: str) -> None:
    found = expression(function, "x")
    assert str(found.diff("x")) == first
    assert str(found.diff("x", 2)) == str(found.diff("x", "x")) == second
    agrees(found.diff("x")(XS) + 0 * XS, ad.elementwise_grad(function)(XS))
    agrees(found.diff("x", "x")(XS) + 0 * XS, ad.elementwise_grad(ad.elementwise_grad(function))(XS), rtol=1e-9)


def test_derivatives_of_high_order_agree_with_taylor_mode_and_do_not_swell() -> None:
    formula = expression(lambda x: ad.exp(ad.sin(x)), "x")
    operations = []
    for order in range(1, 9):
        formula = formula.diff("x")
        operations.append(formula.operations)
        agrees(
            formula(0.7), ad.taylor(lambda x: ad.exp(ad.sin(x)), 0.7, order)[order] * float(np.prod(range(1, order + 1))), 1e-9
        )
    assert operations[-1] < 100


def test_derivatives_of_high_order_are_the_same_whether_asked_for_at_once_or_one_by_one() -> None:
    formula = expression(lambda x, y: ad.exp(ad.sin(x) * y) / (1 + x**2), "x", "y")
    at_once, one_by_one = formula.diff("x", 5, "y"), formula
    for name in "xxyxxx":
        one_by_one = one_by_one.diff(name)
    agrees(at_once(0.7, 0.3), one_by_one(0.7, 0.3), 1e-9)
    assert max(at_once.operations, one_by_one.operations) < 300


def test_formulas_of_thousands_of_operations_take_seconds() -> None:
    def function(x: Any) -> Any:
        total = 0.0
        for i in range(300):
            total = total + ad.sin(x * i) * (x + i)
        return total

    formula = expression(function, "x")
    assert formula.operations <= 300 * 5 and len(formula.python()) > 10_000
    agrees(formula.diff("x")(0.3), ad.grad(function)(0.3), 1e-9)


def test_mixed_derivatives_commute_and_vanish_where_they_must() -> None:
    formula = expression(lambda x, y: ad.sin(x * y) + x**2 + ad.exp(y), "x", "y")
    xy, yx = formula.diff("x", "y"), formula.diff("y", "x")
    agrees(xy(XS, 0.3), yx(XS, 0.3))
    assert str(xy) == str(yx) == "cos(x·y) - x·y·sin(x·y)"
    assert str(formula.diff("x", 3).diff("y", 2).diff("x", 9)) != "0"
    assert str(expression(lambda x, y: x * y, "x", "y").diff("x", 2)) == "0"


def test_a_derivative_keeps_what_stop_gradient_and_the_users_rules_say() -> None:
    formula = expression(lambda x: x * ad.stop_gradient(x), "x")
    assert str(formula) == "x²" and str(formula.diff("x")) == "x" and str(formula.diff("x", 2)) == "0"

    @ad.custom_jvp
    def tripled(x: Any) -> Any:
        return x * x

    tripled.defjvp(lambda primals, tangents: (primals[0] ** 2, 3.0 * primals[0] * tangents[0]))
    formula = expression(lambda x: tripled(x) + 1, "x")
    assert str(formula) == "x² + 1" and str(formula.diff("x")) == "3·x"


def test_names_that_are_no_symbols_and_orders_that_are_none_are_refused() -> None:
    formula = expression(lambda x, y: x * y, "x", "y")
    with pytest.raises(ValueError, match=r"\[diff\] there is no symbol 'z'; the symbols are x, y"):
        formula.diff("z")
    for wrong in ((2,), ("x", -1), ("x", True), ("x", 1.5)):
        with pytest.raises(TypeError, match=r"\[diff\] names of symbols are needed"):
            formula.diff(*wrong)


# --- what is shared -------------------------------------------------------------------------------------------------------


def test_what_is_used_more_than_once_has_a_name_where_the_whole_is_long() -> None:
    def function(x: Any) -> Any:
        for _ in range(6):
            x = ad.sin(x) * ad.exp(x) + x
        return x

    formula = expression(function, "x")
    assert formula.operations == 6 * 4
    assert formula.lines[0].startswith("w1 = ") and formula.lines[-1].startswith("y = ")
    assert formula.lines == expression(function, "x").lines
    names = {}
    for line in formula.lines:
        _name, text = line.split(" = ")
        assert all(used in names or used == "x" for used in text.replace("sin", "").replace("exp", "") if used in "wx")
        names["w"] = text


def test_a_letter_that_a_symbol_has_is_not_the_parts() -> None:
    def function(w: Any) -> Any:
        for _ in range(9):
            w = ad.sin(w) * ad.exp(w) + w
        return w

    assert expression(function, "w").lines[0].startswith("v1 = ")


# --- functions and their arguments --------------------------------------------------------------------------------------


def test_names_come_from_the_function_where_none_are_given() -> None:
    def wave(time: Any, rate: Any, scale: Any = 2.0) -> Any:
        return scale * ad.sin(rate * time)

    formula = expression(wave)
    assert formula.names == ("time", "rate") and str(formula) == "2·sin(time·rate)" and "def wave(" in formula.python()


def test_a_tape_is_a_function_too() -> None:
    formula = expression(ad.trace(lambda x, y: x * ad.sin(y))(1.0, 2.0))
    assert str(formula) == "x·sin(y)"


def test_calls_take_arrays_that_broadcast_and_keep_the_structure() -> None:
    formula = expression(lambda x, y: {"s": x + y, "p": (x * y,)}, "x", "y")
    found = formula(np.ones((3, 1)), np.arange(2.0))
    assert found["s"].shape == found["p"][0].shape == (3, 2)
    with pytest.raises(TypeError, match=r"\[expression\] 2 values were needed, for x, y; 1 came"):
        formula(1.0)


def test_an_argument_with_a_shape_has_elements_for_symbols() -> None:
    def rosenbrock(x: Any) -> Any:
        return ad.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    formula = expression(rosenbrock, shapes={"x": 2})
    assert formula.names == ("x[0]", "x[1]")
    assert str(formula) == "100·(x[1] - x[0]²)² + (1 - x[0])²"
    point = np.array([0.3, -0.4])
    agrees(formula(point), rosenbrock(ad.tensor(point)))
    agrees(formula.diff("x")(point), ad.grad(rosenbrock)(point))
    agrees(formula.diff("x", "x")(point), ad.hessian(rosenbrock)(point))
    agrees(formula.diff("x[1]")(point), ad.grad(rosenbrock)(point)[1])
    with pytest.raises(ShapeError, match=r"\[expression\] x is f64\[3\]; the shape \(2,\) is needed"):
        formula(np.zeros(3))


@pytest.mark.parametrize(
    "function, shapes",
    [
        (lambda a, x: a @ x, [(2, 3), 3]),
        (lambda a, x: ad.sum((a @ x) ** 2, axis=0), [(3, 2), (2, 2)]),
        (lambda a, x: ad.norm(a) * ad.sum(x), [2, 2]),
        (lambda a, x: ad.logsumexp(a) + ad.mean(x), [3, (2, 2)]),
        (lambda a, x: ad.nn.functional.softmax(a) * x, [3, ()]),
        (lambda a, x: ad.max(ad.stack([a, x]), axis=0), [2, 2]),
        (lambda a, x: ad.cumsum(a) + ad.prod(x), [3, 2]),
        (lambda a, x: ad.concat([a[::-1], x])[1:], [2, 2]),
        (lambda a, x: ad.var(a, axis=0) * x, [(3, 2), ()]),
        (lambda a, x: ad.scan(lambda c, y: (c * x + y, c), a[0], a)[1], [3, ()]),
    ],
)
def test_programs_of_arrays_are_written_out_element_by_element(function: Any, shapes: Any) -> None:
    formula = expression(function, "a", "x", shapes=shapes)
    rng = np.random.default_rng(1)
    a, x = (rng.uniform(0.5, 2.0, argument.shape) for argument in formula.arguments)
    agrees(formula(a, x), function(ad.tensor(a), ad.tensor(x)))
    for i, name in enumerate("ax"):
        jacobian = ad.jacobian(lambda *xs: function(*map(ad.asarray, xs)), argnums=i)(a, x)
        agrees(formula.diff(name)(a, x), jacobian)


def test_shapes_and_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match=r"\[expression\] a shape came for 'z'; the arguments are x"):
        expression(lambda x: x, shapes={"z": 2})
    with pytest.raises(TypeError, match=r"\[expression\] 2 shapes came for 1 arguments"):
        expression(lambda x: x, shapes=[2, 2])
    with pytest.raises(TypeError, match=r"a different text is needed for each argument"):
        expression(lambda x, y: x, "x", "x")


# --- what is written out, and what has no closed form -------------------------------------------------------------------


def test_loops_of_known_length_branches_and_checkpoints_are_written_out() -> None:
    assert str(expression(lambda x: ad.fori_loop(0, 3, lambda i, y: y * x, x), "x")) == "x⁴"
    assert str(expression(lambda x: ad.cond(x > 0, ad.sin, ad.cos, x), "x").diff("x")) == "where(x > 0, cos(x), -sin(x))"
    assert str(expression(lambda x: ad.checkpoint(lambda y: ad.sin(y) ** 2)(x), "x").diff("x")) == "2·cos(x)·sin(x)"


def line_of(function: Any) -> str:
    return f"{__file__}:{inspect.getsourcelines(function)[1] + 1}: "


def branching(x: Any) -> Any:
    return x if x > 0 else -x


def converting(x: Any) -> Any:
    return x * float(x)


def looping(x: Any) -> Any:
    return ad.while_loop(lambda y: y < 10.0, lambda y: y * 2.0, x)


def counting(x: Any) -> Any:
    return ad.fori_loop(0, ad.astype(x, "int64"), lambda i, y: y * 2.0, x)


def endless(x: Any) -> Any:
    return ad.fori_loop(0, 10**6, lambda i, y: ad.sin(y), x)


@pytest.mark.parametrize(
    "function, word",
    [
        (branching, "asks for a value"),
        (converting, "asks for a value"),
        (looping, "while"),
        (counting, "astype"),
        (endless, "steps"),
    ],
)
def test_what_has_no_closed_form_is_refused_with_the_line_that_prevents_it(function: Any, word: str) -> None:
    with pytest.raises(NoClosedFormError) as caught:
        expression(function, "x")
    assert word in str(caught.value)
    if function is not endless:
        assert line_of(function) + inspect.getsource(function).splitlines()[1].strip() in str(caught.value)


@pytest.mark.parametrize("function", [ad.linalg.cholesky, ad.linalg.svdvals, lambda x: ad.sort(x[0]), ad.linalg.eigvalsh])
def test_operations_that_are_no_formulas_of_elements_are_refused_by_name(function: Any) -> None:
    with pytest.raises(NoClosedFormError, match=r"there is no closed form of \w+, which .* at .*test_expression.py"):
        expression(lambda x: function(x), "x", shapes=[(3, 3)])


def test_programs_that_are_too_large_to_be_written_out_are_refused() -> None:
    with pytest.raises(NoClosedFormError, match="which makes more than 4000 elements"):
        expression(lambda x: ad.sum(x @ x), "x", shapes=[(70, 70)])


# --- rules ----------------------------------------------------------------------------------------------------------------


def test_without_simplification_the_formula_is_what_was_written() -> None:
    raw = expression(lambda x: x * 1 + 0 * x + x / x, "x", simplify=False)
    assert raw.operations == 5 and str(raw.simplify()) == "x + 1"


UNARY = [
    *(ad.sin, ad.exp, ad.log, ad.sqrt, ad.tanh, ad.abs, ad.sigmoid, ad.square, ad.reciprocal),
    *(lambda x: x**3, lambda x: -x, lambda x: 2 * x, lambda x: x / 3, lambda x: 0.5 * x, lambda x: x + 1, lambda x: 1 - x),
    *(lambda x: x**1.5, lambda x: x**-2, lambda x: ad.maximum(x, 0.5), lambda x: ad.clip(x, 0.2, 1.1)),
]
BINARY = [
    *(ad.add, ad.subtract, ad.multiply, ad.divide, ad.hypot, ad.atan2),
    *(lambda x, y: ad.where(x > y, x, 2 * y), lambda x, y: x * y + y, lambda x, y: x * y - 3 * x),
]


def random_program(seed: int) -> Any:
    """A function of two numbers, of up to a dozen operations that use what is there already."""
    rng = np.random.default_rng(seed)
    plan = rng.integers(0, 1000, (int(rng.integers(2, 13)), 4)).tolist()

    def function(x: Any, y: Any) -> Any:
        found = [x, y]
        for kind, first, second, which in plan:
            a, b = (found[-1 - i % min(len(found), 4)] for i in (first, second))
            found.append(UNARY[which % len(UNARY)](a) if kind % 2 else BINARY[which % len(BINARY)](a, b))
        return found[-1] + 0.25 * x - 0.125 * y

    return function


def compared(found: Any, wanted: Any, tolerance: float) -> None:
    """Equal where the program itself has a value that is no accident of rounding."""
    usual = np.isfinite(wanted) & (np.abs(wanted) < 1e8)
    scale = np.max(np.abs(wanted[usual]), initial=1.0)
    np.testing.assert_allclose(np.broadcast_to(found, wanted.shape)[usual], wanted[usual], rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("seed", range(60))
def test_formulas_and_derivatives_of_random_programs_keep_their_values(seed: int) -> None:
    function = random_program(seed)
    x, y = np.random.default_rng(seed + 1).uniform(0.3, 2.0, (2, 40))
    formula = expression(function, "x", "y")
    assert formula.operations <= len(formula.source)
    with np.errstate(all="ignore"):
        compared(np.asarray(formula(x, y)), np.asarray(function(ad.tensor(x), ad.tensor(y))), 1e-9)
        for i, name in enumerate("xy"):
            wanted = np.asarray(ad.elementwise_grad(function, i)(ad.tensor(x), ad.tensor(y)))
            compared(np.asarray(formula.diff(name)(x, y)), wanted, 1e-7)
