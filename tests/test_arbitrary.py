"""Arbitrary precision: every row's value and derivatives on numbers of mpmath's, against differences that share no rule."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from drawing import Case, cases_in_floats, derivatives_of, parts_of
from mpmath import mp, mpf

import arrayad as ad
from arrayad.arbitrary import Arbitrary
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE
from arrayad.shaped import Bundle
from arrayad.tensor import handle

DIGITS, WORKING = 50, 60
TRUTH, STEP = 220, 40
"""Digits in which the truth is computed, and of the step of its differences: truncation is 10^-80, rounding 10^-140."""

ELEMENTWISE = [row for row in TABLE.values() if isinstance(row, Elementwise) and row.mpmath is not None]
SMOOTH = [(row, i) for row in ELEMENTWISE for i in range(row.arity) if row.partials[i] is not None]

QUICK = {"exp2", "erf", "divide", "sinc", "gelu", "tanh", "where"}


@pytest.fixture(autouse=True)
def working_digits() -> Any:
    with mp.workdps(WORKING):
        yield


def subsets(pairs: list[Any], name: Any) -> list[Any]:
    """Parameters of which all but a few rows are slow."""
    return [
        pytest.param(pair, id=name(pair), marks=[] if name(pair).split("-")[0] in QUICK else pytest.mark.slow) for pair in pairs
    ]


def point_of(row: Elementwise, seed: int = 0) -> list[Any]:
    """A number for each operand in the row's domain; of the real ones the digits go on beyond a float's."""
    drawn = Case(row, ((),) * row.arity, {}).operands(seed=seed)
    return [x.item() if x.dtype.kind in "biu" else mpf(x.item()) * (1 + mpf(1) / 7**20) for x in drawn]


def operands_of(point: list[Any]) -> list[Any]:
    return [np.asarray(x) if isinstance(x, bool | int) else ad.asarray(x) for x in point]


def text_of(row: Elementwise) -> Any:
    """The row's `mpmath` text as a function of numbers."""
    names = row.operand_names(row.arity)
    program = compile(row.mpmath or "", row.name, "eval")
    return lambda *xs: eval(program, {"mp": mp, **dict(zip(names, xs, strict=True))})


def differences(function: Any, point: list[Any], i: int) -> tuple[Any, Any]:
    """The first and second derivative by operand i, central differences in many digits."""
    with mp.workdps(TRUTH):
        h = mpf(10) ** -STEP

        def at(k: int) -> Any:
            return function(*(x + k * h if j == i else x for j, x in enumerate(point)))

        return (at(1) - at(-1)) / (2 * h), (at(1) - 2 * at(0) + at(-1)) / h**2


def assert_digits(found: Any, wanted: Any, digits: int = DIGITS) -> None:
    """`found` is a 0-d Tensor of mpmath's numbers with so many digits of `wanted`; what is 0 is 0 to as many places."""
    assert found.dtype == object
    assert abs(found.item() - wanted) <= mpf(10) ** -digits * max(abs(wanted), mpf(10) ** -10)


# --- every elementwise row -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ELEMENTWISE, ids=repr)
def test_values_are_those_of_the_rows_text(row: Elementwise) -> None:
    for seed in range(2):
        point = point_of(row, seed)
        found = row.apply(*operands_of(point))
        with mp.workdps(TRUTH):
            wanted = text_of(row)(*point)
        if isinstance(wanted, bool):
            assert found.dtype == bool and found.item() is wanted
        elif any(isinstance(x, mpf) for x in point):
            assert_digits(found, wanted)


@pytest.mark.parametrize("pair", subsets(SMOOTH, lambda pair: f"{pair[0]}-{pair[1]}"))
def test_derivatives_have_fifty_digits(pair: tuple[Elementwise, int]) -> None:
    row, i = pair
    point = point_of(row, seed=3)
    operands = operands_of(point)

    def function(x: Any) -> Any:
        return row.apply(*operands[:i], x, *operands[i + 1 :])

    first, second = differences(text_of(row), point, i)
    one, x = ad.ones_like(operands[i]), operands[i]
    assert_digits(ad.grad(function)(x), first)
    assert_digits(ad.jvp(function, (x,), (one,))[1], first)
    assert_digits(ad.grad(ad.grad(function))(x), second)
    assert_digits(ad.jvp(ad.grad(function), (x,), (one,))[1], second)
    assert_digits(ad.jet(function, (x,), ([one, ad.zeros_like(x)],))[1][1], second)


# --- every row ---------------------------------------------------------------------------------------------------------------


def stays_in_the_house(value: Any) -> bool:
    """Whether a value is as Tensors hold it: numbers of mpmath's as an `Arbitrary` of nothing else."""
    if value.__class__ is Arbitrary:
        return all(isinstance(x, mpf) for x in value.array.flat)
    return value.dtype.kind in "biu"


def cast(value: Any) -> Any:
    return value.astype(np.float64) if value.dtype == object else np.asarray(value, dtype=float)


def assert_alike(found: list[Any], wanted: list[Any]) -> None:
    for x, y in zip(found, wanted, strict=True):
        assert stays_in_the_house(x) and x.shape == y.shape
        np.testing.assert_allclose(cast(x), cast(y), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", cases_in_floats())
def test_every_row_computes_with_numbers_of_mpmaths(case: Case) -> None:
    """As with floats, to their digits; so do the shape rule, the JVP and the VJP."""
    operands = case.operands()
    exact = [ad.asarray(x, object) if x.dtype.kind == "f" else handle(x) for x in operands]
    floats = case.row.apply(*operands, **case.params)
    found = case.row.apply(*exact, **case.params)
    assert_alike(parts_of(found), parts_of(floats))
    shaped = case.row.shape(*(ad.Shaped(x.shape, x.dtype) for x in exact), **case.params)
    shapes = list(shaped) if shaped.__class__ is Bundle else [shaped]
    assert [(s.shape, s.dtype) for s in shapes] == [(x.shape, x.dtype) for x in parts_of(found)]
    assert_alike(derivatives_of(case, exact), derivatives_of(case, operands))


# --- programs ------------------------------------------------------------------------------------------------------------------


def derivative_of(function: Any, x: Any) -> Any:
    """f'(x) of a function of a number, by differences in many digits; the function must compute with mpmath."""
    return differences(function, [x], 0)[0]


def newton(a: Any) -> Any:
    """The cube root by Newton's iteration."""
    x = 1.0 + 0.0 * a
    for _ in range(12):
        x = x - (x**3 - a) / (3.0 * x * x)
    return x


def test_newtons_iteration() -> None:
    a = mpf(5) / 3
    assert_digits(ad.grad(newton)(a), a ** (mpf(-2) / 3) / 3)
    assert_digits(ad.jvp(newton, (a,), (mpf(1),))[1], a ** (mpf(-2) / 3) / 3)
    assert_digits(ad.grad(ad.grad(ad.grad(newton)))(a), mpf(10) / 27 * a ** (mpf(-8) / 3))


def logistic(x: Any) -> Any:
    for _ in range(15):
        x = 4 * x * (1 - x)
    return x


def test_the_logistic_map() -> None:
    """x[n] = sin²(2^n asin √x[0]), of which the errors double at each step."""
    x = mpf(2) / 7
    with mp.workdps(TRUTH):
        angle = mp.asin(mp.sqrt(x))
        wanted = 2**15 * mp.sin(2**16 * angle) / (2 * mp.sqrt(x * (1 - x)))
    assert_digits(ad.grad(logistic)(x), wanted)
    assert_digits(ad.taylor(logistic, x, 1)[1], wanted)


def matrices() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    irrational = np.vectorize(lambda x: mp.sin(mpf(float(x)) * 100), otypes=[object])
    return {name: irrational(rng.random(shape)) for name, shape in {"w": (3, 4), "v": (4, 2), "x": (2, 3)}.items()}


def network(w: Any, v: Any, x: Any) -> Any:
    y = ad.nn.functional.softmax(ad.tanh(x @ w) @ v, axis=1)
    return ad.logsumexp(y) + ad.norm(w) - ad.sum(ad.nn.functional.gelu(x @ w, approximate="tanh"))


def by_hand(w: Any, v: Any, x: Any) -> Any:
    """The same in mpmath alone."""
    w, v, x = mp.matrix(w.tolist()), mp.matrix(v.tolist()), mp.matrix(x.tolist())
    hidden = x * w
    scores = hidden.apply(mp.tanh) * v
    e = scores.apply(mp.exp)
    shares = [e[i, j] / (e[i, 0] + e[i, 1]) for i in range(2) for j in range(2)]
    inner = [mp.sqrt(2 / mp.pi) * (h + mpf("0.044715") * h**3) for h in hidden]
    gelus = [h / 2 * (1 + mp.tanh(z)) for h, z in zip(hidden, inner, strict=True)]
    return mp.log(mp.fsum(map(mp.exp, shares))) + mp.sqrt(mp.fsum(a * a for a in w)) - mp.fsum(gelus)


def test_a_network_by_reverse_and_forward_mode() -> None:
    data = matrices()
    gradient = ad.grad(network)(*data.values())
    assert_digits(network(**data), by_hand(**data))
    for place in [(0, 0), (2, 3)]:

        def along(t: Any, place: Any = place) -> Any:
            moved = data["w"].copy()
            moved[place] = moved[place] + t
            return by_hand(moved, data["v"], data["x"])

        wanted = derivative_of(along, mpf(0))
        assert_digits(gradient[place], wanted)
        unit = np.zeros((3, 4))
        unit[place] = 1
        assert_digits(ad.jvp(lambda w: network(w, data["v"], data["x"]), (data["w"],), (unit,))[1], wanted)


def test_leaves_and_backward() -> None:
    w = ad.tensor(matrices()["w"], requires_grad=True)
    (w @ w.T).sum().backward()
    total = [mp.fsum(row) for row in w.numpy().T]
    for i, j in itertools.product(range(3), range(4)):
        assert_digits(w.grad[i, j], 2 * total[j])  # type: ignore[index]
    with ad.no_grad():
        w -= w.grad / 3
    assert w.requires_grad and w.dtype == object


def rearranged(x: Any) -> Any:
    """Sorting, indexing, assignment, joining, running sums and products, extremes."""
    y = ad.sort(x * x)
    y = ad.concat([y[1:], ad.cumulative_sum(y)[:2], ad.where(y > 1, ad.sqrt(y), y)])
    y[0] = y[2] * y[-1]
    y[[1, 2]] *= 3
    y.at[1].add(x[0])
    return ad.prod(y[:4]) * ad.max(y) - ad.sum(ad.cumulative_prod(y[::2])) + ad.clip(y, 0.25, 2).sum() + ad.std(y) / ad.mean(y)


def test_the_hessian_of_a_rearrangement_agrees_with_floats_and_with_itself() -> None:
    """The modes share no rule but the row's; floats share all, and have 16 digits."""
    x = matrices()["v"].ravel()[:4]
    by_forward = ad.jacfwd(ad.jacfwd(rearranged))(x)
    by_reverse = ad.jacrev(ad.jacrev(rearranged))(x)
    mixed = ad.hessian(rearranged)(x)
    size = max(abs(h) for h in by_forward.numpy().flat)
    for other in (by_reverse, mixed):
        assert max(abs(h) for h in (by_forward - other).numpy().flat) <= mpf(10) ** -DIGITS * size
    np.testing.assert_allclose(np.asarray(mixed.astype(float)), np.asarray(ad.hessian(rearranged)(x.astype(float))), rtol=1e-9)


def test_nesting_in_any_order() -> None:
    """d⁴/dx⁴ of e^(x²) by grad, jvp, vjp and a jet, in every order that four of them take."""
    x = mpf(2) / 3
    wanted = (16 * x**4 + 48 * x**2 + 12) * mp.exp(x * x)
    modes: dict[str, Any] = {
        "grad": ad.grad,
        "jvp": lambda f: lambda x: ad.jvp(f, (x,), (1.0,))[1],
        "vjp": lambda f: lambda x: ad.vjp(f, x)[1](mpf(1))[0],
        "taylor": lambda f: lambda x: ad.taylor(f, x, 1)[1],
    }
    for order in itertools.permutations(modes):
        f: Any = lambda x: ad.exp(x * x)  # noqa: E731
        for mode in order:
            f = modes[mode](f)
        assert_digits(f(x), wanted)


def test_batches_branches_and_loops() -> None:
    xs = ad.asarray([mpf(1) / 3, -mpf(2) / 7])

    def branched(x: Any) -> Any:
        return ad.cond(x > 0, lambda x: ad.exp2(x), lambda x: ad.log10(2 - x), x)

    for found, x in zip(ad.vmap(ad.grad(branched))(xs), xs.tolist(), strict=True):
        assert_digits(found, mp.ln2 * mp.power(2, x) if x > 0 else -1 / ((2 - x) * mp.ln10))
        assert_digits(ad.grad(branched)(x), found.item())
        assert_digits(ad.jvp(branched, (x,), (mpf(1),))[1], found.item())
    chosen = ad.grad(lambda x: ad.switch(1, [ad.sin, ad.erf], x))(xs[0])
    assert_digits(chosen, 2 / mp.sqrt(mp.pi) * mp.exp(-mpf(1) / 9))


STEPS = (mpf(1) / 7, mpf(2) / 7, mpf(4) / 7)


def scanned(x: Any) -> Any:
    last, ys = ad.scan(lambda c, t: (ad.sin(c) * x + t, ad.exp2(c)), x, ad.asarray(STEPS))
    return last + ad.sum(ys)


def unrolled(x: Any) -> Any:
    total = 0.0
    c = x
    for t in STEPS:
        total, c = total + ad.exp2(c), ad.sin(c) * x + t
    return c + total


def root_by(loop: Any) -> Any:
    """The cube root of a number by Newton's iteration in a loop that stays in the tape."""
    return lambda a: loop(lambda y: y - (y**3 - a) / (3.0 * y * y), a * 0.0 + 1.0, a)


@pytest.mark.parametrize("order", ["grad", "grad of grad", "jvp of grad", "taylor", "checkpointed", "batched"])
def test_loops_that_stay_in_the_tape(order: str) -> None:
    x = mpf(1) / 3
    transforms: dict[str, Any] = {
        "grad": ad.grad,
        "grad of grad": lambda f: ad.grad(ad.grad(f)),
        "jvp of grad": lambda f: lambda x: ad.jvp(ad.grad(f), (x,), (1.0,))[1],
        "taylor": lambda f: lambda x: ad.taylor(f, x, 3)[3],
        "checkpointed": lambda f: ad.grad(ad.checkpoint(f)),
        "batched": lambda f: lambda x: ad.vmap(ad.grad(f))(ad.asarray([x, 2 * x]))[0],
    }
    assert_digits(transforms[order](scanned)(x), transforms[order](unrolled)(x).item())


def test_loops_that_stop_by_a_tolerance_or_a_count() -> None:
    a = mpf(5) / 3
    counted = root_by(lambda body, y, a: ad.fori_loop(0, 12, lambda i, y: body(y), y))
    tolerant = root_by(lambda body, y, a: ad.while_loop(lambda y: abs(y**3 - a) > mpf(10) ** -57, body, y))
    for root in (counted, tolerant):
        assert_digits(ad.grad(root)(a), a ** (mpf(-2) / 3) / 3)
        assert_digits(ad.jvp(root, (a,), (mpf(1),))[1], a ** (mpf(-2) / 3) / 3)


def test_traces_replay_in_the_precision_in_force() -> None:
    """A tape that was recorded in few digits holds the formula of ln 2, not its digits."""
    from arrayad.readers.replay import replay

    with mp.workdps(20):
        tape = ad.trace(ad.grad(ad.exp2))(mpf(3))
    assert_digits(replay(tape, mpf(3)), 8 * mp.ln2)
    with mp.workdps(20):
        ad.taylor(ad.exp2, mpf(3), 2)
    assert_digits(ad.taylor(ad.exp2, mpf(3), 2)[2], 4 * mp.ln2**2)


@pytest.mark.parametrize("name", ["exp2", "log2", "log10", "erf", "erfc", "erfinv"])
def test_constants_in_rules_are_exact(name: str) -> None:
    """At 200 digits, beyond those that any constant is written with."""
    constants = {
        "exp2": lambda x: mp.ln2 * mp.power(2, x),
        "log2": lambda x: 1 / (x * mp.ln2),
        "log10": lambda x: 1 / (x * mp.ln10),
        "erf": lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
        "erfc": lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
        "erfinv": lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2),
    }
    with mp.workdps(200):
        x = mpf(1) / 3
        assert_digits(ad.grad(getattr(ad, name))(x), constants[name](x), 195)


def test_roots_and_shares_in_functions_are_exact() -> None:
    x = ad.asarray([mpf(1), mpf(2), mpf(4)])
    mean = mpf(7) / 3
    assert_digits(ad.std(x, ddof=1), mp.sqrt(((1 - mean) ** 2 + (2 - mean) ** 2 + (4 - mean) ** 2) / 2))
    assert_digits(ad.linalg.vector_norm(x, ord=3), mpf(73) ** (mpf(1) / 3))
    query = ad.asarray([[mpf(1), mpf(0), mpf(2)]])
    keys = ad.asarray([[mpf(1), mpf(1), mpf(1)], [mpf(0), mpf(1), mpf(0)]])
    found = ad.nn.functional.scaled_dot_product_attention(query, keys, ad.asarray([[mpf(0)], [mpf(1)]]))
    assert_digits(found[0, 0], 1 / (1 + mp.exp(mp.sqrt(3))))
    assert_digits(ad.linspace(mpf(0), mpf(1), 4)[1], mpf(1) / 3)
    assert_digits(ad.grad(lambda x: ad.max(x))(ad.asarray([mpf(1)] * 3))[0], mpf(1) / 3)
    infinite = ad.asarray([mpf("inf")] * 3)
    assert_digits(ad.grad(ad.logsumexp)(infinite)[1], mpf(1) / 3)
