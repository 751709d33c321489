"""The figure of a comparison."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad.comparison import figure
from arrayad.comparison.figure import family, written_out
from arrayad.comparison.problem import Problem

pytest.importorskip("matplotlib")
pytest.importorskip("mpmath")


def test_the_size_written_out_counts_every_use():
    tape = ad.trace(lambda x: (y := ad.sin(x) * x) * y + y)(0.5)
    assert len(tape) == 4
    assert written_out(tape) == 8  # y takes 2, and stands in three places; then a product and a sum


@pytest.mark.parametrize(
    "f, x",
    [
        (lambda x: ad.sin(x**2 + 1), 0.5),
        (lambda x: ad.sum(x[1:] * x[:-1]), np.array([1.0, 2.0])),
        (lambda p: ad.sum(p["w"] ** 2), {"w": np.array([1.0, 2.0])}),
    ],
)
def test_a_function_of_numbers_or_of_a_list_has_a_family(f, x):
    function, point = family(Problem(f, (x,)))(7)
    assert point.shape == (7,) and np.shape(function(ad.tensor(point))) == ()


def test_another_function_has_none():
    with pytest.raises(ValueError, match="one form only"):
        family(Problem(lambda x, y: x * y, (1.0, 2.0)))


def test_a_panel_that_cannot_be_drawn_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(figure, "LENGTHS", (1, 10))
    found = ad.compare(lambda x, y: (x if x > 0 else -x) * y, 1.0, 2.0, seconds=0)
    drawn = found.plot(tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000
    words = [" ".join(text.get_text() for text in axes.texts) for axes in drawn.axes]
    assert words[0] == "" and "one form only" in words[1] and "asks for a value" in words[2]


def test_the_three_panels_are_drawn(monkeypatch):
    monkeypatch.setattr(figure, "LENGTHS", (1, 10))
    drawn = ad.compare(lambda x: ad.sin(x**2 + 1), 0.5, seconds=0).plot()
    labels = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in drawn.axes]
    assert "central" in labels[0] and "reverse mode" in labels[1] and "written out" in labels[2]
    shared = next(line for line in drawn.axes[2].lines if line.get_label() == "with its sharing")
    assert list(shared.get_ydata())[:2] == [3, 5]
