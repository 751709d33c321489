"""Every differentiable elementwise row, and its derivatives, in each form: text, LaTeX, NumPy source, C source and SymPy."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import numpy as np
import pytest
from formulas import DIFFERENTIABLE, built, call_c, points_of, program_of, run_python, value

import arrayad as ad
from arrayad.compiler.toolchain import toolchain
from arrayad.elementwise import Elementwise
from arrayad.symbolic import Expression, expression

sympy = pytest.importorskip("sympy")


def expressions_of(row: Elementwise) -> dict[str, tuple[Expression, Any]]:
    """The row's formula and its first derivatives, by a name for each, with the values they must have."""
    function, names = program_of(row)
    points = points_of(row)
    formula = expression(function, *names)
    found = {row.name: (formula, value(function, points))}
    smooth = [i for i, name in enumerate(row.operand_names(row.arity)) if name in names and row.partials[i] is not None]
    for i in smooth:
        name = row.operand_names(row.arity)[i]
        slope = ad.elementwise_grad(function, names.index(name))
        found[f"{row.name}_by_{name}"] = (formula.diff(name), value(slope, points))
    return found


CASES = {name: (row, *case) for row in DIFFERENTIABLE for name, case in expressions_of(row).items()}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The C sources of all cases, compiled together."""
    if toolchain() is None:
        pytest.skip("there is no C compiler")
    sources = {f"f_{name}": formula.c(f"f_{name}") for name, (_, formula, _) in CASES.items()}
    return built(sources, tmp_path_factory.mktemp("c"))


def close(found: Any, wanted: Any) -> None:
    """To a few hundred roundings of the largest: formulas round otherwise than kernels, and may cancel."""
    np.testing.assert_allclose(found, wanted, rtol=2e-12, atol=1e-13 * np.max(np.abs(wanted), initial=1.0))


@pytest.mark.parametrize("case", CASES)
def test_the_expression_and_its_numpy_source_have_the_values_of_the_program(case: str) -> None:
    row, formula, wanted = CASES[case]
    points = points_of(row)
    with np.errstate(all="ignore"):
        close(np.broadcast_to(np.asarray(formula(*points)), wanted.shape), wanted)
    close(np.broadcast_to(run_python(formula.python("f"), "f", points), wanted.shape), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_c_source_has_the_values_of_the_program(case: str, library: Any) -> None:
    row, _, wanted = CASES[case]
    close(call_c(library, f"f_{case}", points_of(row)), wanted)


@pytest.mark.parametrize("case", CASES)
def test_the_sympy_form_has_the_values_of_the_program(case: str) -> None:
    row, formula, wanted = CASES[case]
    found = formula.sympy()
    for point, y in list(zip(zip(*points_of(row), strict=True), wanted, strict=True))[:3]:
        numbers = {sympy.Symbol(name): sympy.Float(float(x), 30) for name, x in zip(formula.names, point, strict=True)}
        close(float(sympy.re(found.subs(numbers).evalf(25))), y)


@pytest.mark.parametrize("case", CASES)
def test_text_and_latex_name_the_symbols_and_close_their_brackets(case: str) -> None:
    _, formula, _ = CASES[case]
    for form in (str(formula), formula.latex()):
        for opening, closing in ("()", "{}", "[]"):
            assert form.count(opening) == form.count(closing), form
    assert formula.latex().count(r"\left") == formula.latex().count(r"\right")
    assert formula.latex().count(r"\begin") == formula.latex().count(r"\end")
    assert not re.search(r"[·√²]", formula.latex())
    used = {name for name, entry in zip(formula.names, formula.tape.inputs, strict=True) if is_used(formula, entry)}
    assert all(name in str(formula) for name in used)


def is_used(formula: Expression, entry: Any) -> bool:
    return any(entry in each.parents for each in formula.tape.entries)


def test_every_differentiable_row_has_latex() -> None:
    assert [row.name for row in DIFFERENTIABLE if row.latex is None] == []


@pytest.mark.parametrize(
    "function, text, latex",
    [
        (lambda x: ad.sin(x**2 + 1), "sin(x² + 1)", r"\sin(x^{2} + 1)"),
        (lambda x: 1 - x, "1 - x", "1 - x"),
        (lambda x: -x - 3, "-x - 3", "-x - 3"),
        (lambda x: x - 2 * x**2 + 3 * x**3, "3·x³ - 2·x² + x", "3 x^{3} - 2 x^{2} + x"),
        (lambda x: (x + 1) ** 2 / x, "(x + 1)²/x", r"\frac{(x + 1)^{2}}{x}"),
        (lambda x: x / 2 + x / 3, "5·x/6", r"\frac{5 x}{6}"),
        (lambda x: ad.sqrt(1 + ad.sqrt(x)), "√(√x + 1)", r"\sqrt{\sqrt{x} + 1}"),
        (lambda x: ad.exp(-(x**2)) * x, "x·exp(-x²)", "x e^{-x^{2}}"),
        (lambda x: ad.log(x + 1) * 2, "2·log(x + 1)", r"2 \ln (x + 1)"),
        (lambda x: ad.abs(x) ** 1.5, "|x|^1.5", r"\left|x\right|^{1.5}"),
        (lambda x: 2.0**-x, "2^(-x)", "2^{-x}"),
        (lambda x: x * np.pi / 4, "π·x/4", r"\frac{\pi x}{4}"),
        (lambda x: ad.maximum(x, 0), "maximum(x, 0)", r"\max(x, 0)"),
        (
            lambda x: ad.where(x > 0, x, 0),
            "where(x > 0, x, 0)",
            r"\begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}",
        ),
        (lambda x: 1.5e-7 * x, "1.5e-07·x", r"1.5 \cdot 10^{-7} x"),
        (lambda x: ad.tan(x) ** 2, "tan(x)²", r"\tan(x)^{2}"),
    ],
)
def test_formulas_read_as_people_write_them(function: Any, text: str, latex: str) -> None:
    found = expression(function, "x")
    assert str(found) == text
    assert found.latex() == latex


def test_symbols_keep_their_order_in_products_and_their_letters_in_latex() -> None:
    found = expression(lambda b, a: a * ad.sin(b) * 3 * b, "beta", "a")
    assert str(found) == "3·beta·a·sin(beta)"
    assert found.latex() == r"3 \beta a \sin(\beta)"
    assert expression(lambda *xs: sum(xs), "x_1", "x2", "rate").latex() == r"x_{1} + x_{2} + \mathit{rate}"


def test_choices_become_cases_of_several_lines_and_piecewise() -> None:
    found = expression(lambda x: ad.where(x < 0, -x, ad.where(x < 1, x**2, 1.0)), "x")
    assert str(found) == "where(x < 0, -x, where(x < 1, x², 1))"
    cases = r"-x & \text{if } x < 0 \\ x^{2} & \text{if } x < 1 \\ 1 & \text{otherwise}"
    assert found.latex() == rf"\begin{{cases}} {cases} \end{{cases}}"
    x = sympy.Symbol("x")
    assert found.sympy() == sympy.Piecewise((-x, x < 0), (x**2, x < 1), (1, True))


@pytest.mark.parametrize(
    "function, wanted",
    [
        (lambda x: ad.clip(x, 0, 1), "Min(1, Max(0, x))"),
        (lambda x: ad.abs(x) + ad.sign(x), "Abs(x) + sign(x)"),
        (lambda x: ad.minimum(x, x**2), "Min(x, x**2)"),
        (lambda x: ad.round(x) + 0.5 * ad.floor(x), None),
    ],
)
def test_what_selects_has_a_form_in_sympy(function: Any, wanted: str | None) -> None:
    found = expression(function, "x").sympy()
    assert wanted is None or str(found) == wanted
    for x in (-1.5, -0.5, 0.5, 0.75, 1.5, 2.5):
        assert float(found.subs(sympy.Symbol("x"), sympy.Rational(x))) == float(function(ad.tensor(x)))


def test_numbers_become_exact_in_sympy_and_stay_themselves_in_source() -> None:
    found = expression(lambda x: ad.erf(x) + (np.pi / 4) * x**2 + 0.1 * x + 0.25, "x")
    assert str(found.sympy()) == "pi*x**2/4 + 0.1*x + erf(x) + 1/4"
    assert str(found.diff("x").sympy()) == "pi*x/2 + 0.1 + 2*exp(-x**2)/sqrt(pi)"
    assert repr(np.pi / 4) in found.python() and "0.1" in found.c()


def test_symbols_of_sympys_can_be_given() -> None:
    r = sympy.Symbol("r", positive=True)
    assert expression(lambda r: ad.sqrt(r**2) * 2, "r").sympy(r=r) == 2 * r
    with pytest.raises(TypeError, match=r"\[sympy\] there is no symbol 'q'; the symbols are r"):
        expression(lambda r: r, "r").sympy(q=r)


def test_names_that_other_languages_reserve_are_changed_there(tmp_path: Any) -> None:
    found = expression(lambda a, b, c: a / b + c, "lambda", "double", "np")
    assert found(1.0, 2.0, 3.0) == 3.5
    assert run_python(found.python("f"), "f", [1.0, 2.0, 3.0]) == 3.5
    if toolchain() is not None:
        library = built({"f": found.c("f")}, tmp_path)
        assert call_c(library, "f", [[1.0], [2.0], [3.0]]) == [3.5]


def test_several_results_in_each_form(tmp_path: Any) -> None:
    found = expression(lambda x, y: {"a": x * y, "b": (x + y, 2.0)}, "x", "y")
    assert str(found) == "result1 = x·y\nresult2 = x + y\nresult3 = 2"
    assert found.latex().startswith(r"\begin{aligned}")
    assert found.sympy() == {"a": sympy.Symbol("x") * sympy.Symbol("y"), "b": (sympy.Symbol("x") + sympy.Symbol("y"), 2)}
    a, b, c = run_python(found.python("f"), "f", [3.0, 4.0])
    assert (a, b, c) == (12.0, 7.0, 2.0)
    if toolchain() is not None:
        library = built({"f": found.c("f")}, tmp_path)
        out = (ctypes.c_double * 3)()
        library.f(ctypes.c_double(3.0), ctypes.c_double(4.0), out)
        assert list(out) == [12.0, 7.0, 2.0]


def test_numpy_source_takes_arrays_integers_and_the_tails(recwarn: Any) -> None:
    source = expression(ad.nn.functional.softplus, "x").python("f")
    assert run_python(source, "f", [1000]) == 1000.0
    source = expression(lambda x: x**-2 + ad.sqrt(x), "x").python("f")
    np.testing.assert_array_equal(run_python(source, "f", [np.array([1, 4])]), [2.0, 2.0625])
    assert np.isnan(run_python(source, "f", [-1.0]))
    assert not recwarn
