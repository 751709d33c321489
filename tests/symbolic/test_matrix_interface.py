"""How formulas of arrays are asked for, called and written, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DTypeError, NoClosedFormError, ShapeError
from arrayad.symbolic import cookbook, formula, operand
from arrayad.symbolic.matrix.sizes import Number, assignments, size_text


def quadratic(x: Any, A: Any) -> Any:
    return x @ A @ x


A = np.array([[1.0, 2.0], [3.0, 4.0]])

# --- calls -----------------------------------------------------------------------------------------------------------------


def test_operands_come_in_order_or_by_name_at_any_size() -> None:
    gradient = formula(quadratic, x="n", A=("n", "n")).diff("x")
    expected = (A + A.T) @ [1.0, 2.0]
    for found in (gradient([1.0, 2.0], A), gradient([1.0, 2.0], A=A), gradient(A=A, x=[1.0, 2.0])):
        np.testing.assert_allclose(found, expected, rtol=1e-15)
    np.testing.assert_allclose(gradient(np.ones(5), np.eye(5)), 2.0 * np.ones(5))
    assert gradient(np.ones(1), [[3.0]]).shape == (1,)


def test_the_order_of_operands_is_the_users_own() -> None:
    gradient = formula(quadratic, A=("n", "n"), x="n").diff("x")
    np.testing.assert_allclose(gradient(A, [1.0, 2.0]), (A + A.T) @ [1.0, 2.0])


def test_sizes_may_be_numbers_arrays_and_abstract_values() -> None:
    x, a = np.ones(2), ad.tensor(A)
    for operands in (
        {"x": 2, "A": (2, 2)},
        {"x": x, "A": a},
        {"x": ad.Shaped((2,), "float64"), "A": (2, 2)},
        {"x": (2,), "A": A},
    ):
        assert str(formula(quadratic, **operands).diff("x")) == "(A + Aᵀ) x"


def test_a_function_that_takes_operands_by_position() -> None:
    assert str(formula(ad.exp, x="n").diff("x")) == "diag(exp(x))"
    assert str(formula(lambda *xs: xs[0] @ xs[1], a="n", b="n").diff("b")) == "a"
    assert str(formula(lambda **xs: xs["a"] @ xs["b"], a="n", b="n").diff("b")) == "a"


def test_the_dtype_is_that_of_the_operands() -> None:
    gradient = formula(quadratic, x="n", A=("n", "n")).diff("x")
    assert gradient(np.ones(2, "float32"), A.astype("float32")).dtype == np.float32
    assert gradient([1, 2], [[1, 2], [3, 4]]).dtype == np.float64


def test_a_formula_is_differentiable_and_batched_in_turn() -> None:
    value = formula(quadratic, x="n", A=("n", "n"))
    gradient = value.diff("x")
    x = ad.tensor([1.0, 2.0])
    np.testing.assert_allclose(ad.grad(lambda x: value(x, A))(x), gradient(x, A))
    np.testing.assert_allclose(ad.jacobian(lambda x: gradient(x, A))(x), A + A.T)
    rows = np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(ad.vmap(lambda x: gradient(x, A))(rows), rows @ (A + A.T))


def test_captured_arrays_are_constants_with_a_name_if_they_are_large() -> None:
    large = np.arange(12.0).reshape(4, 3)
    gradient = formula(lambda x: ad.sum((large @ x) ** 2), x=3).diff("x")
    assert gradient.lines == ["C1 = constant (4, 3)", "C2 = constant (3, 4)", "2 C2 C1 x"]
    np.testing.assert_allclose(gradient([1.0, 0.0, 2.0]), 2 * large.T @ large @ [1.0, 0.0, 2.0])
    assert str(formula(lambda z: ad.nn.functional.cross_entropy(z, np.array(2)), z=5).diff("z")) == "softmax(z) − onehot(2)"


def test_what_does_not_depend_on_an_operand_has_the_derivative_zero_without_a_warning() -> None:
    found = formula(lambda x, y: x @ x, x="n", y="m").diff("y")
    assert str(found) == "0"
    np.testing.assert_array_equal(found(np.ones(2), np.ones(3)), np.zeros(3))


def test_stop_gradient_is_kept_for_every_order() -> None:
    value = formula(lambda x: ad.sum(x * ad.stop_gradient(x)), x="n")
    assert (str(value), str(value.diff("x")), str(value.diff("x", "x"))) == ("xᵀ x", "x", "0")


def test_custom_rules_are_kept_for_every_order() -> None:
    @ad.custom_jvp
    def f(x: Any) -> Any:
        return x**3

    f.defjvp(lambda primals, tangents: (f(*primals), 7.0 * tangents[0] * primals[0]))
    value = formula(lambda x: ad.sum(f(x)), x="n")
    assert (str(value), str(value.diff("x")), str(value.diff("x", "x"))) == ("𝟏ᵀ x^⊙3", "7 x", "7 I")


# --- texts -----------------------------------------------------------------------------------------------------------------


def test_latex() -> None:
    value = formula(lambda x, A, b: ad.sum((A @ x - b) ** 2), x="n", A=("m", "n"), b="m")
    assert value.latex() == r"\left\|A x - b\right\|^{2}"
    assert value.diff("x").latex() == r"2 A^\top \left(A x - b\right)"
    assert value._repr_latex_() == r"$\displaystyle \left\|A x - b\right\|^{2}$"
    mean = formula(
        lambda x_0, Sigma, lambda_: lambda_ * ad.mean(ad.linalg.inv(Sigma) @ x_0), x_0="n", Sigma=("n", "n"), lambda_=()
    )
    assert mean.diff("x_0").latex() == r"\frac{1}{n} \lambda \mathrm{Sigma}^{-\top} \mathbf{1}"
    unit = formula(lambda x, a: ad.norm(x - a), x="n", a="n").diff("x", 2)
    assert unit.latex().startswith(r"\frac{I}{\left\|x - a\right\|} - \frac{\left(x - a\right) \left(x - a\right)^\top}{")


def test_a_long_formula_has_lines_with_named_parts() -> None:
    def f(x: Any, A: Any, B: Any) -> Any:
        for _ in range(3):
            x = ad.tanh(A @ ad.sin(B @ x) + x)
        return x @ x

    found = formula(f, x="n", A=("n", "n"), B=("n", "n")).diff("x")
    *parts, whole = found.lines
    assert [line.partition(" = ")[0] for line in parts] == [f"w{i + 1}" for i in range(len(parts))]
    assert len(parts) > 3 and "w" in whole and all(len(line) < 150 for line in found.lines)
    assert found.latex().startswith("\\begin{aligned}\nw_{1} &= ")


def test_named_parts_do_not_have_the_names_of_operands() -> None:
    def f(w1: Any, A: Any) -> Any:
        for _ in range(4):
            w1 = ad.tanh(A @ ad.sin(A @ w1) + w1)
        return w1 @ w1

    assert formula(f, w1="n", A=("n", "n")).diff("w1").lines[0].startswith("v1 = ")


def test_what_has_no_textbook_form_still_prints_and_is_right() -> None:
    found = formula(lambda X: X @ X, X=("n", "n")).diff("X")
    assert found.lines
    np.testing.assert_allclose(found(A), ad.jacobian(lambda X: X @ X)(ad.tensor(A)))


def test_the_representation_and_the_table() -> None:
    assert repr(formula(quadratic, x="n", A=("n", "n")).diff("x")) == "MatrixFormula((A + Aᵀ) x)"
    lines = str(cookbook()._replace(examples=cookbook().examples[:2])).split("\n")
    assert lines == ["(49)  det(X)      X  det(X) X⁻ᵀ", "(51)  det(A X B)  X  det(A X B) X⁻ᵀ"]


# --- sizes -----------------------------------------------------------------------------------------------------------------


def test_numbers_that_depend_on_sizes_are_written_with_letters() -> None:
    sizes = assignments(["m", "n"], [])
    for expression, text in [
        (lambda m, n: 2.0, "2"),
        (lambda m, n: 0.5, "(1/2)"),
        (lambda m, n: 0.125, "(1/8)"),
        (lambda m, n: 0.05, "0.05"),
        (lambda m, n: np.pi, repr(np.pi)),
        (lambda m, n: m, "m"),
        (lambda m, n: 3.0 * n, "(3 n)"),
        (lambda m, n: 2.0 / m, "(2/m)"),
        (lambda m, n: n / m, "(n/m)"),
        (lambda m, n: 1.0 / (m * n), "(1/(m n))"),
        (lambda m, n: 2.0 / n**2, "(2/n²)"),
        (lambda m, n: 1.0 / (n - 1), "(1/(n − 1))"),
        (lambda m, n: 1.0 / (3 * n), "(1/(3 n))"),
    ]:
        assert Number([expression(**found) for found in sizes], sizes).text() == text
    assert Number([1.0 / found["n"] ** 2 for found in sizes], sizes).latex() == r"\frac{1}{n^2}"
    assert size_text(11 * 13, {"m": 11, "n": 13}) == "m n"


def test_letters_avoid_the_sizes_that_are_numbers() -> None:
    found = formula(lambda x, y: ad.mean(x) + ad.mean(y), x="n", y=11)
    assert (str(found.diff("x")), str(found.diff("y"))) == ("(1/n) 𝟏", "(1/11) 𝟏")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ad.sum(x) * np.log(x.size),  # no product of powers
        lambda x: ad.sum(x) if x.size < 20 else ad.sum(x**2),  # another program
    ],
)
def test_programs_that_depend_on_letters_are_refused_where_they_would_be_printed(f: Any) -> None:
    found = formula(f, x="n")
    with pytest.raises(ValueError, match="sizes"):
        str(found)
    np.testing.assert_allclose(found.diff("x")(np.ones(3)), ad.grad(f)(np.ones(3)))


# --- what is refused -------------------------------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    value = formula(quadratic, x="n", A=("n", "n"))
    with pytest.raises(ValueError, match="there is no operand 'z'; the operands are x, A"):
        value.diff("z")
    with pytest.raises(TypeError, match="names of operands"):
        value.diff(2)
    with pytest.raises(TypeError, match="no name came"):
        value.diff()
    with pytest.raises(ShapeError, match=r"n is 2 in x and 3 in A, f64\[3,3\]"):
        value(np.ones(2), np.eye(3))
    with pytest.raises(ShapeError, match=r"the shape \(n, n\) is needed"):
        value(np.ones(2), np.ones(2))
    with pytest.raises(TypeError, match="A did not come"):
        value(np.ones(2))
    with pytest.raises(TypeError, match="x came unasked or twice"):
        value(np.ones(2), A, x=np.ones(2))
    with pytest.raises(TypeError, match="there are 2: x, A"):
        value(1, 2, 3)
    with pytest.raises(DTypeError, match="float64 is needed"):
        value(np.ones(2, complex), A)
    with pytest.raises(TypeError, match="no parameter B; it has x, A"):
        formula(quadratic, x="n", B=("n", "n"))
    with pytest.raises(TypeError, match="no operand came"):
        formula(quadratic)
    with pytest.raises(TypeError, match="x is float; its shape is needed"):
        formula(quadratic, x=2.0, A="n")
    with pytest.raises(ShapeError, match="two equal sizes"):
        operand("n", "m", symmetric=True)
    with pytest.raises(TypeError, match="a number or a letter"):
        operand("n m")
    with pytest.raises(TypeError, match="one array is needed"):
        formula(lambda x: {"a": x}, x="n")
    with pytest.raises(DTypeError, match="y is of dtype int64"):
        formula(lambda x, y: x * y, x="n", y=operand("n", dtype="int64")).diff("y")
    with pytest.raises(DTypeError, match="the value is of dtype int64"):
        formula(lambda x: ad.argmax(x), x="n").diff("x")
    with pytest.raises(ValueError, match="dx is an operand already"):
        formula(lambda x, dx: x * dx, x="n", dx="n").differential("x")


def test_branches_and_loops_are_refused_with_their_line() -> None:
    def branches(x: Any) -> Any:
        return x if ad.sum(x) > 0 else -x

    def loops(x: Any) -> Any:
        return ad.while_loop(lambda x: ad.sum(x) < 1.0, lambda x: 2.0 * x, x)

    with pytest.raises(NoClosedFormError, match=r"\[formula\] .*test_matrix_interface.py:\d+: return x if"):
        formula(branches, x="n")
    with pytest.raises(NoClosedFormError, match=r"\[formula\] .*while.* test_matrix_interface.py:\d+|\[formula\] .*while"):
        str(formula(loops, x="n"))
