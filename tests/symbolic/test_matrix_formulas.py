"""Formulas of arrays: in textbook form, and right: computed is the derivative, and what is printed is what is computed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from reading_formulas import said

import arrayad as ad
from arrayad.symbolic import MatrixFormula, cookbook, formula, operand
from arrayad.symbolic.matrix.cookbook import Example

# --- the Matrix Cookbook -------------------------------------------------------------------------------------------------

TEXTBOOK = {
    49: "det(X) X⁻ᵀ",
    51: "det(A X B) X⁻ᵀ",
    52: "2 det(Xᵀ A X) X⁻ᵀ",
    53: "2 det(Xᵀ A X) A X (Xᵀ A X)⁻¹",
    54: "det(Xᵀ A X) (A X (Xᵀ A X)⁻¹ + Aᵀ X (Xᵀ A X)⁻ᵀ)",
    55: "2 X (Xᵀ X)⁻¹",
    57: "X⁻ᵀ",
    58: "3 det(X³) X⁻ᵀ",
    61: "−X⁻ᵀ a bᵀ X⁻ᵀ",
    62: "−det(X⁻¹) X⁻ᵀ",
    63: "−X⁻ᵀ Aᵀ Bᵀ X⁻ᵀ",
    64: "−((X + A)⁻ᵀ)²",
    69: "a",
    70: "a bᵀ",
    71: "b aᵀ",
    72: "a aᵀ",
    76: "2 (𝟏ᵀ X 𝟏) 𝟏 𝟏ᵀ",
    77: "X (b cᵀ + c bᵀ)",
    78: "Bᵀ C (D x + d) + Dᵀ Cᵀ (B x + b)",
    81: "(B + Bᵀ) x",
    82: "D X c bᵀ + Dᵀ X b cᵀ",
    83: "(D + Dᵀ) (X b + c) bᵀ",
    84: "−2 Aᵀ W (x − A s)",
    85: "2 W (x − s)",
    86: "−2 W (x − s)",
    87: "2 W (x − A s)",
    88: "−2 W (x − A s) sᵀ",
    97: "(A + Aᵀ) x + b",
    98: "A + Aᵀ",
    99: "I",
    100: "Aᵀ",
    101: "Aᵀ Bᵀ",
    102: "B A",
    103: "A",
    104: "A",
    106: "2 Xᵀ",
    107: "Xᵀ Bᵀ + Bᵀ Xᵀ",
    108: "(B + Bᵀ) X",
    111: "X (B + Bᵀ)",
    114: "Aᵀ Xᵀ Bᵀ + Bᵀ Xᵀ Aᵀ",
    115: "2 X",
    116: "(C + Cᵀ) X B Bᵀ",
    117: "B X C + Bᵀ X Cᵀ",
    118: "C A X B + Aᵀ Cᵀ X Bᵀ",
    119: "2 Aᵀ (A X B + C) Bᵀ",
    121: "4 (Xᵀ)³",
    124: "−X⁻ᵀ Aᵀ Bᵀ X⁻ᵀ",
    129: "(x − a) / ‖x − a‖",
    130: "I / ‖x − a‖ − (x − a) (x − a)ᵀ / ‖x − a‖³",
    131: "2 x",
    132: "2 X",
}
EXAMPLES = {example.equation: example for example in cookbook().examples}


def arrays_for(found: MatrixFormula, seed: int, **sizes: int) -> dict[str, Any]:
    """Random arrays for the operands of a formula: square matrices are regular, integers labels."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, spec in found.operands.items():
        shape = tuple(sizes[n] if isinstance(n, str) else n for n in spec.shape)
        if spec.dtype.kind == "i":
            arrays[name] = rng.integers(0, 3, shape)
            continue
        x = rng.uniform(-1.0, 1.0, shape)
        x = x + 2.0 * np.eye(shape[0]) if len(shape) == 2 and shape[0] == shape[1] else x
        arrays[name] = x + x.T if spec.symmetric else np.asarray(x)
    return arrays


def derivative(f: Callable[..., Any], arrays: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The derivative by automatic differentiation alone: a Jacobian of a Jacobian of …"""

    def at(chosen: str, g: Callable[..., Any]) -> Callable[..., Any]:
        order = list(arrays)
        return lambda **xs: ad.jacobian(lambda *a: g(**dict(zip(order, a, strict=True))), argnums=order.index(chosen))(
            *(ad.asarray(xs[name]) for name in order)
        )

    g = f
    for name in names:
        g = at(name, g)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not depend on")
        return np.asarray(g(**{name: ad.asarray(x) for name, x in arrays.items()}))


SIZES = {"n": 4, "m": 3, "k": 2, "p": 5}


def check(f: Callable[..., Any], found: MatrixFormula, names: tuple[str, ...], sizes: dict[str, int], unit: int = 4) -> None:
    """What a derivative's formula computes, and what it prints, is the derivative."""
    for seed in range(3):
        arrays = arrays_for(found, seed, **sizes)
        expected = derivative(f, arrays, names) if names else np.asarray(f(**{k: ad.asarray(x) for k, x in arrays.items()}))
        scale = 1 + np.max(np.abs(expected))
        computed = np.asarray(found(**arrays))
        assert computed.shape == expected.shape
        np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-11 * scale)
        read = said(str(found), arrays, sizes, unit)
        expected = expected[:, None] if expected.ndim == 1 else expected
        read = np.squeeze(read) if expected.ndim == 0 else read
        np.testing.assert_allclose(np.broadcast_to(read, expected.shape), expected, rtol=0, atol=1e-11 * scale)


def test_the_table_is_whole() -> None:
    assert list(TEXTBOOK) == list(EXAMPLES)
    assert len(TEXTBOOK) >= 20


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: str(example.equation))
def test_the_cookbook_comes_out_in_textbook_form_and_is_right(example: Example) -> None:
    found = example.derivative()
    assert str(found) == TEXTBOOK[example.equation]
    check(example.function, found, example.by, SIZES)
    check(example.function, example.value(), (), SIZES)


# --- beyond the cookbook ---------------------------------------------------------------------------------------------------

nn = ad.nn.functional


def logistic(w: Any, X: Any, y: Any) -> Any:
    return ad.sum(ad.softplus(X @ w) - y * (X @ w))


def ridge(w: Any, X: Any, y: Any, lam: Any) -> Any:
    return ad.sum((X @ w - y) ** 2) + lam * (w @ w)


def least_squares(x: Any, A: Any, b: Any) -> Any:
    return ad.sum((A @ x - b) ** 2)


def cross_entropy(z: Any, y: Any) -> Any:
    return nn.cross_entropy(z, y)


DESIGN = {"w": "n", "X": ("m", "n"), "y": "m"}
LEAST = {"x": "n", "A": ("m", "n"), "b": "m"}
FORMULAS: list[tuple[Any, dict[str, Any], str, str]] = [
    (least_squares, LEAST, "x", "2 Aᵀ (A x − b)"),
    (least_squares, LEAST, "A", "2 (A x − b) xᵀ"),
    (least_squares, LEAST, "b", "−2 (A x − b)"),
    (least_squares, LEAST, "x x", "2 Aᵀ A"),
    (least_squares, LEAST, "x b", "−2 Aᵀ"),
    (lambda x, A, b: ad.mean((A @ x - b) ** 2), LEAST, "x", "(2/m) Aᵀ (A x − b)"),
    (lambda x, A, b: ad.norm(A @ x - b), LEAST, "x", "Aᵀ (A x − b) / ‖A x − b‖"),
    (lambda x, A, b: ad.sum((b - A @ x) ** 2), LEAST, "x", "−2 Aᵀ (b − A x)"),
    (lambda x, A: ad.einsum("i,ij,j->", x, A, x), {"x": "n", "A": ("n", "n")}, "x", "(A + Aᵀ) x"),
    (ridge, {**DESIGN, "lam": ()}, "w", "2 Xᵀ (X w − y) + 2 lam w"),
    (ridge, {**DESIGN, "lam": ()}, "w w", "2 Xᵀ X + 2 lam I"),
    (ridge, {**DESIGN, "lam": ()}, "lam", "wᵀ w"),
    (logistic, DESIGN, "w", "Xᵀ (sigmoid(X w) − y)"),
    (logistic, DESIGN, "w w", "Xᵀ diag(sigmoid′(X w)) X"),
    (lambda w, X, y: ad.mean(ad.log(1 + ad.exp(-y * (X @ w)))), DESIGN, "w", "−(1/m) Xᵀ (sigmoid(−y ⊙ X w) ⊙ y)"),
    (cross_entropy, {"z": "n", "y": operand(dtype="int64")}, "z", "softmax(z) − onehot(y)"),
    (cross_entropy, {"z": "n", "y": operand(dtype="int64")}, "z z", "diag(softmax(z)) − softmax(z) softmax(z)ᵀ"),
    (cross_entropy, {"z": ("m", "n"), "y": operand("m", dtype="int64")}, "z", "(1/m) (softmax(z) − onehot(y))"),
    (lambda z, y: -ad.sum(y * nn.log_softmax(z)), {"z": "n", "y": "n"}, "z", "(𝟏ᵀ y) softmax(z) − y"),
    (lambda z: ad.logsumexp(z), {"z": "n"}, "z", "softmax(z)"),
    (lambda z: ad.logsumexp(z), {"z": "n"}, "z z", "diag(softmax(z)) − softmax(z) softmax(z)ᵀ"),
    (lambda z: nn.softmax(z), {"z": "n"}, "z", "diag(softmax(z)) − softmax(z) softmax(z)ᵀ"),
    (lambda A, x: ad.linalg.solve(A, x), {"A": ("n", "n"), "x": "n"}, "x", "A⁻¹"),
    (lambda A, x, b: b @ ad.linalg.solve(A, x), {"A": ("n", "n"), "x": "n", "b": "n"}, "A", "−A⁻ᵀ b xᵀ A⁻ᵀ"),
    (lambda X: ad.log(ad.linalg.det(X)), {"X": ("n", "n")}, "X", "X⁻ᵀ"),
    (lambda x, A: ad.tanh(A @ x), {"x": "n", "A": ("m", "n")}, "x", "diag(sech²(A x)) A"),
    (lambda x, A, b: b @ ad.exp(A @ x), LEAST, "x x", "Aᵀ diag(b ⊙ exp(A x)) A"),
    (lambda x: ad.sin(x), {"x": "n"}, "x", "diag(cos(x))"),
    (lambda x: x * (x @ x), {"x": "n"}, "x", "(xᵀ x) I + 2 x xᵀ"),
    (lambda x, A: x / (x @ A @ x), {"x": "n", "A": ("n", "n")}, "x", "I / (xᵀ A x) − x xᵀ (A + Aᵀ) / (xᵀ A x)²"),
    (
        lambda x, A, B: (x @ A @ x) / (x @ B @ x),
        {"x": "n", "A": ("n", "n"), "B": ("n", "n")},
        "x",
        "(A + Aᵀ) x / (xᵀ B x) − (xᵀ A x) (B + Bᵀ) x / (xᵀ B x)²",
    ),
    (lambda x: ad.var(x), {"x": "n"}, "x", "(2/n) (x − ((1/n) 𝟏ᵀ x) 𝟏)"),
    (lambda x: ad.var(x, correction=1), {"x": "n"}, "x", "(2/(n − 1)) (x − ((1/n) 𝟏ᵀ x) 𝟏)"),
    (lambda x: ad.var(x), {"x": "n"}, "x x", "(2/n) I − (2/n²) 𝟏 𝟏ᵀ"),
    (lambda x: ad.sum(x**3), {"x": "n"}, "x", "3 x^⊙2"),
    (lambda x: ad.sum(x**3), {"x": "n"}, "x x", "6 diag(x)"),
    (lambda x, t: ad.sum(ad.exp(t * x)), {"x": "n", "t": ()}, "t", "exp(t x)ᵀ x"),
    (lambda x, t: ad.sum(ad.exp(t * x)), {"x": "n", "t": ()}, "x t", "t x ⊙ exp(t x) + exp(t x)"),
    (lambda x, t: ad.sum(ad.exp(t * x)), {"x": "n", "t": ()}, "x x", "t² diag(exp(t x))"),
    (lambda X: ad.sum(ad.sum(X, axis=0) ** 2), {"X": ("m", "n")}, "X", "2 𝟏 𝟏ᵀ X"),
    (lambda X, v: ad.sum((X * v - v) ** 2), {"X": ("m", "n"), "v": "n"}, "X", "2 (X diag(v) − 𝟏 vᵀ) diag(v)"),
    (lambda X, A, B: ad.sum(A * (X @ B)), {"X": ("m", "n"), "A": ("m", "k"), "B": ("n", "k")}, "X", "A Bᵀ"),
    (lambda X: ad.linalg.trace(X) ** 2, {"X": ("n", "n")}, "X", "2 tr(X) I"),
    (lambda X: ad.norm(X), {"X": ("m", "n")}, "X", "X / ‖X‖_F"),
    (lambda x: ad.sum(ad.abs(x)), {"x": "n"}, "x", "sign(x)"),
    (
        lambda W, x, b, y: ad.sum((ad.tanh(W @ x + b) - y) ** 2),
        {"W": ("m", "n"), "x": "n", "b": "m", "y": "m"},
        "W",
        "2 ((tanh(W x + b) − y) ⊙ sech²(W x + b)) xᵀ",
    ),
    (
        lambda X, B, C: ad.linalg.trace(B.T @ X.T @ C @ X @ X.T @ C @ X @ B),
        {"X": ("n", "m"), "B": ("m", "k"), "C": ("n", "n")},
        "X",
        "C X (Xᵀ C X B Bᵀ + B Bᵀ Xᵀ C X) + Cᵀ X (Xᵀ Cᵀ X B Bᵀ + B Bᵀ Xᵀ Cᵀ X)",  # equation (123)
    ),
]


@pytest.mark.parametrize("f, operands, by, text", FORMULAS, ids=lambda x: x if isinstance(x, str) else "")
def test_formulas_of_statistics_and_learning(f: Any, operands: dict[str, Any], by: str, text: str) -> None:
    found = formula(f, **operands).diff(*by.split())
    assert str(found) == text
    check(f, found, tuple(by.split()), SIZES)


@pytest.mark.parametrize(
    "f, operands, name, text",
    [
        (ad.linalg.inv, {"x": ("n", "n")}, "x", "−x⁻¹ dx x⁻¹"),  # equation (40)
        (ad.linalg.det, {"x": ("n", "n")}, "x", "det(x) tr(x⁻¹ dx)"),  # (42)
        (lambda X: ad.linalg.slogdet(X)[1], {"X": ("n", "n")}, "X", "tr(X⁻¹ dX)"),  # (43)
        (lambda X, Y: X @ Y, {"X": ("n", "k"), "Y": ("k", "m")}, "X", "dX Y"),  # (37)
        (lambda X, Y: X * Y, {"X": ("n", "k"), "Y": ("n", "k")}, "X", "dX ⊙ Y"),  # (38)
        (lambda X: X.T, {"X": ("n", "k")}, "X", "dXᵀ"),  # (44)
        (lambda A, x: ad.linalg.solve(A, x), {"A": ("n", "n"), "x": "n"}, "A", "−A⁻¹ dA A⁻¹ x"),
    ],
)
def test_differentials(f: Any, operands: dict[str, Any], name: str, text: str) -> None:
    value = formula(f, **operands)
    found = value.differential(name)
    assert str(found) == text
    arrays = arrays_for(found, 0, **SIZES)
    t = arrays.pop(f"d{name}")
    step = 1e-6
    above, below = (value(**{**arrays, name: arrays[name] + s * step * t}) for s in (1, -1))
    np.testing.assert_allclose(found(**arrays, **{f"d{name}": t}), (above - below) / (2 * step), rtol=1e-6, atol=1e-8)


def test_a_symmetric_matrix_is_its_own_transpose() -> None:
    def f(x: Any, W: Any) -> Any:
        return x @ W @ x

    plain = formula(f, x="n", W=("n", "n")).diff("x")
    symmetric = formula(f, x="n", W=operand("n", "n", symmetric=True))
    assert (str(plain), str(symmetric.diff("x"))) == ("(W + Wᵀ) x", "2 W x")
    assert str(symmetric.diff("W")) == "x xᵀ"


EVERY = [
    *((example.function, example.operands, " ".join(example.by)) for example in EXAMPLES.values()),
    *((f, operands, by) for f, operands, by, _ in FORMULAS),
]


@pytest.mark.slow
@pytest.mark.parametrize("n, m, k, p", [(1, 1, 1, 1), (2, 2, 2, 2), (3, 1, 1, 2), (3, 3, 1, 1)])
def test_formulas_hold_where_sizes_are_one_or_equal(n: int, m: int, k: int, p: int) -> None:
    for f, operands, by in EVERY:
        found = formula(f, **operands).diff(*by.split())
        if n == 1 and "(n − 1)" in str(found):
            continue  # there is no variance of one number
        arrays = {x: y * (y.dtype.kind == "f") for x, y in arrays_for(found, 1, n=n, m=m, k=k, p=p).items()}
        expected = derivative(f, arrays, tuple(by.split()))
        computed = np.asarray(found(**arrays))
        assert computed.shape == expected.shape
        np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-10 * (1 + np.max(np.abs(expected))), err_msg=str(found))


# --- random programs -------------------------------------------------------------------------------------------------------

OPERANDS = {"x": ("n",), "y": ("m",), "A": ("m", "n"), "B": ("n", "n"), "s": ()}
OPERATIONS: list[tuple[Callable[..., bool], Callable[..., Any]]] = [
    (lambda a, b: a == b, lambda a, b: a + b),
    (lambda a, b: a == b, lambda a, b: a - 2.0 * b),
    (lambda a, b: a == b, lambda a, b: a * b),
    (lambda a, b: b == (), lambda a, b: b * a),
    (lambda a, b: b == (), lambda a, b: a / (1.0 + b**2)),
    (lambda a, b: len(a) == 2 and b == a[1:], lambda a, b: a * b),
    *[(lambda a, b: bool(a) and bool(b) and a[-1] == b[0], lambda a, b: a @ b)] * 4,
    (lambda a, b: len(a) == 2, lambda a, b: a.T),
    (lambda a, b: True, lambda a, b: -0.5 * a),
    (lambda a, b: True, lambda a, b: ad.tanh(a)),
    (lambda a, b: len(a) == 2, lambda a, b: ad.sum(a, axis=0)),
    (lambda a, b: len(a) == 1, lambda a, b: ad.norm(a)),
    (lambda a, b: len(a) == 2 and a[0] == a[1], lambda a, b: ad.linalg.inv(a + 3.0 * ad.eye(a.shape[0]))),
    (lambda a, b: len(a) == 2 and a[0] == a[1], lambda a, b: ad.linalg.trace(a)),
]


def program(seed: int) -> Callable[..., Any]:
    """A number computed from the operands by some random operations whose shapes fit."""
    rng = np.random.default_rng(seed)
    shapes: list[tuple[str, ...]] = list(OPERANDS.values())
    steps = []
    for _ in range(rng.integers(3, 9)):
        i, j = (int(k) for k in rng.integers(0, len(shapes), 2))
        fitting = [step for step in OPERATIONS if step[0](shapes[i], shapes[j])]
        _, operation = fitting[rng.integers(len(fitting))]
        steps.append((operation, i, j))
        sizes = {"n": 4, "m": 3}
        a, b = (ad.zeros(tuple(sizes[n] for n in shapes[k])) for k in (i, j))
        letters = {size: n for n, size in sizes.items()}
        shapes.append(tuple(letters[n] for n in operation(a, b).shape))
    squared = bool(rng.integers(2))

    def f(x: Any, y: Any, A: Any, B: Any, s: Any) -> Any:
        found = [x, y, A, B, s]
        for operation, i, j in steps:
            found.append(operation(found[i], found[j]))
        return ad.sum(found[-1] ** 2 if squared else found[-1]) + ad.sum(found[-2])

    return f


def check_program(seed: int) -> None:
    f = program(seed)
    value = formula(f, **OPERANDS)
    sizes = {"n": 4, "m": 3}
    check(f, value, (), sizes)
    for name in OPERANDS:
        check(f, value.diff(name), (name,), sizes)
    for names in (("x", "x"), ("x", "y"), ("x", "s")):
        check_value(f, value.diff(*names), names, sizes)


def check_value(f: Any, found: MatrixFormula, names: tuple[str, ...], sizes: dict[str, int]) -> None:
    """What a second derivative computes; what has no textbook form is not read back."""
    arrays = arrays_for(found, 0, **sizes)
    expected = derivative(f, arrays, names)
    computed = np.asarray(found(**arrays))
    assert computed.shape == expected.shape and str(found) and found.latex()
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-10 * (1 + np.max(np.abs(expected))))


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed: int) -> None:
    check_program(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 150))
def test_more_random_programs(seed: int) -> None:
    check_program(seed)
