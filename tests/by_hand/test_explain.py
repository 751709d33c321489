"""`explain`: the numbers of a derivation against closed forms, `jvp` and `grad`, its formulas against what rows compute."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from drawing import cases_of

import arrayad as ad
from arrayad.by_hand.rules import name_of, rule_of
from arrayad.by_hand.unrolling import is_rolled
from arrayad.elementwise import Elementwise
from arrayad.errors import AbstractValueError, DTypeError, ShapeError
from arrayad.primitive import TABLE


def readme(x: Any) -> Any:
    return ad.sin(x**2 + 1)


def test_the_textbooks_example() -> None:
    found = ad.explain(readme)(0.5)
    slope = math.cos(1.25)
    assert float(found.value) == pytest.approx(math.sin(1.25))
    assert float(found.derivatives["x"]) == pytest.approx(slope)
    assert [float(step.value) for step in found.steps] == pytest.approx([0.5, 0.25, 1.25, math.sin(1.25)])
    assert [float(step.tangents[0]) for step in found.steps] == pytest.approx([1, 1, 1, slope])
    assert [float(step.cotangent) for step in found.steps] == pytest.approx([slope, slope, slope, 1])
    ((path,),) = [product.paths for product in found.products]
    assert [value for _, value in path] == pytest.approx([slope, 1.0, 1.0])
    assert [forms[0] for forms, _ in path] == ["cos(w2)", "1", "2 · w0"]


def several(x: Any, y: Any) -> Any:
    return ad.exp(x) * y / (x + 2.0) - ad.sqrt(x * y)


def test_a_tangent_for_each_input_and_several_paths() -> None:
    found = ad.explain(several)(0.5, 2.0)
    wanted = [float(g) for g in ad.grad(several, (0, 1))(0.5, 2.0)]
    assert [float(t) for t in found.steps[-1].tangents] == pytest.approx(wanted)
    for product, total in zip(found.products, wanted, strict=True):
        assert sum(math.prod(value for _, value in path) for path in product.paths) == pytest.approx(total)
    assert [product.count for product in found.products] == [3, 2]
    text = str(found)
    for line in (
        "product rule     d(u · v) = v du + u dv",
        "quotient rule    dy = (1 / v) du - (y / v) dv, y = u / v",
        "power rule       d(√u) = (0.5 / √u) du",
        "sum rule         d(u - v) = du - dv",
        "chain rule       d exp(u) = exp(u) du",
    ):
        assert line in text
    assert "∂/∂x" in text and "∂/∂y" in text


def test_a_chosen_direction() -> None:
    found = ad.explain(several, direction=(1.0, -3.0))(0.5, 2.0)
    assert len(found.steps[-1].tangents) == 1
    assert float(found.steps[-1].tangents[0]) == pytest.approx(float(ad.jvp(several, (0.5, 2.0), (1.0, -3.0))[1]))
    only = ad.explain(several, direction=(None, 1.0))(0.5, 2.0)
    assert only.steps[0].tangents == (None,) and [product.by for product in only.products] == ["y"]


A, X, B = np.arange(6.0).reshape(2, 3), np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0])


def misfit(p: Any, x: Any) -> Any:
    return ad.sum((p["A"] @ x - p["b"]) ** 2)


def test_programs_of_arrays_and_trees() -> None:
    found = ad.explain(misfit)({"A": A, "b": B}, X)
    wanted = ad.grad(misfit, (0, 1))({"A": A, "b": B}, X)
    for name, g in (("p['A']", wanted[0]["A"]), ("p['b']", wanted[0]["b"]), ("x", wanted[1])):
        np.testing.assert_allclose(np.asarray(found.derivatives[name]), np.asarray(g), rtol=1e-14)
    text = str(found)
    assert "∂y/∂p['A'] = w̄0    f64[2,3]" in text, "large arrays by their shapes"
    assert re.search(r"matrix_product\(w̄\d, permute_dims\(w\d, axes=\(1, 0\)\)\)", text), (
        "the adjoint of a product is written out"
    )
    assert found.products == []


LOOPS = {
    "scan": (lambda x: ad.scan(lambda c, t: (ad.sin(c) * x + t, c * t), x, np.array([0.1, 0.2, 0.3])), 8),
    "backwards": (lambda x: ad.scan(lambda c, t: (ad.sin(c) * t, c), x, np.array([0.1, 0.2, 0.3]), reverse=True), 6),
    "while": (lambda x: ad.while_loop(lambda c: abs(c * c - x) > 1e-9, lambda c: 0.5 * (c + x / c), x), 4),
    "fori": (lambda x: ad.fori_loop(0, 3, lambda i, c: 4.0 * c * (1.0 - c), x), 9),
    "checkpoint": (lambda x: ad.checkpoint(lambda x: ad.exp(ad.sin(x)))(x), 2),
    "branch": (lambda x: ad.scan(lambda c, t: (ad.cond(c > 0.5, ad.sin, ad.cos, c), None), x, np.zeros(2))[0], 2),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_are_unrolled(name: str) -> None:
    f, least = LOOPS[name]
    found = ad.explain(f)(0.7)
    (wanted, tangent), outs = ad.jvp(f, (0.7,), (1.0,)), [step.tangents[0] for step in found.steps]
    assert len(found.steps) > least and not any("body" in str(step.formula) for step in found.steps)
    for a, b in zip(ad.custom.tree.leaves(found.value), ad.custom.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-14)
    values = [y.history for y in found.tape.outputs]
    by_entry = dict(zip([*found.tape.inputs, *found.tape.entries], outs, strict=True))
    for entry, t in zip(values, ad.custom.tree.leaves(tangent), strict=True):
        np.testing.assert_allclose(np.asarray(by_entry[entry]), np.asarray(t), rtol=1e-13)
    assert not any(is_rolled(entry.primitive) for entry in found.tape.entries)
    assert any(is_rolled(entry.primitive) for entry in ad.explain(f, unroll=False)(0.7).tape.entries)


def test_many_paths_are_counted_and_not_listed() -> None:
    found = ad.explain(lambda x: ad.fori_loop(0, 30, lambda i, c: 4.0 * c * (1.0 - c), x))(0.3)
    (product,) = found.products
    assert product.count == 2**30 and product.paths == ()
    assert f"the sum of the products along {2**30} paths" in str(found)


def test_inputs_that_are_not_differentiated_and_values_that_do_not_move() -> None:
    def f(x: Any, i: Any) -> Any:
        return ad.floor(x[0]) * ad.where(x > 1.0, x, 2.0 * x)[i] * ad.stop_gradient(x[1])

    found = ad.explain(f)(np.array([1.5, 2.5]), np.array(1))
    wanted = ad.grad(f)(np.array([1.5, 2.5]), np.array(1))
    np.testing.assert_allclose(np.asarray(found.derivatives["x"]), np.asarray(wanted))
    assert "constant" in str(found) and "the part that is taken" in str(found)
    many = ad.explain(lambda a, b, c, d, e: a * b + c * d * e)(1.0, 2.0, 3.0, 4.0, 5.0)
    assert float(many.steps[-1].tangents[0]) == pytest.approx(2 + 1 + 20 + 15 + 12), "all inputs at once where they are many"


def test_other_numbers() -> None:
    assert float(ad.explain(readme)(np.float32(0.5)).derivatives["x"]) == pytest.approx(math.cos(1.25), rel=1e-6)
    z = ad.explain(lambda z: abs(z * z) ** 2)(1 + 2j)
    assert complex(z.steps[-1].value) == pytest.approx(25 * 25) or float(z.steps[-1].value) == pytest.approx(25.0)
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(30):
        found = ad.explain(readme)(ad.tensor([mpmath.mpf(1) / 3]))
        exact = 2 * mpmath.mpf(1) / 3 * mpmath.cos(mpmath.mpf(1) / 9 + 1)
        assert abs(found.derivatives["x"].numpy()[0] - exact) < 1e-28


@pytest.mark.parametrize(
    "row, operands, name",
    [
        ("multiply", 2, "product rule"),
        ("divide", 2, "quotient rule"),
        ("add", 2, "sum rule"),
        ("negative", 1, "constant factor"),
        ("square", 1, "power rule"),
        ("reciprocal", 1, "power rule"),
        ("sqrt", 1, "power rule"),
        ("sin", 1, "chain rule"),
        ("hypot", 2, "chain rule"),
        ("abs", 1, "chain rule"),
        ("floor", 1, "constant"),
        ("maximum", 2, "the part that is taken"),
        ("reduce_sum", 1, "linear"),
        ("matrix_product", 2, "product rule"),
    ],
)
def test_what_rules_are_called(row: str, operands: int, name: str) -> None:
    assert name_of(TABLE[row], [ad.tensor(1.0)] * operands, range(operands)) == name


def test_what_rules_are_called_where_an_operand_is_a_number() -> None:
    def rules(f: Any) -> list[str]:
        return [step.rule.name for step in ad.explain(f)(0.7).steps if step.rule is not None]

    assert rules(lambda x: x**3) == ["power rule"]
    assert rules(lambda x: 3.0 * x) == ["constant factor"]
    assert rules(lambda x: x / 3.0) == ["constant factor"]
    assert rules(lambda x: 3.0 / x) == ["power rule"]
    assert rules(lambda x: 3.0**x) == ["chain rule"]
    assert rules(lambda x: x - 3.0) == ["sum rule"]


ROWS = [row for row in TABLE.values() if isinstance(row, Elementwise) and row.differentiable and row.mpmath is not None]
PYTHON = {"√": "sqrt", "·": "*", "²": "**2", "^": "**"}


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_formulas_say_what_the_rows_compute(row: Elementwise) -> None:
    """The formula of every elementwise rule, read as Python over the public functions, gives the row's derivative."""
    case = next(cases_of(row))
    operands = [np.asarray(x).ravel()[:1].reshape(()) for x in case.operands()]
    moving = [i for i in range(row.arity) if row.partials[i] is not None and operands[i].dtype.kind == "f"]
    tape = ad.trace(lambda *xs: row.apply(*xs))(*operands)
    rule = rule_of(tape.entries[-1], moving)
    right = rule.text.partition(" = ")[2].partition(", y = ")[0]
    space: dict[str, Any] = {name: getattr(ad, name) for name in ("where", "nan", "sqrt", "sign")}
    space |= {name: other.apply for name, other in TABLE.items()}
    letters, constants = iter("uvwz"), iter("cabd")
    tangents = [0.3, -0.8, 0.5]
    for i, x in enumerate(operands):
        letter = next(letters) if i in moving else next(constants)
        space[letter] = ad.tensor(x)
        space[f"d{letter}"] = tangents[i]
    space["y"] = row.apply(*operands)
    found = eval(as_python(right), space)
    wanted = ad.jvp(
        lambda *xs: row.apply(*[xs[moving.index(i)] if i in moving else x for i, x in enumerate(operands)]),
        tuple(operands[i] for i in moving),
        tuple(tangents[i] for i in moving),
    )[1]
    assert float(found) == pytest.approx(float(wanted), rel=1e-5), rule.text


def as_python(text: str) -> str:
    """A formula with Python's signs, and a sign between a factor and a differential."""
    text = re.sub(r"(?<=[\w)²|]) d([uvwz])\b", r" * d\1", text)
    text = re.sub(r"√(\w+(?:\([^()]*\))?|\()", lambda m: "sqrt(" if m[1] == "(" else f"sqrt({m[1]})", text)
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    for sign, other in PYTHON.items():
        text = text.replace(sign, other)
    return text.replace(" mod ", " % ")


def test_markdown_is_a_table_for_each_part() -> None:
    text = ad.explain(lambda x: ad.abs(ad.sin(x)))(0.5).markdown()
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1, "a bar of a formula ended a cell"
    assert text.count("$") % 2 == 0
    assert r"\bar{w}_{1}" in text and r"\dot{w}_{2}" in text


@pytest.mark.parametrize("f", [readme, lambda x: several(x, 3.0), lambda x: ad.tanh(x) ** 3 / ad.sqrt(x + 1e-9)])
def test_latex_is_read_by_another_program(f: Any) -> None:
    """Brackets balance, and matplotlib, which knows formulas but no tables, sets every cell."""
    latex = ad.explain(f)(0.5).latex()
    assert latex.count("{") == latex.count("}") and latex.count(r"\[") == latex.count(r"\]")
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    cells = [
        cell.strip()
        for line in latex.splitlines()
        if line.endswith(r"\\")
        for cell in line.removesuffix(r"\\").split("&")
        if cell.strip() and r"\text" not in cell
    ]
    assert len(cells) > 12
    for cell in cells:
        mathtext.parse(f"${cell}$")


def test_refusals() -> None:
    with pytest.raises(DTypeError, match=r"\[explain\] the arguments are \(i64\[\]\), and one at least must be floating-point"):
        ad.explain(readme)(2)
    with pytest.raises(ShapeError, match=r"the direction of x is f64\[2\], x f64\[\]"):
        ad.explain(readme, direction=np.ones(2))(0.5)
    with pytest.raises(ShapeError, match="must be a tree like the arguments"):
        ad.explain(several, direction=1.0)(0.5, 2.0)
    with pytest.raises(AbstractValueError, match="known only by its shape"):
        ad.explain(readme)(ad.Shaped((), "float64"))
