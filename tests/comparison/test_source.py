"""Programs that are named in text."""

from __future__ import annotations

import math

import numpy as np
import pytest

import arrayad as ad
from arrayad.comparison.source import ExpressionError, expression_function, file_function, point, program


@pytest.mark.parametrize(
    "text, values, true",
    [
        ("sin(x**2 + 1)", (0.5,), math.sin(1.25)),
        ("-x / (1 + np.exp(-x)) - +2", (0.7,), -0.7 / (1 + math.exp(-0.7)) - 2),
        ("x * y // 2 % 3 + pi * e", (5.0, 3.0), 5 * 3 // 2 % 3 + math.pi * math.e),
        ("sum(x[1:] * x[:-1] ** 2) + x[-1]", (np.array([1.0, 2.0, 3.0]),), 2 * 1 + 3 * 4 + 3),
        ("where(x > 0, sqrt(abs(x)), nn.functional.relu(x))", (4.0,), 2.0),
        ("linalg.det(x @ x.T)", (np.array([[1.0, 2.0], [0.0, 3.0]]),), 9.0),
        ("ad.max(stack([x, y]), axis=0)", (1.0, 2.0), 2.0),
        ("sum(reshape(x, (2, 1)), axis=None)", (np.ones(2),), 2.0),
        ("(x >= 1) * 1.0 + (x == 2) * 2", (2.0,), 3.0),
    ],
)
def test_an_expression_is_the_function_that_it_reads_as(text, values, true):
    f, names = expression_function(text)
    assert len(names) == len(values)
    np.testing.assert_allclose(float(f(*map(ad.tensor, values))), true, rtol=1e-14)


def test_variables_come_in_the_order_that_is_given():
    assert expression_function("y - x")[1] == ("y", "x")
    f, names = expression_function("y - x", ("x", "y"))
    assert names == ("x", "y") and f(1.0, 5.0) == 4.0


@pytest.mark.parametrize(
    "text, message",
    [
        ("__import__('os').system('ls')", "there is no public function"),
        ("x.__class__", "no attribute __class__"),
        ("x.T.mT.dtype", "no attribute dtype"),
        ("(lambda: 1)()", "there is no public function"),
        ("[y for y in x]", "ListComp has no place in an expression"),
        ("x if x > 0 else -x", "IfExp has no place"),
        ("x ^ 2", r"powers are written \*\*"),
        ("not x", "operator Not"),
        ("0 < x < 1", "one comparison at a time"),
        ("sin", r"sin is a function: write sin\(…\)"),
        ("sin(*x)", "one by one"),
        ("sin(**x)", "one by one"),
        ("'text'", "is no real number"),
        ("1j * x", "is no real number"),
        ("linalg.nothing(x)", "no public function linalg.nothing"),
        ("nn.functional.np(x)", "no public function nn.functional.np"),
        ("sin(x", "never closed"),
        ("", "invalid syntax"),
    ],
)
def test_what_is_no_expression_shows_its_place(text, message):
    with pytest.raises(ExpressionError, match=message) as caught:
        expression_function(text)
    assert str(caught.value).splitlines()[-1].strip() == "^"


def test_a_variable_without_a_value_and_a_value_without_a_variable_are_named():
    with pytest.raises(ExpressionError, match=r"has y, of no known value; add --at y=0\.5"):
        expression_function("x * y", ("x",))
    with pytest.raises(ExpressionError, match="has no variable z"):
        expression_function("x", ("x", "z"))


def test_points_are_numbers_and_arrays():
    assert point("x=0.5") == ("x", 0.5)
    assert point("2") == (None, 2.0) and isinstance(point("2")[1], float)
    name, value = point("w=linspace(0, 1, 3) * 2")
    assert name == "w" and value.dtype == np.float64
    np.testing.assert_array_equal(value, [0, 1, 2])
    with pytest.raises(ExpressionError, match="of no known value"):
        point("x=y")


def test_a_function_is_taken_from_a_file(tmp_path):
    (tmp_path / "neighbour.py").write_text("TWO = 2.0\n")
    file = tmp_path / "prog_under_test.py"
    file.write_text("from neighbour import TWO\n\ndef f(x):\n    return x**TWO\n")
    f, names = program(f"{file}:f", ("x",))
    assert f(3.0) == 9.0 and names == ("x",)
    with pytest.raises(AttributeError, match="has no function g; it has f"):
        file_function(str(file), "g")
    with pytest.raises(FileNotFoundError, match=r"no file nowhere\.py"):
        program("nowhere.py:f", ())
