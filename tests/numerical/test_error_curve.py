"""The error of differences against the step: the best steps and errors of the literature, the observed orders, the picture."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad import numerical
from arrayad.errors import ShapeError

ORDERS = {
    "forward": 1,
    "backward": 1,
    "central": 2,
    "central 4": 4,
    "central 6": 6,
    "central 8": 8,
    "richardson 6": 6,
    "complex": 2,
}


@pytest.fixture(scope="module")
def sine() -> numerical.ErrorCurve:
    return numerical.error_curve(ad.sin, 1.0)


def test_the_sine_at_1(sine: numerical.ErrorCurve) -> None:
    assert sine.reference == math.cos(1.0) or abs(sine.reference - math.cos(1.0)) < 1.2e-16
    assert sine.source == "forward-mode AD" and sine.floor < 1e-16
    assert 1.5e-9 < sine.best_error["forward"] < 1.5e-8 and 2e-9 < sine.best_step["forward"] < 2e-8
    assert 2e-13 < sine.best_error["central"] < 2e-12 and 2e-6 < sine.best_step["central"] < 2e-5
    assert sine.best_error["richardson 6"] <= 1e-15  # two steps of Richardson's
    assert sine.best_error["complex"] == 0.0
    assert np.all(sine.errors["complex"][sine.steps < 1e-9] <= 1.2e-16)


@pytest.mark.parametrize("name, order", ORDERS.items())
def test_the_observed_order_is_the_formula_s(sine: numerical.ErrorCurve, name: str, order: int) -> None:
    assert sine.observed_order[name] == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("name", [name for name in ORDERS if name != "complex"])
def test_truncation_and_round_off_are_told_apart(sine: numerical.ErrorCurve, name: str) -> None:
    order = ORDERS[name]
    long, short = int(np.argmin(np.abs(sine.steps - 0.1))), int(np.argmin(np.abs(sine.steps - 1e-11)))
    assert sine.truncation[name][long] == pytest.approx(sine.errors[name][long], rel=0.3)
    assert sine.roundoff[name][long] < 0.1 * sine.errors[name][long]
    assert sine.truncation[name][short] < 0.1 * sine.errors[name][short]
    assert sine.errors[name][short] / 30 < sine.roundoff[name][short] < 30 * sine.errors[name][short]
    slope = np.log(sine.truncation[name][0] / sine.truncation[name][4]) / np.log(10.0)
    assert slope == pytest.approx(order) and sine.roundoff[name][4] == pytest.approx(10 * sine.roundoff[name][0])


def test_the_reference_can_be_given() -> None:
    for reference in (math.cos(1.0), np.cos, lambda x: ad.cos(x)):
        curve = numerical.error_curve(np.sin, 1.0, ("central",), reference)
        assert curve.source == "as given" and 2e-13 < curve.best_error["central"] < 2e-12
    with pytest.raises(ShapeError, match="the reference has 2 elements, the derivative 1"):
        numerical.error_curve(np.sin, 1.0, reference=np.ones(2))


def test_without_ad_extrapolated_differences_are_the_reference() -> None:
    curve = numerical.error_curve(math.lgamma, 3.0, ("forward", "central 4"))
    assert curve.source.startswith("extrapolated differences, off by")
    assert curve.reference == pytest.approx(0.9227843350984671, rel=1e-13)
    assert curve.observed_order["central 4"] == pytest.approx(4, abs=0.1)


def test_arrays_are_differentiated_along_a_direction() -> None:
    def f(x: Any) -> Any:
        return {"a": ad.exp(x["p"]), "b": ad.sum(x["p"]) * x["q"]}

    x = {"p": np.array([0.5, -1.0]), "q": 2.0}
    curve = numerical.error_curve(f, x, ("central", (-1, 0, 2), ("central", 4)), direction={"p": np.array([1.0, 0.0]), "q": 0.0})
    np.testing.assert_allclose(curve.reference["a"], [math.exp(0.5), 0.0])
    assert curve.reference["b"] == 2.0
    assert list(curve.errors) == ["central", "(-1, 0, 2)", "central 4"]
    assert curve.observed_order["(-1, 0, 2)"] == pytest.approx(2, abs=0.05)
    assert numerical.error_curve(f, x, ("central",)).observed_order["central"] == pytest.approx(2, abs=0.05)


def test_single_precision_has_its_own_curve() -> None:
    curve = numerical.error_curve(np.exp, np.float32(0.5), ("forward", "central"))
    assert 1e-5 < curve.best_error["forward"] < 1e-3 and curve.best_step["forward"] > 1e-5
    assert curve.floor > 1e-9


def test_a_sweep_of_one_s_own_and_what_is_refused() -> None:
    curve = numerical.error_curve(np.sin, 1.0, ("central",), steps=[1e-3, 1e-1, 1e-2])
    assert curve.steps.tolist() == [1e-1, 1e-2, 1e-3]
    assert curve.observed_order["central"] == pytest.approx(2, abs=0.01)
    for schemes, message in ((("ridders",), "ridders has no one step"), (("central 3",), "no central difference of order 3")):
        with pytest.raises(ValueError, match=message):
            numerical.error_curve(np.sin, 1.0, schemes)
    with pytest.raises(ValueError, match="steps must be positive"):
        numerical.error_curve(np.sin, 1.0, steps=[0.1, -1.0])


def test_the_table_names_every_scheme(sine: numerical.ErrorCurve) -> None:
    lines = str(sine).splitlines()
    assert [line[:12].strip() for line in lines[1:-1]] == list(ORDERS)
    assert lines[0].split() == ["scheme", "order", "best", "h", "error", "truncation", "round-off"]
    assert lines[-1] == "reference: forward-mode AD"


def test_the_figure_has_a_curve_for_each_scheme_and_the_floor(sine: numerical.ErrorCurve, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    axes = sine.plot(path=tmp_path / "curve.png")
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[:-1] == list(ORDERS) and labels[-1].startswith("AD")
    assert axes.get_xscale() == axes.get_yscale() == "log"
    drawn = axes.get_lines()[0].get_ydata()
    assert np.all(drawn >= sine.floor) and (tmp_path / "curve.png").stat().st_size > 10_000
    assert sine.plot(axes=axes) is axes


def test_without_matplotlib_the_cure_is_named(sine: numerical.ErrorCurve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "arrayad\[plot\]"'):
        sine.plot()
