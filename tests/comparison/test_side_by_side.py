"""The ways to a derivative, side by side."""

from __future__ import annotations

import functools
import json
import math
import sys

import numpy as np
import pytest

import arrayad as ad
from arrayad import __main__ as program
from arrayad.comparison.problem import Problem, measure
from arrayad.comparison.truth import agreeing
from arrayad.compiler.toolchain import toolchain
from arrayad.errors import DTypeError

mpmath = pytest.importorskip("mpmath")


compare = functools.partial(ad.compare, seconds=0.0)


@pytest.fixture(scope="module")
def found():
    return compare(lambda x: ad.sin(x**2 + 1), 0.5, by_hand=lambda x: 2 * x * ad.cos(x**2 + 1))


def test_every_way_is_held_to_the_same_truth(found):
    true = 2 * 0.5 * math.cos(1.25)
    for outcome in found.outcomes:
        assert not outcome.why, outcome
        error = abs(outcome.derivative.item() - true) / true
        assert outcome.digits == pytest.approx(-math.log10(max(error, 1e-17)), abs=1.2) or (error < 1e-15 and outcome.digits > 15)
    assert min(found.truth.agreement.values()) >= 50
    assert {outcome.way for outcome in found.outcomes} >= {"by hand", "numerical", "automatic"}


def test_rounding_is_told_from_truncation(found):
    assert 6 < found["forward"].digits < 10 < found["central, order 4"].digits
    for method in ("df", "complex step", "forward mode", "reverse mode"):
        assert found[method].digits > 15
    assert found["complex step"].all_right and not found["forward"].all_right


def test_evaluations_are_those_of_the_function(found):
    assert [found[name].evaluations for name in ("df", "formula", "forward mode", "reverse mode")] == [0, 0, 1, 1]
    calls = []

    def f(x):
        calls.append(0)
        return np.sin(x)

    problem = Problem(f, (0.5,))
    del calls[:]
    estimate = ad.numerical.jacobian(problem.of_tuple, problem.chosen, vectorized=False)
    assert len(calls) == estimate.evaluations == problem.evaluations - 1


def test_a_wrong_derivative_has_no_digits():
    found = compare(lambda x, y: x**2 * y, 3.0, 2.0, by_hand=lambda x, y: (2 * x * y, y**2))
    outcome = next(outcome for outcome in found.outcomes if outcome.way == "by hand")
    assert outcome.digits < 1 and outcome.worst == "y"
    assert found["reverse mode"].all_right


def test_the_derivative_of_manual_is_taken():
    f = ad.manual(lambda x: x**2, lambda x: 2 * x)
    assert compare(f, 3.0).outcomes[0].way == "by hand"


@pytest.mark.parametrize("n", [3, 20])
def test_few_and_many_inputs(n):
    x = np.linspace(0.5, 1.5, n)
    found = compare(lambda x: ad.sum(x**2 * x[::-1]), x)
    for method in ("forward mode", "reverse mode", "formula"):
        np.testing.assert_allclose(found[method].derivative[0], 2 * x * x[::-1] + x[::-1] ** 2, rtol=1e-14)
    assert found["forward mode"].evaluations == (3 if n == 3 else 1)


def test_trees_integers_and_arrays_of_results():
    p, n = {"w": np.array([[1.0, 2.0], [0.5, 1.0]]), "b": 0.3}, 2
    found = compare(lambda p, n: (p["w"] ** n @ np.ones(2) + p["b"], p["b"] ** n), p, n)
    assert found.truth.matrix.shape == (3, 5)
    true = np.array([[1, 2, 4, 0, 0], [1, 0, 0, 1, 2], [0.6, 0, 0, 0, 0]])
    for mode in ("forward mode", "reverse mode"):
        np.testing.assert_allclose(found[mode].derivative, true, rtol=1e-15)
    assert found.problem.elements == ["p['b']", "p['w'][0, 0]", "p['w'][0, 1]", "p['w'][1, 0]", "p['w'][1, 1]"]


def test_a_kink_is_said_and_no_digits_are_claimed():
    found = compare(lambda x: ad.abs(x), 0.0)
    assert found["reverse mode"].digits is None
    assert "kink in x" in str(found)
    assert "complex step: cannot, " in str(found)


def test_without_a_reference_no_more_digits_are_claimed_than_are_known():
    found = compare(ad.linalg.det, np.array([[1.0, 2.0], [3.0, 5.0]]))
    assert found.truth.method == "extrapolated differences" and "[det]" in found.truth.why
    np.testing.assert_allclose(found.truth.matrix, [[5, -3, -2, 1]], rtol=1e-9)
    assert np.all(found.truth.digits < 17) and 8 < found["reverse mode"].digits <= np.max(found.truth.digits)
    assert not found["reverse mode"].all_right


@pytest.mark.skipif(toolchain() is None, reason="there is no C compiler")
def test_a_number_is_no_constant_of_the_compiled_program():
    found = compare(lambda x: ad.sin(x**2 + 1), 0.5)["reverse mode, compiled"]
    assert found.operations > 3 and found.digits > 15


def test_json_holds_what_the_table_says(found):
    read = json.loads(found.json())
    assert read["reference"]["derivative"][0][0].startswith("0.31532236239526866544753855243803801372798570798276")
    by_method = {way["method"]: way for way in read["ways"]}
    assert by_method["reverse mode"]["derivative"] == [[found["reverse mode"].derivative.item()]]
    assert by_method["forward"]["digits"] == found["forward"].digits


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DTypeError, match="one at least must be floating-point"):
        compare(lambda n: n * 2, 3)
    with pytest.raises(ValueError, match="1,001 inputs"):
        compare(ad.sum, np.zeros(1001))
    with pytest.raises(DTypeError, match="an array of floats is needed"):
        compare(lambda x: "three", 0.5)


def test_without_mpmath_the_cure_is_named_before_anything_runs(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(ImportError, match=r"\[compare\] the package mpmath is needed: pip install \"arrayad\[precision\]\""):
        compare(lambda x: pytest.fail("it ran"), 0.5)


def test_digits_are_counted_from_the_first_that_is_wrong():
    true = np.array([[mpmath.mpf(1), mpmath.mpf(0), mpmath.nan, mpmath.mpf(3)]], object)
    found = agreeing(np.array([[1 + 1e-5, 1e-4, np.nan, np.nan]]), true)
    np.testing.assert_allclose(found, [[5, 4 + math.log10(3), np.nan, 0]], atol=1e-6)
    infinite = np.array([[mpmath.inf, -mpmath.inf]], object)
    np.testing.assert_array_equal(agreeing(np.array([[np.inf, np.inf]]), infinite), [[50, 0]])


def test_a_derivative_of_nothing_is_measured_by_one():
    found = compare(lambda x: x**3, 0.0)
    assert found["reverse mode"].all_right and min(found.truth.agreement.values()) == 50
    assert found["forward"].digits > 6


def test_single_precision_is_judged_as_such():
    found = compare(ad.exp, np.float32(1))["reverse mode"]
    assert 6.5 < found.digits < 9 and found.derivative.dtype == np.float32


def test_no_digits_are_claimed_of_nan():
    with np.errstate(invalid="ignore"):
        found = compare(ad.log, -1.0)
    assert all(outcome.digits is None and not outcome.all_right for outcome in found.outcomes)


def test_memory_is_what_a_run_holds():
    assert 8e5 < measure(lambda: np.ones(100_000), seconds=0.0).memory < 9e5
    three = measure(lambda: ad.tensor(np.ones(100_000)) + 1.0, seconds=0.0).memory  # the array, the Tensor's copy, the sum
    assert 2.4e6 < three < 2.7e6


def test_the_command_prints_the_table(capsys):
    program.main(
        ["compare", "sin(x**2 + 1) * y", "--at", "x=0.5", "y=2", "--by-hand", "(2 * x * cos(x**2 + 1) * y, sin(x**2 + 1))"]
    )
    printed = capsys.readouterr().out
    assert "sin(x**2 + 1) * y at x = 0.5, y = 2.0" in printed
    for words in ("by hand", "central, order 2", "complex step", "forward mode", "reverse mode", "evaluations", "memory"):
        assert words in printed


def test_the_command_reads_files_and_speaks_json(capsys, tmp_path):
    file = tmp_path / "programs.py"
    file.write_text("import arrayad as ad\n\ndef f(x):\n    return ad.sum(x**3)\n\ndef df(x):\n    return 3 * x**2\n")
    program.main(["compare", f"{file}:f", "--at", "[1, 2]", "--by-hand", f"{file}:df", "--json", "--seconds", "0"])
    read = json.loads(capsys.readouterr().out)
    assert read["ways"][0]["way"] == "by hand" and read["ways"][0]["derivative"] == [[3.0, 12.0]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["sin(x)", "--at", "x=1", "y=1"], "has no variable y"),
        (["sin(x)", "--at", "x=1", "2"], "name all of them, or none"),
        (["nothing.py:f", "--at", "1"], "there is no file nothing.py"),
        (["open(x)", "--at", "x=1"], "there is no public function open"),
        (["sin(x)", "--at", "x=one"], "of no known value"),
    ],
)
def test_what_is_wrong_with_the_command_is_said_in_a_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        program.main(["compare", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
