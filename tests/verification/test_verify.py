"""`verify`: right programs are called right, a rule that is planted wrong is found, and named, wherever it stands."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from drawing import every_case, joined

import arrayad as ad
from arrayad.elementwise import elementwise
from arrayad.errors import DerivativeError, DTypeError
from arrayad.primitive import TABLE, general, like_first
from arrayad.samples import Samples


def wrong_square() -> Any:
    """x² with the derivative x."""

    @ad.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, ct: (ct * x,))
    return square


SQUARE = wrong_square()


@pytest.fixture
def table() -> Iterator[None]:
    """Take out again what a test declares."""
    before = dict(TABLE)
    yield
    TABLE.clear()
    TABLE.update(before)


# --- right programs ------------------------------------------------------------------------------------------------------


def loss(p: Any, x: Any) -> Any:
    return ad.sum(ad.tanh(p["w"] @ x + p["b"]) ** 2)


P = {"w": np.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": np.array([0.1, -0.2, 0.3])}
X = np.array([0.5, -1.0, 2.0, 0.1])


def test_a_right_gradient_is_right_to_the_digits_that_rounding_leaves() -> None:
    found = ad.verify(loss)(P, X)
    assert found and found.ok and not found.wrong and found.suspect is None
    assert found.oracle.startswith("central differences of the function alone in 150 digits")
    assert found.count == 2 * (12 + 3 + 4), "each number in both modes"
    assert set(found.digits[0]) == {"w", "b"} and found.digits[0]["w"] > 14
    assert found.elements[0]["w"].shape == (3, 4) and np.all(found.elements[1] > 14)
    assert np.all(found.elements[1] >= found.expected[1]) and np.all(found.expected[1] > 11)
    assert found.exact is not None and found.exact >= 40
    text = str(found)
    assert text.startswith("loss: the derivative is right, 38 numbers agree (reverse and forward mode)")
    assert "p['w']  f64[3,4]" in text and "float64 has 16.0 digits; 8 operations that round, amplified" in text


def test_results_of_several_arrays_modes_and_arguments_that_are_not_differentiated() -> None:
    def f(x: Any, i: Any, name: str, scale: float = 1.0) -> Any:
        return {"y": getattr(ad, name)(x[i]) * scale, "count": i.size, "s": [x * x]}

    found = ad.verify(f, modes=("forward",))(np.array([0.3, 0.7]), np.array([1, 1, 0]), "sin", scale=2.0)
    assert found and found.count == 2 * (3 + 2) and found.modes == ("forward",)
    assert found.digits[1:] == (None, None) and found.digits[0] > 14


def test_cancellation_is_allowed_for_and_nothing_else() -> None:
    """The same error of one part in 10⁶ is rounding where a program cancels 10 digits, and is not where it does not."""

    def cancelled(x: Any) -> Any:
        return (1.0 - ad.cos(x)) / x**2

    found = ad.verify(cancelled, modes=("reverse",))(1e-5)
    truth = -1e-5 / 12
    assert found.ok and abs(float(ad.grad(cancelled)(1e-5)) / truth - 1) > 1e-2
    assert found.digits[0] < 2 and found.expected[0] < 2
    assert found.exact is not None and found.exact > 30, "in arbitrary precision nothing is lost"
    slightly = ad.custom_vjp(lambda x: ad.sin(x))
    slightly.defvjp(lambda x: (ad.sin(x), x), lambda x, ct: (ct * ad.cos(x) * (1 + 1e-6),))
    assert not ad.verify(slightly)(0.7)


def test_zero_derivatives_and_arguments_that_are_not_used() -> None:
    assert ad.verify(lambda x, y: ad.floor(x) + 3.0 * y)(0.5, 2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ad.verify(lambda x, y: x * x)(0.5, 2.0).digits == pytest.approx((15.95, 15.95), abs=0.1)
    assert ad.verify(lambda x: ad.sum(x) - ad.sum(x))(np.ones(3))


@pytest.mark.parametrize("dtype, least", [("float32", 5.5), ("float64", 14.0), ("longdouble", 17.0)])
def test_dtypes(dtype: str, least: float) -> None:
    found = ad.verify(lambda x: ad.sum(ad.exp(ad.sin(x))))(np.array([0.3, 1.1], dtype))
    assert found and found.digits[0] > least


def test_a_program_that_computes_in_single_precision_on_the_way() -> None:
    found = ad.verify(lambda x: ad.sum(ad.sin(x.astype("float32")).astype("float64") ** 2))(np.array([0.3, 1.1]))
    assert (
        found
        and 4 < found.digits[0] < 12
        and "float32 has 7.2 digits" in str(found)
        and found.oracle.startswith("central differences in floats")
    )


def test_mpmaths_numbers() -> None:
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(30):
        third = ad.tensor([mpmath.mpf(1) / 3])
        assert ad.verify(lambda x: ad.sum(ad.erf(x)))(third).digits[0] > 28
        assert not ad.verify(lambda x: ad.sum(SQUARE(x)))(third)


# --- oracles -------------------------------------------------------------------------------------------------------------

MATRIX = np.array([[2.0, 1.0], [0.5, 3.0]])


@pytest.mark.parametrize(
    "f, x, oracle, least",
    [
        (lambda x: ad.sum(ad.exp(x)), X, "central differences of the function alone", 15),
        (lambda x: ad.sum(ad.linalg.inv(x)), MATRIX, "the complex step", 13),
        (lambda x: ad.linalg.norm(ad.linalg.inv(x)), MATRIX, "central differences in floats", 10),
        (lambda z: ad.sum(abs(z) ** 2), X * (1 + 0.5j), "central differences in floats", 10),
    ],
)
def test_the_strongest_oracle_that_applies_judges(f: Any, x: Any, oracle: str, least: float) -> None:
    found = ad.verify(f)(x)
    assert found and found.oracle.startswith(oracle) and found.digits[0] > least
    assert ad.verify(f, oracle="differences")(x).oracle.startswith("central differences in floats")


def test_an_oracle_that_the_function_misleads_is_not_believed() -> None:
    """What float() makes of a number is the same for all numbers of 150 digits in between."""
    found = ad.verify(lambda x: x * float(x))(2.0)
    assert not found and float(found.wrong[0].reference) == pytest.approx(4.0)
    assert "the function leaves these numbers on the way" in found.refusals[0]
    assert found.suspects == () and any("float() of a value inside a running transform" in note for note in found.notes)
    assert any("a value has left it" in note for note in found.notes)
    conjugate = ad.verify(lambda x: ad.real(ad.conj(x + 0.0j) * x), oracle="complex step")
    with pytest.raises(DerivativeError, match=r"no oracle applies: complex step"):
        conjugate(2.0)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="there is no oracle 'mine'; there are 'high precision', 'complex step', 'differences'"):
        ad.verify(ad.sin, oracle="mine")(1.0)
    with pytest.raises(ValueError, match='each must be "reverse" or "forward"'):
        ad.verify(ad.sin, modes=("backward",))
    with pytest.raises(DTypeError, match=r"\[verify\] the arguments are \(int 3\), and one at least must be floating-point"):
        ad.verify(ad.sin)(3)
    with pytest.raises(DTypeError, match=r"\[verify\] the result is bool\[\], which has no derivative"):
        ad.verify(lambda x: x > 0.0)(3.0)
    rng = np.random.default_rng(0)
    with pytest.raises(DerivativeError, match="different values at the same arguments"):
        ad.verify(lambda x: x * rng.random())(3.0)


# --- kinks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("oracle", [None, "differences"])
def test_at_a_kink_nothing_is_decided(oracle: str | None) -> None:
    found = ad.verify(lambda x: ad.maximum(x, 0.0), oracle=oracle)(np.array([0.0, 1.0]))
    assert found.ok and {finding.state for finding in found.undecided} == {"kink"}
    assert {finding.argument for finding in found.undecided} == {"x[0]"}
    assert np.isnan(found.elements[0][0]) or found.elements[0][0] > 15
    alone = ad.verify(lambda x: abs(x), oracle=oracle)(0.0)
    assert not alone.ok and not alone.wrong and "nothing could be decided" in str(alone)


def test_where_the_value_is_not_finite_nothing_is_decided() -> None:
    with np.errstate(all="ignore"):
        found = ad.verify(lambda x: ad.log(x))(np.array([-1.0, 2.0]))
    assert found.ok and {finding.result for finding in found.undecided} == {"the result[0]"}
    edge = ad.verify(lambda x: ad.sqrt(x))(0.0)
    assert not edge.wrong and not edge.ok, "the derivative is infinite"


# --- suspects ------------------------------------------------------------------------------------------------------------


def test_a_wrong_rule_in_the_middle_of_a_program_is_suspected() -> None:
    def f(x: Any, y: Any) -> Any:
        return ad.sin(ad.exp(-x) + SQUARE(x * y)) * y

    found = ad.verify(f)(0.5, 2.0)
    assert not found and {finding.argument for finding in found.wrong} == {"x", "y"}
    assert found.suspect is not None and len(found.suspects) == 1
    assert found.suspect.entry == "w5 = custom(w4, call=square)" and found.suspect.row == "custom"
    assert "test_verify.py" in found.suspect.location
    assert float(found.suspect.finding.derivative) == pytest.approx(1.0)
    assert float(found.suspect.finding.reference) == pytest.approx(2.0)
    assert "suspect: w5 = custom(w4, call=square), at" in str(found) and "its VJP by x gives 1.0" in str(found)


@pytest.mark.usefixtures("table")
def test_a_wrong_row_of_the_table_is_suspected() -> None:
    wrong = elementwise(
        "wrong_sine",
        """Sine, with a wrong derivative.""",
        numpy=np.sin,
        partials=(lambda x: ad.cos(x) * 1.001,),
        mpmath="mp.sin(x)",
        public=False,
    )
    found = ad.verify(lambda x: ad.sum(ad.exp(wrong(x) * x)))(X)
    assert not found and found.suspect is not None and found.suspect.row == "wrong_sine"
    assert len(found.suspects) == 1, "the rows around it are right"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_row_of_which_one_rule_is_wrong_is_suspected_in_that_mode(mode: str) -> None:
    scale = {"forward": 2.0, "reverse": 2.0} | {mode: 3.0}
    double = general(
        "wrong_double",
        """Twice the operand, by a kernel that knows no mpmath.""",
        numpy=lambda x: np.multiply(np.asarray(x, float), 2.0),
        shape=like_first,
        jvp=lambda tangents, y, x: tangents[0] * scale["forward"],
        vjp=lambda needed, ct, y, x: (ct * scale["reverse"],),
        samples=Samples(cases=[]),
    )
    found = ad.verify(lambda x: ad.sum(ad.sin(double(x))))(X)
    assert {finding.mode for finding in found.wrong} == {mode}
    assert found.suspect is not None and found.suspect.row == "wrong_double" and found.suspect.finding.mode == mode


def nested(x: Any) -> Any:
    def outer(c: Any, t: Any) -> Any:
        inner = ad.scan(lambda d, _: (ad.sin(d) + 0.1 * SQUARE(d), None), c, None, length=2)[0]
        return inner * x, t * c

    return ad.scan(outer, x, np.array([1.0, 2.0, 3.0]))[0]


INSIDE = {
    "scan": (lambda x: ad.scan(lambda c, t: (SQUARE(c) * t + x, c), x, np.array([0.1, 0.2]))[0], "in run 1 of 2 of w1 = scan("),
    "nested": (nested, "of w1 = scan("),
    "while": (lambda x: ad.while_loop(lambda c: c < 3.0, lambda c: SQUARE(c) + x, x), "in run 1 of 2 of w1 = while("),
    "checkpoint": (lambda x: ad.checkpoint(lambda x: ad.exp(SQUARE(x)))(x), ", in w1 = checkpoint("),
    "branch": (
        lambda x: ad.scan(lambda c, t: (ad.cond(c > 0.5, SQUARE, ad.cos, c), None), x, np.zeros(2))[0],
        "= switch(",
    ),
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_wrong_rule_inside_a_loop_or_a_branch_is_suspected(name: str) -> None:
    f, words = INSIDE[name]
    found = ad.verify(f)(0.9)
    assert not found and found.suspect is not None
    assert found.suspect.row == "custom" and "call=square" in found.suspect.entry and words in found.suspect.entry
    assert {suspect.row for suspect in found.suspects} == {"custom"}, "the loop's own rules are right"


def test_what_cuts_a_derivative_off_is_suspected() -> None:
    found = ad.verify(lambda x: x * ad.stop_gradient(ad.sin(x)))(2.0)
    assert not found and found.suspect is not None and found.suspect.row == "stop_gradient"


def test_of_many_equal_operations_that_which_is_wrong_is_found() -> None:
    """A rule that is wrong for large operands only: the first entries of its kind are right."""

    @ad.custom_vjp
    def sine(x: Any) -> Any:
        return ad.sin(x)

    sine.defvjp(lambda x: (ad.sin(x), x), lambda x, ct: (ct * ad.cos(x) * ad.where(x > 3.0, 2.0, 1.0),))

    def f(x: Any) -> Any:
        y = x
        for _ in range(5):
            y = sine(y) + x
        return y

    assert ad.verify(f)(0.5)
    found = ad.verify(f)(2.4)
    assert not found and found.suspect is not None
    assert found.suspect.entry.startswith("w4 = custom(") and float(found.suspect.finding.reference) == pytest.approx(
        math.cos(2.4 + math.sin(2.4)), rel=1e-6
    )


# --- large arguments, options ----------------------------------------------------------------------------------------------


def test_large_arguments_are_sampled_and_the_element_that_is_wrong_is_found() -> None:
    mask = np.ones(50)
    mask[37] = 1.01
    f = ad.custom_vjp(lambda x: ad.sin(x))
    f.defvjp(lambda x: (ad.sin(x), x), lambda x, ct: (ct * ad.cos(x) * mask,))
    x = np.linspace(0.0, 1.0, 50)
    found = ad.verify(lambda x: ad.sum(f(x)), elements=20)(x)
    assert not found and {finding.argument for finding in found.wrong} == {"x[37]", "x along a random direction"}
    assert "sampled along" in str(found)
    right = ad.verify(lambda x: ad.sum(ad.sin(x)), elements=20, directions=3)(x)
    assert right and right.count == 2 * 3 and "sampled along 3 random directions" in str(right)


def test_many_results_are_swept_in_random_combinations() -> None:
    found = ad.verify(lambda x: ad.reshape(x, (3, 1)) * np.linspace(1.0, 2.0, 20))(np.array([0.1, 0.2, 0.3]))
    assert found and found.count == 3 * (60 + 4)
    assert not ad.verify(lambda x: SQUARE(ad.reshape(x, (3, 1)) * np.linspace(1.0, 2.0, 20)), modes=("reverse",))(X[:3])


def test_programs_too_long_for_high_precision_are_judged_otherwise() -> None:
    x = np.linspace(0.1, 1.0, 60_000)
    found = ad.verify(lambda x: ad.sum(ad.sin(x) ** 2), directions=2)(x)
    assert found and "take too long" in found.refusals[0] and found.oracle.startswith("the complex step")


def test_digits_may_be_asked_for() -> None:
    f = ad.custom_vjp(lambda x: ad.sin(x))
    f.defvjp(lambda x: (ad.sin(x), x), lambda x, ct: (ct * ad.cos(x) * (1 + 1e-6),))
    assert not ad.verify(f)(0.7) and ad.verify(f, digits=5.5)(0.7) and not ad.verify(f, digits=6.5)(0.7)
    assert "5.5 digits were asked for" in str(ad.verify(f, digits=5.5)(0.7))


# --- the table -------------------------------------------------------------------------------------------------------------

CASES = [
    pytest.param(case, id=repr(case), marks=pytest.mark.slow)
    for case in every_case(True)
    if any(case.is_smooth_operand(i) and x.dtype.kind in "fc" for i, x in enumerate(case.operands()))
]


@pytest.mark.parametrize("case", CASES)
def test_every_row_is_right(case: Any) -> None:
    """A law: `verify` calls no derivative of the table wrong, and leaves none undecided."""
    operands = case.operands()
    smooth = [i for i, x in enumerate(operands) if case.is_smooth_operand(i) and x.dtype.kind in "fc"]

    def f(*xs: Any) -> Any:
        full: list[Any] = list(operands)
        for i, x in zip(smooth, xs, strict=True):
            full[i] = x
        return joined(case.row.apply(*full, **case.params))

    found = ad.verify(f, elements=4, directions=3)(*(operands[i] for i in smooth))
    assert found.ok and not found.undecided, str(found)
