"""`check_grads`: finds wrong derivatives, says where and by how much, and raises no false alarm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from drawing import Case

import arrayad as ad
from arrayad import nn, tree
from arrayad.elementwise import Elementwise
from arrayad.errors import DTypeError
from arrayad.primitive import TABLE, general
from arrayad.samples import Samples
from arrayad.testing import GradientCheckError, check_grads


def custom(value: Callable[..., Any], derivative: Callable[..., Any]) -> Any:
    """A function of one array with the JVP rule t · derivative(x)."""
    f = ad.custom_jvp(value)
    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0] * derivative(*primals)))
    return f


# --- no false alarm -----------------------------------------------------------------------------------------------

ELEMENTWISE = [row for row in TABLE.values() if isinstance(row, Elementwise) and row.differentiable and None not in row.partials]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: row.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_elementwise_function_is_found_right(row: Elementwise, dtype: str) -> None:
    for params in row.samples.params:
        for shapes in [((4,),) * row.arity, ((2, 1), (3,), ())[: row.arity]]:
            check_grads(lambda *xs, params=params: row.apply(*xs, **params), tuple(Case(row, shapes, params).operands(dtype)))


A = np.array([[1.0, 2.0, -0.5], [0.3, -1.0, 0.7], [2.0, 0.1, 1.5]])
SCALED: dict[str, Callable[[Any], Any]] = {
    "sin": ad.sin,
    "square": lambda x: x * x,
    "cube": lambda x: x**3,
    "reciprocal": lambda x: 1.0 / x,
    "sqrt": lambda x: ad.sqrt(ad.abs(x)),
    "log": lambda x: ad.log(ad.abs(x)),
    "tanh": ad.tanh,
    "softmax": lambda x: nn.functional.softmax(x, axis=0),
    "logsumexp": ad.logsumexp,
    "norm": ad.norm,
    "mean of squares": lambda x: ad.mean(x**2),
    "matrix": lambda x: A @ x,
    "quadratic": lambda x: x @ (A @ x),
    "running sum": lambda x: ad.cumulative_sum(x),
    "sorted": lambda x: ad.sort(x),
    "product": ad.prod,
    "indexed": lambda x: x[1:] * x[:-1],
    "where": lambda x: ad.where(x > 0, x * x, -2.0 * x),
    "tree": lambda x: {"a": x * 3.0, "b": [ad.sum(x), x[0] * x[2]]},
    "constant": lambda x: 0.0 * x + 1.0,
}


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("name", SCALED)
def test_right_derivatives_pass_at_every_scale_of_the_argument(name: str, scale: float) -> None:
    check_grads(SCALED[name], (scale * np.array([0.7, -1.3, 2.1]),))


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e4, 1e8])
@pytest.mark.parametrize("name", SCALED)
def test_right_derivatives_pass_at_every_scale_of_the_value(name: str, scale: float) -> None:
    f = SCALED[name]
    check_grads(
        lambda x: [scale * y for y in tree.leaves(f(x))] if name == "tree" else scale * f(x), (np.array([0.7, -1.3, 2.1]),)
    )


@pytest.mark.parametrize("length", [1e-6, 1e-3, 1e3, 1e6])
def test_right_derivatives_pass_for_every_length_of_change(length: float) -> None:
    check_grads(lambda x: ad.sin(x / length), (np.array([0.3, 1.0]),))
    check_grads(lambda x: ad.exp(-((x / length) ** 2)), (length * np.array([0.3, -1.0]),))


def test_trees_integers_and_other_arguments_are_passed_on() -> None:
    def f(p: Any, i: Any, n: int, name: str) -> Any:
        assert isinstance(n, int) and name == "sin"
        return {"y": getattr(ad, name)(p["a"][i]) * n, "index": i}, p["b"][0] ** n

    check_grads(f, ({"a": np.array([0.1, 0.2, 0.3]), "b": (2.0,)}, np.array([0, 2]), 3, "sin"))


def test_complex_arguments_are_checked_along_both_parts() -> None:
    z = np.array([1.0 + 2.0j, -0.3 + 0.5j])
    check_grads(lambda z: z * ad.exp(z), (z,))
    check_grads(lambda z: ad.abs(z) ** 2, (z,))
    check_grads(lambda z: ad.sum(ad.real(z) * ad.imag(z) ** 2), (z.astype("complex64"),), order=1)
    wrong = ad.custom_jvp(lambda z: z * ad.conj(z) * z)
    wrong.defjvp(lambda p, t: (wrong(*p), 3.0 * p[0] * ad.conj(p[0]) * t[0]))  # as if it were holomorphic
    with pytest.raises(GradientCheckError, match="by z"):
        check_grads(wrong, (z,))


def test_empty_arrays() -> None:
    check_grads(lambda x: ad.sum(x * x), (np.zeros((0, 3)),))


def test_where_there_is_nothing_to_check_it_says_so() -> None:
    """A forgotten point, 1 for 1.0, would pass whatever the derivative is."""
    with pytest.raises(DTypeError, match=r"\[check_grads\] the arguments are \(int 1\).*write 3\.0"):
        check_grads(ad.sin, (1,))
    with pytest.raises(TypeError, match=r"\[check_grads\] args must be a tuple.*float 1\.0 came"):
        check_grads(ad.sin, 1.0)  # type: ignore[arg-type]


def test_third_order() -> None:
    check_grads(lambda x: ad.sin(x) * x**2, (np.array([0.3, 1.2]),), order=3)
    third = custom(ad.exp, lambda x: custom(ad.exp, lambda x: custom(ad.exp, lambda x: 1.001 * ad.exp(x))(x))(x))
    check_grads(third, (0.5,), order=2)
    with pytest.raises(GradientCheckError, match="order 3"):
        check_grads(third, (0.5,), order=3)


def test_of_large_arrays_some_elements_are_drawn() -> None:
    asked: list[int] = []

    def f(x: Any) -> Any:
        asked.append(1)
        return ad.sum(x * x)

    check_grads(f, (np.linspace(1.0, 2.0, 10_000),), order=1)
    assert len(asked) < 3_000
    wrong = ad.custom_vjp(lambda x: ad.sum(x * x))
    wrong.defvjp(lambda x: (ad.sum(x * x), x), lambda x, ct: (ct * 2.001 * x,))
    with pytest.raises(GradientCheckError, match=r"by x\[\d+\]"):
        check_grads(wrong, (np.linspace(1.0, 2.0, 10_000),), order=1)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_where_the_value_is_not_finite_the_derivative_may_be_anything() -> None:
    check_grads(lambda x: ad.log(x), (np.array([-1.0, 2.0]),))
    check_grads(lambda x: 1.0 / x, (np.array([0.0, 2.0]),))
    check_grads(lambda x: ad.sum(ad.log(x)), (np.array([-1.0, 2.0]),))
    with pytest.raises(GradientCheckError, match=r"by x\[1\]"):
        check_grads(custom(ad.log, lambda x: 1.001 / x), (np.array([-1.0, 2.0]),))


# --- what is wrong is found ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("error", [1e-4, -1e-4])
def test_a_derivative_off_by_one_part_in_ten_thousand_is_found(scale: float, error: float, dtype: str) -> None:
    x = np.array([0.7, -1.3, 2.1], dtype)
    value = custom(lambda x: scale * ad.sin(x), lambda x: scale * (1 + error) * ad.cos(x))
    with pytest.raises(GradientCheckError, match=r"order 1, forward mode: by x\[0\]"):
        check_grads(value, (x,))
    argument = custom(lambda x: ad.sin(x / scale), lambda x: (1 + error) * ad.cos(x / scale) / scale)
    with pytest.raises(GradientCheckError, match="order 1"):
        check_grads(argument, (x * np.asarray(scale, dtype),))


@pytest.mark.parametrize("row", ELEMENTWISE[::3], ids=lambda row: row.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_scaled_derivatives_of_elementwise_functions_are_found(row: Elementwise) -> None:
    xs = Case(row, ((3,),) * row.arity, row.samples.params[0]).operands()
    params = row.samples.params[0]
    _, exact = ad.jvp(lambda *xs: row.apply(*xs, **params), tuple(xs), tuple(map(np.ones_like, xs)))
    if not np.any(exact.value):
        pytest.skip("the derivative is 0 everywhere")
    wrong = ad.custom_jvp(lambda *xs: row.apply(*xs, **params))
    wrong.defjvp(lambda p, t: (wrong(*p), 1.0001 * ad.jvp(lambda *xs: row.apply(*xs, **params), p, t)[1]))
    with pytest.raises(GradientCheckError, match="order 1"):
        check_grads(wrong, tuple(xs))


def test_a_dropped_term_and_a_transposed_matrix_are_found() -> None:
    x, m = np.array([0.7, -1.3, 2.1]), A.copy()
    dropped = ad.custom_vjp(lambda x, y: x * y + ad.sin(x))
    dropped.defvjp(lambda x, y: (dropped(x, y), (x, y)), lambda r, ct: (ct * r[1], ct * r[0]))
    with pytest.raises(GradientCheckError, match=r"by x\[0\]"):
        check_grads(dropped, (x, 2.0 * x))
    product = ad.custom_vjp(lambda m, x: m @ x)
    product.defvjp(lambda m, x: (m @ x, (m, x)), lambda r, ct: (ad.outer(ct, r[1]), r[0] @ ct))
    with pytest.raises(GradientCheckError, match=r"by x\[\d\]"):
        check_grads(product, (m, x))
    unsummed = ad.custom_vjp(lambda x: ad.mean(x))
    unsummed.defvjp(lambda x: (ad.mean(x), x), lambda x, ct: (ct * ad.ones_like(x),))
    with pytest.raises(GradientCheckError, match=r"derivative is 1.0, differences 0.33333"):
        check_grads(unsummed, (x,))


@pytest.fixture
def declared() -> Iterator[Callable[..., Any]]:
    """Rows of x², declared for one test."""
    before = dict(TABLE)

    def declare(forward: float, reverse: float) -> Any:
        return general(
            "square for a test",
            "",
            numpy=lambda x: x * x,
            shape=lambda x: x,
            jvp=lambda tangents, y, x: forward * x * tangents[0],
            vjp=lambda needed, ct, y, x: (reverse * x * ct,),
            residuals=(0,),
            samples=Samples(cases=[]),
        )

    yield declare
    TABLE.clear()
    TABLE.update(before)


def test_each_mode_is_checked_by_itself(declared: Callable[..., Any]) -> None:
    wrong_forward = declared(2.001, 2.0)
    with pytest.raises(GradientCheckError, match="order 1, forward mode"):
        check_grads(wrong_forward, (1.5,))
    check_grads(wrong_forward, (1.5,), modes=("reverse",))


def test_reverse_mode_is_checked_by_itself(declared: Callable[..., Any]) -> None:
    wrong_reverse = declared(2.0, 2.001)
    with pytest.raises(GradientCheckError, match="order 1, reverse mode"):
        check_grads(wrong_reverse, (1.5,))
    check_grads(wrong_reverse, (1.5,), modes=("forward",))


@pytest.mark.parametrize("modes", [("forward",), ("reverse",), ("forward", "reverse")])
def test_wrong_second_derivatives_are_found(modes: tuple[str, ...]) -> None:
    f = custom(ad.sin, lambda x: ad.stop_gradient(ad.cos(x)))
    check_grads(f, (0.7,), order=1, modes=modes)
    with pytest.raises(GradientCheckError, match=f"order 2, {modes[0]} mode: by x"):
        check_grads(f, (0.7,), order=2, modes=modes)


def test_derivatives_in_single_precision_are_compared_with_those_in_double() -> None:
    def derivative(x: Any) -> Any:
        return ad.cos(x) * (1.01 if x.dtype == np.float32 else 1.0)

    f = custom(ad.sin, derivative)
    check_grads(f, (0.7,))
    with pytest.raises(GradientCheckError, match=r"by x, the derivative in single precision is 0\.0971\d*, in double 0\.0961"):
        check_grads(f, (np.float32(0.7),), order=1)


# --- what the error says ------------------------------------------------------------------------------------------


def test_the_error_names_argument_index_both_numbers_and_their_errors() -> None:
    def f(weights: Any, x: Any) -> Any:
        return ad.sum(weights["w"] @ x)

    wrong = ad.custom_vjp(f)

    def backward(r: Any, ct: Any) -> Any:
        w, x = r
        g = ad.outer(ad.ones(2), x) * ct
        g[1, 0] = 7.0
        return {"w": g}, ad.sum(w, axis=0) * ct

    wrong.defvjp(lambda weights, x: (f(weights, x), (weights["w"], x)), backward)
    with pytest.raises(GradientCheckError) as caught:
        check_grads(wrong, ({"w": np.ones((2, 3))}, np.array([1.0, 2.0, 3.0])), modes=("reverse",))
    message = str(caught.value)
    assert message.startswith("[check_grads] order 1, reverse mode: by weights['w'][1, 0], the derivative is ")
    number = r"-?\d+\.?\d*(?:e[+-]\d+)?"
    found = re.search(
        rf"the derivative is ({number}), differences ({number}) "
        rf"\(estimated truncation ({number}), round-off ({number}); ({number}) was allowed\)",
        message,
    )
    assert found, message
    derivative, differences, truncation, roundoff, allowed = map(float, found.groups())
    ct = np.random.default_rng(0).standard_normal()
    assert derivative == pytest.approx(7.0) and differences == pytest.approx(ct, rel=1e-9)
    assert 0 <= truncation + roundoff < 1e-9 and allowed < 1e-7


def test_kinks_and_edges_are_reported() -> None:
    with pytest.raises(GradientCheckError, match=r"from below and .* from above: is this a kink\?"):
        check_grads(nn.functional.relu, (0.0,))
    with pytest.raises(GradientCheckError, match="is this a kink"):
        check_grads(lambda x: ad.abs(x) * 2.0 + x, (np.array([1.0, 0.0]),), modes=("reverse",))
    with pytest.raises(GradientCheckError, match="is this the edge of its domain"), np.errstate(all="ignore"):
        check_grads(lambda x: x**1.5, (0.0,))


def test_differences_that_do_not_settle_are_no_proof() -> None:
    noise = np.random.default_rng(0)

    def noisy(x: Any) -> Any:
        return ad.sin(x) + 0.1 * noise.standard_normal()

    with pytest.raises(GradientCheckError):
        check_grads(noisy, (0.5,))


def test_tolerances_are_allowed_in_addition() -> None:
    f = custom(ad.sin, lambda x: 1.001 * ad.cos(x))
    check_grads(f, (0.5,), rtol=2e-3, order=1)
    check_grads(f, (0.5,), atol=1e-3, order=1)
    with pytest.raises(GradientCheckError):
        check_grads(f, (0.5,), rtol=5e-4, order=1)


def test_arguments_of_the_check_itself() -> None:
    with pytest.raises(ValueError, match=r"modes are \['fwd'\]"):
        check_grads(ad.sin, (1.0,), modes=("fwd",))
    with pytest.raises(ValueError, match="order is 0"):
        check_grads(ad.sin, (1.0,), order=0)


@pytest.mark.parametrize("seed", range(20))
def test_compositions_drawn_at_random_pass(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(-2, 2, 3)
    check_grads(lambda x: ad.sin(a * x) * ad.exp(b * x) + c * x**2 / (1.0 + x**2), (rng.uniform(-3, 3, 4),))
